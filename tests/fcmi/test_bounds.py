"""Bounds from arrays: properties that every set of runs has, options, and errors by their words."""

import warnings
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl.fcmi import draw_selection
from infotheory_dl.fcmi.bounds import (
    binary_kl,
    ecmi,
    evaluate_all,
    fast_rate,
    fcmi,
    generalization_gap,
    interpolating,
    ldcmi,
    linear,
    predicted_labels,
    sharpness,
    single_loss,
    variance,
    zero_one_losses,
)
from infotheory_dl.information.neighbours import mixed_mutual_information


def random_runs(seed, supersamples=2, runs=8, rows=4, num_classes=3):
    rng = np.random.default_rng(seed)
    predictions = rng.integers(0, num_classes, (supersamples, runs, 2 * rows))
    selection = np.asarray(draw_selection(jax.random.key(seed), runs, rows, design="antithetic"))
    return predictions, selection, rng.integers(0, num_classes, (supersamples, 2 * rows))


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_information_shrinks_along_the_chain_of_codings(seed):
    predictions, selection, labels = random_runs(seed)
    chain = evaluate_all(selection, predictions=predictions, labels=labels, num_classes=3)
    information = [np.log(2)] + [chain[name].per_example for name in ("fcmi", "ecmi", "ldcmi")]
    for more, less in pairwise(information):
        assert (np.asarray(less) <= np.asarray(more) + 1e-12).all()
    for column in (0, 1):
        assert (chain[f"single_loss_{column}"].per_example <= chain["ecmi"].per_example + 1e-12).all()


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_bounds_do_not_depend_on_names_and_order(seed):
    predictions, selection, labels = random_runs(seed)
    rng = np.random.default_rng(seed)
    expected = evaluate_all(selection, predictions=predictions, labels=labels, num_classes=3)

    rows, names = rng.permutation(4), rng.permutation(3)
    entries = (2 * rows[:, None] + [0, 1]).ravel()
    renamed = evaluate_all(
        selection[:, rows],
        predictions=names[predictions][..., entries],
        labels=names[labels][:, entries],
        num_classes=3,
    )
    swapped_entries = np.arange(8) ^ 1
    swapped = evaluate_all(
        1 - selection, predictions=predictions[..., swapped_entries], labels=labels[:, swapped_entries], num_classes=3
    )
    other_column = {"single_loss_0": "single_loss_1", "single_loss_1": "single_loss_0"}
    for name, bound in expected.items():
        np.testing.assert_allclose(renamed[name].value, bound.value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(swapped[other_column.get(name, name)].value, bound.value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", ["plugin", "known_marginal"])
def test_a_constant_predictor_is_bounded_by_zero_and_a_memoriser_by_its_maximum(estimator):
    _, selection, labels = random_runs(0, supersamples=1, num_classes=2)
    trained = (selection[..., None] == np.arange(2)).reshape(8, -1)
    # right if and only if it was trained on
    memoriser = np.where(trained, labels[0], 1 - labels[0])
    constant = fcmi(np.zeros_like(memoriser), selection, num_classes=2, estimator=estimator)
    assert constant.value == 0
    bound = fcmi(memoriser, selection, num_classes=2, estimator=estimator)
    np.testing.assert_allclose(bound.per_example, np.log(2), rtol=1e-14)
    np.testing.assert_allclose(bound.value, np.sqrt(2 * np.log(2)), rtol=1e-14)
    assert (bound.certificate, bound.kind, bound.estimator) == (True, "gap", estimator)
    losses = zero_one_losses(memoriser, labels[0])
    assert generalization_gap(losses, selection).value == 1
    np.testing.assert_allclose(interpolating(losses, selection).value, 1, rtol=1e-14)
    np.testing.assert_allclose(binary_kl(losses, selection).value, 1, rtol=1e-12)


def test_supersamples_are_averaged_and_their_spread_is_that_of_a_population():
    predictions, selection, labels = random_runs(1, supersamples=2)
    together = evaluate_all(selection, predictions=predictions, labels=labels, num_classes=3)
    alone = [
        evaluate_all(selection, predictions=p, labels=y, num_classes=3)
        for p, y in zip(predictions, labels, strict=True)
    ]
    for name, bound in together.items():
        if name == "ldmi":
            continue
        values = [float(one[name].value) for one in alone]
        np.testing.assert_allclose(bound.per_supersample, values, rtol=1e-12)
        np.testing.assert_allclose([bound.value, bound.spread], [np.mean(values), np.std(values)], rtol=1e-9)
        np.testing.assert_allclose(bound.per_example[1], alone[1][name].per_example, rtol=1e-12)
    own_selection = np.stack([selection, selection])
    same = fcmi(predictions, own_selection, num_classes=3)
    np.testing.assert_array_equal(same.per_supersample, together["fcmi"].per_supersample)


def test_pooled_information_is_that_of_all_runs_as_one():
    predictions, selection, labels = random_runs(2)
    losses = zero_one_losses(predictions, labels)
    pooled = ldcmi(losses, selection, pooled=True)
    one = ldcmi(losses.reshape(-1, 8), np.tile(selection, (2, 1)))
    np.testing.assert_allclose(pooled.per_example, one.per_example, rtol=1e-13)
    assert pooled.value <= ldcmi(losses, selection).value + 1e-12


def test_excluded_runs_do_not_matter_whatever_they_hold():
    predictions, selection, labels = random_runs(3)
    losses = np.array(zero_one_losses(predictions, labels))
    expected = evaluate_all(selection[:6], predictions=predictions[:, :6], losses=losses[:, :6], num_classes=3)
    predictions[:, 6:], losses[:, 6:] = -1, np.nan
    valid = np.arange(8) < 6
    bounds_of_rest = evaluate_all(selection, predictions=predictions, losses=losses, num_classes=3, valid=valid)
    for name, bound in expected.items():
        np.testing.assert_allclose(bounds_of_rest[name].value, bound.value, rtol=1e-12)
        assert bounds_of_rest[name].excluded == 4
    gap = generalization_gap(losses, selection, valid=np.stack([valid, valid]))
    np.testing.assert_allclose(gap.value, generalization_gap(losses[:, :6], selection[:6]).value, rtol=1e-12)


def test_an_interval_surrounds_its_value_and_needs_a_key():
    predictions, selection, _ = random_runs(14)
    bound = fcmi(predictions, selection, num_classes=3, key=jax.random.key(0), num_resamples=50)
    low, high = np.asarray(bound.interval)
    assert 0 <= low < bound.value < high
    assert fcmi(predictions, selection, num_classes=3).interval is None
    # a memoriser that is resampled stays one, up to the balance of the selection
    memoriser = np.repeat(selection, 2, axis=1)
    low, high = fcmi(memoriser, selection, num_classes=3, key=jax.random.key(0), num_resamples=50).interval
    assert high - low < 0.5


def test_bias_corrections_are_estimates_below_the_plug_in():
    predictions, selection, _ = random_runs(4, runs=20)
    plugin = fcmi(predictions, selection, num_classes=3)
    for estimator in ("miller_madow", "jackknife"):
        corrected = fcmi(predictions, selection, num_classes=3, estimator=estimator)
        assert corrected.value < plugin.value
        assert not corrected.certificate


def test_real_losses_are_coded_in_bins_or_by_neighbours():
    rng = np.random.default_rng(5)
    selection = np.asarray(draw_selection(jax.random.key(5), 40, 3, design="antithetic"))
    trained = (selection[..., None] == np.arange(2)).reshape(40, -1)
    losses = 0.2 + 0.3 * ~trained + 0.1 * rng.random((40, 6))
    binned = ecmi(losses, selection, bins=4)
    # [0.2, 0.3] and [0.5, 0.6] are told apart by four bins
    np.testing.assert_allclose(binned.per_example, np.log(2), rtol=1e-12)
    assert not binned.certificate
    neighbours = single_loss(losses, selection, column=1, estimator="neighbours")
    expected = [max(mixed_mutual_information(losses[:, [2 * i + 1]], selection[:, i]), 0) for i in range(3)]
    np.testing.assert_allclose(neighbours.per_example, expected, rtol=1e-12)
    np.testing.assert_allclose(neighbours.value, 2 * np.sqrt(2 * np.array(expected)).mean(), rtol=1e-12)


def test_bounds_scale_with_the_range_of_the_losses():
    predictions, selection, labels = random_runs(6)
    losses = np.asarray(zero_one_losses(predictions, labels))
    scaled = evaluate_all(selection, losses=2 + 3 * losses, loss_range=(2.0, 5.0))
    for name, bound in evaluate_all(selection, losses=losses).items():
        shift = 2 if bound.kind == "population" else 0
        np.testing.assert_allclose(scaled[name].value, shift + 3 * bound.value, rtol=1e-9)


def test_interpolation_bounds_are_there_only_without_training_loss():
    _, selection, _ = random_runs(7)
    trained = (selection[..., None] == np.arange(2)).reshape(8, -1)
    assert "interpolating" in evaluate_all(selection, losses=1.0 - trained)
    assert "interpolating" not in evaluate_all(selection, losses=1.0 * trained)


def test_gamma_of_moment_bounds_is_best_at_its_limit():
    predictions, selection, labels = random_runs(8)
    losses = zero_one_losses(predictions, labels)
    for bound in (variance, sharpness):
        assert bound(losses, selection, gamma=0.5).value >= bound(losses, selection).value
        np.testing.assert_allclose(bound(losses, selection).value, fast_rate(losses, selection).value, rtol=1e-12)


def test_bounds_trace_and_map_and_follow_single_precision():
    predictions, selection, labels = random_runs(9)
    expected = fcmi(predictions, selection, num_classes=3)
    traced = jax.jit(lambda p, s: fcmi(p, s, num_classes=3))(predictions, selection)
    np.testing.assert_allclose(traced.value, expected.value, rtol=1e-14)
    mapped = jax.vmap(lambda p: fcmi(p, selection, num_classes=3).value)(predictions)
    np.testing.assert_allclose(mapped, expected.per_supersample, rtol=1e-14)
    single = binary_kl(zero_one_losses(predictions, labels).astype(jnp.float32), selection)
    assert single.value.dtype == jnp.result_type(float)


def test_rows_that_never_vary_warn_and_are_counted():
    predictions, selection, _ = random_runs(10)
    selection = selection.copy()
    selection[:, 1] = 0
    with pytest.warns(UserWarning, match="the selection of 2 of 8 rows never varies over the runs: they tell nothing"):
        bound = fcmi(predictions, selection, num_classes=3)
    assert bound.degenerate_rows == 2
    assert not bound.certificate
    with pytest.warns(UserWarning, match="never varies"):
        known = fcmi(predictions, selection, num_classes=3, estimator="known_marginal")
    rest = np.delete(np.asarray(known.per_example), 1, axis=1)
    np.testing.assert_allclose(known.per_supersample, np.sqrt(2 * rest).mean(1), rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fcmi(predictions, random_runs(10)[1], num_classes=3)


def test_too_few_neighbours_warn():
    rng = np.random.default_rng(11)
    selection = np.array([[0, 0], [0, 1], [0, 0], [0, 1], [0, 0], [0, 1], [1, 0], [1, 1]])
    with pytest.warns(UserWarning, match="the information of 1 of 2 rows is NaN, and these rows are left out"):
        bound = ecmi(rng.random((8, 4)), selection, estimator="neighbours")
    assert np.isnan(bound.per_example).tolist() == [True, False]
    assert np.isfinite(bound.value)


def test_bad_runs_are_named(as_a_user_sees):
    predictions, selection, labels = random_runs(12)
    losses = np.array(zero_one_losses(predictions, labels))
    with pytest.raises(ValueError, match="needs at least 2 runs on every supersample, got 1"):
        fcmi(predictions[:, :1], selection[:1], num_classes=3)
    with pytest.raises(ValueError, match="needs at least 2 runs on every supersample, got 1"):
        fcmi(predictions, selection, num_classes=3, valid=np.arange(16).reshape(2, 8) < 9)
    with pytest.raises(ValueError, match=r"selection must lie in \[0, 2\), got 2 at index \(0, 0, 0\)"):
        fcmi(predictions, selection * 0 + 2, num_classes=3)
    with pytest.raises(ValueError, match="2n = 8 entries on the last axis, for a selection of n = 4 rows, got 7"):
        fcmi(predictions[..., :7], selection, num_classes=3)
    with pytest.raises(ValueError, match=r"predictions must lie in \[0, 2\), got 2 at index \("):
        fcmi(predictions, selection, num_classes=2)
    with pytest.raises(ValueError, match=r"num_classes must lie in \[2, 46340\], got 1"):
        fcmi(predictions, selection, num_classes=1)
    with pytest.raises(ValueError, match=r"agree on \(\[supersamples,\] runs\), got \(2, 8\) and \(5,\)"):
        fcmi(predictions, selection[:5], num_classes=3)
    with pytest.raises(ValueError, match=r"agree on \(\[supersamples,\] runs\), got \(2, 8\) and \(3, 8\)"):
        ecmi(losses, np.stack([selection] * 3))
    with pytest.raises(ValueError, match="unknown estimator 'best'; choose one of 'plugin', 'known_marginal'"):
        fcmi(predictions, selection, num_classes=3, estimator="best")
    with pytest.raises(ValueError, match=r"unknown estimator 'best'; choose one of .*, 'neighbours'"):
        ecmi(losses, selection, estimator="best")
    with pytest.raises(ValueError, match=r"predictions must hold whole numbers, got 0\.5 at .*: .* take np\.argmax"):
        fcmi(np.full_like(losses, 0.5), selection, num_classes=3)
    with pytest.raises(ValueError, match=r"valid must be of shape \(2, 8\), one entry for each run, got \(3,\)"):
        fcmi(predictions, selection, num_classes=3, valid=np.ones(3, bool))


def test_bad_losses_are_named(as_a_user_sees):
    predictions, selection, labels = random_runs(13)
    losses = np.array(zero_one_losses(predictions, labels))
    diverged, large = losses.copy(), losses.copy()
    diverged[1, 3, 5], large[0, 2, 1] = np.nan, 1.5
    with pytest.raises(ValueError, match=r"got nan at index \(1, 3, 5\): leave diverged runs out by `valid`"):
        ecmi(diverged, selection)
    with pytest.raises(
        ValueError, match=r"losses must lie in \[0, 1\], got 1\.5 at index \(0, 2, 1\): clip them, or give"
    ):
        linear(large, selection)
    with pytest.raises(ValueError, match="128 of 128 lie between: give bins=, or estimator='neighbours'"):
        ldcmi(losses / 2 + 0.1, selection)
    with pytest.raises(ValueError, match=r"loss_range must be \(low, high\) with low < high, got \(1, 0\)"):
        ecmi(losses, selection, loss_range=(1, 0))
    with pytest.raises(ValueError, match="bins must be at least 2, got 1"):
        ecmi(losses, selection, bins=1)
    with pytest.raises(ValueError, match="interpolation bounds by loss differences need losses of 0 or 1"):
        interpolating(losses, selection, coding="loss_difference", bins=3)
    with pytest.raises(ValueError, match="column must be 0 or 1, got 2"):
        single_loss(losses, selection, column=2)
    with pytest.raises(ValueError, match=r"gamma must lie in \(0, 1\], got 1\.5"):
        variance(losses, selection, gamma=1.5)
    with pytest.raises(ValueError, match="a bound needs predictions or losses, got neither"):
        evaluate_all(selection)
    with pytest.raises(ValueError, match="give predictions beside them, and no losses"):
        evaluate_all(selection, losses=losses, labels=labels)
    with pytest.raises(ValueError, match=r"one entry for each of the 8 predictions of a run, got shape \(7,\)"):
        evaluate_all(selection, predictions=predictions, labels=labels[0, :7], num_classes=3)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\), got 9 at index \(0, 0\)"):
        evaluate_all(selection, predictions=predictions, labels=0 * labels + 9, num_classes=3)
    with pytest.raises(ValueError, match=r"logits must be numbers, got nan at index \(1, 4, 0\): leave diverged runs"):
        predicted_labels(np.where(np.arange(18).reshape(2, 9)[..., None] == 13, np.nan, np.zeros((2, 9, 3))))
    with pytest.raises(TypeError, match="unexpected keyword argument 'bin'"):
        ecmi(losses, selection, bin=3)
