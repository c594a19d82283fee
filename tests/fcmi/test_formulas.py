"""Bounds from numbers against closed forms, dense grids and the published histories."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.fcmi import formulas
from tests.conftest import reference

HISTORIES = reference("fcmi_mi_sgld")


@pytest.mark.parametrize("case", range(3))
def test_sgld_equals_the_published_implementation(case):
    variances = HISTORIES[f"sgld{case}_gradvar"]
    steps = len(variances)
    arguments = HISTORIES["sched_mnist_lr"][: steps + 1], HISTORIES["sched_mnist_beta"][: steps + 1], variances
    sizes = {"num_examples": int(HISTORIES[f"sgld{case}_n"]), "batch_size": int(HISTORIES[f"sgld{case}_batch"])}
    np.testing.assert_allclose(formulas.sgld(*arguments, **sizes), HISTORIES[f"sgld{case}_bound"], rtol=1e-10)
    batch = formulas.sgld(*(np.stack([argument, argument]) for argument in arguments), **sizes)
    np.testing.assert_allclose(batch, [HISTORIES[f"sgld{case}_bound"]] * 2, rtol=1e-10)


def test_square_root_bounds_and_their_squares_have_their_values():
    np.testing.assert_allclose(formulas.weight_cmi(np.log(2)), np.sqrt(2 * np.log(2)))
    np.testing.assert_allclose(formulas.weight_cmi(jnp.array([0.0, 0.6]), subset_size=3), [0, np.sqrt(0.4)])
    np.testing.assert_allclose(formulas.input_output(0.5, subset_size=4), 0.25)
    np.testing.assert_allclose(formulas.input_output(0.5, subset_size=4, sigma=2), 1)
    np.testing.assert_allclose(formulas.squared_gap(3.0, num_examples=20), 2)
    np.testing.assert_allclose(formulas.input_output_squared_gap(1.0, num_examples=10, sigma=1), 0.4 * (1 + np.log(3)))
    np.testing.assert_allclose(formulas.ensemble(jnp.array([0.2, 0.3, 0.5]), num_examples=8), 0.5)


def test_vapnik_chervonenkis_takes_the_larger_of_its_two_counts():
    # thresholds on a line: 2n + 1 labelings of 2n points, ln 3 at n = 1, and d ln(2 e n / d) = 1 + ln 2
    np.testing.assert_allclose(formulas.vapnik_chervonenkis(1, num_examples=1), np.sqrt(2 * (1 + np.log(2))))
    large = formulas.vapnik_chervonenkis(40, num_examples=10)
    np.testing.assert_allclose(large, np.sqrt(0.2 * 41 * np.log(2)))


def test_stability_is_the_best_noise():
    beta, dimension, gamma = 0.01, 9, 2.0
    noise = np.geomspace(1e-3, 1e1, 100001)
    expected = (beta / noise + 2 * gamma * noise * np.sqrt(dimension)).min()
    bound = formulas.stability(beta, dimension=dimension, lipschitz=gamma)
    np.testing.assert_allclose(bound, expected, rtol=1e-6)


def test_squared_stability_has_its_value():
    arguments = {"test_beta": 0.1, "strong_test_beta": 0.2, "dimension": 4, "num_examples": 20, "lipschitz": 0.5}
    movement = np.sqrt(2 * 0.3**2 + 20 * (0.1**2 + 0.2**2))
    np.testing.assert_allclose(formulas.stability_squared_gap(0.3, **arguments), 1.6 + 12**1.5 * movement)
    ours = formulas.stability_squared_gap(0.3, **arguments, constant=8 * np.sqrt(2))
    np.testing.assert_allclose(ours, 1.6 + 8 * np.sqrt(2) * movement)


def test_binary_kl_solves_its_equation_and_keeps_its_limits():
    information, q = np.meshgrid([1e-9, 1e-3, 0.05, 0.2], [1e-6, 0.01, 0.3, 0.7])
    population = np.asarray(formulas.binary_kl_loss(information, q))
    assert (population >= q).all()
    inside = population < 1
    middle = (q + population) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = q * np.log(q / middle) + (1 - q) * np.log((1 - q) / (1 - middle))
    np.testing.assert_allclose(divergence[inside], information[inside], rtol=1e-6, atol=1e-15)
    assert (divergence[~inside] <= information[~inside]).all()
    np.testing.assert_allclose(formulas.binary_kl_loss(0.3, 0.0), 2 * (1 - np.exp(-0.3)), rtol=1e-14)
    assert [float(formulas.binary_kl_loss(*case)) for case in [(0.0, 0.3), (5.0, 0.3), (0.3, 1.0), (0.0, 0.0)]] == [
        0.3,
        1.0,
        1.0,
        0.0,
    ]


@pytest.mark.parametrize("training_loss", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("information", [0.001, 0.2])
def test_linear_and_fast_rate_are_the_minima_of_their_grids(information, training_loss):
    rate = np.linspace(1e-3, 0.37, 200001)
    a = np.exp(rate) - 1 - rate
    feasible = rate**2 >= 4 * a * (a + rate)
    rate, a = rate[feasible], a[feasible]
    g = (rate - np.sqrt(rate**2 - 4 * a * (a + rate))) / (2 * a)
    np.testing.assert_allclose(rate * (1 - g) + a * (1 + g**2), 0, atol=1e-9)
    bound = formulas.linear_loss(information, training_loss)
    np.testing.assert_allclose(bound, (g * training_loss + information / rate).min(), rtol=1e-5)

    root = np.linspace(1e-4, np.log(2) / 2, 200001)[:-1]
    c = -np.log(2 - np.exp(2 * root)) / (2 * root) - 1
    bound = formulas.fast_rate_gap(information, training_loss)
    np.testing.assert_allclose(bound, (c * training_loss + information / root).min(), rtol=1e-5)
    assert bound <= formulas.fast_rate_simple_gap(information, training_loss) + 1e-12


def test_nothing_known_bounds_nothing():
    for formula in (formulas.fast_rate_gap, formulas.fast_rate_simple_gap):
        np.testing.assert_allclose(formula(0.0, jnp.array([0.0, 0.3])), 0, atol=1e-12)
    for formula in (formulas.linear_loss, formulas.binary_kl_loss):
        np.testing.assert_allclose(formula(0.0, jnp.array([0.0, 0.3])), [0, 0.3], atol=1e-12)


def test_the_best_gamma_of_a_moment_bound_is_its_limit_where_it_is_the_fast_rate():
    information, training_loss, moment, gamma = 0.1, 0.2, 0.07, 0.6
    root = np.linspace(1e-4, np.log(2) / 2, 200001)[:-1]
    c = (-np.log(2 - np.exp(2 * root)) / (2 * root) - 1) / gamma**2
    expected = (c * (training_loss - (1 - gamma**2) * moment) + information / root).min()
    bound = formulas.moment_gap(information, training_loss, moment, gamma=gamma)
    np.testing.assert_allclose(bound, expected, rtol=1e-5)
    gammas = jnp.linspace(0.1, 1, 50)
    bounds = formulas.moment_gap(information, training_loss, moment, gamma=gammas)
    assert (jnp.diff(bounds) < 0).all()
    np.testing.assert_allclose(bounds[-1], formulas.fast_rate_gap(information, training_loss), rtol=1e-12)


@pytest.mark.parametrize("formula", [formulas.binary_kl_loss, formulas.linear_loss, formulas.fast_rate_gap])
def test_derivatives_are_those_of_finite_differences(formula):
    step = 1e-6
    slopes = jax.jit(jax.grad(formula, argnums=(0, 1)))(0.1, 0.2)
    np.testing.assert_allclose(slopes[0], (formula(0.1 + step, 0.2) - formula(0.1 - step, 0.2)) / (2 * step), rtol=1e-5)
    np.testing.assert_allclose(slopes[1], (formula(0.1, 0.2 + step) - formula(0.1, 0.2 - step)) / (2 * step), rtol=1e-5)


def test_single_precision_stays_single():
    information, training_loss = jnp.float32(0.1), jnp.float32(0.2)
    for formula in (formulas.binary_kl_loss, formulas.linear_loss, formulas.fast_rate_gap):
        single = formula(information, training_loss)
        assert single.dtype == jnp.float32
        np.testing.assert_allclose(single, formula(0.1, 0.2), rtol=1e-5)


def test_impossible_numbers_are_named(as_a_user_sees):
    history, variances = np.ones(5), np.ones(5)
    with pytest.raises(ValueError, match=r"must have T \+ 1 = 6 entries for T = 5 gradient variances, got 5 and 5"):
        formulas.sgld(history, history, variances, num_examples=10, batch_size=2)
    with pytest.raises(ValueError, match="num_examples must be at least 2, got 1"):
        formulas.sgld(history, history, variances[:4], num_examples=1, batch_size=2)
    with pytest.raises(ValueError, match="dimension must be positive, got 0"):
        formulas.vapnik_chervonenkis(0, num_examples=10)
    with pytest.raises(ValueError, match=r"gamma must be positive, got 0\.0"):
        formulas.moment_gap(0.1, 0.1, 0.1, gamma=0.0)
