"""Properties of fits: accuracy, starts, numbers of factors, missing values, degenerate data, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from infotheory_dl.corex import linear
from infotheory_dl.corex._linear import programs
from infotheory_dl.information import low_rank
from tests.conftest import reference

KEY = jax.random.key(0)


def expected_nll(model, covariance):
    """Of draws with mean zero and this covariance, under an estimate of the covariance alone."""
    estimate = np.asarray(low_rank.to_dense(linear.covariance(model)))
    distance = np.trace(np.linalg.solve(estimate, covariance))
    return (len(covariance) * np.log(2 * np.pi) + np.linalg.slogdet(estimate)[1] + distance) / 2


def test_held_out_likelihood_of_modular_data_is_the_published_one_or_better():
    case = reference("corex_e2e")
    model = linear.fit(KEY, case["static_m8_x"][:16].astype(float), 8)
    nll = expected_nll(model, case["static_m8_cov"])
    published = {name: float(case[f"static_m8_n16_{name}"]) for name in ("qn", "ledoitwolf", "fa")}
    assert nll < 1.01 * published["qn"]
    assert nll < min(published["ledoitwolf"], published["fa"])


def test_fewer_samples_than_factors_in_single_precision_stay_finite():
    x = reference("corex_e2e")["static_m32_x"][:16]
    model = linear.fit(KEY, x, 32, max_iterations=200)
    assert model.weights.dtype == jnp.float32
    assert np.isfinite(model.history).all()
    assert all(np.isfinite(leaf).all() for leaf in model.moments)
    assert model.diverged or model.total_correlation > 100
    assert not (model.diverged and model.converged)


@pytest.mark.parametrize("difference", [0.0, 1e-4, 1e-2])
def test_near_duplicate_columns_survive_in_single_precision(difference):
    rng = np.random.default_rng(0)
    x = reference("corex_qn_fit")["x_raw"]
    copies = x[:, :3] + difference * rng.normal(size=(40, 3))
    model = linear.fit(KEY, np.hstack([x, copies]).astype(np.float32), 4)
    assert all(np.isfinite(leaf).all() for leaf in model.moments)
    clusters = np.asarray(linear.clusters(model))
    np.testing.assert_array_equal(clusters[:3], clusters[24:])
    estimate = np.asarray(low_rank.to_dense(linear.covariance(model)), float)
    assert np.linalg.eigvalsh(estimate / np.sqrt(np.outer(np.diag(estimate), np.diag(estimate))))[0] > -1e-6
    # a factor of exact copies has no finite information
    assert difference or (model.diverged and not model.converged)


def test_the_best_of_several_starts_is_kept_and_a_key_gives_one_result():
    case = reference("corex_qn_fit")
    best, again = (linear.fit(KEY, case["x_raw"], 4, num_restarts=3, tolerance=1e-3) for _ in range(2))
    np.testing.assert_array_equal(best.weights, again.weights)
    assert best.total_correlation > case["std_TC"] - 0.1
    assert (np.diff(best.total_correlations) <= 0).all()
    assert np.isfinite(best.history).all()


def test_the_number_of_modules_is_found_with_and_without_validation_data():
    case = reference("corex_qn_fit")
    by_overlap = linear.choose_num_factors(KEY, case["x_raw"], range(3, 6), tolerance=1e-3)
    assert by_overlap.num_factors == 4 == len(np.unique(case["true_parent"]))
    assert by_overlap.model.weights.shape == (4, 24)
    by_likelihood = linear.choose_num_factors(
        KEY, case["x_raw"], range(3, 6), validation=case["x_test"], tolerance=1e-3
    )
    assert by_likelihood.num_factors in (4, 5)
    density = low_rank.log_density(linear.covariance(by_likelihood.model), case["x_test"]).mean()
    np.testing.assert_allclose(by_likelihood.scores.max(), density, rtol=1e-9)
    # a fit padded with rows of zeros is the fit without them
    alone = linear.factor_moments(by_overlap.model.weights, case["std_x_pre"])
    np.testing.assert_allclose(by_overlap.model.total_correlation, alone.total_correlation, rtol=1e-9)


def test_factors_that_explain_next_to_nothing_are_not_chosen():
    x = np.repeat(np.random.default_rng(0).normal(size=(1000, 2)), 3, axis=1)
    x += np.random.default_rng(1).normal(size=x.shape)
    chosen = linear.choose_num_factors(KEY, x, [1, 2, 3, 4])
    np.testing.assert_allclose(chosen.scores[2:], chosen.scores[1], rtol=1e-3)
    assert chosen.num_factors == 2


def test_a_number_of_factors_is_chosen_also_among_scores_below_zero():
    x = np.random.default_rng(0).normal(size=(30, 6))
    chosen = linear.choose_num_factors(KEY, x, [4, 5], overlapping=True)
    assert chosen.scores[0] < 0
    assert chosen.num_factors == chosen.candidates[chosen.scores.argmax()]


def test_variables_may_be_measured_in_units_of_any_size():
    x = reference("corex_qn_fit")["x_raw"]
    fits = [linear.fit(KEY, scale * x, 4, tolerance=1e-3) for scale in (1.0, 1e-13)]
    np.testing.assert_allclose(fits[1].total_correlation, fits[0].total_correlation, rtol=1e-9)


def test_pairwise_correlations_mend_what_filling_in_means_weakens():
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(400, 3)), 4, axis=1) + 0.5 * rng.normal(size=(400, 12))
    holes = np.where(rng.random(x.shape) < 0.3, np.nan, x)

    def within(table, missing):
        loadings = np.asarray(linear.fit(KEY, table, 3, missing=missing, tolerance=1e-3).moments.loadings)
        correlations = (loadings.T @ loadings).reshape(3, 4, 3, 4)
        return np.mean([correlations[i, :, i][~np.eye(4, dtype=bool)].mean() for i in range(3)])

    whole = within(x, "refuse")
    np.testing.assert_allclose(within(holes, "pairwise"), whole, atol=0.02)
    assert within(holes, "mean") < whole - 0.2


def test_big_five_questions_fall_into_the_five_traits(shared_data):
    with np.load(shared_data / "corex" / "big5.npz") as data:
        x, trait = data["x"], data["trait"]
    model = linear.fit(KEY, x, 5, missing="mean", missing_value=-1)
    assert adjusted_rand_score(trait, linear.clusters(model, by="weight")) == 1
    np.testing.assert_allclose(model.total_correlation, 8.24, atol=0.05)
    missing = {"missing": "mean", "missing_value": -1}
    assert linear.transform(model, x[:3], **missing).shape == (3, 5)


X = np.random.default_rng(5).normal(size=(6, 4))


@pytest.mark.parametrize(
    ("num_factors", "settings", "message"),
    [
        (0, {}, "num_factors must be at least 1, got 0"),
        (5, {}, r"num_factors must lie in \[1, 4\], the number of variables, got 5"),
        (2, {"solver": "newton"}, "unknown solver 'newton'; choose one of 'quasi_newton', 'adam', 'fixed_point'"),
        (2, {"solver": "fixed_point"}, "'fixed_point' is of the overlapping mode; set overlapping=True"),
        (2, {"sampled": True}, "only the solver 'adam' can be sampled, got 'quasi_newton'"),
        (2, {"solver": "adam", "sampled": True, "overlapping": True}, "the sampled objective is the default one"),
        (2, {"num_restarts": 0}, "num_restarts must be at least 1, got 0"),
        (2, {"num_restarts": 2, "initial_weights": np.ones((2, 4))}, "give either initial_weights or num_restarts"),
        (2, {"initial_weights": np.ones((3, 4))}, r"initial_weights must have the shape \(2, 4\), got \(3, 4\)"),
        (2, {"initial_weights": np.full((2, 4), np.nan)}, "initial_weights has 8 of 8 entries that are NaN"),
        (2, {"noises": (0.5, 1.0, 0.0)}, r"noises must lie in \[0, 1\), got 1.0 at index 1"),
        (2, {"noises": (0.5,)}, r"noises must end with 0, got \[0.5\]"),
        (2, {"noise": 1.0}, r"noise must lie in \[0, 1\), got 1\.0"),
        (2, {"max_iterations": 0}, "max_iterations must be at least 1, got 0"),
        (2, {"tolerance": 0.0}, "tolerance must be positive, got 0.0"),
        (2, {"l1": 0.1}, "only the solver 'adam' has an l1 penalty, got 'quasi_newton'"),
        (
            2,
            {"solver": "fixed_point", "overlapping": True, "objective": linear.OVERLAPPING},
            "the solver 'fixed_point' has an objective of its own",
        ),
        (
            2,
            {"solver": "fixed_point", "overlapping": True, "warm_up": [linear.OVERLAPPING]},
            "the solver 'fixed_point' has an objective of its own",
        ),
        (2, {"l1": -1.0}, "l1 must be finite and not negative, got -1.0"),
    ],
)
def test_impossible_settings_are_refused_in_words(as_a_user_sees, num_factors, settings, message):
    with pytest.raises(ValueError, match=message):
        linear.fit(KEY, X, num_factors, **settings)


def test_tables_of_one_shape_share_one_program():
    linear.fit(KEY, X, 2, max_iterations=2)
    compiled = programs._fit_all._cache_size()
    linear.fit(jax.random.key(1), X + 1, 2, max_iterations=2, tolerance=1e-3, noises=7 * (0.0,))
    assert programs._fit_all._cache_size() == compiled


def test_what_does_not_fit_the_model_is_refused_in_words(as_a_user_sees):
    model = linear.fit(KEY, X, 2, max_iterations=2)
    with pytest.raises(ValueError, match=r"x must have the 4 columns of the training data, got shape \(2, 3\)"):
        linear.transform(model, np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"factors must have 2 columns, got shape \(2, 3\)"):
        linear.predict(model, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="unknown by 'size'; choose one of 'mutual_information', 'weight'"):
        linear.clusters(model, by="size")
    with pytest.raises(ValueError, match=r"candidates must be numbers of factors in ascending order, got \[3, 2\]"):
        linear.choose_num_factors(KEY, X, [3, 2])
    with pytest.raises(ValueError, match="no log-density follows from 'outliers' preprocessing"):
        linear.choose_num_factors(KEY, X, [2, 3], validation=X, preprocessing="outliers")
    with pytest.raises(ValueError, match=r"1 columns of x do not vary, .*; columns are constant: 2;"):
        linear.fit(KEY, np.where(np.arange(4) == 2, 1.0, X), 2)


def test_a_fit_that_has_not_settled_says_so():
    x = np.random.default_rng(0).normal(size=(24, 3))
    with pytest.warns(UserWarning, match="did not settle in 2 iterations: raise max_iterations or tolerance"):
        assert not linear.fit(jax.random.key(0), x, num_factors=1, max_iterations=2).converged
    copies = np.repeat(x[:, :1], 3, axis=1)
    with pytest.warns(UserWarning, match="variables are copies of each other, or samples are too few"):
        assert linear.fit(jax.random.key(0), copies.astype(np.float32), num_factors=1).diverged
