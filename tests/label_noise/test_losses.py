import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import brentq

from infotheory_dl.data import pairwise_transition, uniform_transition
from infotheory_dl.label_noise import losses
from tests.conftest import reference

PUBLISHED = reference("label_noise_losses")
LOSSES = {
    "ce": losses.cross_entropy,
    "mse": losses.mean_squared_error,
    "mae": losses.mean_absolute_error,
    "gce0.1": lambda logits, labels: losses.generalized_cross_entropy(logits, labels, q=0.1),
    "gce0.7": losses.generalized_cross_entropy,
    "gce1.0": lambda logits, labels: losses.generalized_cross_entropy(logits, labels, q=1),
    "dmi": losses.dmi,
}
PER_EXAMPLE = {
    **{name: loss for name, loss in LOSSES.items() if name != "dmi"},
    "symmetric": losses.symmetric_cross_entropy,
    "normalized": losses.normalized_cross_entropy,
    "active_passive": losses.active_passive,
    "forward": lambda logits, labels: losses.forward_correction(logits, labels, uniform_transition(5, 0.3)),
    "backward": lambda logits, labels: losses.backward_correction(logits, labels, uniform_transition(5, 0.3)),
    "bootstrapping": losses.bootstrapping,
    "hard_bootstrapping": lambda logits, labels: losses.bootstrapping(logits, labels, weight=0.8, hard=True),
    "bi_tempered": losses.bi_tempered,
    "early_learning": lambda logits, labels: losses.early_learning_regularization(
        logits, labels, np.full(logits.shape, 0.1, logits.dtype)
    )[0],
}
LOGITS, LABELS = PUBLISHED["a/logits"], PUBLISHED["a/y"]
SOFT = np.asarray(jax.nn.softmax(jax.random.normal(jax.random.key(1), LOGITS.shape, float)))


@pytest.mark.parametrize("scale", ["a", "big"])
@pytest.mark.parametrize("name", [*LOSSES, "fw"])
def test_values_and_gradients_are_the_published_ones(scale, name):
    case = {key.removeprefix(f"{scale}/"): array for key, array in PUBLISHED.items() if key.startswith(f"{scale}/")}
    forward = lambda logits, labels: losses.forward_correction(logits, labels, case["T"], floor=1e-10)
    loss = LOSSES.get(name, forward)
    value, gradient = jax.value_and_grad(lambda logits: loss(logits, case["y"]).mean())(case["logits"])
    np.testing.assert_allclose(value, case[f"{name}/loss"], rtol=1e-10)
    tolerance = 1e-9 if (scale, name) == ("big", "dmi") else 0
    np.testing.assert_allclose(gradient, case[f"{name}/grad"], rtol=tolerance, atol=1e-10)


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_a_class_is_its_one_hot_row(name):
    one_hot = np.eye(5)[LABELS]
    np.testing.assert_array_equal(PER_EXAMPLE[name](LOGITS, LABELS), PER_EXAMPLE[name](LOGITS, one_hot))


@pytest.mark.parametrize("name", ["ce", "gce0.7", "normalized", "forward", "backward"])
def test_the_loss_of_a_soft_label_is_the_mean_over_its_classes(name):
    of_classes = [PER_EXAMPLE[name](LOGITS, np.full(len(LOGITS), label)) for label in range(5)]
    np.testing.assert_allclose(PER_EXAMPLE[name](LOGITS, SOFT), (SOFT.T * of_classes).sum(0), rtol=1e-12)


