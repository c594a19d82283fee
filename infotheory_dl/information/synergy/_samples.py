"""Synergy estimated from samples."""

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from infotheory_dl._moments import observed_moments, standardized
from infotheory_dl._validation import (
    class_labels,
    edge,
    is_concrete,
    require_choice,
    require_count,
    require_not_negative,
    require_same_length,
    require_within,
    warn,
)
from infotheory_dl.information._tables import as_table, result_dtype
from infotheory_dl.information.copula import normal_scores
from infotheory_dl.information.synergy._discrete import DiscreteSynergy, measured
from infotheory_dl.information.synergy._gaussian import GaussianSynergy, require_positive_definite, warn_of_copies
from infotheory_dl.information.synergy._gaussian import measured as measured_gaussian
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels, Key, Scalar

Correction = Literal["none", "miller_madow"]

CORRECTIONS: tuple[Correction, ...] = get_args(Correction)

_MOST_CELLS = 1 << 24
FEWEST_IN_A_CELL = 5
# bootstrap distributions at once
_CELLS_AT_ONCE = 1 << 22


@concise
class SampledSynergy(NamedTuple):
    """Synergy as samples tell it.

    Attributes:
      estimate: all measures, in nats.
      lower: of each measure the lower end of its interval; NaN without resamples.
      upper: and the upper end.
      samples_per_cell: how many samples there are for each joint state of target and sources.
    """

    estimate: DiscreteSynergy
    lower: DiscreteSynergy
    upper: DiscreteSynergy
    samples_per_cell: float


@edge
def discrete_from_samples(
    target: AnyLabels,
    sources: Sequence[AnyLabels] | Any,
    *,
    pseudocount: Scalar = 0.0,
    correction: Correction = "none",
    key: Key | None = None,
    resamples: int = 0,
    level: Scalar = 0.95,
) -> SampledSynergy:
    """Estimates the measures of `discrete` from samples of discrete variables.

    What is estimated from counts is biased: information upwards, and S_CI by about (cells)/(2 samples). The correction
    of Miller and Madow takes the first order off: (occupied states - 1)/(2 samples) of every entropy, of the
    information that readers have as much as of the sources one by one, which is right where the sources are independent
    given the target. Specific informations are left as they are.

    Args:
      target: its states, one for each sample, in any form of labels.
      sources: those of each source, (samples, sources), or a sequence of columns.
      pseudocount: is added to every joint state.
      correction: "none" or "miller_madow".
      key: source of randomness of the resamples.
      resamples: how many bootstrap samples the intervals are made of; 0 for no intervals.
      level: of the intervals, in (0, 1).

    Returns:
      Estimates and intervals. The intervals are basic ones, the estimate less what resamples have beyond it: those are
      biased once more, and percentiles of them would be twice.

    Raises:
      ValueError: if the lengths differ, a setting is out of its range, there are more than 2**24 joint states, or
        resamples are asked for without a key.

    Warns:
      UserWarning: if there are fewer than five samples for each joint state.

    Source: Miller, 1955 (the correction); Davison and Hinkley, 1997 (basic bootstrap intervals).
    """
    require_choice("correction", correction, CORRECTIONS)
    require_not_negative(pseudocount=pseudocount)
    require_count(0, resamples=resamples)
    require_within("(0, 1)", level=level)
    if resamples and key is None:
        raise ValueError("resamples need a key, give key=jax.random.key(seed)")
    occurrences = _joint_counts(target, sources)
    per_cell = float(occurrences.sum() / occurrences.size)
    if per_cell < FEWEST_IN_A_CELL:
        warn(
            f"{occurrences.sum()} samples for {occurrences.size} joint states are {per_cell:.2g} each, fewer than"
            f" {FEWEST_IN_A_CELL}: estimates are biased upwards; merge states, leave sources out, or set"
            " correction='miller_madow'"
        )
    counts = jnp.asarray(occurrences, float)
    estimate = _from_counts(counts, pseudocount, correction)
    if key is None or resamples == 0:
        missing = jax.tree.map(lambda value: jnp.full_like(value, jnp.nan), estimate)
        return SampledSynergy(estimate, missing, missing, per_cell)
    drawn = _resampled(key, counts, pseudocount, correction, resamples)
    tail = (1 - level) / 2
    lower, upper = (
        jax.tree.map(lambda value, draws, end=end: 2 * value - jnp.quantile(draws, end, axis=0), estimate, drawn)
        for end in (1 - tail, tail)
    )
    return SampledSynergy(estimate, lower, upper, per_cell)


@edge
def gaussian_from_samples(
    targets: Real[AnyArray, "samples targets"],
    sources: Real[AnyArray, "samples sources"],
    *,
    rank_gaussianize: bool = False,
) -> GaussianSynergy:
    """Estimates the measures of `gaussian` of every target, such as of each pixel by the codes of a representation.

    Offsets and scales do not matter. What does not vary has correlations of zero, and no information.

    Args:
      targets: what is told about.
      sources: what tells.
      rank_gaussianize: replace every column by the normal quantiles of its ranks first, so that the margins do not
        matter.

    Returns:
      All measures, of each target. The information of m sources is too large by about m/(2 samples).

    Raises:
      ValueError: if the numbers of samples differ, there are no more samples than sources, an entry is NaN or infinite,
        or a source follows from the others.

    Warns:
      UserWarning: if two sources are near copies, see `gaussian`.

    Source: see `gaussian`.
    """
    samples = standardised_samples("targets", targets, "sources", sources, rank_gaussianize=rank_gaussianize)
    warn_of_copies(samples.among)
    return measured_gaussian(samples.across, samples.among)


