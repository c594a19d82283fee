"""Daily stock prices for the comparisons of T-CorEx: returns, periods of days, and portfolios of least variance."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments.corex.baselines import COVARIANCES, dense, gaussian_loss, linear_corex, second_moments
from infotheory_dl.corex import temporal

NOISE = 1e-2
"""Standard deviation of the noise that the published comparison adds to standardised returns."""


class Splits(NamedTuple):
    """The days of every period, for training, to choose settings by, and for the score."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def log_returns(prices: dict[str, np.ndarray]) -> np.ndarray:
    """Daily returns, (days, stocks), sorted by sector, without stocks whose price never changes."""
    returns = np.diff(np.log(prices["close"].astype(float)), axis=0)
    varying = np.flatnonzero(returns.std(0) > 0)
    return returns[:, varying[np.argsort(prices["sectors"][varying], kind="stable")]]


def standardised_periods(
    returns: np.ndarray, days: tuple[int, int, int], num_periods: int, rng: np.random.Generator
) -> Splits:
    """`shuffled_periods` of the series with mean zero and variance one, and a little noise, as published."""
    standardised = (returns - returns.mean(0)) / returns.std(0)
    splits = shuffled_periods(standardised, days, num_periods, rng)
    return Splits(*(part + NOISE * rng.normal(size=part.shape) for part in splits))


def shuffled_periods(
    series: np.ndarray, days: tuple[int, int, int], num_periods: int, rng: np.random.Generator
) -> Splits:
    """The last whole periods, the days of each in a random order.

    Args:
      series: (days, stocks).
      days: of a period, for training, validation and test.
      num_periods: how many.
      rng: source of randomness.

    Returns:
      Arrays (periods, days, stocks).
    """
    periods = series[: len(series) // sum(days) * sum(days)].reshape(-1, sum(days), series.shape[1])[-num_periods:]
    shuffled = np.stack([rng.permutation(period) for period in periods])
    return Splits(*np.split(shuffled, np.cumsum(days)[:2], axis=1))


def losses_of(splits: Splits) -> dict[str, float]:
    """The loss of every method but CorEx on the test days."""
    train, tested = splits.train, second_moments(splits.test)
    num_factors = train.shape[1] // 2
    losses = {
        name: gaussian_loss(np.stack([estimate(x, num_factors) for x in train]), tested)
        for name, estimate in COVARIANCES.items()
    }
    together = COVARIANCES["Ledoit-Wolf"](np.concatenate(train), num_factors)
    return losses | {"Ledoit-Wolf, all periods": gaussian_loss(together, tested)}


def corex_losses_of(
    splits: Splits, num_factors: int, *, seed: int, decay: Sequence[float], l1: Sequence[float]
) -> dict[str, dict[str, float]]:
    """The loss of linear CorEx and T-CorEx on the validation and the test days.

    Args:
      splits: the days.
      num_factors: of both.
      seed: of the fits.
      decay, l1: what is tried for T-CorEx; the validation days decide.

    Returns:
      For each method the two losses, and of T-CorEx what was chosen.
    """
    held_out = {"validation": second_moments(splits.validation), "test": second_moments(splits.test)}
    losses = lambda covariances: {name: gaussian_loss(covariances, moments) for name, moments in held_out.items()}
    train, validation = splits.train.astype(np.float32), splits.validation.astype(np.float32)
    together = linear_corex(np.concatenate(train), num_factors, seed)
    chosen = temporal.select(jax.random.key(seed), train, num_factors, validation, decay=decay, l1=l1)
    settings = {"factors": num_factors, "decay": float(chosen.decay), "l1": float(chosen.l1)}
    return {
        "linear CorEx, all periods": losses(together),
        "T-CorEx": losses(dense(temporal.covariances(chosen.model))) | settings,
    }


def outcomes_of(
    splits: Splits,
    ahead: np.ndarray,
    num_factors: int,
    num_portfolios: int,
    *,
    seed: int,
    decay: Sequence[float],
    l1: Sequence[float],
) -> dict[str, dict[str, float]]:
    """Realised deviation and return, mean over the portfolios of least variance, by each estimate of the last period.

    Args:
      splits: the past.
      ahead: (days, stocks), the days that the portfolios are for.
      num_factors: of T-CorEx.
      num_portfolios: of expected returns from zero to that of the best hundredth of the stocks.
      seed: of the fit.
      decay, l1: what is tried on the validation days.

    Returns:
      For each estimate the two numbers, in per cent a day.
    """
    # in per cent variances are about one
    train, validation = (100 * days.astype(np.float32) for days in (splits.train, splits.validation))
    chosen = temporal.select(jax.random.key(seed), train, num_factors, validation, decay=decay, l1=l1)
    estimates = {name: COVARIANCES[name](train[-1], num_factors) for name in ("diagonal", "Ledoit-Wolf", "OAS")}
    estimates["Ledoit-Wolf, all periods"] = COVARIANCES["Ledoit-Wolf"](np.concatenate(train), num_factors)
    estimates["T-CorEx"] = dense(temporal.forecast(chosen.model))
    mean = np.asarray(chosen.model.mean[-1], float)
    asked = np.linspace(0, np.percentile(mean, 99), num_portfolios)
    outcomes = {}
    for name, covariance in estimates.items():
        realised = 100 * ahead @ frontier(mean, np.asarray(covariance, float), asked).T
        outcomes[name] = {"deviation": float(realised.std(0).mean()), "return": float(realised.mean())}
    return outcomes


def frontier(mean: np.ndarray, covariance: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """The portfolios of least variance without debts, one for each return that is asked for.

    Args:
      mean: expected returns of the stocks.
      covariance: of the returns.
      returns: least expected returns of the portfolios.

    Returns:
      Shares, (portfolios, stocks).

    Raises:
      SystemExit: if cvxpy, which solves the quadratic programs, is not installed.
    """
    try:
        import cvxpy as cp
    except ImportError:
        raise SystemExit("the portfolios need cvxpy: pip install cvxpy, or choose other --parts") from None

    shares, least = cp.Variable(len(mean), nonneg=True), cp.Parameter()
    root = np.linalg.cholesky(covariance).T
    problem = cp.Problem(cp.Minimize(cp.sum_squares(root @ shares)), [cp.sum(shares) == 1, mean @ shares >= least])
    portfolios = []
    for value in returns:
        least.value = value
        problem.solve(solver=cp.CLARABEL)
        portfolios.append(np.asarray(shares.value))
    return np.stack(portfolios)