# the memory of early learning follows the prediction without a gradient, which a difference cannot tell
@pytest.mark.parametrize("name", sorted(PER_EXAMPLE.keys() - {"early_learning"}))
def test_gradients_are_those_of_finite_differences_and_traced_as_well(name):
    def loss(logits):
        return PER_EXAMPLE[name](logits, SOFT).sum()

    direction = np.cos(np.arange(LOGITS.size)).reshape(LOGITS.shape)
    expected = (loss(LOGITS + 1e-6 * direction) - loss(LOGITS - 1e-6 * direction)) / 2e-6
    # with labels and settings under a trace no check can look at them
    gradient = jax.jit(jax.grad(loss))(LOGITS)
    np.testing.assert_allclose((gradient * direction).sum(), expected, rtol=1e-7)


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_large_logits_in_single_precision_leave_values_and_gradients_finite(name):
    logits = jnp.array([[3e4, -3e4, 0, 1, 2], [0, 200, -200, 1, 2]], jnp.float32)
    loss = jax.jit(jax.value_and_grad(lambda x, y: PER_EXAMPLE[name](x, y).sum()))
    for label in range(5):
        value, gradient = loss(logits, np.full(2, label))
        assert value.dtype == jnp.float32
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_generalized_cross_entropy_lies_between_cross_entropy_and_half_the_absolute_error():
    nearly_zero = losses.generalized_cross_entropy(LOGITS, LABELS, q=1.1e-6)
    np.testing.assert_allclose(nearly_zero, losses.cross_entropy(LOGITS, LABELS), rtol=1e-5)
    one = losses.generalized_cross_entropy(LOGITS, LABELS, q=1)
    np.testing.assert_allclose(one, losses.mean_absolute_error(LOGITS, LABELS) / 2, rtol=1e-12)


def test_reverse_cross_entropy_of_a_class_is_four_times_what_it_misses():
    missed = 1 - np.take_along_axis(np.asarray(jax.nn.softmax(LOGITS)), LABELS[:, None], axis=1)[:, 0]
    symmetric = losses.symmetric_cross_entropy(LOGITS, LABELS, alpha=2.0, beta=0.5)
    np.testing.assert_allclose(symmetric, 2 * losses.cross_entropy(LOGITS, LABELS) + 0.5 * 4 * missed, rtol=1e-12)


def test_normalized_losses_of_all_classes_add_up_to_one():
    shares = [losses.normalized_cross_entropy(LOGITS, np.full(len(LOGITS), label)) for label in range(5)]
    np.testing.assert_allclose(np.sum(shares, axis=0), 1)


@pytest.mark.parametrize("transition", [uniform_transition(5, 0.4), pairwise_transition(5, 0.3)])
def test_corrections_undo_the_noise(transition):
    # backward: the mean over the noisy labels of a clean one; forward: the noisy distribution itself
    for clean in range(5):
        noisy = np.tile(transition[clean], (len(LOGITS), 1))
        corrected = losses.backward_correction(LOGITS, noisy, transition)
        np.testing.assert_allclose(corrected, losses.cross_entropy(LOGITS, np.full(len(LOGITS), clean)), rtol=1e-10)
    noisy = np.asarray(jax.nn.softmax(LOGITS)) @ transition
    entropy = -(noisy * np.log(noisy)).sum(1)
    np.testing.assert_allclose(losses.forward_correction(LOGITS, noisy, transition), entropy, rtol=1e-12)


def test_a_label_that_no_class_gives_costs_infinitely_much_and_moves_nothing():
    transition = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [1.0, 0, 0]])
    logits = jnp.array([[1.0, 2, 3], [3, 2, 1]])
    loss = lambda x: losses.forward_correction(x, np.array([2, 1]), transition)
    np.testing.assert_array_equal(np.isinf(loss(logits)), [True, False])
    gradient = jax.grad(lambda x: loss(x).sum())(logits)
    np.testing.assert_array_equal(gradient[0], 0)
    np.testing.assert_allclose(gradient[1], jax.nn.softmax(logits[1]) - np.eye(3)[1])


def test_soft_bootstrapping_adds_the_entropy_of_the_prediction():
    probabilities = np.asarray(jax.nn.softmax(LOGITS))
    entropy = -(probabilities * np.log(probabilities)).sum(1)
    expected = 0.9 * losses.cross_entropy(LOGITS, LABELS) + 0.1 * entropy
    np.testing.assert_allclose(losses.bootstrapping(LOGITS, LABELS, weight=0.9), expected, rtol=1e-12)
    hard = 0.9 * losses.cross_entropy(LOGITS, LABELS) - 0.1 * np.log(probabilities.max(1))
    np.testing.assert_allclose(losses.bootstrapping(LOGITS, LABELS, weight=0.9, hard=True), hard, rtol=1e-12)


