"""Gaussian variables that depend on each other through few latent factors, for a while or for good."""

from typing import NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, require_count, require_within
from infotheory_dl.results import concise
from infotheory_dl.types import Key, Scalar

Range: TypeAlias = tuple[float, float]


@concise
class LatentFactors(NamedTuple):
    """The model x = loadingsᵀ z + noise, with independent standard normal factors z. A leading axis is one of periods.

    Attributes:
      loadings: of the variables on the factors.
      noise_variances: of the variables given the factors.
      parents: the factor that each variable depends on most.
    """

    loadings: Float[np.ndarray, "*periods factors variables"]
    noise_variances: Float[np.ndarray, "*periods variables"]
    parents: Int[np.ndarray, "*periods variables"]


class _Modules(NamedTuple):
    """Each variable by its standard deviation, its correlation with its parent, and that parent."""

    std: np.ndarray
    correlations: np.ndarray
    parents: np.ndarray


@edge
def modular_factors(
    key: Key,
    num_variables: int,
    num_factors: int,
    *,
    signal_to_noise: float | Range = (0.0, 5.0),
    std: float | Range = (0.25, 4.0),
    shuffled: bool = False,
) -> LatentFactors:
    """Draws a modular model: each variable depends on one factor, with either sign.

    Args:
      key: source of randomness.
      num_variables: number of variables.
      num_factors: number of factors.
      signal_to_noise: variance that a variable has from its factor over that of its noise; uniform in a range.
      std: standard deviation of a variable; uniform in a range.
      shuffled: whether every variable draws its factor, instead of the factors having consecutive blocks of variables
        that are equal, to within one variable.

    Returns:
      The model.

    Raises:
      ValueError: if there are fewer variables than factors, no factors, or a range that descends or is negative.

    Source: Steeg et al., 2019 (section 5), and its published code.
    """
    return _assemble(_draw_modules(key, num_variables, num_factors, signal_to_noise, std, shuffled), num_factors)


@edge
def approximately_modular_factors(
    key: Key,
    num_variables: int,
    num_factors: int,
    *,
    signal_to_noise: float = 5.0,
    extra_parents: float = 0.1,
    related_factors: int = 0,
) -> LatentFactors:
    """Draws a model that is nearly modular: some variables have more parents than one, and factors may be correlated.

    Variables have variance one if the factors are independent. Of what a variable has from its parents, the one of its
    block has twice the share of any other.

    Args:
      key: source of randomness.
      num_variables: number of variables.
      num_factors: number of factors.
      signal_to_noise: as in `modular_factors`, of every variable.
      extra_parents: extra pairs of a variable and a parent, over the number of variables.
      related_factors: others that each factor is mixed with, its own part of the variance being 2 / (2 + others).

    Returns:
      The model, written with independent factors.

    Raises:
      ValueError: as `modular_factors`; or if there are not as many pairs or other factors.

    Source: the published code of Steeg et al., 2019.
    """
    require_count(1, num_factors=num_factors)
    require_count(num_factors, None, "the number of factors", num_variables=num_variables)
    _require_range("signal_to_noise", signal_to_noise)
    num_extra, num_others = int(extra_parents * num_variables), num_factors - 1
    if not 0 <= num_extra <= num_variables * num_others:
        raise ValueError(
            f"extra_parents must leave at most {num_others} for each variable and none negative, got {extra_parents}"
        )
    require_count(0, num_others, related_factors=related_factors)
    key_parents, key_related = jax.random.split(key)
    parents = _blocks(num_variables, num_factors)
    variables = np.arange(num_variables)

    # shares of what a variable has from its parents: two for the main one, one for each other
    shares = np.zeros((num_factors, num_variables))
    shares[parents, variables] = 2
    pairs = np.asarray(jax.random.permutation(key_parents, num_variables * num_others))[:num_extra]
    child, offset = pairs // max(num_others, 1), 1 + pairs % max(num_others, 1)
    shares[(parents[child] + offset) % num_factors, child] = 1
    explained = signal_to_noise / (1 + signal_to_noise)
    loadings = np.sqrt(explained * shares / shares.sum(0))

    # row i mixes factor i of itself and of others
    mixing = 2 * np.eye(num_factors)
    for factor, key_factor in enumerate(jax.random.split(key_related, num_factors)):
        others = np.asarray(jax.random.permutation(key_factor, num_others))[:related_factors]
        mixing[factor, (factor + 1 + others) % num_factors] = 1
    mixing = np.sqrt(mixing / (2 + related_factors))
    noise_variances = np.full(num_variables, 1 - explained)
    return _as_default(LatentFactors(mixing.T @ loadings, noise_variances, parents))


