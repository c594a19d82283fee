"""The diagnosis: failures that were made are named, sums hold, and nothing depends on orders, names and units."""

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl import data
from infotheory_dl import domain_generalization as dg
from infotheory_dl.domain_generalization import Features
from infotheory_dl.results import files
from tests.domain_generalization.test_probes import CASE, FEATURES

KEY = jax.random.key(0)
SMALL = {"num_sources": 2, "num_classes": 2, "num_examples": 400, "num_features": 6}


def values(diagnosis):
    """All numbers but the standard errors and the intervals."""
    parts = (diagnosis.accuracies, diagnosis.errors, diagnosis.domain_accuracies, diagnosis.information)
    return np.array([float(estimate.value) for part in parts for estimate in part])


@pytest.fixture(scope="module")
def overlapping():
    """Classes that overlap, so that every number is one of its own."""
    return data.gaussian_domains(KEY, failure="non_invariance", separation=3.0, shift=0.5, **SMALL)


@pytest.fixture(scope="module")
def diagnosis(overlapping):
    return dg.diagnose(KEY, *overlapping)


@pytest.mark.parametrize("failure", ["underfitting", "inseparability", "misalignment", "non_invariance"])
def test_each_failure_is_named_and_the_other_terms_are_zero(failure):
    for seed in range(20):
        key = jax.random.key(seed)
        found = dg.diagnose(key, *data.gaussian_domains(key, failure=failure, **SMALL))
        assert found.dominant == failure
        for name, error in found.errors._asdict().items():
            if name != failure:
                assert abs(error.value) <= 3 * error.standard_error


def test_without_a_failure_none_is_named():
    found = dg.diagnose(KEY, *data.gaussian_domains(KEY, **SMALL))
    assert found.dominant is None
    assert float(found.accuracies.own_on_unseen.value) == 1


def test_domains_that_are_alike_cannot_be_told_apart():
    drawn = [dg.diagnose(key, *data.gaussian_domains(key, shift=0.0, **SMALL)) for key in jax.random.split(KEY, 10)]
    mean = lambda told: np.mean([one.value for one in told])
    deviation = lambda told: np.sqrt(np.sum(np.square([one.standard_error for one in told]))) / len(told)
    for told in zip(*(found.distinguishability for found in drawn), strict=True):
        assert abs(mean(told)) <= 2 * deviation(told)
    for nats in zip(*(found.information for found in drawn), strict=True):
        assert mean(nats) <= 2 * deviation(nats)


def test_domains_that_are_far_apart_tell_all_of_the_domain():
    found = dg.diagnose(KEY, *data.gaussian_domains(KEY, shift=30.0, **SMALL))
    for told, nats in zip(found.distinguishability, found.information, strict=True):
        assert told.value == 1
        np.testing.assert_allclose(nats.value, np.log(2), atol=0.02)


def test_the_terms_add_up_to_the_error(diagnosis):
    total = sum(float(error.value) for error in diagnosis.errors)
    np.testing.assert_allclose(total, 1 - float(diagnosis.accuracies.own_on_unseen.value), atol=1e-12)


def test_the_model_is_measured_as_it_predicts(overlapping, diagnosis):
    right = lambda part: (part.predictions == part.labels).mean()
    assert float(diagnosis.accuracies.own_on_sources.value) == right(overlapping.validation)
    assert float(diagnosis.accuracies.own_on_unseen.value) == right(overlapping.unseen)


def test_standard_errors_of_accuracies_are_binomial(diagnosis):
    for name, number in (("own_on_sources", 200), ("own_on_unseen", 400), ("probe_on_unseen", 400)):
        estimate = getattr(diagnosis.accuracies, name)
        expected = np.sqrt(estimate.value * (1 - estimate.value) / number)
        np.testing.assert_allclose(estimate.standard_error, expected, rtol=0.2)
        low, high = estimate.interval
        np.testing.assert_allclose((high - low) / 2, 1.96 * expected, rtol=0.25)


def test_negative_terms_are_shown():
    features = data.gaussian_domains(KEY, failure="underfitting", **SMALL)
    lucky = features.unseen._replace(predictions=features.unseen.labels)
    found = dg.diagnose(KEY, features.train, features.validation, lucky)
    assert found.errors.non_invariance.value < -0.2
    assert found.accuracies.own_on_unseen.value == 1