class StandardisedSamples(NamedTuple):
    """Sources of mean zero and variance one, and correlations of sources with targets and among each other."""

    sources: Float[Array, "samples sources"]
    across: Float[Array, "sources targets"]
    among: Float[Array, "sources sources"]


def standardised_samples(
    targets_name: str, targets: AnyArray, sources_name: str, sources: AnyArray, *, rank_gaussianize: bool
) -> StandardisedSamples:
    """Checks samples as `gaussian_from_samples` says, under the names that the caller has for them."""
    tables = as_table(targets_name, targets), as_table(sources_name, sources)
    require_same_length(**{targets_name: targets, sources_name: sources})
    samples, num_sources = np.shape(sources)
    if samples <= num_sources:
        raise ValueError(f"more samples than {sources_name} are needed, got {samples} of {num_sources}")
    dtype = result_dtype(*tables)
    columns = [standardised(table, rank_gaussianize, dtype) for table in tables]
    across, among = correlations_of(*columns)
    require_positive_definite(sources_name, among)
    return StandardisedSamples(columns[1], across, among)


def _joint_counts(target: AnyLabels, sources: Sequence[AnyLabels] | Any) -> Int[np.ndarray, "target *sources"]:
    columns = list(np.asarray(sources).T) if hasattr(sources, "shape") else list(sources)
    if not columns:
        raise ValueError("at least one source is needed")
    labels = [class_labels(target, name="target")]
    labels += [
        class_labels(column, name=f"source {place}", num_examples=len(labels[0].codes))
        for place, column in enumerate(columns)
    ]
    shape = tuple(len(variable.names) for variable in labels)
    if math.prod(shape) > _MOST_CELLS:
        raise ValueError(
            f"target and sources have {math.prod(shape)} joint states, more than {_MOST_CELLS}: merge states, or leave"
            " sources out"
        )
    cells = np.ravel_multi_index([variable.codes for variable in labels], shape)
    return np.bincount(cells, minlength=math.prod(shape)).reshape(shape)


@functools.partial(jax.jit, static_argnames=("correction", "resamples"))
def _resampled(
    key: Key, counts: Float[Array, "target *sources"], pseudocount: Scalar, correction: Correction, resamples: int
) -> DiscreteSynergy:
    """The measures of bootstrap samples, one after the other along the first axis."""
    total = counts.sum()

    def measures(key: Key) -> DiscreteSynergy:
        drawn = jax.random.multinomial(key, total, counts.reshape(-1) / total, dtype=counts.dtype)
        return _from_counts(drawn.reshape(counts.shape), pseudocount, correction)

    at_once = max(1, min(resamples, _CELLS_AT_ONCE // counts.size))
    return jax.lax.map(measures, jax.random.split(key, resamples), batch_size=at_once)


@functools.partial(jax.jit, static_argnames="correction")
def _from_counts(
    counts: Float[Array, "target *sources"], pseudocount: Scalar, correction: Correction
) -> DiscreteSynergy:
    counts = counts + pseudocount
    plain = measured(counts / counts.sum())
    if correction == "none":
        return plain
    sources = range(1, counts.ndim)
    occupied = lambda *kept: (counts.sum([axis for axis in range(counts.ndim) if axis not in kept]) > 0).sum()
    # (occupied states - 1) of each entropy; the ones cancel but for one
    target, all_sources, everything = occupied(0), occupied(*sources), (counts > 0).sum()
    singles = jnp.stack([occupied(source) for source in sources])
    pairs = jnp.stack([occupied(0, source) for source in sources])
    unit = 1 / (2 * counts.sum())
    whole, parts = (target + all_sources - everything - 1) * unit, (target + singles - pairs - 1) * unit
    information, informations = plain.information + whole, plain.informations + parts
    independent = plain.independent_information + parts.sum()
    mismatched = plain.mismatched_information + parts.sum()
    return plain._replace(
        information=information,
        informations=informations,
        target_entropy=plain.target_entropy + (target - 1) * unit,
        total_correlation=plain.total_correlation + ((singles - 1).sum() - (all_sources - 1)) * unit,
        conditional_total_correlation=plain.conditional_total_correlation
        + ((pairs - target).sum() - (everything - target)) * unit,
        whole_minus_sum=information - informations.sum(),
        synergy=information - independent,
        independent_information=independent,
        mismatched_information=mismatched,
        mismatched_synergy=information - mismatched,
        maximum_synergy=plain.maximum_synergy + whole,
    )


def standardised(table: Any, by_ranks: bool, dtype: Any) -> Array:
    """Columns of mean zero and variance one, on the host in double precision if they can be looked at.

    Columns where nothing varies are zeros.
    """
    values = normal_scores(table) if by_ranks else table
    if is_concrete(values):
        values = np.asarray(values)
        mean, std, remainder, _ = observed_moments(values)
        return jnp.asarray(standardized(values, mean, np.where(std > 0, std, 1), remainder, dtype))
    values = values - values.mean(0)
    largest = jnp.abs(values).max(0)
    values = values / jnp.where(largest > 0, largest, 1)
    spread = jnp.sqrt((values**2).mean(0))
    return (values / jnp.where(spread > 0, spread, 1)).astype(dtype)


@jax.jit
def correlations_of(
    targets: Float[Array, "samples targets"], sources: Float[Array, "samples sources"]
) -> tuple[Float[Array, "sources targets"], Float[Array, "sources sources"]]:
    """Of sources with targets, and among the sources."""
    # accelerators round single precision to ten bits in products unless they are told not to
    product = functools.partial(jnp.matmul, precision="highest")
    among = product(sources.T, sources) / len(sources)
    # a source that does not vary stands for itself
    return product(sources.T, targets) / len(sources), among.at[jnp.diag_indices_from(among)].set(1)