@edge
def correlated_groups(
    key: Key,
    num_variables: int,
    num_factors: int,
    *,
    correlation: Scalar = 0.8,
    signal_to_noise: float | Range = 5.0,
    std: float | Range = 1.0,
) -> LatentFactors:
    """Draws a modular model whose factors are correlated: what drives one group of variables drives the others too.

    Any two factors have the same correlation. The groups are consecutive blocks of variables, of either sign.

    Args:
      key: source of randomness.
      num_variables, num_factors, signal_to_noise, std: as in `modular_factors`.
      correlation: of any two factors, in [0, 1).

    Returns:
      The model, written with independent factors; `parents` tell the groups.

    Raises:
      ValueError: as `modular_factors`, or if the correlation is out of its range.

    Source: ours.
    """
    require_within("[0, 1)", correlation=correlation)
    model = modular_factors(key, num_variables, num_factors, signal_to_noise=signal_to_noise, std=std)
    among = correlation + (1 - correlation) * np.eye(num_factors)
    return _as_default(model._replace(loadings=np.linalg.cholesky(among).T @ model.loadings))


@edge
def suddenly_changing_factors(
    key: Key,
    num_periods: int,
    num_variables: int,
    num_factors: int,
    *,
    num_segments: int = 2,
    signal_to_noise: float | Range = (0.0, 5.0),
    std: float | Range = (0.25, 4.0),
) -> LatentFactors:
    """Draws a modular model for each of some segments of time, whose periods share it.

    Args:
      key: source of randomness.
      num_periods: number of periods.
      num_variables, num_factors, signal_to_noise, std: as in `modular_factors`; the blocks stay.
      num_segments: segments of equally many periods, to within one.

    Returns:
      The models of all periods.

    Raises:
      ValueError: as `modular_factors`, or if there are fewer periods than segments, or no segments.

    Source: Harutyunyan et al., 2019.
    """
    segments = _segments(num_periods, num_segments, shortest=1)
    models = [
        modular_factors(key_segment, num_variables, num_factors, signal_to_noise=signal_to_noise, std=std)
        for key_segment in jax.random.split(key, num_segments)
    ]
    return _stack([models[segment] for segment in segments])


@edge
def smoothly_changing_factors(
    key: Key,
    num_periods: int,
    num_variables: int,
    num_factors: int,
    *,
    num_segments: int = 1,
    signal_to_noise: float | Range = (0.0, 5.0),
    std: float | Range = (0.25, 4.0),
) -> LatentFactors:
    """Draws modular models that change from one to the next in the course of each segment of time.

    Standard deviations and correlations with the parents change linearly; every variable goes to its next parent at
    once, in a period of its own.

    Args:
      key: source of randomness.
      num_periods: number of periods.
      num_variables, num_factors, signal_to_noise, std: as in `modular_factors`; the variables draw their factors.
      num_segments: segments of equally many periods, to within one; the next model is that of the period after.

    Returns:
      The models of all periods.

    Raises:
      ValueError: as `modular_factors`, or if a segment has fewer than two periods, or there are none.

    Source: Harutyunyan et al., 2019.
    """
    segments = _segments(num_periods, num_segments, shortest=2)
    key_modules, key_switches = jax.random.split(key)
    modules = [
        _draw_modules(key_set, num_variables, num_factors, signal_to_noise, std, shuffled=True)
        for key_set in jax.random.split(key_modules, num_segments + 1)
    ]
    models = []
    for segment, key_segment in enumerate(jax.random.split(key_switches, num_segments)):
        length = int((segments == segment).sum())
        switches = _integers(key_segment, 1, length, num_variables)
        old, new = modules[segment], modules[segment + 1]
        for step in range(length):
            passed = step / length
            mixed = _Modules(
                std=(1 - passed) * old.std + passed * new.std,
                correlations=(1 - passed) * old.correlations + passed * new.correlations,
                parents=np.where(step < switches, old.parents, new.parents),
            )
            models.append(_assemble(mixed, num_factors))
    return _stack(models)


