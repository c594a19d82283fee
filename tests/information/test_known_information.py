"""The distributions of the benchmark have the information that it says, by other routes to the same number."""

import numpy as np
import pytest
from scipy import integrate, stats

from benchmarks.information.tasks import CONTINUOUS, MIXED, half_cube, swiss_roll, uniform_noise, wiggly
from infotheory_dl.information import copula, discrete

TASKS = {task.name: task for task in CONTINUOUS + MIXED}


@pytest.mark.parametrize(("degrees", "columns", "correlation"), [(1, 1, 0.0), (3, 1, 0.75), (3, 2, 0.5)])
def test_student_is_the_mean_logarithm_of_the_ratio_of_its_densities(degrees, columns, correlation):
    task = TASKS[f"Student {degrees}, {columns} × {columns}"]
    x, y = task.draw(np.random.default_rng(0), 400_000)
    shape = np.kron([[1, correlation], [correlation, 1]], np.eye(columns))
    both = stats.multivariate_t(shape=shape, df=degrees).logpdf(np.hstack([x, y]))
    alone = stats.multivariate_t(shape=np.eye(columns), df=degrees)
    ratio = both - alone.logpdf(x) - alone.logpdf(y)
    np.testing.assert_allclose(ratio.mean(), task.information, atol=5 * ratio.std() / 400_000**0.5)


@pytest.mark.parametrize("width", [0.1, 0.5, 0.75, 2.0])
def test_uniform_noise_adds_to_the_entropy_of_the_sum(width):
    density = lambda v: (np.clip(v + width, 0, 1) - np.clip(v - width, 0, 1)) / (2 * width)
    entropy = integrate.quad(
        lambda v: -density(v) * np.log(density(v)) if density(v) > 0 else 0,
        -width,
        1 + width,
        points=[width, 1 - width],
    )[0]
    np.testing.assert_allclose(uniform_noise(width).information, entropy - np.log(2 * width), atol=1e-7)


def test_rates_given_counts_are_gamma_variables():
    numbers = np.arange(100)
    given = stats.gamma(numbers + 1, scale=0.5).entropy()
    np.testing.assert_allclose(TASKS["Poisson counts"].information, 1 - (given / 2.0 ** (numbers + 1)).sum(), rtol=1e-8)


def test_zeros_tell_what_their_table_tells():
    x, labels = TASKS["zeros, 0.2 and 0.7"].draw(np.random.default_rng(1), 400_000)
    table = np.histogram2d(x[:, 0] == 0, labels, bins=2)[0]
    np.testing.assert_allclose(
        discrete.information_from_counts(table), TASKS["zeros, 0.2 and 0.7"].information, atol=2e-3
    )


def test_maps_are_invertible():
    x = np.linspace(-6, 6, 2001)[:, None]
    for increasing in (half_cube, lambda x: wiggly(x, phase=0.3), lambda x: wiggly(x, phase=2.0)):
        assert (np.diff(increasing(x), axis=0) > 0).all()
    # how far out a point of the roll is grows with x
    assert (np.diff(np.linalg.norm(swiss_roll(x[500:1501]), axis=1)) > 0).all()


def test_normal_pairs_have_the_information_of_their_copula():
    task = TASKS["normal, 25 × 25"]
    np.testing.assert_allclose(
        copula.mutual_information(*task.draw(np.random.default_rng(2), 20_000)), task.information, atol=0.03
    )
