"""Each baseline against its definition, written out example by example or set by set."""

from itertools import combinations
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from infotheory_dl.linearization import kernel_eigen
from infotheory_dl.sample_information import baselines
from tests.sample_information.reference_networks import cnn_case, mlp_case

RNG = np.random.default_rng(0)
LOGITS, LABELS = RNG.normal(size=(6, 9, 3)).round(1), RNG.integers(0, 3, 9)


def cross_entropy(outputs, label):
    return -jax.nn.log_softmax(outputs)[label]


def gradients(case, params, inputs, targets):
    weights, unravel = ravel_pytree(params)
    losses = lambda w: ((case.apply_fn(unravel(w), jnp.asarray(inputs)) - targets) ** 2).sum(1) / 2
    return jax.jit(jax.jacobian(losses))(weights)


@pytest.mark.parametrize("batch_size", [5, 128])
def test_gradient_norm_is_the_length_of_each_gradient(batch_size):
    case = cnn_case()
    inputs, targets = case.arrays["X_train"], case.arrays["Y_train"]
    expected = np.linalg.norm(gradients(case, case.params, inputs, targets), axis=1)
    norms = baselines.gradient_norm(case.apply_fn, case.params, inputs, targets, batch_size=batch_size)
    np.testing.assert_allclose(norms, expected, rtol=1e-12)


def test_losses_and_errors_are_those_of_the_outputs():
    case = mlp_case()
    inputs = case.arrays["X_train"]
    labels = RNG.integers(0, 2, len(inputs))
    one_hot = np.eye(2)[labels]
    outputs = np.asarray(case.apply_fn(case.params, jnp.asarray(inputs)))
    probabilities = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    call = lambda score, *rest, **settings: score(case.apply_fn, case.params, inputs, *rest, **settings)
    np.testing.assert_allclose(call(baselines.example_loss, one_hot), ((outputs - one_hot) ** 2).sum(1) / 2, rtol=1e-12)
    np.testing.assert_allclose(
        call(baselines.example_loss, labels, loss=cross_entropy), -np.log(probabilities[range(12), labels]), rtol=1e-12
    )
    np.testing.assert_allclose(call(baselines.el2n, one_hot), np.linalg.norm(probabilities - one_hot, axis=1))


def test_tracin_sums_products_of_gradients_over_checkpoints():
    case, rates = mlp_case(), np.array([0.1, 0.3])
    train, reference = (tuple(case.arrays[f"{x}_{part}"] for x in "XY") for part in ("train", "test"))
    stages = [case.params, jax.tree.map(lambda leaf: 1.1 * leaf + 0.1, case.params)]
    checkpoints = jax.tree.map(lambda *leaves: jnp.stack(leaves), *stages)
    own, others = ([gradients(case, params, *data) for params in stages] for data in (train, reference))
    expected = sum(rate * (g**2).sum(1) for rate, g in zip(rates, own, strict=True))
    np.testing.assert_allclose(
        baselines.tracin(case.apply_fn, checkpoints, *train, learning_rates=rates), expected, rtol=1e-12
    )
    expected = sum(rate * g @ h.mean(0) for rate, g, h in zip(rates, own, others, strict=True))
    scores = baselines.tracin(case.apply_fn, checkpoints, *train, *reference, learning_rates=rates, batch_size=5)
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_leverage_is_the_diagonal_of_the_hat_matrix(weight_decay):
    jacobian = RNG.normal(size=(12, 5))
    kernel = jacobian @ jacobian.T
    hat = jacobian @ np.linalg.solve(jacobian.T @ jacobian + 6 * weight_decay * np.eye(5), jacobian.T)
    expected = np.diag(hat).reshape(6, 2).sum(1)
    np.testing.assert_allclose(baselines.leverage(kernel, 2, weight_decay=weight_decay), expected, rtol=1e-10)
    eigen = kernel_eigen(kernel)
    np.testing.assert_allclose(baselines.leverage(eigen, 2, weight_decay=weight_decay), expected, rtol=1e-10)


