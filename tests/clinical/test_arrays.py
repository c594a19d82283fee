"""Stays as arrays: on a grid of time, normalised, and as features of linear models."""

import jax
import numpy as np
import pytest
from scipy import stats

from benchmarks.clinical import plain
from infotheory_dl import clinical
from infotheory_dl.clinical import CHANNELS, layout
from tests.conftest import reference

IMPUTATIONS = ("previous", "normal_value", "next", "zero")
PERIODS = ("all", "first4days", "first8days", "last12hours", "first25percent", "first50percent")


def some_series(num_stays=3, seed=0):
    """Stays of all channels at random times, up to 20 hours."""
    random = np.random.default_rng(seed)
    tables = []
    for _ in range(num_stays):
        hours = np.sort(random.uniform(0, 20, 30))
        texts = np.full((30, 17), "", object)
        for row in range(30):
            for channel in random.choice(17, 3, replace=False):
                categories = list(CHANNELS[channel].categories)
                texts[row, channel] = random.choice(categories) if categories else str(round(random.normal(50, 9), 2))
        tables.append((hours, texts))
    return tables, clinical.as_series(tables)


@pytest.mark.parametrize("imputation", IMPUTATIONS)
def test_the_grid_is_that_of_a_loop_over_bins(imputation):
    _, series = some_series()
    found = clinical.discretize(series, end=[18.0, 12.5, 7.0], timestep=1.0, imputation=imputation)
    np.testing.assert_array_equal(found.lengths, [18, 13, 7])
    for place, end in enumerate((18.0, 12.5, 7.0)):
        mine = slice(*series.offsets[place : place + 2])
        cells = series.hours[mine], series.channel[mine], series.value[mine]
        expected = np.array(plain.grid(*cells, end, 1.0, imputation))
        np.testing.assert_allclose(found.values[place, : len(expected)], expected, rtol=1e-15)
        np.testing.assert_array_equal(found.values[place, len(expected) :], 0)


def test_a_prefix_of_a_stay_is_the_beginning_of_its_grid():
    _, series = some_series()
    whole = clinical.discretize(series, end=18.0)
    prefix = clinical.discretize(series, end=7.0, num_bins=18)
    np.testing.assert_array_equal(prefix.values[:, :7], whole.values[:, :7])


@pytest.mark.parametrize("timestep", [1.0, 0.8])
@pytest.mark.parametrize("imputation", IMPUTATIONS)
def test_the_demo_has_the_published_grids(timestep, imputation):
    case = reference("clinical_discretized")
    names = case["names"].tolist()
    series = clinical.as_series([(case[f"{name}/raw_hours"], case[f"{name}/raw_values"]) for name in names])
    found = clinical.discretize(series, end=48.0, timestep=timestep, imputation=imputation)
    expected = np.stack([case[f"{name}/ts{timestep}/{imputation}/zero"] for name in names])
    np.testing.assert_allclose(found.values, expected, atol=1e-6, rtol=2e-7)
    shares = np.stack([case[f"{name}/ts{timestep}/stats"] for name in names])
    np.testing.assert_allclose(np.stack([found.empty, found.overwritten], 1), shares, atol=1e-6)
    assert list(layout().columns) == case["header_76"].tolist()


def test_the_demo_has_the_published_normalised_grids(shared_data):
    case = reference("clinical_discretized")
    names = case["names"].tolist()
    series = clinical.as_series([(case[f"{name}/raw_hours"], case[f"{name}/raw_values"]) for name in names])
    relative = clinical.discretize(series, end=48.0, start="relative")
    for place, name in enumerate(names):
        expected = case[f"{name}/ts1.0/previous/relative"]
        assert relative.lengths[place] == len(expected)
        np.testing.assert_allclose(relative.values[place, : len(expected)], expected, atol=1e-6)
    grid = clinical.discretize(series, end=48.0)
    fitted = clinical.fit_normalizer(grid)
    np.testing.assert_allclose(fitted.mean, case["fit_normalizer/mean"], rtol=1e-9, atol=1e-12)
    # theirs is the root of a rounding error, sometimes negative, where a column is constant
    theirs = np.nan_to_num(case["fit_normalizer/std"], nan=1e-7)
    np.testing.assert_allclose(fitted.std, theirs, rtol=1e-9, atol=1e-12)
    published = clinical.read_normalizer(shared_data / "clinical" / "normalizers.npz", "ihm_ts1.0")
    for moments, ours in zip(published, clinical.published_normalizer("mortality"), strict=True):
        np.testing.assert_array_equal(ours, moments)
    expected = np.stack([case[f"{name}/ts1.0/previous/zero/normalized"] for name in names])
    np.testing.assert_allclose(clinical.normalize(published, grid).values, expected, atol=1e-6, rtol=1e-6)


