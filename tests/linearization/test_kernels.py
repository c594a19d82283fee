"""Kernels against plain Jacobians, against neural_tangents and against the published implementation."""

import functools
import importlib.util
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import (
    empirical_kernel,
    jacobian,
    linearize,
    mean_kernel,
    transposed_jacobian_products,
)
from infotheory_dl.linearization._gradient_factors import gradient_factors
from infotheory_dl.networks import MLP
from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case

CASES = {"mlp": mlp_case, "cnn": cnn_case}


def strided(params, x):
    """Convolutions of JAX's own in two layouts, one with dilation, and a matrix that is used transposed."""
    x = jax.lax.conv_general_dilated(
        x, params["first"], (2, 1), ((1, 1), (0, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC"), rhs_dilation=(1, 2)
    )
    x = jnp.transpose(jax.nn.gelu(x + params["bias"]), (0, 3, 1, 2))
    x = jax.nn.relu(jax.lax.conv_general_dilated(x, params["second"], (2, 2), "VALID"))
    return x.reshape(len(x), -1) @ jnp.transpose(params["last"])


def tied(params, x):
    """A matrix used twice, one through a nonlinearity, one in a loop, one in a jitted function, and a vector added."""
    x = jnp.tanh(x @ params["twice"]) @ params["twice"]
    x = x @ jnp.exp(params["inside"])
    x, _ = jax.lax.scan(lambda h, _: (jnp.tanh(h @ params["loop"]), None), x, None, length=3)
    return jax.jit(lambda w, h: h @ w.reshape(4, 2))(params["jitted"], x) + params["added"]


class Deep(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3), strides=2)(x))
        x = nn.relu(nn.Conv(5, (2, 2), padding="VALID")(x))
        x = nn.LayerNorm()(x.reshape(len(x), -1))
        return nn.Dense(3)(nn.silu(nn.Dense(7, use_bias=False)(x)))


def normal_tree(seed, **shapes):
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return {name: jax.random.normal(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=True)}


def strided_network():
    params = normal_tree(0, first=(3, 2, 2, 4), bias=(4,), second=(5, 4, 3, 3), last=(2, 40))
    return strided, params, jax.random.normal(jax.random.key(1), (7, 9, 9, 2))


def tied_network():
    params = normal_tree(1, twice=(4, 4), inside=(4, 4), loop=(4, 4), jitted=(8,), added=(2,))
    return tied, params, jax.random.normal(jax.random.key(2), (5, 4))


@functools.cache  # a new module would be a new function, and its programs new
def flax_network():
    network, x = Deep(), jax.random.normal(jax.random.key(3), (6, 7, 7, 2))
    params = jax.jit(network.init)(jax.random.key(4), x)
    return network.apply, jax.tree.map(lambda leaf: leaf.astype(x.dtype), params), x


NETWORKS = {"strided": strided_network, "tied": tied_network, "flax": flax_network}


def plain_jacobian(apply_fn, params, x):
    return flatten(jax.jit(jax.jacrev(apply_fn))(params, x), leading=2)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch_size", [None, 3])
def test_kernels_equal_the_product_of_plain_jacobians(name, batch_size):
    apply_fn, params, x = NETWORKS[name]()
    others = x[:4] + 0.1
    left, right = (plain_jacobian(apply_fn, params, inputs) for inputs in (x, others))
    rows = left.shape[0] * left.shape[1]
    for outputs, inputs, expected in (
        ("full", None, jnp.einsum("icd,jed->icje", left, left).reshape(rows, rows)),
        ("full", others, jnp.einsum("icd,jed->icje", left, right).reshape(rows, -1)),
        ("class_wise", others, jnp.einsum("icd,jcd->cij", left, right)),
        ("trace", None, jnp.einsum("icd,jcd->ij", left, left) / left.shape[1]),
    ):
        kernel = empirical_kernel(apply_fn, params, x, inputs, outputs=outputs, batch_size=batch_size)
        np.testing.assert_allclose(kernel, expected, atol=1e-12 * abs(expected).max())