def test_smoothed_labels_are_soft_labels():
    smoothed = optax.smooth_labels(jax.nn.one_hot(LABELS, 5), 0.2)
    logs = np.asarray(jax.nn.log_softmax(LOGITS))
    expected = -0.8 * logs[np.arange(12), LABELS] - 0.2 * logs.mean(1)
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, smoothed), expected, rtol=1e-12)


@pytest.mark.parametrize(("t1", "t2"), [(0.8, 1.2), (0.0, 4.0), (0.5, 1.0), (1.0, 1.5)])
@pytest.mark.parametrize("scale", [1, 30])
def test_bi_tempered_loss_is_its_definition(t1, t2, scale):
    def log_t(x, t):
        return np.log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)

    def exp_t(x, t):
        return np.exp(x) if t == 1 else (1 + (1 - t) * x) ** (1 / (1 - t))

    expected = []
    for row, label in zip(scale * LOGITS, SOFT, strict=True):
        normalizer = brentq(lambda z, row=row: exp_t(row - z, t2).sum() - 1, row.max(), row.max() + 1e4, xtol=1e-13)
        p = exp_t(row - normalizer, t2)
        divergence = label * (log_t(label, t1) - log_t(p, t1)) - (label ** (2 - t1) - p ** (2 - t1)) / (2 - t1)
        expected.append(divergence.sum())
    loss = losses.bi_tempered(scale * LOGITS, SOFT, loss_temperature=t1, softmax_temperature=t2)
    np.testing.assert_allclose(loss, expected, rtol=1e-9)


def test_bi_tempered_loss_normalizes_a_thousand_classes_and_is_cross_entropy_at_one():
    np.testing.assert_allclose(
        losses.bi_tempered(LOGITS, LABELS, loss_temperature=1.0, softmax_temperature=1.0),
        losses.cross_entropy(LOGITS, LABELS),
        rtol=1e-12,
    )
    # all alike: P = 1 / K
    flat = losses.bi_tempered(np.zeros((1, 1000)), np.array([7]))
    np.testing.assert_allclose(flat, (1 - 1e-3**0.2) / 0.2 - (1 - 1000 * 1e-3**1.2) / 1.2, rtol=1e-12)


def test_the_determinant_of_a_batch_that_misses_a_class_moves_nothing():
    labels = np.minimum(LABELS, 3)
    value, gradient = jax.value_and_grad(lambda x: losses.dmi(x, labels))(LOGITS)
    np.testing.assert_allclose(value, -np.log(1e-3))
    np.testing.assert_array_equal(gradient, 0)


def test_the_determinant_of_a_hundred_classes_does_not_overflow_in_single_precision():
    labels = np.repeat(np.arange(100), 40)
    logits = jnp.asarray(20 * np.eye(100)[labels], jnp.float32)
    np.testing.assert_allclose(losses.dmi(logits, labels), -100 * np.log(40), rtol=1e-4)


def test_filling_rows_do_not_enter_the_determinant():
    filled = losses.dmi(LOGITS, LABELS, mask=np.arange(12) < 9)
    np.testing.assert_allclose(filled, losses.dmi(LOGITS[:9], LABELS[:9]), rtol=1e-12)


def test_a_batch_smaller_than_the_number_of_classes_warns():
    with pytest.warns(UserWarning, match="determinant of 5 classes vanishes in a batch of 4 examples"):
        losses.dmi(LOGITS[:4], LABELS[:4])


