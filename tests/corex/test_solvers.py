"""Single steps of all solvers against the published ones, and the loop that they share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl import data
from infotheory_dl.corex import linear
from infotheory_dl.corex._linear.objective import exact_objective, sampled_objective
from infotheory_dl.corex.annealing import NOISE_SCHEDULE, anneal
from infotheory_dl.corex.correlations import (
    add_noise,
    correlations_from_gram,
    second_moment_product,
    unit_noise_correlations,
)
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, OVERLAPPING, Objective
from infotheory_dl.corex.solvers import fixed_point, quasi_newton
from tests.conftest import reference

ENTER = jax.jit(quasi_newton.enter_stage)
DIRECT = jax.jit(quasi_newton.search_direction)
ADVANCE = jax.jit(quasi_newton.advance)


def start_of(weights, x, noise):
    state = quasi_newton.QuasiNewtonState(
        jnp.asarray(weights), jnp.zeros_like(weights), jnp.asarray(noise), jnp.asarray(0.0), jnp.asarray(False)
    )
    return ENTER(state, x, jnp.asarray(noise), CORRELATION_EXPLANATION)


def test_every_quasi_newton_step_and_the_change_of_noise_are_the_published_ones():
    case = reference("corex_qn_steps")
    x = jnp.asarray(case["x"])
    state = start_of(case["w0"], x, 0.6)
    for stage, noise in enumerate(case["eps_list"]):
        noise = jnp.asarray(noise)
        if stage:
            np.testing.assert_allclose(state.weights, case["anneal_w_before"], rtol=1e-10)
            state = ENTER(state, x, noise, CORRELATION_EXPLANATION)
            np.testing.assert_allclose(state.weights, case["anneal_w_after"], rtol=1e-10)
        for step in range(6):
            direction = DIRECT(state, x, noise, CORRELATION_EXPLANATION)
            new = ADVANCE(state, x, noise, CORRELATION_EXPLANATION, 1e-5)
            computed = {
                "grad": direction.gradient,
                "Sgrad": add_noise(second_moment_product(direction.gradient, x), direction.gradient, noise),
                "update": direction.update,
                "tangent": -direction.slope,
                "w": new.weights,
                "TC": new.objective,
            }
            for name, ours in computed.items():
                published = case[f"e{stage}_s{step}_{name}"]
                error = np.abs(ours - published).max() / np.abs(published).max()
                assert error < 1e-10, (stage, step, name)
            size = np.linalg.norm(new.weights - state.weights) / np.linalg.norm(direction.update)
            np.testing.assert_allclose(size, case[f"e{stage}_s{step}_eta"], rtol=1e-8)
            product = second_moment_product(new.weights, x)
            np.testing.assert_allclose(new.product, product, rtol=1e-8, atol=1e-13)
            state = new


@pytest.mark.parametrize(
    "objective", [OVERLAPPING, Objective(calibrated=0.5, uncalibrated=0.3, joint=0.2, capacity=1.5)]
)
def test_the_direction_is_one_of_ascent_with_its_true_slope_for_any_objective(objective):
    case = reference("corex_qn_steps")
    x, noise = jnp.asarray(case["x"]), jnp.asarray(0.36)
    state = start_of(case["anneal_w_after"], x, 0.36)
    direction = DIRECT(state, x, noise, objective)

    def along(step):
        product = add_noise(
            state.product + step * direction.update_product, state.weights + step * direction.update, noise
        )
        gram = (state.weights + step * direction.update) @ product.T
        return objective(correlations_from_gram(product, gram))

    assert direction.slope > 0
    np.testing.assert_allclose(jax.grad(along)(0.0), direction.slope, rtol=1e-9)


def test_weights_that_leave_no_noise_are_scaled_and_rows_of_zeros_stay():
    x = jnp.asarray(reference("corex_qn_steps")["x"])
    weights = jnp.zeros((4, 24)).at[0].set(1.0).at[1].set(0.01)
    state = start_of(weights, x, 0.0)
    signal = (state.weights * second_moment_product(state.weights, x)).sum(1)
    np.testing.assert_allclose(signal[0], 0.999)
    np.testing.assert_array_equal(state.weights[1:], weights[1:])
    after = ADVANCE(state, x, jnp.asarray(0.0), CORRELATION_EXPLANATION, 1e-5)
    np.testing.assert_array_equal(after.weights[2], 0)
    assert after.objective > state.objective


def modular_draw(num_variables, num_factors, n):
    keys = jax.random.split(jax.random.key(0), 3)
    x = data.sample_latent_factors(keys[1], data.modular_factors(keys[0], num_variables, num_factors), n)
    start = 0.01 * jax.random.normal(keys[2], (num_factors, num_variables)) / num_variables**0.5
    return (x - x.mean(0)) / x.std(0), start


def test_rounding_in_the_carried_product_does_not_grow():
    x, start = (jnp.asarray(values, jnp.float32) for values in modular_draw(1000, 4, 100))
    noise = jnp.asarray(0.6, jnp.float32)
    state = start_of(start, x, noise)
    for _ in range(45):
        state = ADVANCE(state, x, noise, CORRELATION_EXPLANATION, 1e-5)
    exact = second_moment_product(state.weights.astype(float), x.astype(float))
    assert jnp.abs(state.product - exact).max() < 1e-5 * jnp.abs(exact).max()


def test_a_single_precision_fit_ends_where_a_double_precision_one_does():
    x, start = modular_draw(5000, 4, 300)
    ends = [
        linear.fit(jax.random.key(0), x.astype(dtype), 4, initial_weights=start.astype(dtype), noises=NOISE_SCHEDULE)
        for dtype in (np.float32, np.float64)
    ]
    assert not any(model.diverged for model in ends)
    np.testing.assert_allclose(ends[0].total_correlation, ends[1].total_correlation, rtol=1e-5)


@jax.jit
@jax.value_and_grad
def sampled_loss(weights, x, l1, variable_noise, factor_noise, noise):
    return l1 * jnp.abs(weights).sum() - sampled_objective(weights, x, variable_noise, factor_noise, noise)


@pytest.mark.parametrize("tag", ["l0", "l1"])
def test_sampled_adam_steps_with_the_published_noise_are_the_published_ones(tag):
    case = reference("corex_adam")
    l1 = {"l0": 0.0, "l1": float(case["l1_value"])}[tag]

    weights = jnp.asarray(case["w0"])
    optimizer = optax.adam(float(case["lr"]))
    state = optimizer.init(weights)
    for step in range(5):
        published = lambda name, step=step: case[f"{tag}_s{step}_{name}"]
        noises = published("anneal_noise"), published("z_noise"), published("eps")
        value, gradient = sampled_loss(weights, case["x"], l1, *noises)
        change, state = optimizer.update(gradient, state)
        weights = weights + change
        np.testing.assert_allclose(value, published("obj"), rtol=1e-9)
        np.testing.assert_allclose(gradient, published("grad"), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(weights, published("w"), rtol=1e-9)


def test_the_mean_of_the_sampled_objective_is_the_exact_one_but_for_its_known_bias():
    case = reference("corex_adam")
    x = jnp.tile(jnp.asarray(case["x"]), (250, 1))
    keys = jax.random.split(jax.random.key(0))
    variable_noise, factor_noise = jax.random.normal(keys[0], x.shape), jax.random.normal(keys[1], (len(x), 4))
    sampled = sampled_objective(case["fit_w"], x, variable_noise, factor_noise, 0.36)
    exact = exact_objective(case["fit_w"], case["x"], 0.36, CORRELATION_EXPLANATION)
    np.testing.assert_allclose(sampled, exact, atol=0.1)


def test_fixed_point_steps_are_the_published_ones():
    case = reference("corex_qn_steps")
    weights = jnp.asarray(case["syn_w0"])
    for step in range(3):
        weights = fixed_point.update(weights, second_moment_product(weights, case["x"]))
        np.testing.assert_allclose(weights, case[f"syn_s{step}_w"], rtol=1e-10)
        value = OVERLAPPING(unit_noise_correlations(weights, second_moment_product(weights, case["x"])))
        np.testing.assert_allclose(value, case[f"syn_s{step}_TC"], rtol=1e-10)


class Counter(NamedTuple):
    weights: jax.Array
    objective: jax.Array
    settled: jax.Array
    entered: jax.Array


def count(values, *, refresh=100, max_iterations=100):
    """Runs a solver whose objective after iteration i is values[i], and which settles where a value repeats."""
    values = jnp.asarray(values)

    def enter(state, noise):
        return state._replace(entered=state.entered + 1, settled=jnp.asarray(False))

    def advance(state, noise):
        step = state.weights[0, 0].astype(int)
        value = values[step]
        return Counter(state.weights + 1, value, value == state.objective, state.entered)

    start = Counter(jnp.zeros((1, 1)), jnp.asarray(-1.0), jnp.asarray(False), jnp.asarray(0))
    noises = jnp.asarray(NOISE_SCHEDULE[-2:])
    return anneal(enter, advance, start, noises, max_iterations=max_iterations, refresh=refresh)


@pytest.mark.parametrize("refresh", [1, 2, 100])
def test_every_stage_runs_until_it_settles(refresh):
    solution = count([1.0, 2, 2, 3, 4, 4, 5], refresh=refresh)
    assert solution.num_iterations == 6
    np.testing.assert_array_equal(solution.history[:7], [1, 2, 2, 3, 4, 4, np.nan])
    assert solution.converged
    assert not solution.diverged


def test_a_stage_that_does_not_settle_ends_and_the_last_one_has_not_converged():
    solution = count(np.arange(10.0), max_iterations=3)
    assert solution.num_iterations == 6
    assert not solution.converged
    assert not solution.diverged


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_ends_everything_at_the_last_good_weights(bad):
    solution = count([1.0, 2, bad, 3, 4])
    np.testing.assert_array_equal(solution.weights, [[2.0]])
    np.testing.assert_array_equal(solution.history[:4], [1, 2, np.nan, np.nan])
    assert solution.num_iterations == 2
    assert solution.diverged
    assert not solution.converged
