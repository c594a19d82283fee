import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from infotheory_dl import audit, data, networks
from infotheory_dl.audit import retraining
from infotheory_dl.linearization import empirical_kernel, kernel_eigen, select_weight_decay
from infotheory_dl.sample_information import leave_one_out
from tests.audit.conftest import SETTINGS


@pytest.fixture(scope="module")
def kernels(result):
    """Mean kernels, made from the networks one by one."""
    examples = result.examples
    network = networks.MLP((1024,), 1, initialization=networks.HE)
    own = jax.random.fold_in(jax.random.split(jax.random.key(0), 3)[2], zlib.crc32(b"representation") & 0x7FFFFFFF)
    keys = jax.random.split(own, 2)
    params = [network.init(key, examples.inputs[:1]) for key in keys]
    return [
        np.mean([empirical_kernel(network.apply, p, x, examples.inputs) for p in params], axis=0)
        for x in (examples.inputs, examples.held_out_inputs)
    ]


def test_scores_are_those_of_leaving_each_example_out(result, kernels):
    kernel, held_out_kernel = map(jnp.asarray, kernels)
    eigen = kernel_eigen(kernel)
    targets = jnp.eye(10)[result.examples.labels] - 0.1
    assert result.weight_decay == pytest.approx(float(select_weight_decay(eigen, targets)))
    expected = leave_one_out(
        eigen,
        jnp.zeros_like(targets),
        targets,
        held_out_kernel,
        time=jnp.inf,
        learning_rate=1.0,
        weight_decay=result.weight_decay,
    )
    np.testing.assert_allclose(result.scores.weight_change, expected.weight_change, rtol=1e-8)
    np.testing.assert_allclose(result.scores.output_change, expected.output_change, rtol=1e-8)


def test_margins_are_those_of_a_network_trained_without_the_example(result, kernels):
    kernel, labels = kernels[0], result.examples.labels
    targets = np.eye(10)[labels] - 0.1
    for i in (0, 17, 99):
        others = np.delete(np.arange(100), i)
        shifted = kernel[np.ix_(others, others)] + 100 * result.weight_decay * np.eye(99)
        prediction = kernel[i, others] @ np.linalg.solve(shifted, targets[others])
        expected = prediction[labels[i]] - np.delete(prediction, labels[i]).max()
        assert result.scores.margins[i] == pytest.approx(expected, rel=1e-8)
        np.testing.assert_allclose(result.scores.predictions[i], prediction + 0.1, atol=1e-9)


def test_the_flips_are_found(result):
    flipped = result.examples.flipped
    assert flipped.sum() == 10
    found = result.detection[0]
    assert found.method == "margin"
    assert found.area_under_roc == pytest.approx(roc_auc_score(flipped, -result.scores.margins))
    assert found.average_precision == pytest.approx(average_precision_score(flipped, -result.scores.margins))
    assert found.precision == pytest.approx(flipped[np.argsort(result.scores.margins)[:10]].mean())
    assert found.area_under_roc > 0.95
    methods = [found.method for found in result.detection]
    assert methods[3:] == ["area under the margin", "logistic regression", "nearest neighbours", "support vectors"]


def test_late_scores_of_the_sweep_are_those_of_the_audit(result):
    assert len(result.sweep.times) == 3
    assert result.sweep.times[0] == pytest.approx(1)
    np.testing.assert_allclose(result.sweep.agreement[-1], 1, atol=1e-3)
    assert result.sweep.agreement[0].max() < 0.99
    flipped, margins = result.examples.flipped, result.scores.margins
    late = average_precision_score(flipped, -margins)
    assert result.sweep.average_precision[-1, 0] == pytest.approx(late, abs=0.05)


def test_accuracies_are_shares_of_the_held_out_examples(result):
    summary, repair = result.summarization, result.repair
    np.testing.assert_array_equal(summary.fractions, [1, 0.8, 0.6, 0.4, 0.2, 0.1])
    for accuracies in (summary.most, summary.random, summary.least):
        assert accuracies.shape == (6, 2)
        np.testing.assert_array_equal(accuracies[0], repair.repaired)
        counts = accuracies * len(result.examples.held_out_labels)
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    assert repair.true.mean() > 0.7


def test_a_wide_network_follows_its_linearization(result):
    assert result.linearization.correlation > 0.99
    assert result.linearization.kernel_alignment > 0.99


