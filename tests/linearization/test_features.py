"""Kernels of low rank against the full kernel that they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import (
    empirical_kernel,
    feature_eigen,
    jacobian,
    kernel_eigen,
    leave_one_out_predictions,
    mean_kernel,
    mean_kernel_eigen,
    nystrom_features,
    projected_jacobian,
    random_projection,
    select_weight_decay,
)
from infotheory_dl.networks import MLP
from infotheory_dl.sample_information import group_information, leave_one_out
from tests.sample_information.reference_networks import flatten, mlp_case

METHODS = ["gaussian", "rademacher", "count_sketch", "very_sparse", "random_subset"]


def tall_features(rows=24, width=5):
    return jax.random.normal(jax.random.key(0), (rows, width))


@pytest.mark.parametrize("training", [{"time": 40}, {"time": np.inf}, {"time": 4, "dynamics": "discrete"}])
def test_a_kernel_of_low_rank_gives_the_scores_of_the_same_kernel_in_full(training):
    features = tall_features()
    initial, targets = jax.random.normal(jax.random.key(1), (2, 12, 2))
    across = jax.random.normal(jax.random.key(2), (6, 5)) @ features.T
    training = {"learning_rate": 0.2, "weight_decay": 0.1} | training
    thin, full = feature_eigen(features), kernel_eigen(features @ features.T)
    assert thin.eigenvalues.shape == (5,)
    results = [leave_one_out(kernel, initial, targets, across, **training) for kernel in (thin, full)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12), *results)
    groups = [[3, 1], [0, 7, 8, 9, 2, 4, 5]]
    results = [group_information(kernel, initial, targets, groups, across, **training) for kernel in (thin, full)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12), *results)


def test_leave_one_out_predictions_and_the_selection_accept_low_rank():
    features, targets = tall_features(), jax.random.normal(jax.random.key(1), (24, 2))
    thin, full = feature_eigen(features), kernel_eigen(features @ features.T)
    predictions = [leave_one_out_predictions(kernel, targets, 0.3) for kernel in (thin, full)]
    np.testing.assert_allclose(*predictions, rtol=1e-9)
    candidates = np.logspace(-3, 2, 9)
    assert select_weight_decay(thin, targets, candidates) == select_weight_decay(full, targets, candidates)


def test_features_without_full_rank_drop_what_is_not_there():
    features = tall_features()
    repeated = jnp.concatenate([features, features], axis=1)
    kernel = feature_eigen(repeated)
    rebuilt = (kernel.eigenvectors * kernel.eigenvalues) @ kernel.eigenvectors.T
    np.testing.assert_allclose(rebuilt, 2 * features @ features.T, atol=1e-12)
    targets = jax.random.normal(jax.random.key(1), (24, 1))
    expected = leave_one_out_predictions(kernel_eigen(repeated @ repeated.T), targets, 0.3)
    np.testing.assert_allclose(leave_one_out_predictions(kernel, targets, 0.3), expected, rtol=1e-9)


def test_features_as_wide_as_the_kernel_are_decomposed_in_full():
    assert feature_eigen(tall_features(4, 9)).eigenvectors.shape == (4, 4)


def test_nystrom_with_all_inputs_as_landmarks_is_exact():
    apply_fn, params, arrays = mlp_case()
    x, others = arrays["X_train"], arrays["X_test"]
    for outputs in ("full", "trace"):
        left, right = (nystrom_features(apply_fn, params, inputs, x, outputs=outputs) for inputs in (x, others))
        for features, inputs in ((left, None), (right, x)):
            expected = empirical_kernel(apply_fn, params, x if inputs is None else others, inputs, outputs=outputs)
            np.testing.assert_allclose(features @ left.T, expected, atol=1e-9 * abs(expected).max())


@pytest.mark.parametrize("method", METHODS)
def test_projections_keep_inner_products_on_average(method):
    apply_fn, params, arrays = mlp_case()
    x = jnp.asarray(arrays["X_train"][:4])
    gradients = jacobian(apply_fn, params, x)
    rows = flatten(gradients, leading=2).reshape(8, -1)

    def kernel(key):
        features = random_projection(key, params, method=method, num_features=12)(gradients)
        return (features := features.reshape(8, -1)) @ features.T

    kernels = jax.lax.map(kernel, jax.random.split(jax.random.key(0), 1500))
    spread = kernels.std(0) / np.sqrt(len(kernels))
    expected = rows @ rows.T
    # five standard errors of each entry
    assert (abs(kernels.mean(0) - expected) < 5 * spread + 1e-9 * abs(expected).max()).all()


def test_projected_gradients_come_in_blocks_and_examples_in_order():
    apply_fn, params, arrays = mlp_case()
    projection = random_projection(jax.random.key(1), params, num_features=6)
    features = projected_jacobian(apply_fn, params, arrays["X_train"], projection, batch_size=5)
    expected = projection(jacobian(apply_fn, params, arrays["X_train"])).reshape(24, 6)
    np.testing.assert_allclose(features, expected, rtol=1e-10)


def test_a_subset_of_coordinates_has_the_published_scale():
    _, params, arrays = mlp_case()
    gradients = jax.tree.map(jnp.ones_like, params)
    features = random_projection(jax.random.key(0), params, method="random_subset", num_features=10)(gradients)
    counts = [10, 8, 10, 2]
    expected = np.concatenate([np.full(c, np.sqrt(s / c)) for c, s in zip(counts, (48, 8, 16, 2), strict=True)])
    np.testing.assert_allclose(features, expected)
    picked = [np.asarray(arrays[f"subset_idx_{name}"]).size for name in arrays["param_order"]]
    assert picked == counts


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    with pytest.raises(ValueError, match="unknown method 'pca'; choose one of 'gaussian', 'rademacher'"):
        random_projection(jax.random.key(0), {}, method="pca")
    with pytest.raises(ValueError, match="num_features must be at least 1, got 0"):
        random_projection(jax.random.key(0), {}, num_features=0)
    with pytest.raises(ValueError, match=r"features must have 2 axes \(rows, features\), got shape \(3,\)"):
        feature_eigen(np.ones(3))


def test_the_mean_kernel_is_decomposed_whole_or_from_landmarks():
    x, network, key = jax.random.normal(jax.random.key(0), (9, 3)), MLP((5,), 1), jax.random.key(1)
    written_out = lambda eigen: (eigen.eigenvectors * eigen.eigenvalues) @ eigen.eigenvectors.T
    exact = mean_kernel_eigen(key, network, x, num_networks=2)
    np.testing.assert_allclose(written_out(exact), mean_kernel(key, network, x, num_networks=2), rtol=1e-9)
    of_all = mean_kernel_eigen(key, network, x, num_networks=2, num_landmarks=9)
    networks_key, _ = jax.random.split(key)
    np.testing.assert_allclose(written_out(of_all), mean_kernel(networks_key, network, x, num_networks=2), rtol=1e-6)
    few = mean_kernel_eigen(key, network, x, num_networks=2, num_landmarks=4)
    assert np.linalg.matrix_rank(written_out(few), tol=1e-9) == 4
    with pytest.raises(ValueError, match=r"num_landmarks must lie in \[1, 9\], the number of inputs, got 10"):
        mean_kernel_eigen(key, network, x, num_landmarks=10)
