"""Roots and minima against closed forms, their derivatives against the implicit function theorem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl._roots import bisection, golden_section


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_bisection_finds_roots_to_the_last_digits(dtype):
    targets = jnp.array([1e-6, 0.3, 2.0, 26.9], dtype)
    roots = jax.jit(lambda c: bisection(lambda x: x**3 - c, jnp.zeros_like(c), jnp.full_like(c, 3.0)))(targets)
    assert roots.dtype == dtype
    np.testing.assert_allclose(roots, np.cbrt(targets), rtol=8 * jnp.finfo(dtype).eps)


def test_roots_outside_the_interval_are_its_nearest_end_and_stand_still():
    root = lambda c: bisection(lambda x: x - c, jnp.array(0.0), jnp.array(1.0))
    assert [float(root(c)) for c in (-2.0, 0.25, 5.0)] == [0.0, 0.25, 1.0]
    assert [float(jax.grad(root)(c)) for c in (-2.0, 0.25, 5.0)] == [0.0, 1.0, 0.0]


def test_derivatives_of_roots_are_those_of_the_implicit_function():
    root = lambda c: bisection(lambda x: x**3 - c, jnp.array(0.0), jnp.array(3.0))
    # d c^(1/3) / dc = c^(-2/3) / 3
    np.testing.assert_allclose(jax.vmap(jax.grad(root))(jnp.array([1.0, 8.0])), [1 / 3, 1 / 12], rtol=1e-14)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_golden_section_finds_minima_inside_and_at_the_ends(dtype):
    centres = jnp.array([-1.0, 0.7, 5.0], dtype)
    least = jax.jit(lambda c: golden_section(lambda x: (x - c) ** 2 + c, jnp.zeros_like(c), jnp.full_like(c, 2.0)))
    assert least(centres).dtype == dtype
    np.testing.assert_allclose(least(centres), [0.0, 0.7, 14.0], rtol=8 * jnp.finfo(dtype).eps, atol=1e-6)


def test_derivatives_of_minima_are_those_at_the_minimum():
    least = lambda c: golden_section(lambda x: x**2 - 2 * c * x, jnp.array(0.0), jnp.array(10.0))
    # the minimum is -c²
    np.testing.assert_allclose(jax.grad(least)(3.0), -6.0, rtol=1e-6)