def test_products_with_a_parameter_are_kept_in_factors_and_no_others():
    for network, linear, dense in (
        (strided_network, 3, 4),
        (tied_network, 1, 3 * 16 + 2),
        (flax_network, 4, 11 + 90 + 3),
    ):
        apply_fn, params, x = network()
        factors = jax.eval_shape(functools.partial(gradient_factors, apply_fn), params, x)
        assert len(factors.linear) == linear
        assert factors.dense.shape[-1] == dense


@pytest.mark.parametrize("case", CASES)
def test_jacobian_and_kernel_equal_the_published_ones(case):
    apply_fn, params, arrays = CASES[case]()
    expected = arrays["jac_train"]
    rows = flatten(jacobian(apply_fn, params, arrays["X_train"], batch_size=5), leading=2)
    np.testing.assert_allclose(rows.reshape(expected.shape), expected, atol=1e-12 * abs(expected).max())
    for inputs, name in ((None, "ntk"), (arrays["X_train"], "ntk_test_train")):
        x1 = arrays["X_train"] if inputs is None else arrays["X_test"]
        kernel = empirical_kernel(apply_fn, params, x1, inputs)
        np.testing.assert_allclose(kernel, arrays[name], atol=1e-12 * abs(arrays[name]).max())


@pytest.mark.filterwarnings("ignore:size requires ndarray:DeprecationWarning")
@pytest.mark.parametrize("name", ["flax", "tied"])
def test_kernels_equal_those_of_neural_tangents(name):
    if importlib.util.find_spec("neural_tangents") is None:
        pytest.skip("neural_tangents is not installed, and its kernels are the expected values")
    apply_fn, params, x = NETWORKS[name]()
    for implementation, outputs, others in (
        ("jacobian_contraction", "full", None),
        ("jacobian_contraction", "class_wise", x[:2] + 1),
        ("ntk_vector_products", "trace", None),
        ("ntk_vector_products", "full", x[:2] + 1),
    ):
        expected = empirical_kernel(apply_fn, params, x, others, outputs=outputs)
        kernel = empirical_kernel(apply_fn, params, x, others, outputs=outputs, implementation=implementation)
        np.testing.assert_allclose(kernel, expected, atol=1e-10 * abs(expected).max())


def test_everything_but_their_kernels_works_without_neural_tangents():
    program = """
import sys
sys.modules["neural_tangents"] = None  # as if it were not installed
import jax.numpy as jnp
from infotheory_dl import linearization
kernel = linearization.empirical_kernel(lambda w, x: x @ w, jnp.ones((3, 2)), jnp.eye(4, 3))
print(kernel.shape, linearization.kernel_eigen(kernel).eigenvalues.shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(8, 8) (8,)"


def test_neural_tangents_is_imported_without_tensorflow_and_leaves_jax_as_it_was():
    program = """
