"""What a fit of T-CorEx says: covariances, likelihoods, forecasts, changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from infotheory_dl.corex import temporal
from infotheory_dl.corex._temporal.periods import as_samples, decay_logits, window_reach, windows_of
from infotheory_dl.information import low_rank
from tests.corex.series import AFTER, BEFORE, SERIES, SHORT, modular

X = np.random.default_rng(5).normal(size=(2, 6, 4))


@pytest.fixture(scope="module")
def model():
    return temporal.fit(jax.random.key(0), SERIES, 3, **SHORT, decay=0.2, l1=0.3)


def dense(matrices):
    return np.asarray(jax.vmap(low_rank.to_dense)(matrices))


def test_covariances_have_the_moments_of_the_windows_and_the_loadings(model):
    covariances = dense(temporal.covariances(model))
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariances, axis1=1, axis2=2)), model.std, rtol=1e-10)
    shared = np.einsum("tmp,tmq->tpq", model.moments.loadings, model.moments.loadings)
    correlations = covariances / model.std[:, :, None] / model.std[:, None]
    off = ~np.eye(12, dtype=bool)
    np.testing.assert_allclose(correlations[:, off], shared[:, off], rtol=1e-10)
    assert np.linalg.eigvalsh(correlations).min() > 0
    weighted = np.concatenate(SERIES)
    weights = 0.2 ** np.abs(np.repeat(np.arange(4), [len(x) for x in SERIES]) - 1)
    np.testing.assert_allclose(model.mean[1], np.average(weighted, axis=0, weights=weights), rtol=1e-9)


def test_likelihoods_are_those_of_the_gaussians(model):
    others = [modular(t + 10, n, BEFORE) for t, n in enumerate([2, 1, 3, 4])]
    expected = [
        multivariate_normal(mean, covariance).logpdf(x).mean()
        for mean, covariance, x in zip(np.asarray(model.mean), dense(temporal.covariances(model)), others, strict=True)
    ]
    np.testing.assert_allclose(temporal.log_likelihood(model, others), expected, rtol=1e-9)


def test_the_forecast_is_what_a_window_without_samples_of_its_own_sees(model):
    forecast = temporal.forecast(model)
    np.testing.assert_array_equal(low_rank.to_dense(forecast), dense(temporal.covariances(model))[-1])
    samples, _ = as_samples([*SERIES, np.zeros((0, 12))])
    windows = jax.jit(windows_of)(samples, decay_logits(0.2, window_reach(samples.present, None)))
    shares = np.asarray(windows.sample_weights.sum(2))[4]
    np.testing.assert_allclose(shares, [*model.window_shares[-1], 0], rtol=1e-10)


def test_a_choice_needs_one_fit_that_gives_the_validation_samples_a_density():
    far = [np.full((1, 12), 1e200)] * 4
    with pytest.raises(ValueError, match="all 1 fits failed: none gives the validation samples a finite density"):
        temporal.select(jax.random.key(0), SERIES, 3, far, decay=(0.2,), l1=(0.3,), **SHORT)


def test_clusters_are_the_modules_of_each_regime(model):
    together = lambda labels: np.asarray(labels)[:, None] == np.asarray(labels)
    for labels, parents in zip(np.asarray(temporal.clusters(model)), [BEFORE, BEFORE, AFTER, AFTER], strict=True):
        assert (together(labels) == together(parents)).mean() > 0.9
    by_weight = temporal.clusters(model, by="weight")
    scale = np.sqrt(1 - model.moments.signal_shares)[..., None]
    np.testing.assert_array_equal(by_weight, np.abs(scale * model.weights).argmax(1))


@pytest.mark.parametrize("of", ["inverse_correlations", "correlations", "covariances"])
def test_changes_are_norms_of_differences_of_matrices(model, of):
    matrices = dense(temporal.covariances(model))
    if of != "covariances":
        matrices = matrices / model.std[:, :, None] / model.std[:, None]
    if of == "inverse_correlations":
        matrices = np.linalg.inv(matrices)
    differences = np.diff(matrices, axis=0)
    changes = temporal.changes(model, of=of)
    np.testing.assert_allclose(changes.scores, np.linalg.norm(differences, axis=(1, 2)), rtol=1e-8)
    np.testing.assert_allclose(changes.variables, np.linalg.norm(differences, axis=2), rtol=1e-7)
    spectral = temporal.changes(model, of=of, norm="spectral")
    np.testing.assert_allclose(spectral.scores, np.linalg.norm(differences, 2, axis=(1, 2)), rtol=1e-3)


def test_the_change_of_regime_is_the_largest(model):
    changes = temporal.changes(model)
    assert changes.scores.argmax() == 1
    most = temporal.most_changed(changes, 5)
    np.testing.assert_array_equal(most, np.argsort(-np.asarray(changes.variables), axis=1)[:, :5])


def test_changes_of_covariances_beyond_double_precision_are_refused(model):
    changes = temporal.changes(model, of="covariances")
    larger = temporal.changes(model._replace(std=1e100 * model.std), of="covariances")
    np.testing.assert_allclose(larger.scores / 1e200, changes.scores, rtol=1e-10)
    with pytest.raises(ValueError, match=r"variances of variable .* are beyond double precision: ask for"):
        temporal.changes(model._replace(std=1e200 * model.std), of="covariances")


def test_change_points_are_peaks_above_the_others():
    found = lambda *scores: temporal.change_points(temporal.Changes(jnp.array(scores), jnp.zeros((len(scores), 1))))
    np.testing.assert_array_equal(found(1.0, 1.1, 9.0, 8.0, 0.9, 1.0, 1.2, 1.0, 5.0), [2, 8])
    np.testing.assert_array_equal(found(0.0, 0.0, 3.0, 3.0, 0.0, 0.0, 0.0), [2])
    np.testing.assert_array_equal(found(1.0, 1.0, 1.0), [])


def test_what_does_not_fit_the_model_is_refused_in_words(as_a_user_sees, model):
    with pytest.raises(ValueError, match="periods must be of the fit's 4 periods and 12 variables, got 2 of 4"):
        temporal.log_likelihood(model, X)
    with pytest.raises(ValueError, match="validation must be of the fit's 4 periods and 12 variables, got 2 of 4"):
        temporal.select(jax.random.key(0), SERIES, 2, X)
    with pytest.raises(ValueError, match=r"decay, l1 and l2 must each have a value to try, got \(3, 0, 1\) of them"):
        temporal.select(jax.random.key(0), SERIES, 2, SERIES, l1=())
    with pytest.raises(ValueError, match="unknown by 'size'; choose one of 'mutual_information', 'weight'"):
        temporal.clusters(model, by="size")
    with pytest.raises(ValueError, match="unknown of 'means'; choose one of 'inverse_correlations', 'correlations'"):
        temporal.changes(model, of="means")
    with pytest.raises(ValueError, match=r"num_variables must lie in \[1, 12\], the number of variables, got 13"):
        temporal.most_changed(temporal.changes(model), 13)
    one = jax.tree.map(lambda leaf: leaf[:1], model._replace(history=None, converged=None, diverged=None))
    with pytest.raises(ValueError, match="a change needs at least 2 periods, got 1"):
        temporal.changes(one)


@pytest.mark.parametrize(
    ("window", "stride", "message"),
    [
        (0, None, r"window must lie in \[1, 6\], the rows of the series, got 0"),
        (7, None, r"window must lie in \[1, 6\], the rows of the series, got 7"),
        (3, 4, r"stride must lie in \[1, 3\], the window, got 4"),
        (3, 0, r"stride must lie in \[1, 3\], the window, got 0"),
    ],
)
def test_impossible_windows_are_refused_in_words(as_a_user_sees, window, stride, message):
    with pytest.raises(ValueError, match=message):
        temporal.make_periods(X[0], window, stride)
    with pytest.raises(ValueError, match=r"series must have 2 axes \(times, variables\), got shape \(2, 6, 4\)"):
        temporal.make_periods(X, 2)