def latent_factor_covariance(model: LatentFactors) -> Float[np.ndarray, "*periods variables variables"]:
    """Computes the covariance of the variables, in every period."""
    identity = np.eye(model.noise_variances.shape[-1], dtype=model.loadings.dtype)
    return np.swapaxes(model.loadings, -1, -2) @ model.loadings + model.noise_variances[..., None] * identity


@edge
def sample_latent_factors(
    key: Key, model: LatentFactors, num_samples: int
) -> Float[np.ndarray, "*periods samples variables"]:
    """Draws samples of mean zero, in every period.

    Args:
      key: source of randomness.
      model: of the variables.
      num_samples: in every period.

    Returns:
      One row for each sample, in the dtype of the model.

    Raises:
      ValueError: if there are to be no samples.
    """
    require_count(1, num_samples=num_samples)
    *periods, num_factors, num_variables = model.loadings.shape
    normal = lambda key, columns: np.asarray(
        jax.random.normal(key, (*periods, num_samples, columns), model.loadings.dtype)
    )
    key_factors, key_noise = jax.random.split(key)
    noise = np.sqrt(model.noise_variances)[..., None, :] * normal(key_noise, num_variables)
    return normal(key_factors, num_factors) @ model.loadings + noise


def _draw_modules(
    key: Key,
    num_variables: int,
    num_factors: int,
    signal_to_noise: float | Range,
    std: float | Range,
    shuffled: bool,
) -> _Modules:
    require_count(1, num_factors=num_factors)
    require_count(num_factors, None, "the number of factors", num_variables=num_variables)
    _require_range("signal_to_noise", signal_to_noise)
    _require_range("std", std)
    key_std, key_signal, key_sign, key_parents = jax.random.split(key, 4)
    ratios = _uniform(key_signal, signal_to_noise, num_variables)
    signs = 2 * _integers(key_sign, 0, 2, num_variables) - 1
    parents = _blocks(num_variables, num_factors)
    if shuffled:
        parents = _integers(key_parents, 0, num_factors, num_variables)
    return _Modules(_uniform(key_std, std, num_variables), signs * np.sqrt(ratios / (1 + ratios)), parents)


def _assemble(modules: _Modules, num_factors: int) -> LatentFactors:
    std, correlations, parents = modules
    loadings = np.zeros((num_factors, len(std)))
    loadings[parents, np.arange(len(std))] = std * correlations
    return _as_default(LatentFactors(loadings, std**2 * (1 - correlations**2), parents))


def _as_default(model: LatentFactors) -> LatentFactors:
    """The model in the floating-point numbers that JAX computes with by default."""
    dtype = jax.dtypes.canonicalize_dtype(float)
    return model._replace(loadings=model.loadings.astype(dtype), noise_variances=model.noise_variances.astype(dtype))


def _stack(models: list[LatentFactors]) -> LatentFactors:
    return LatentFactors(*map(np.stack, zip(*models, strict=True)))


def _blocks(num_variables: int, num_factors: int) -> np.ndarray:
    return np.arange(num_variables) * num_factors // num_variables


def _segments(num_periods: int, num_segments: int, shortest: int) -> np.ndarray:
    """The number of the segment that each period lies in."""
    require_count(1, num_segments=num_segments)
    if num_periods < shortest * num_segments:
        raise ValueError(f"{num_segments} segments need at least {shortest * num_segments} periods, got {num_periods}")
    return np.arange(num_periods) * num_segments // num_periods


# dtypes are named, so that the draws are the same with and without double precision
def _uniform(key: Key, interval: float | Range, size: int) -> np.ndarray:
    low, high = _ends(interval)
    return low + (high - low) * np.asarray(jax.random.uniform(key, (size,), np.float32), float)


def _integers(key: Key, low: int, high: int, size: int) -> np.ndarray:
    return np.asarray(jax.random.randint(key, (size,), low, high, np.int32))


def _ends(interval: float | Range) -> Range:
    return interval if isinstance(interval, tuple) else (interval, interval)


def _require_range(name: str, interval: float | Range) -> None:
    low, high = _ends(interval)
    if not 0 <= low <= high < np.inf:
        raise ValueError(f"{name} must be a number that is not negative or a range of such, ascending, got {interval}")