def test_early_learning_remembers_a_running_mean_that_no_gradient_passes():
    probabilities = np.asarray(jax.nn.softmax(LOGITS))
    memory = SOFT / 2
    loss, new = losses.early_learning_regularization(LOGITS, LABELS, memory, weight=2.0, momentum=0.6)
    np.testing.assert_allclose(new, 0.6 * memory + 0.4 * probabilities, rtol=1e-10)
    penalty = np.log(1 - (probabilities * new).sum(1))
    np.testing.assert_allclose(loss, losses.cross_entropy(LOGITS, LABELS) + 2 * penalty, rtol=1e-10)

    regularization = lambda x: losses.early_learning_regularization(x, LABELS, memory, weight=2.0, momentum=0.6)[
        0
    ].sum()
    fixed = lambda x: (
        losses.cross_entropy(x, LABELS) + 2 * jnp.log(1 - (jax.nn.softmax(x) * np.asarray(new)).sum(1))
    ).sum()
    np.testing.assert_allclose(jax.grad(regularization)(LOGITS), jax.grad(fixed)(LOGITS), atol=1e-10)


def test_bad_input_is_named(as_a_user_sees):
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 5\), got 7 at index 2"):
        losses.cross_entropy(LOGITS[:3], np.array([0, 4, 7]))
    with pytest.raises(ValueError, match=r"labels must be whole numbers or names of classes, got 0\.5 at index 1"):
        losses.cross_entropy(LOGITS[:3], np.array([0.0, 0.5, 2.0]))
    with pytest.raises(
        ValueError, match="row 1 of labels must be a distribution, but adds up to 2: labels are classes, or"
    ):
        losses.mean_squared_error(LOGITS[:3], np.array([[1.0, 0, 0, 0, 0], [1.0, 1, 0, 0, 0], [1.0, 0, 0, 0, 0]]))
    with pytest.raises(ValueError, match="logits has 1 of 60 entries that are NaN or infinite"):
        losses.mean_absolute_error(np.where(np.eye(12, 5) * np.eye(12)[:, :1], np.nan, LOGITS), LABELS)
    with pytest.raises(ValueError, match=r"logits must be of at least 2 classes, got shape \(12, 1\)"):
        losses.cross_entropy(LOGITS[:, :1], LABELS)
    with pytest.raises(ValueError, match=r"q must lie in \(1e-6, 1\], got 0"):
        losses.generalized_cross_entropy(LOGITS, LABELS, q=0)
    with pytest.raises(ValueError, match="beta must be finite and not negative, got -1"):
        losses.symmetric_cross_entropy(LOGITS, LABELS, beta=-1)
    with pytest.raises(ValueError, match=r"log_zero must lie in \(-inf, 0\), got 0"):
        losses.symmetric_cross_entropy(LOGITS, LABELS, log_zero=0)
    with pytest.raises(ValueError, match=r"transition must have one row for each of the 5 classes, got shape \(3, 3\)"):
        losses.forward_correction(LOGITS, LABELS, np.eye(3))
    with pytest.raises(ValueError, match=r"row 0 of transition must be a distribution, but adds up to 2"):
        losses.forward_correction(LOGITS, LABELS, 2 * np.eye(5))
    with pytest.raises(ValueError, match="needs a transition with an inverse: this one is singular"):
        losses.backward_correction(LOGITS, LABELS, np.full((5, 5), 0.2))
    with pytest.raises(ValueError, match=r"weight must lie in \[0, 1\], got 1.5"):
        losses.bootstrapping(LOGITS, LABELS, weight=1.5)
    with pytest.raises(ValueError, match=r"loss_temperature must lie in \[0, 1\], got 1.1"):
        losses.bi_tempered(LOGITS, LABELS, loss_temperature=1.1)
    with pytest.raises(ValueError, match=r"softmax_temperature must lie in \[1, inf\), got 0.5"):
        losses.bi_tempered(LOGITS, LABELS, softmax_temperature=0.5)
    with pytest.raises(ValueError, match=r"floor must lie in \[0, 0\.5\), got 0.5"):
        losses.forward_correction(LOGITS, LABELS, np.eye(5), floor=0.5)
    with pytest.raises(ValueError, match=r"momentum must lie in \[0, 1\), got 1"):
        losses.early_learning_regularization(LOGITS, LABELS, SOFT, momentum=1)
    with pytest.raises(ValueError, match=r"memory must have the shape \(12, 5\), that of logits, got \(11, 5\)"):
        losses.early_learning_regularization(LOGITS, LABELS, SOFT[1:])
