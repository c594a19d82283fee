"""Values that stand out are told by the tail of the others."""

import numpy as np
import pytest

from infotheory_dl.metrics import outliers

TAILS = {
    "normal": lambda random, size: random.normal(size=size),
    "uniform": lambda random, size: random.uniform(size=size),
    "exponential": lambda random, size: random.exponential(size=size),
    "on both sides": lambda random, size: random.laplace(size=size),
}


@pytest.mark.parametrize("size", [50, 1000])
@pytest.mark.parametrize("tail", ["both", "upper"])
@pytest.mark.parametrize("kind", TAILS)
def test_where_none_stands_out_hardly_one_is_called_so(kind, tail, size):
    random = np.random.default_rng(0)
    alarms = [outliers(TAILS[kind](random, size), tail=tail).is_outlier.any() for _ in range(200)]
    # 5 % in the mean of draws without end; twice that has a probability of less than 1 %
    assert np.mean(alarms) <= 0.1


@pytest.mark.parametrize("kind", TAILS)
def test_planted_ones_are_found_and_few_others(kind):
    random = np.random.default_rng(1)
    values = TAILS[kind](random, 1000)
    values[:40] = np.median(values) + np.where(np.arange(40) % 2, 1, -1) * np.std(values) * random.uniform(12, 20, 40)
    result = outliers(values)
    assert result.is_outlier[:40].all()
    assert result.is_outlier.sum() <= 44
    assert result.low >= values[result.is_outlier & (values < result.centre)].max()
    np.testing.assert_array_equal(result.is_outlier, (values <= result.low) | (values >= result.high))


def test_the_p_values_of_many_exponential_values_are_their_survival():
    values = np.concatenate([[0.0], np.random.default_rng(2).exponential(size=200_000)])
    result = outliers(np.concatenate([values, -values]))
    beyond = np.abs(np.concatenate([values, -values])) > 2
    survival = np.exp(-np.abs(np.concatenate([values, -values])[beyond]))
    assert np.abs(np.log(result.p_values[beyond] / survival)).max() < 0.1 * np.abs(np.log(survival)).max()


def test_units_and_signs_are_of_no_account():
    values = np.append(np.random.default_rng(3).normal(size=100), 30.0)
    expected = outliers(values)
    mirrored = outliers(5 - 1e4 * values)
    np.testing.assert_allclose(mirrored.p_values, expected.p_values, rtol=1e-9)
    assert (expected.high, expected.low) == (30.0, -np.inf)
    assert mirrored.low == 5 - 3e5
    assert not outliers(-values, tail="upper").is_outlier.any()


def test_values_that_are_mostly_the_same_have_no_scale():
    assert not outliers(np.append(np.zeros(50), 100.0)).is_outlier.any()
    assert not outliers(np.zeros(50)).is_outlier.any()


def test_wrong_calls_are_told(as_a_user_sees):
    with pytest.raises(ValueError, match="at least 20, as the scale of fewer cannot be told, got 3"):
        outliers([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="unknown tail 'lower'"):
        outliers(np.arange(30.0), tail="lower")
    with pytest.raises(ValueError, match="values"):
        outliers([np.nan] * 30)
