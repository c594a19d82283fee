"""Linear probes, beside the original's and scikit-learn's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.utils import shuffle

from infotheory_dl import domain_generalization as dg
from infotheory_dl import linear_models
from infotheory_dl.domain_generalization._early_stopping import Head, descend
from tests.conftest import reference

CASE = reference("domain_generalization_decomposition")
SPLITS = ("train", "id_val", "val", "test")
FEATURES = {
    split: dg.Features(CASE[f"z/{split}"], CASE[f"y/{split}"], CASE[f"dom/{split}"], CASE[f"pred/{split}"])
    for split in SPLITS
}
TRAIN, UNSEEN, TEST = FEATURES["train"], FEATURES["val"], FEATURES["test"]


def accuracy(probe, x, targets):
    return (np.asarray(linear_models.probabilities(probe, x)).argmax(-1) == targets).mean()


def test_a_probe_is_at_the_exact_optimum():
    probe = dg.fit_probes(TRAIN.representations, TRAIN.labels[None], np.ones((1, 1200), bool))
    coefficients, intercept = np.asarray(probe.coefficients[0]), np.asarray(probe.intercept[0])
    np.testing.assert_allclose(coefficients.T, CASE["lr_exact/coef"], atol=1e-5)
    np.testing.assert_allclose(intercept, CASE["lr_exact/intercept"], atol=1e-5)
    objective = float(probe.loss[0]) * 1200
    np.testing.assert_allclose(objective, CASE["lr_exact/objective"], rtol=1e-8)


def test_probes_are_right_on_the_rows_on_which_the_original_ones_are():
    """The original without early stopping, which measures all probes but the joint one on what they are fitted to."""
    x = np.concatenate([TRAIN.representations, UNSEEN.representations, TEST.representations])
    y = np.concatenate([TRAIN.labels, UNSEEN.labels, TEST.labels])
    domains = np.concatenate([TRAIN.domains, UNSEEN.domains, TEST.domains])
    sources = np.unique(TRAIN.domains)
    is_source = np.isin(domains, sources)
    targets, rows, expected, measured = [], [], [], []

    def ask(target, fitted_to, name, measured_on=None):
        targets.append(target)
        rows.append(fitted_to)
        expected.append(CASE[f"lbfgs/{name}"] if isinstance(name, str) else name)
        measured.append(fitted_to if measured_on is None else measured_on)

    number = np.searchsorted(sources, domains).clip(max=2)
    ask(number, is_source, "I0")
    for split, suffix in ((UNSEEN, ""), (TEST, "_test")):
        own = domains == split.domains[0]
        held = np.zeros(len(x), bool)
        held[np.flatnonzero(own)[::10]] = True
        ask(y, own, f"G1{suffix}")
        ask(y, is_source | (own & ~held), f"G2{suffix}", held)
        swapped = np.where(own, 0, number)
        members = own | (is_source & (domains != sources[0]))
        ask(swapped, members, f"I1{suffix}")
        for label, share in enumerate(CASE[f"lbfgs/perclass_{'test' if suffix else 'val'}"]):
            ask(swapped, members & (y == label), share)
    probes = dg.fit_probes(x, np.stack(targets), np.stack(rows))
    predicted = np.asarray(linear_models.probabilities(probes, x)).argmax(-1)
    for probe in range(len(targets)):
        own = measured[probe]
        found = (predicted[probe] == targets[probe])[own].sum()
        assert abs(found - expected[probe] * own.sum()) <= 1 + 1e-9, probe


def test_probes_of_two_and_of_three_classes_are_those_of_scikit_learn():
    x = np.random.default_rng(0).normal(size=(90, 4))
    three = np.random.default_rng(1).integers(0, 3, 90)
    fitted_to = np.stack([np.ones(90, bool), three < 2, three > 0])
    probes = dg.fit_probes(x, np.stack([three] * 3), fitted_to, inverse_penalty=0.5)
    for probe, own in enumerate(fitted_to):
        peer = LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000).fit(x[own], three[own])
        coefficients, intercept = np.asarray(probes.coefficients[probe]).T, np.asarray(probes.intercept[probe])
        present = np.unique(three[own])
        if len(present) == 2:
            np.testing.assert_allclose(coefficients[present[1]] - coefficients[present[0]], peer.coef_[0], atol=1e-5)
            assert np.isneginf(intercept[np.setdiff1d(range(3), present)]).all()
        else:
            np.testing.assert_allclose(coefficients, peer.coef_, atol=1e-5)
        predicted = np.asarray(linear_models.probabilities(probes, x[own]))[probe][:, present]
        np.testing.assert_allclose(predicted, peer.predict_proba(x[own]), atol=1e-5)


def test_two_classes_have_one_output():
    x, y = np.random.default_rng(0).normal(size=(64, 4)), np.arange(64) % 2
    probe = dg.fit_probes(x, y[None], np.ones((1, 64), bool))
    peer = LogisticRegression(tol=1e-12, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(np.asarray(probe.coefficients[0]).T, peer.coef_, atol=1e-5)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_descent_that_stops_early_is_that_of_scikit_learn(num_classes):
    """With the first parameters and the orders of the rows that its source of randomness gives."""
    random = np.random.default_rng(num_classes)
    y = np.arange(300) % num_classes
    x = random.normal(size=(300, 4)) + 2 * np.eye(4)[y]
    peer = MLPClassifier(
        (), solver="sgd", early_stopping=True, learning_rate_init=1e-3, batch_size=100, random_state=0, max_iter=1000
    ).fit(x, y)
    state = np.random.RandomState(0)
    outputs = 1 if num_classes == 2 else num_classes
    reach = np.sqrt(6 / (4 + outputs))
    weights, bias = state.uniform(-reach, reach, (4, outputs)), state.uniform(-reach, reach, outputs)
    stratify = y if num_classes == 2 else None  # as scikit-learn does
    fitted, stop = train_test_split(np.arange(300), random_state=state, test_size=0.1, stratify=stratify)
    order = np.arange(len(fitted))
    orders = []
    for _ in range(peer.n_iter_):
        order = shuffle(order, random_state=state)
        orders.append(np.concatenate([fitted[order], stop]))
    orders = jnp.asarray(np.stack(orders + orders[-1:] * 5))
    end = jax.jit(
        lambda start: descend(
            start,
            jnp.asarray(x),
            jnp.asarray(y),
            jnp.asarray(270),
            jnp.isin(jnp.arange(300), jnp.asarray(stop)),
            lambda epoch: orders[epoch],
            batch=100,
        )
    )(Head(jnp.asarray(weights), jnp.asarray(bias)))
    assert int(end.epoch) == peer.n_iter_
    assert float(end.accuracy) == peer.best_validation_score_
    np.testing.assert_allclose(end.best.weights, peer.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(end.best.bias, peer.intercepts_[0], rtol=1e-9)


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_fitted_is_told():
    x, y = np.zeros((6, 2)), np.arange(6)[None] % 2
    with pytest.raises(ValueError, match="got none for the probe 1"):
        dg.fit_probes(x, np.repeat(y, 2, 0), np.array([[True] * 6, [False] * 6]))
    with pytest.raises(ValueError, match=r"targets must have the shape \(1, 6\), a row for each probe"):
        dg.fit_probes(x, y[:, :5], np.ones((1, 5), bool))
    with pytest.raises(ValueError, match="inverse_penalty must be positive"):
        dg.fit_probes(x, y, np.ones((1, 6), bool), inverse_penalty=0)