def test_normalised_columns_of_numbers_have_unit_variance_and_the_tail_is_zero(tmp_path):
    _, series = some_series()
    grid = clinical.discretize(series, end=[18.0, 12.5, 7.0])
    clinical.write_normalizer(clinical.fit_normalizer(grid), tmp_path / "moments.npz")
    found = clinical.normalize(clinical.read_normalizer(tmp_path / "moments.npz"), grid)
    rows = np.concatenate([found.values[place, :length] for place, length in enumerate(found.lengths)])
    numeric = layout().numeric
    np.testing.assert_allclose(rows[:, numeric].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(rows[:, numeric].std(0, ddof=1), 1)
    others = np.setdiff1d(np.arange(76), numeric)
    np.testing.assert_array_equal(found.values[..., others], grid.values[..., others])
    assert not found.values[2, 7:].any()


def test_single_precision_decides_bins_as_double_does():
    hours = np.array([0.0, 1.0, 1.0 + 2e-6, 3.0])
    texts = np.full((4, 17), "", object)
    texts[:, 8] = ["1", "2", "3", "4"]
    with jax.enable_x64(False):
        found = clinical.discretize(clinical.as_series([(hours, texts)]), imputation="zero")
        assert found.values.dtype == np.float32
        np.testing.assert_array_equal(found.values[0, :, layout().first[8]], [2, 3, 4])


def test_outliers_are_left_out_and_what_is_nearly_one_is_moved():
    texts = np.full((4, 17), "", object)
    texts[:, 14] = ["36.5", "10", "20", "46"]  # degrees: 14.2 to 47 are no outliers, 26 to 45 are not moved
    texts[:, 5] = ["15", "3", "14", "9"]
    series = clinical.as_series([(np.arange(4.0), texts), (np.arange(4.0), texts)])
    found = clinical.within_limits(series)
    np.testing.assert_array_equal(found.offsets, [0, 7, 14])
    is_temperature = found.channel == 14
    np.testing.assert_array_equal(found.value[is_temperature], [36.5, 26, 45] * 2)
    np.testing.assert_array_equal(found.hours[is_temperature], [0, 2, 3] * 2)
    np.testing.assert_array_equal(found.value[~is_temperature], series.value[series.channel == 5])


def brute_force(times, values, low, high):
    kept = values[(times > low - 1e-6) & (times < high + 1e-6)]
    if not len(kept):
        return [np.nan] * 6
    skew = 0.0 if np.ptp(kept) == 0 else stats.skew(kept)
    return [kept.min(), kept.max(), kept.mean(), kept.std(), skew, len(kept)]


@pytest.mark.parametrize("seen", [np.inf, 9.0])
def test_features_are_the_statistics_of_each_window(seen):
    tables, series = some_series()
    found = clinical.features(series, end=np.full(3, seen)).reshape(3, 17, 7, 6)
    windows = [(0, 1), (0, 0.1), (0, 0.25), (0, 0.5), (0.9, 1), (0.75, 1), (0.5, 1)]
    for stay, (hours, texts) in enumerate(tables):
        for channel, known in enumerate(CHANNELS):
            rows = [row for row in range(len(hours)) if texts[row, channel] and hours[row] <= seen + 1e-6]
            times = hours[rows]
            numbers = [known.categories[t] if known.categories else float(t) for t in texts[rows, channel]]
            for place, (first, last) in enumerate(windows):
                expected = [np.nan] * 6
                if len(rows):
                    start, length = times[0], times[-1] - times[0]
                    expected = brute_force(times, np.array(numbers), start + first * length, start + last * length)
                np.testing.assert_allclose(found[stay, channel, place], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("period", PERIODS)
def test_the_demo_has_the_published_features(period):
    case = reference("clinical_lrfeatures")
    names = sorted({key.split("/")[0] for key in case if "/" in key})
    series = clinical.as_series([(case[f"{name}/raw_hours"], case[f"{name}/raw_values"]) for name in names])
    for statistics in ("all", "len", "all_but_len"):
        present = [place for place, name in enumerate(names) if f"{name}/{period}/{statistics}" in case]
        if not present:
            continue
        found = clinical.features(series, stay=present, period=period, statistics=statistics)
        expected = np.stack([case[f"{names[place]}/{period}/{statistics}"] for place in present])
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        is_skew = np.arange(found.shape[1]) % 6 == 4 if statistics == "all" else np.zeros(found.shape[1], bool)
        np.testing.assert_allclose(found[:, ~is_skew], expected[:, ~is_skew], rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(found[:, is_skew], expected[:, is_skew], atol=1e-4)


_, SERIES = some_series(1)
BAD = [
    (lambda: clinical.discretize(SERIES, timestep=0.0), "timestep must be positive"),
    (lambda: clinical.discretize(SERIES, end=-1.0), "end must be finite and not negative"),
    (lambda: clinical.discretize(SERIES, end=np.inf), "end must be finite and not negative"),
    (
        lambda: clinical.discretize(SERIES._replace(hours=SERIES.hours - 100)),
        r"stay 0 has a measurement at -\d.* h, before its grid begins: leave it out",
    ),
    (lambda: clinical.discretize(SERIES, end=[1.0, 2.0]), r"end must have the shape \(1,\), one for each stay"),
    (lambda: clinical.discretize(SERIES, imputation="mean"), "unknown imputation 'mean'; choose one of 'previous'"),
    (lambda: clinical.discretize(SERIES, num_bins=5), r"the longest stay has \d+ bins, more than num_bins=5"),
    (lambda: clinical.features(SERIES, period="night"), "unknown period 'night'; choose one of 'all', 'first4days'"),
    (lambda: clinical.features(SERIES, stay=[1]), "stay"),
    (lambda: clinical.features(SERIES, end=[1.0, 2.0]), r"end must have the shape \(1,\), one for each sample"),
]


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(("call", "words"), BAD)
def test_wrong_settings_are_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_published_moments_are_of_the_columns_and_named_by_their_bins():
    found = clinical.published_normalizer("phenotyping", timestep=0.8)
    assert found.mean.shape == found.std.shape == (76,)
    assert 80 < found.mean[layout().columns.index("Heart Rate")] < 90
    with pytest.raises(ValueError, match=r"of multitask the moments of bins of 1.0 h were published, not of 2 h: fit"):
        clinical.published_normalizer("multitask", timestep=2.0)


def test_files_without_moments_are_told(tmp_path):
    np.savez(tmp_path / "other.npz", average=np.zeros(76))
    with pytest.raises(ValueError, match="has no mean and no std; it has average; expected arrays `mean` and `std`"):
        clinical.read_normalizer(tmp_path / "other.npz")
