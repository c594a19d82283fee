"""The algebra of low rank plus diagonal against dense matrices, and the published differences of precisions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from infotheory_dl.information import low_rank
from infotheory_dl.information.low_rank import LowRankPlusDiagonal
from tests.conftest import reference


def random_matrix(seed, *, factors=3, variables=12):
    rng = np.random.default_rng(seed)
    draw = (rng.normal(size=(factors, variables)), *rng.uniform(0.5, 2, (2, variables)), rng.normal(size=variables))
    return LowRankPlusDiagonal(*map(jnp.asarray, draw))


def dense(matrix):
    inner = np.diag(matrix.diagonal) + matrix.sign * np.asarray(matrix.factors).T @ matrix.factors
    return inner * np.outer(matrix.scale, matrix.scale)


@pytest.fixture(params=["covariance", "precision"])
def matrix(request):
    covariance = random_matrix(0)
    return covariance if request.param == "covariance" else low_rank.inverse(covariance)


def test_the_dense_matrix_and_its_rows_are_as_defined(matrix):
    np.testing.assert_allclose(low_rank.to_dense(matrix), dense(matrix), rtol=1e-12)
    indices = np.array([7, 2, 7])
    np.testing.assert_allclose(low_rank.rows(matrix, indices), dense(matrix)[indices], rtol=1e-12)


def test_products_solutions_and_determinants_are_those_of_the_dense_matrix(matrix):
    vectors = np.random.default_rng(1).normal(size=(2, 4, 12))
    np.testing.assert_allclose(low_rank.matvec(matrix, vectors), vectors @ dense(matrix), rtol=1e-10, atol=1e-12)
    inverse = np.linalg.inv(dense(matrix))
    np.testing.assert_allclose(low_rank.solve(matrix, vectors), vectors @ inverse, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dense(low_rank.inverse(matrix)), inverse, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(low_rank.log_determinant(matrix), np.linalg.slogdet(dense(matrix))[1], rtol=1e-12)


def test_the_square_root_times_its_transpose_is_the_matrix(matrix):
    root = low_rank.square_root_matvec(matrix, np.eye(12))
    np.testing.assert_allclose(root.T @ root, dense(matrix), rtol=1e-10, atol=1e-12)


def test_the_density_is_that_of_scipy():
    matrix, points = random_matrix(2), np.random.default_rng(3).normal(size=(5, 12))
    expected = stats.multivariate_normal(matrix.mean, dense(matrix)).logpdf(points)
    np.testing.assert_allclose(low_rank.log_density(matrix, points), expected, rtol=1e-12)


def test_draws_have_the_mean_and_the_covariance():
    matrix = random_matrix(4)
    draws = np.asarray(low_rank.sample(jax.random.key(0), matrix, 40000))
    spread = np.sqrt(np.diag(dense(matrix)))
    np.testing.assert_allclose(draws.mean(0) / spread, matrix.mean / spread, atol=0.03)
    np.testing.assert_allclose(
        np.cov(draws.T) / np.outer(spread, spread), dense(matrix) / np.outer(spread, spread), atol=0.03
    )


def test_distances_of_matrices_with_other_scales_signs_and_ranks_are_those_of_the_dense_ones():
    first, second = random_matrix(5), low_rank.inverse(random_matrix(6, factors=5))
    difference = dense(first) - dense(second)
    np.testing.assert_allclose(low_rank.frobenius_distance(first, second), np.linalg.norm(difference), rtol=1e-10)
    np.testing.assert_allclose(low_rank.row_distances(first, second), np.linalg.norm(difference, axis=1), rtol=1e-10)
    spectral = low_rank.spectral_distance(jax.random.key(0), first, second)
    np.testing.assert_allclose(spectral, np.linalg.norm(difference, 2), rtol=1e-8)


def test_a_matrix_is_at_no_distance_from_itself():
    matrix = random_matrix(7)
    assert low_rank.frobenius_distance(matrix, matrix) < 1e-6
    assert low_rank.spectral_distance(jax.random.key(0), matrix, matrix) == 0


def test_changes_of_correlations_and_precisions_are_the_published_ones_with_the_sign_of_the_rows_mended():
    case = reference("corex_tools")
    factors = jnp.asarray(case["A"])
    unit = jnp.ones_like(factors[:, 0])
    correlations = LowRankPlusDiagonal(factors, 1 - (factors**2).sum(1), unit, 0 * unit, jnp.ones(len(factors)))
    precisions = jax.vmap(low_rank.inverse)(correlations)
    np.testing.assert_allclose(precisions.diagonal, case["inv_d"], rtol=1e-10)
    gram = lambda factors: np.einsum("tji,tjk->tik", factors, factors)
    np.testing.assert_allclose(gram(precisions.factors), gram(case["inv_B"]), rtol=1e-10, atol=1e-12)

    pairs = lambda matrices: (jax.tree.map(lambda a: a[:-1], matrices), jax.tree.map(lambda a: a[1:], matrices))
    frobenius = jax.vmap(low_rank.frobenius_distance)
    np.testing.assert_allclose(frobenius(*pairs(precisions)), case["frob_diffs_inv_dense"], rtol=1e-10)
    np.testing.assert_allclose(frobenius(*pairs(precisions)), case["frob_diffs_inv"], rtol=1e-10)
    np.testing.assert_allclose(frobenius(*pairs(correlations)), case["frob_diffs_cor_dense"], rtol=1e-10)
    rows = jax.vmap(low_rank.row_distances)(*pairs(precisions))
    np.testing.assert_allclose(rows, case["row_norms_inv_dense"], rtol=1e-10)
    keys = jax.random.split(jax.random.key(0), 3)
    spectral = jax.vmap(low_rank.spectral_distance)(keys, *pairs(precisions))
    np.testing.assert_allclose(spectral, case["spec_diffs_inv_dense"], rtol=1e-8)


def test_the_negative_log_likelihood_of_periods_is_the_published_one():
    case = reference("corex_tools")
    factors = jnp.asarray(case["A"])
    unit = jnp.ones_like(factors[:, 0])
    correlations = LowRankPlusDiagonal(factors, 1 - (factors**2).sum(1), unit, 0 * unit, jnp.ones(len(factors)))
    by_period = -jax.vmap(low_rank.log_density)(correlations, jnp.asarray(case["nll_data"])).mean(1)
    np.testing.assert_allclose(by_period, case["nll_per_t"], rtol=1e-10)
    np.testing.assert_allclose(by_period.mean(), case["nll"], rtol=1e-10)


def test_single_precision_stays_single():
    matrix = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), random_matrix(8))
    points = jnp.ones((2, 12), jnp.float32)
    assert low_rank.log_density(matrix, points).dtype == jnp.float32
    assert low_rank.sample(jax.random.key(0), matrix, 2).dtype == jnp.float32
    np.testing.assert_allclose(
        low_rank.log_density(matrix, points), low_rank.log_density(random_matrix(8), np.ones((2, 12))), rtol=1e-4
    )
