"""Influence functions against the published ones, against their definition, and against retraining."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from infotheory_dl.sample_information.influence_functions import influence
from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case


def trained(case):
    """The arguments of `influence` for the published retraining with weight decay 0.05."""
    apply_fn, params, arrays = case
    _, unravel = ravel_pytree(params)
    final = unravel(jnp.asarray(arrays["gt_weights_l2mean_0.05_T300"]))
    arguments = (apply_fn, final, arrays["X_train"], arrays["Y_train"], arrays["X_test"])
    return arguments, {"weight_decay": 0.05, "initial_params": params}


@pytest.mark.parametrize("make_case", [mlp_case, cnn_case])
@pytest.mark.filterwarnings("ignore:the Hessian has")
def test_the_exact_method_equals_the_published_influence(make_case):
    case = make_case()
    arguments, settings = trained(case)
    result = influence(*arguments, **settings, damping=1e-10, keep_weight_changes=True)
    expected = case.arrays["if_weights_l2mean_0.05_T300"]
    close = lambda actual, wanted: np.testing.assert_allclose(actual, wanted, atol=1e-6 * np.abs(wanted).max())
    close(flatten(result.weight_changes, leading=1), expected)
    close(result.weight_change, (expected**2).sum(1))
    predictions = case.arrays["if_pred_l2mean_0.05_T300"]
    close(result.output_changes, predictions)
    close(result.output_change, (predictions**2).sum(2).mean(1))


def test_negative_curvature_is_told():
    arguments, settings = trained(mlp_case())
    expected = mlp_case().arrays["if_hessian_eig_l2mean_0.05_T300"].min()
    with pytest.warns(UserWarning, match=rf"negative eigenvalues, down to {expected:.3g}.*method='gauss_newton'"):
        influence(*arguments, **settings)


def cross_entropy(outputs, label):
    return -jax.nn.log_softmax(outputs)[label]


def network(params, inputs):
    return jnp.tanh(inputs @ params["first"]) @ params["second"]


def classifier(hidden, n=9, k=3):
    """A smooth network with integer labels: all that `influence` takes."""
    rng = np.random.default_rng(0)
    params = {"first": jnp.asarray(rng.normal(size=(4, hidden))), "second": jnp.asarray(rng.normal(size=(hidden, k)))}
    initial = jax.tree.map(lambda leaf: 0.9 * leaf + 0.1, params)
    arguments = (network, params, rng.normal(size=(n, 4)), rng.integers(0, k, n), rng.normal(size=(5, 4)))
    return arguments, {"loss": cross_entropy, "initial_params": initial, "weight_decay": 0.02}


def definition(arguments, settings, *, gauss_newton=False, damping=0.0):
    """H^-1 grad / n, from dense derivatives."""
    _, params, *data = arguments
    gradients, reference_rows, hessian = derivatives(gauss_newton, params, *data)
    hessian += (settings["weight_decay"] + damping) * np.eye(len(hessian))
    drift = ravel_pytree(params)[0] - ravel_pytree(settings["initial_params"])[0]
    changes = np.linalg.solve(hessian, (gradients + settings["weight_decay"] * drift).T).T / len(gradients)
    return changes, np.einsum("jcd,id->ijc", reference_rows, changes)


@functools.partial(jax.jit, static_argnums=0)
def derivatives(gauss_newton, params, inputs, labels, references):
    weights, unravel = ravel_pytree(params)
    outputs = lambda w, x: network(unravel(w), x)
    losses = lambda w: jax.vmap(cross_entropy)(outputs(w, inputs), labels)
    rows, reference_rows = (jax.jacobian(outputs)(weights, x) for x in (inputs, references))
    hessian = jax.hessian(lambda w: losses(w).mean())(weights)
    if gauss_newton:
        bends = jax.vmap(jax.hessian(cross_entropy))(outputs(weights, inputs), labels)
        hessian = jnp.einsum("iad,iab,ibe->de", rows, bends, rows) / len(inputs)
    return jax.jacobian(losses)(weights), reference_rows, hessian


def assert_equals(result, expected, rtol=1e-8):
    changes, predictions = expected
    np.testing.assert_allclose(flatten(result.weight_changes, leading=1), changes, atol=rtol * np.abs(changes).max())
    np.testing.assert_allclose(result.weight_change, (changes**2).sum(1), rtol=10 * rtol)
    np.testing.assert_allclose(result.output_changes, predictions, atol=rtol * np.abs(predictions).max())
    np.testing.assert_allclose(result.output_change, (predictions**2).sum(2).mean(1), rtol=10 * rtol)


@pytest.mark.parametrize("hidden", [3, 8], ids=["fewer parameters than outputs", "more parameters than outputs"])
def test_gauss_newton_follows_its_definition_for_any_loss(hidden):
    arguments, settings = classifier(hidden)
    result = influence(*arguments, **settings, method="gauss_newton", damping=0.01, keep_weight_changes=True)
    assert_equals(result, definition(arguments, settings, gauss_newton=True, damping=0.01))


@pytest.mark.parametrize("method", ["exact", "conjugate_gradient", "lissa"])
def test_all_methods_invert_the_same_hessian_block_by_block(method):
    arguments, settings = classifier(3)
    result = influence(
        *arguments,
        **settings,
        method=method,
        damping=1.0,
        scale=2.0,
        tolerance=1e-11,
        keep_weight_changes=True,
        batch_size=4,
    )
    assert_equals(result, definition(arguments, settings, damping=1.0))
    assert np.max(result.solver_error) < 1e-9


def test_lissa_on_minibatches_comes_near():
    arguments, settings = classifier(3)
    sampling = {"method": "lissa", "minibatch_size": 4, "key": jax.random.key(0), "scale": 20.0}
    with pytest.warns(UserWarning, match=r"LiSSA ended after 1000 .* Raise .*, or minibatch_size, or set damping"):
        sampled = influence(*arguments, **settings, damping=1.0, **sampling)
    changes, _ = definition(arguments, settings, damping=1.0)
    assert sampled.weight_changes is None
    assert 0 < np.max(sampled.solver_error) < 0.3
    np.testing.assert_allclose(sampled.weight_change, (changes**2).sum(1), rtol=0.5)


def test_for_ridge_regression_gauss_newton_and_exact_agree_and_point_where_retraining_goes():
    rng = np.random.default_rng(0)
    n, d = 200, 4
    inputs, targets, references = rng.normal(size=(n, d)), rng.normal(size=(n, 2)), rng.normal(size=(6, d))
    linear = lambda params, x: x @ params
    fit = lambda x, y: np.linalg.solve(x.T @ x + 0.1 * len(x) * np.eye(d), x.T @ y)
    weights, start = fit(inputs, targets), jnp.zeros((d, 2))
    settings = {"weight_decay": 0.1, "initial_params": start, "keep_weight_changes": True}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = influence(linear, jnp.asarray(weights), inputs, targets, references, **settings)
        gauss_newton = influence(
            linear, jnp.asarray(weights), inputs, targets, references, method="gauss_newton", **settings
        )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14), exact, gauss_newton)
    retrained = np.stack([fit(np.delete(inputs, i, 0), np.delete(targets, i, 0)) for i in range(n)]) - weights
    np.testing.assert_allclose(exact.weight_changes, retrained, atol=0.1 * np.abs(retrained).max())


def test_single_precision_stays_single():
    (_, params, inputs, labels, references), _ = classifier(8)
    single = lambda tree: jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)
    arguments = (network, single(params), single(inputs), labels, single(references))
    for method in ("gauss_newton", "conjugate_gradient"):
        result = influence(*arguments, method=method, loss=cross_entropy, damping=1.0, tolerance=1e-4)
        assert {leaf.dtype for leaf in jax.tree.leaves(result)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "newton"}, "unknown method 'newton'; choose one of 'exact', 'gauss_newton'"),
        ({"initial_params": None}, "pass them as initial_params"),
        ({"damping": -1.0}, "damping must be finite and not negative, got -1.0"),
        ({"weight_decay": 0.0, "method": "gauss_newton"}, "singular: set weight_decay or damping"),
        ({"weight_decay": 0.0}, "the curvature is singular in float64.*Set weight_decay or damping"),
        ({"method": "lissa", "minibatch_size": 4}, "minibatches need a key and a positive size"),
        ({"method": "lissa", "scale": 1e-3}, "LiSSA diverged: scale must exceed half the largest eigenvalue"),
    ],
)
def test_impossible_settings_are_refused_in_words(as_a_user_sees, changed, message):
    arguments, settings = trained(mlp_case())
    with pytest.raises(ValueError, match=message):
        influence(*arguments, **(settings | changed))


def test_bad_arrays_are_refused_in_words(as_a_user_sees):
    (apply_fn, params, inputs, targets, references), settings = trained(mlp_case())
    with pytest.raises(
        ValueError, match=r"like the outputs \(12, 2\), got shape \(12,\); class labels must be one-hot"
    ):
        influence(apply_fn, params, inputs, targets.argmax(1), references, **settings)
    with pytest.raises(ValueError, match="at least 2 of them, got 1"):
        influence(apply_fn, params, inputs[:1], targets[:1], references, **settings)
    with pytest.raises(ValueError, match="reference_inputs has 30 of 30 entries"):
        influence(apply_fn, params, inputs, targets, references * np.nan, **settings)
    with pytest.raises(ValueError, match="inputs and targets must have one length, got 12 and 11"):
        influence(apply_fn, params, inputs, targets[1:], references, **settings)


def test_lissa_that_ends_before_the_solution_says_so_and_what_to_change():
    arguments, settings = classifier(3)
    few = {"damping": 0.1, "method": "lissa", "scale": 50.0, "iterations": 20}
    with pytest.warns(UserWarning, match=r"LiSSA ended after 20 iterations at a relative residual of [\d.]+: .* Raise"):
        influence(*arguments, **settings, **few)


def test_conjugate_gradients_that_stop_early_say_so():
    arguments, settings = classifier(3)
    with pytest.warns(UserWarning, match="stopped after 1 iterations at a relative residual of"):
        influence(*arguments, **settings, damping=1.0, method="conjugate_gradient", iterations=1)