def test_the_same_key_gives_the_same_audit(digits, result):
    quick = {**SETTINGS, "seeds": 0, "sweep": 0, "runs": 0}
    again = audit.run(jax.random.key(0), *digits, **quick)
    np.testing.assert_array_equal(again.examples.labels, result.examples.labels)
    # on a loaded machine threads may add up in another order
    np.testing.assert_allclose(again.scores.output_change, result.scores.output_change, rtol=1e-10)
    assert again.sweep is None
    assert again.generalization is None
    assert again.repair is None
    assert again.summarization is None
    assert again.linearization is None
    other = audit.run(jax.random.key(1), *digits, **quick)
    assert (other.examples.indices != result.examples.indices).any()


def test_two_classes_without_flips_as_single_precision_images(digits):
    x, y = digits
    binary = y < 2
    images = x[binary].astype(np.float32).reshape(-1, 8, 8)
    held_out = (images[:6], y[binary][:6])
    result = audit.run(
        jax.random.key(0),
        images,
        y[binary],
        held_out,
        num_networks=1,
        sweep=2,
        runs=4,
        seeds=0,
        time=1000.0,
        weight_decay=0.0,
    )
    assert result.examples.inputs.dtype == np.float32
    assert result.scores.margins.dtype == np.float64
    assert result.detection is None
    assert result.sweep.average_precision is None
    assert (result.scores.margins > 0).mean() > 0.9


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_networks": 0}, "num_networks must be at least 1, got 0"),
        ({"seeds": -1}, "seeds must be at least 0, got -1"),
        ({"time": 0.0}, r"time must lie in \(0, inf\], a number of steps, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and not negative, got -1.0"),
        ({"precision": 1.5}, r"precision must lie in \(0, 1\), got 1.5"),
        ({"network": "resnet"}, "unknown network 'resnet'; choose one of 'auto', 'mlp', 'cnn'"),
        ({"network": "cnn"}, r"network='cnn' needs images .* got shape \(160, 64\)"),
    ],
)
@pytest.mark.usefixtures("as_a_user_sees")
def test_impossible_settings_are_told_before_anything_is_computed(digits, setting, message):
    x, y = digits
    with pytest.raises(ValueError, match=message):
        audit.run(jax.random.key(0), x.reshape(160, 64), y, **setting)


def test_an_unknown_setting_is_an_error(digits):
    with pytest.raises(TypeError, match="epochs"):
        audit.run(jax.random.key(0), *digits, epochs=3)


def test_a_table_has_all_that_is_audited(digits):
    with pytest.raises(ValueError, match=r"a data.Table has its labels, held-out examples and names"):
        audit.run(jax.random.key(0), data.as_table(*digits), digits[1])
    with pytest.raises(ValueError, match="an audit needs labels: give y, or name their column"):
        audit.run(jax.random.key(0), data.as_table(digits[0]))


def test_no_key_is_used_twice_in_the_trainings(result, monkeypatch):
    used = []

    def recorded(function):
        def call(*given, **settings):
            if not isinstance(given[0], jax.core.Tracer):
                used.extend(map(bytes, np.asarray(jax.random.key_data(given[0])).reshape(-1, 2)))
            return function(*given, **settings)

        return call

    for name in ("train", "train_many", "draw_states"):
        monkeypatch.setattr(retraining, name, recorded(getattr(retraining, name)))
    network = networks.MLP((4,), 10)
    drawn = recorded(network.init)
    monkeypatch.setattr(type(network), "init", lambda module, *given: drawn(*given))
    examples = result.examples
    key, other = jax.random.split(jax.random.key(0))
    everything = retraining.TrainingSet(np.arange(len(examples.labels)), examples.labels)
    retraining.held_out_accuracy(jax.random.split(key, 2), network, examples, [[everything]])
    retraining.area_under_training_margin(other, network, examples)
    assert len(used) == len(set(used)) >= 6


def test_near_copies_beside_an_example_far_out_are_audited_as_all_others_are():
    random = np.random.default_rng(0)
    x = random.normal(size=(250, 6))
    labels = (x[:, 0] > 0).astype(int)
    x[-50:], labels[-50:] = x[:50] + 1e-4 * random.normal(size=(50, 6)), labels[:50]
    x[100] = 10
    with jax.enable_x64(False):
        found = audit.run(jax.random.key(0), x, labels, num_networks=1, sweep=0, runs=0, seeds=0)
    assert found.label_errors.told
    assert found.label_errors.error_rate < 0.05