@settings(max_examples=5, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_the_order_of_the_rows_changes_nothing(overlapping, diagnosis, seed):
    random = np.random.default_rng(seed)

    def permuted(features):
        order = random.permutation(len(features.labels))
        return Features(*(column[order] for column in features))

    again = dg.diagnose(KEY, *map(permuted, overlapping))
    jax.tree.map(np.testing.assert_array_equal, diagnosis, again)


def test_units_and_the_order_of_columns_and_names_change_nothing(overlapping, diagnosis):
    columns, scale = np.random.default_rng(0).permutation(6), np.array([1e-3, 5, 1, 1e4, 2, 3.0])
    for other in (
        lambda f: f._replace(representations=f.representations[:, columns]),
        lambda f: f._replace(representations=f.representations * scale - 7),
        lambda f: f._replace(labels=1 - f.labels, predictions=1 - f.predictions),
        lambda f: f._replace(domains=np.array(["z", "b", "a"])[f.domains]),
    ):
        np.testing.assert_allclose(values(dg.diagnose(KEY, *map(other, overlapping))), values(diagnosis), atol=1e-6)


def test_containers_and_forms_of_labels_change_nothing(overlapping, diagnosis):
    names = np.array(["cat", "dog"])

    def held(features):
        outputs = np.eye(2)[features.predictions] * 5 - 2
        return Features(
            pd.DataFrame(features.representations),
            names[features.labels].tolist(),
            pd.Series(features.domains),
            outputs,
        )

    again = dg.diagnose(KEY, *map(held, overlapping))
    jax.tree.map(np.testing.assert_array_equal, diagnosis, again)


def test_single_precision_says_the_same(overlapping, diagnosis):
    single = lambda features: features._replace(representations=features.representations.astype(np.float32))
    np.testing.assert_allclose(values(dg.diagnose(KEY, *map(single, overlapping))), values(diagnosis), atol=5e-3)


def test_inputs_stay_as_they_are(overlapping):
    before = jax.tree.map(np.copy, overlapping)
    dg.diagnose(KEY, *overlapping)
    jax.tree.map(np.testing.assert_array_equal, before, overlapping)


def test_a_second_unseen_domain_is_diagnosed_beside_the_first(overlapping, diagnosis):
    other = overlapping.unseen._replace(domains=np.full(400, 7))
    found = dg.diagnose(KEY, *overlapping, test=other)
    np.testing.assert_allclose(found.accuracies.own_on_unseen.value, diagnosis.accuracies.own_on_unseen.value)
    assert found.test.accuracies.own_on_unseen.value == found.accuracies.own_on_unseen.value
    assert found.test.test is None


def test_the_original_protocol_gives_its_numbers():
    """To the noise of 40 rows: the epochs are other draws."""
    train, validation, unseen, test = FEATURES.values()
    found = dg.diagnose(
        KEY, train, validation, unseen, test=test, probe="sgd_early_stop", holdout="stride10", resamples=50
    )
    for suffix, part in (("", found), ("_test", found.test)):
        for name, accuracy in zip(("G0", "G1", "G2", "G3"), part.accuracies, strict=False):
            expected = CASE[f"sgd/{name}{suffix if name != 'G0' else ''}"]
            exact = name in ("G0", "G3")
            assert abs(accuracy.value - expected) <= (1e-12 if exact else 3 * np.sqrt(expected * (1 - expected) / 40))


def test_a_diagnosis_is_kept_and_printed(diagnosis, tmp_path):
    again = files.load(files.save(tmp_path / "diagnosis.npz", diagnosis))
    jax.tree.map(np.testing.assert_array_equal, diagnosis, again)
    assert again.dominant == diagnosis.dominant
    assert f"errors: Errors of underfitting {diagnosis.errors.underfitting.value:.6g}" in repr(diagnosis)


def test_a_diagnosis_is_put_in_sentences(diagnosis):
    first, *others = dg.findings(diagnosis, unseen="west")
    assert first.startswith(f"The model errs on {100 * (1 - diagnosis.accuracies.own_on_unseen.value):.1f} % of")
    assert "of west" in first
    assert (diagnosis.dominant is None) == ("cannot tell" in first)
    assert any(line.startswith("What may help") for line in others) == (diagnosis.dominant is not None)


def test_small_classes_and_domains_are_named_and_left_out(overlapping):
    train = overlapping.train
    few = np.arange(800) % 100 == 0
    rare = np.where(few, "rare", np.array(["a", "b"])[train.labels])
    small = np.where(np.arange(800) % 200 == 1, 9, train.domains)
    of_names = lambda part: part._replace(
        labels=np.array(["a", "b"])[part.labels], predictions=np.array(["a", "b"])[part.predictions]
    )
    with pytest.warns(UserWarning, match="too few examples of the") as told:
        found = dg.diagnose(
            KEY,
            train._replace(labels=rare, domains=small, predictions=None),
            of_names(overlapping.validation),
            of_names(overlapping.unseen),
        )
    assert found.skipped_classes == ("rare",)
    assert found.skipped_domains == ("9",)
    texts = [str(warning.message) for warning in told]
    assert any("too few examples of the classes rare" in text for text in texts)
    assert any("too few examples of the source domains 9" in text for text in texts)


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_diagnosed_is_told(overlapping):
    train, validation, unseen = overlapping
    spoilt = unseen.representations.copy()
    spoilt[3, 1] = np.nan

    def told(text, *given, **settings):
        with pytest.raises((ValueError, TypeError), match=text):
            dg.diagnose(KEY, *given, **settings)

    told("unseen.representations has 1 of 2400 entries", train, validation, unseen._replace(representations=spoilt))
    told("train.labels must be one for each of the 800 examples", train._replace(labels=[0]), validation, unseen)
    told("unseen.labels must be among the classes 0, 1", train, validation, unseen._replace(labels=unseen.labels + 1))
    told("train.domains must be of two source domains", train._replace(domains=np.zeros(800)), validation, unseen)
    told("not among the others, got 0", train, validation, unseen._replace(domains=np.zeros(400)))
    told("of one unseen domain, got 400 of them", train, validation, unseen._replace(domains=np.arange(400) + 5))
    told("validation.domains must be among", train, unseen, validation)
    told("unseen.predictions are needed", train, validation, unseen._replace(predictions=None))
    told("outputs for each of the 2 classes", train, validation, unseen._replace(predictions=np.zeros((400, 2, 2))))
    told("must have 6 features", train, validation, unseen._replace(representations=np.zeros((400, 4))))
    told("unseen must have 20 examples", train, validation, Features(*(column[:19] for column in unseen)))
    told("unknown probe 'mlp'", train, validation, unseen, probe="mlp")
    told("unknown holdout 'none'", train, validation, unseen, holdout="none")
    one_class = unseen.labels == 0
    rows = np.append(np.flatnonzero(one_class)[:9], np.flatnonzero(~one_class)[:9])
    few = Features(*(column[np.append(rows, rows)[:20] * 0 + np.resize(rows, 20)] for column in unseen))
    nearly = few._replace(labels=np.arange(20) % 2)
    found = dg.diagnose(KEY, train, validation, nearly)
    assert len(found.skipped_classes) == 0
    uneven = few._replace(labels=(np.arange(20) > 10).astype(int))
    with pytest.warns(UserWarning, match="too few examples of the classes 1"):
        dg.diagnose(KEY, train, validation, uneven)


@pytest.mark.usefixtures("as_a_user_sees")
def test_domains_and_classes_that_are_all_too_small_are_told(overlapping):
    train, validation, unseen = overlapping
    rows = np.concatenate([np.flatnonzero(train.domains == place)[: (20, 9)[place]] for place in range(2)])
    with pytest.raises(ValueError, match="two source domains of 10 examples at least, got 20 of 0, 9 of 1"):
        dg.diagnose(KEY, Features(*(column[rows] for column in train)), validation, unseen)
    rows = np.concatenate([np.flatnonzero((train.domains == place) & (train.labels == place))[:12] for place in (0, 1)])
    with pytest.raises(ValueError, match="no class has 10 examples in the unseen domain and in two source domains"):
        dg.diagnose(KEY, Features(*(column[rows] for column in train)), validation, unseen)


def test_nothing_that_is_given_is_changed(overlapping, diagnosis):
    given = [Features(*(column.copy() for column in part)) for part in overlapping]
    for part in given:
        for column in part:
            column.flags.writeable = False
    jax.tree.map(np.testing.assert_array_equal, dg.diagnose(KEY, *given), diagnosis)
    jax.tree.map(np.testing.assert_array_equal, tuple(given), tuple(overlapping))


def test_heads_with_more_labels_do_better():
    features = data.gaussian_domains(KEY, failure="misalignment", **SMALL)
    curves = dg.head_curves(KEY, features.train, features.unseen, num_labels=(4, 100), repeats=3)
    assert curves.unseen.shape == curves.joint.shape == (2, 3)
    assert curves.unseen[1].min() > 0.95
    assert curves.sources < 0.05
    assert curves.own == 0
    np.testing.assert_array_equal(curves.num_labels, [4, 100])


@pytest.mark.usefixtures("as_a_user_sees")
def test_heads_need_labels(overlapping):
    with pytest.raises(ValueError, match=r"num_labels must lie in \[2, 360\], the examples that are not held out"):
        dg.head_curves(KEY, overlapping.train, overlapping.unseen, num_labels=(1000,))
    with pytest.raises(ValueError, match="num_labels must be one number at least"):
        dg.head_curves(KEY, overlapping.train, overlapping.unseen, num_labels=())
