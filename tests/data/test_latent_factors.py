import jax
import numpy as np
import pytest

from infotheory_dl.data import (
    approximately_modular_factors,
    correlated_groups,
    latent_factor_covariance,
    modular_factors,
    sample_latent_factors,
    smoothly_changing_factors,
    suddenly_changing_factors,
)
from tests.conftest import reference

KEY = jax.random.key(0)


def test_the_covariance_is_that_of_the_published_generator():
    published = reference("corex_tools")
    std, correlations, parents = (published[f"gen_{name}"] for name in ("x_std", "cor", "par"))
    model = modular_factors(KEY, 12, 3)._replace(
        loadings=np.eye(1 + parents.max())[parents].T * (std * correlations),
        noise_variances=std**2 * (1 - correlations**2),
    )
    np.testing.assert_allclose(latent_factor_covariance(model), published["gen_sigma"], rtol=1e-12)


def test_a_modular_model_has_blocks_of_its_signal_to_noise():
    model = modular_factors(KEY, 60, 4, signal_to_noise=3.0, std=2.0)
    covariance = latent_factor_covariance(model)
    np.testing.assert_array_equal(model.parents, np.arange(60) // 15)
    np.testing.assert_allclose(np.diag(covariance), 4.0)
    together = (model.parents[:, None] == model.parents) & ~np.eye(60, dtype=bool)
    np.testing.assert_allclose(np.abs(covariance), 3 / 4 * 4 * together + 4 * np.eye(60), rtol=1e-6)
    assert 0.2 < (model.loadings.sum(0) > 0).mean() < 0.8


def test_draws_lie_in_their_ranges_and_fill_them():
    model = modular_factors(KEY, 4000, 10, signal_to_noise=(1.0, 3.0), std=(0.5, 2.0), shuffled=True)
    shared = np.square(model.loadings).sum(0)
    ratios, std = shared / model.noise_variances, np.sqrt(shared + model.noise_variances)
    for values, low, high in ((ratios, 1.0, 3.0), (std, 0.5, 2.0)):
        assert low - 1e-6 <= values.min() < low + 0.01 * high
        assert high - 0.01 * high < values.max() <= high + 1e-6
    np.testing.assert_allclose(np.bincount(model.parents), 400, atol=5 * np.sqrt(400))


def test_blocks_are_equal_to_within_one_variable():
    sizes = np.bincount(modular_factors(KEY, 11, 4).parents)
    assert sizes.tolist() == [3, 3, 3, 2]


@pytest.mark.parametrize(
    "model",
    [
        modular_factors(KEY, 6, 2),
        approximately_modular_factors(KEY, 6, 3, extra_parents=0.5, related_factors=2),
        smoothly_changing_factors(KEY, 3, 6, 2),
    ],
    ids=["modular", "approximately", "smooth"],
)
def test_samples_have_the_covariance_of_the_model(model):
    samples = sample_latent_factors(jax.random.key(1), model, 40_000)
    covariance = latent_factor_covariance(model)
    assert samples.shape == (*covariance.shape[:-2], 40_000, 6)
    std = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    scaled = samples / std[..., None, :]
    expected = covariance / std[..., :, None] / std[..., None, :]
    # entries of a sample correlation have a standard deviation of at most sqrt(2 / 40000)
    np.testing.assert_allclose(np.swapaxes(scaled, -1, -2) @ scaled / 40_000, expected, atol=0.035)


def test_extra_parents_share_what_a_variable_has_from_factors():
    model = approximately_modular_factors(KEY, 40, 4, signal_to_noise=4.0, extra_parents=0.75)
    shares = np.square(model.loadings)
    np.testing.assert_allclose(shares.sum(0), 0.8)
    np.testing.assert_allclose(model.noise_variances, 0.2)
    assert (shares > 0).sum() == 40 + 30
    main = shares[model.parents, np.arange(40)]
    others = np.where(np.arange(4)[:, None] == model.parents, 0, shares)
    assert np.isclose(2 * others, main).sum() == 30
    np.testing.assert_array_equal(shares.argmax(0), model.parents)


def test_related_factors_are_mixed_in_shares_of_the_variance():
    # the variables of a block stand for their factor
    model = approximately_modular_factors(KEY, 8, 4, extra_parents=0.0, related_factors=2)
    mixing = np.square(model.loadings[:, ::2]) / (5 / 6)
    np.testing.assert_allclose(np.sort(mixing, axis=0), np.array([0, 1, 1, 2])[:, None] * np.full(4, 0.25), atol=1e-12)
    np.testing.assert_allclose(np.diag(mixing), 0.5)


def test_a_sudden_change_lies_between_segments_alone():
    model = suddenly_changing_factors(KEY, 7, 12, 3, num_segments=3)
    changes = np.abs(np.diff(model.loadings, axis=0)).sum((1, 2)) > 0
    assert changes.tolist() == [False, False, True, False, True, False]
    assert (model.parents == np.arange(12) // 4).all()


def test_a_smooth_change_is_linear_and_moves_every_variable_once():
    model = smoothly_changing_factors(KEY, 11, 50, 5, num_segments=2)
    variances = np.diagonal(latent_factor_covariance(model), axis1=-2, axis2=-1)
    std = np.sqrt(variances)
    # six periods of the first segment, whose model at last would be that of the seventh period
    np.testing.assert_allclose(np.diff(std[:7], 2, axis=0), 0, atol=1e-10)
    assert np.abs(np.diff(std[5:8], 2, axis=0)).max() > 1e-3
    signed = model.loadings.sum(1) / std
    np.testing.assert_allclose(np.diff(signed[:7], 2, axis=0), 0, atol=1e-10)
    moves = (np.diff(model.parents[:7], axis=0) != 0).sum(0)
    assert moves.max() == 1
    assert (moves[model.parents[0] == model.parents[6]] == 0).all()


def test_a_key_gives_the_same_model_in_single_and_double_precision():
    draw = lambda: smoothly_changing_factors(KEY, 4, 10, 2)
    double = draw()
    with jax.enable_x64(False):
        single = draw()
        samples = sample_latent_factors(KEY, single, 3)
    assert single.loadings.dtype == samples.dtype == np.float32
    np.testing.assert_allclose(single.loadings, double.loadings, rtol=1e-6)
    np.testing.assert_array_equal(single.parents, double.parents)


def test_other_keys_give_other_models():
    one, same, other = (modular_factors(jax.random.key(seed), 10, 2) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.loadings, same.loadings)
    assert (one.loadings != other.loadings).any()


def test_impossible_settings_are_named(as_a_user_sees):
    with pytest.raises(ValueError, match="num_factors must be at least 1, got 0"):
        modular_factors(KEY, 4, 0)
    with pytest.raises(ValueError, match="num_variables must be at least 3, the number of factors, got 2"):
        suddenly_changing_factors(KEY, 4, 2, 3)
    with pytest.raises(ValueError, match=r"signal_to_noise must be .* ascending, got \(3, 1\)"):
        modular_factors(KEY, 4, 2, signal_to_noise=(3, 1))
    with pytest.raises(ValueError, match=r"std must be a number that is not negative .* got -1"):
        modular_factors(KEY, 4, 2, std=-1)
    with pytest.raises(ValueError, match="2 segments need at least 4 periods, got 3"):
        smoothly_changing_factors(KEY, 3, 4, 2, num_segments=2)
    with pytest.raises(ValueError, match="num_segments must be at least 1, got 0"):
        suddenly_changing_factors(KEY, 3, 4, 2, num_segments=0)
    with pytest.raises(ValueError, match=r"extra_parents must leave at most 1 for each variable .* got 1.5"):
        approximately_modular_factors(KEY, 4, 2, extra_parents=1.5)
    with pytest.raises(ValueError, match=r"related_factors must lie in \[0, 1\], got 2"):
        approximately_modular_factors(KEY, 4, 2, related_factors=2)
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        sample_latent_factors(KEY, modular_factors(KEY, 4, 2), 0)


def test_correlated_groups_are_modular_with_factors_of_one_correlation():
    model = correlated_groups(KEY, 12, 3, correlation=0.6, signal_to_noise=3.0)
    covariance = latent_factor_covariance(model)
    np.testing.assert_allclose(np.diagonal(covariance), 1, rtol=1e-12)
    # of variables of signal 3/4: 3/4 within a group, and 0.6 of that across
    expected = 0.75 * np.where(model.parents[:, None] == model.parents, 1, 0.6)
    np.testing.assert_allclose(np.abs(covariance[np.triu_indices(12, 1)]), expected[np.triu_indices(12, 1)], rtol=1e-12)


def test_factors_that_are_the_same_are_no_groups():
    with pytest.raises(ValueError, match=r"correlation must lie in \[0, 1\), got 1\.0"):
        correlated_groups(KEY, 12, 3, correlation=1.0)