import sys, jax
before = set(vars(jax.core))
from infotheory_dl.linearization._neural_tangents import neural_tangents
neural_tangents()
print(sorted(set(vars(jax.core)) - before), [name for name in ("tensorflow", "jax.util") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_the_linear_network_touches_the_network_and_is_linear():
    apply_fn, params, x = flax_network()
    linear = linearize(apply_fn, params)
    direction = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(5), leaf.shape), params)
    moved = lambda size: jax.tree.map(lambda leaf, d: leaf + size * d, params, direction)
    np.testing.assert_allclose(linear(params, x), apply_fn(params, x))
    step = linear(moved(1.0), x) - linear(params, x)
    np.testing.assert_allclose(linear(moved(3.0), x) - linear(params, x), 3 * step, rtol=1e-9)
    np.testing.assert_allclose((apply_fn(moved(1e-6), x) - apply_fn(params, x)) / 1e-6, step, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_products_with_the_transposed_jacobian_never_need_it(batch_size):
    apply_fn, params, x = flax_network()
    vectors = jax.random.normal(jax.random.key(6), (4, 6, 3))
    products = flatten(transposed_jacobian_products(apply_fn, params, x, vectors, batch_size=batch_size), leading=1)
    expected = jnp.einsum("vnc,ncd->vd", vectors, plain_jacobian(apply_fn, params, x))
    np.testing.assert_allclose(products, expected, rtol=1e-9, atol=1e-12)


def test_kernels_trace():
    apply_fn, params, x = tied_network()
    compute = lambda inputs: empirical_kernel(apply_fn, params, inputs, batch_size=2).sum()
    np.testing.assert_allclose(jax.jit(compute)(x), compute(x), rtol=1e-12)
    step = jnp.zeros_like(x).at[1, 2].set(1e-5)
    slope = (compute(x + step) - compute(x - step)) / 2e-5
    np.testing.assert_allclose(jax.grad(compute)(x)[1, 2], slope, rtol=1e-6)


@pytest.mark.usefixtures("as_a_user_sees")
class TestBadInput:
    def test_nan_is_named(self):
        apply_fn, params, x = tied_network()
        with pytest.raises(ValueError, match="x1 has 1 of 20 entries that are NaN or infinite"):
            empirical_kernel(apply_fn, params, x.at[0, 0].set(jnp.nan))
        with pytest.raises(ValueError, match=r"params\['loop'\] has 16 of 16 entries that are NaN"):
            jacobian(apply_fn, params | {"loop": params["loop"] * jnp.nan}, x)

    def test_parameters_that_are_not_floating_point(self):
        apply_fn, params, x = tied_network()
        with pytest.raises(TypeError, match=r"params\['loop'\] must be floating-point, got int64"):
            jacobian(apply_fn, params | {"loop": jnp.ones((4, 4), int)}, x)

    def test_outputs_without_an_axis(self):
        with pytest.raises(ValueError, match=r"apply_fn must return \(5 examples, outputs\) for x1, got shape \(5,\)"):
            empirical_kernel(lambda w, x: x @ w, jnp.ones(3), jnp.ones((5, 3)))

    def test_no_examples(self):
        apply_fn, params, x = tied_network()
        with pytest.raises(ValueError, match=r"x1 must not be empty, got shape \(0, 4\)"):
            empirical_kernel(apply_fn, params, x[:0])

    def test_cotangents_that_do_not_fit(self):
        apply_fn, params, x = tied_network()
        with pytest.raises(ValueError, match=r"cotangents must be \(vectors, 5, 2\), got shape \(1, 5, 3\)"):
            transposed_jacobian_products(apply_fn, params, x, jnp.ones((1, 5, 3)))

    def test_unknown_settings(self):
        apply_fn, params, x = tied_network()
        with pytest.raises(ValueError, match="unknown outputs 'all'; choose one of 'full', 'class_wise', 'trace'"):
            empirical_kernel(apply_fn, params, x, outputs="all")


def test_the_mean_kernel_is_that_of_its_networks_and_the_same_networks_see_other_inputs():
    x, others = jax.random.normal(jax.random.key(0), (7, 3)), jax.random.normal(jax.random.key(1), (4, 3))
    network, key = MLP((5,), 1), jax.random.key(2)
    kernels = [empirical_kernel(network.apply, network.init(k, x[:1]), x) for k in jax.random.split(key, 3)]
    np.testing.assert_allclose(mean_kernel(key, network, x, num_networks=3), sum(kernels) / 3, rtol=1e-12)
    across = mean_kernel(key, network, jnp.concatenate([others, x]), x, num_networks=3)
    np.testing.assert_allclose(across[4:], sum(kernels) / 3, rtol=1e-10)
    with pytest.raises(ValueError, match="num_networks must be at least 1, got 0"):
        mean_kernel(key, network, x, num_networks=0)