@pytest.mark.parametrize("num_neighbors", [1, 3, 8])
def test_nearest_neighbour_values_are_shapley_values(num_neighbors):
    n = 6
    features, references = RNG.normal(size=(n, 2)), RNG.normal(size=(4, 2))
    labels, reference_labels = RNG.integers(0, 2, n), RNG.integers(0, 2, 4)
    order = np.argsort(np.linalg.norm(references[:, None] - features, axis=2), axis=1)

    def value(members):
        votes = [[labels[i] == y for i in row if i in members] for row, y in zip(order, reference_labels, strict=True)]
        return np.mean([sum(right[:num_neighbors]) / num_neighbors for right in votes])

    def shapley(i):
        others = [j for j in range(n) if j != i]
        return sum(
            (value({*members, i}) - value(set(members))) / (n * comb(n - 1, size))
            for size in range(n)
            for members in combinations(others, size)
        )

    values = baselines.knn_shapley(features, labels, references, reference_labels, num_neighbors=num_neighbors)
    np.testing.assert_allclose(values, [shapley(i) for i in range(n)], atol=1e-12)


def test_nearest_neighbour_values_add_up_to_the_accuracy_in_single_precision():
    features = (RNG.normal(size=(300, 10)) + 100).astype(np.float32)
    labels = (features[:, 0] > 100).astype(int)
    values = baselines.knn_shapley(features[:200], labels[:200], features[200:], labels[200:], num_neighbors=5)
    assert values.dtype == jnp.float32
    distances = np.linalg.norm(features[200:, None].astype(float) - features[:200], axis=2)
    votes = labels[:200][np.argsort(distances, axis=1)[:, :5]] == labels[200:, None]
    np.testing.assert_allclose(values.sum(), votes.mean(), rtol=1e-3)


def test_forgetting_follows_the_log():
    labels, logits = np.zeros(4, int), np.zeros((6, 4, 2))
    logits[:, :, 1] = np.array([[-1, -1, -1, -1, -1, -1], [1, -1, 1, -1, 1, -1], [-1, 1, 1, -1, -1, 1], [1] * 6]).T
    np.testing.assert_array_equal(baselines.forgetting_events(logits, labels), [0, 2, 2, 6])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: baselines.forgetting_events(LOGITS, LABELS[1:]), "one for each of the 9 examples, got 8"),
        (lambda: baselines.forgetting_events(LOGITS[0], LABELS), r"3 axes \(epochs, examples, classes\)"),
        (lambda: baselines.leverage(np.eye(5), 2), "5 rows does not divide into examples of 2 outputs"),
        (
            lambda: baselines.knn_shapley(np.ones((3, 2)), LABELS[:2], np.ones((1, 2)), LABELS[:1]),
            "labels must be one for each of the 3 examples, got 2",
        ),
        (
            lambda: baselines.knn_shapley(np.ones((3, 2)), LABELS[:3], np.ones((1, 3)), LABELS[:1]),
            "features and reference_features differ: 2, 3",
        ),
    ],
)
def test_impossible_input_is_refused_in_words(as_a_user_sees, call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_networks_and_targets_that_do_not_fit_are_refused_in_words(as_a_user_sees):
    apply_fn, params, arrays = cnn_case()
    inputs, targets = arrays["X_train"], arrays["Y_train"]
    with pytest.raises(ValueError, match="at least 2 classes, got 1 output"):
        baselines.el2n(apply_fn, params, inputs, targets)
    with pytest.raises(ValueError, match=r"like the outputs \(10, 1\), got shape \(10,\)"):
        baselines.gradient_norm(apply_fn, params, inputs, targets[:, 0])
    with pytest.raises(ValueError, match="must be given together"):
        baselines.tracin(apply_fn, jax.tree.map(lambda leaf: leaf[None], params), inputs, targets, inputs)
    with pytest.raises(TypeError, match="must be floating-point, got int"):
        baselines.example_loss(apply_fn, jax.tree.map(lambda leaf: leaf.astype(int), params), inputs, targets)
