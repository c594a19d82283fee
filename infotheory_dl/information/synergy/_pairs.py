"""Synergy of all pairs of columns about many targets at once."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from infotheory_dl._validation import edge, require_rank, require_same_length, warn
from infotheory_dl.information._tables import as_table, result_dtype
from infotheory_dl.information.synergy._discrete import measured as measured_discrete
from infotheory_dl.information.synergy._gaussian import NEAR_COPY
from infotheory_dl.information.synergy._gaussian import measured as measured_gaussian
from infotheory_dl.information.synergy._samples import FEWEST_IN_A_CELL, correlations_of, standardised
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

# pairs that are measured side by side
_AT_ONCE = 1 << 12
_MOST_STATES = 64
_ROUNDING = 1e-9


@concise
class PairSynergy(NamedTuple):
    """What the pairs of sources tell of targets, in nats.

    Attributes:
      pairs: the places of both sources.
      information: I(X; Z₁, Z₂).
      informations: I(X; Z₁) and I(X; Z₂).
      whole_minus_sum: I(X; Z₁, Z₂) - I(X; Z₁) - I(X; Z₂): synergy less redundancy, of either sign.
      whole_minus_sum_z: how many standard errors it is from zero, less its first bias of states: by the delta method,
        about standard normal where synergy and redundancy are equal.
      synergy: S_CI, what a reader loses who takes the sources to be independent given the target.
      calibrated_synergy: what a reader loses who mends that: S_cal of Gaussians, S_mis of states.
      partial_synergy: that of the partial information decomposition whose redundancy is the lesser information (MMI).
      p_values: of no synergy: the larger one of two, that the pair tells nothing of the target, and that its sources
        are independent given the target, in which case S_CI is zero.
      near_copies: whether the sources of a pair are nearly one.
      samples_per_cell: how many there are for each joint state; infinitely many of Gaussians.
    """

    pairs: Int[np.ndarray, "pairs two"]
    information: Float[np.ndarray, "targets pairs"]
    informations: Float[np.ndarray, "targets pairs two"]
    whole_minus_sum: Float[np.ndarray, "targets pairs"]
    whole_minus_sum_z: Float[np.ndarray, "targets pairs"]
    synergy: Float[np.ndarray, "targets pairs"]
    calibrated_synergy: Float[np.ndarray, "targets pairs"]
    partial_synergy: Float[np.ndarray, "targets pairs"]
    p_values: Float[np.ndarray, "targets pairs"]
    near_copies: Bool[np.ndarray, " pairs"]
    samples_per_cell: Float[np.ndarray, "targets pairs"]


@edge
def gaussian_pairs(
    targets: Real[AnyArray, "samples targets"],
    sources: Real[AnyArray, "samples sources"],
    *,
    rank_gaussianize: bool = False,
) -> PairSynergy:
    """Measures the synergy of every pair of Gaussian sources about every target, from their correlations.

    Args:
      targets: what is told about.
      sources: what tells; at least two.
      rank_gaussianize: replace every column by the normal quantiles of its ranks first.

    Returns:
      All measures of all pairs. Of a column that is both a target and a source, pairs with itself are no question.

    Raises:
      ValueError: if the numbers of samples differ, there are fewer than five samples or two sources, or an entry is NaN
        or infinite.

    Warns:
      UserWarning: if sources are near copies of each other: what a reader loses who counts both is no synergy.

    Source: ours; see `gaussian`. The p-values are those of the F-test of two regressors, and of the t-test of a partial
      correlation (Fisher, 1924).
    """
    tables = as_table("targets", targets), as_table("sources", sources)
    require_same_length(targets=targets, sources=sources)
    _require_pairs(*np.shape(sources))
    dtype = result_dtype(*tables)
    across, among = correlations_of(*(standardised(table, rank_gaussianize, dtype) for table in tables))
    pairs = _pairs(np.shape(sources)[1])
    shared = np.asarray(among)[pairs[:, 0], pairs[:, 1]]
    copies = np.abs(shared) > NEAR_COPY
    _warn_of_copies(copies, pairs)
    rounding = 64 * float(jnp.finfo(among.dtype).eps)
    bound = jnp.clip(among, -1 + rounding, 1 - rounding)
    bound = bound.at[jnp.diag_indices_from(bound)].set(1)
    information, informations, synergy, calibrated = map(
        np.asarray, _of_correlations(across, bound, jnp.asarray(pairs))
    )
    single = np.moveaxis(informations, 2, -1)
    first, second = (np.asarray(across)[pairs[:, place]].T for place in (0, 1))
    return PairSynergy(
        pairs=pairs,
        information=information,
        informations=single,
        whole_minus_sum=information - single.sum(-1),
        whole_minus_sum_z=_z(information - single.sum(-1), _gaussian_variance(first, second, shared), len(targets)),
        synergy=synergy,
        calibrated_synergy=calibrated,
        partial_synergy=information - single.max(-1),
        p_values=_gaussian_p_values(information, first, second, shared, len(targets)),
        near_copies=copies,
        samples_per_cell=np.full(information.shape, np.inf),
    )


@edge
def discrete_pairs(targets: Int[AnyArray, "samples targets"], sources: Int[AnyArray, "samples sources"]) -> PairSynergy:
    """Measures the synergy of every pair of discrete sources about every target, from counts of their joint states.

    Args:
      targets: states, whole numbers from zero.
      sources: states; at least two sources.

    Returns:
      All measures of all pairs, plug-in estimates, biased upwards: S_CI by about (cells)/(2 samples), and the whole
        minus the sum by the product of all numbers of states less one, over twice the samples.

    Raises:
      ValueError: if the numbers of samples differ, there are fewer than five samples or two sources, or a column has
        negative or more than 64 states.

    Warns:
      UserWarning: if there are fewer than five samples for each joint state of pairs and targets, or sources are copies
        of each other.

    Source: ours; see `discrete`. The p-values are those of G-tests of independence (Wilks, 1938; Williams, 1976).
    """
    require_rank("targets", targets, 2, "(samples, targets)")
    require_rank("sources", sources, 2, "(samples, sources)")
    require_same_length(targets=targets, sources=sources)
    _require_pairs(*np.shape(sources))
    tables = np.asarray(targets), np.asarray(sources)
    for name, table in zip(("targets", "sources"), tables, strict=True):
        if table.min() < 0 or table.max() >= _MOST_STATES:
            raise ValueError(
                f"states of {name} must lie in [0, {_MOST_STATES - 1}], got {table.min()} to {table.max()}: merge some"
            )
    pairs = _pairs(tables[1].shape[1])
    shape = int(tables[0].max()) + 1, int(tables[1].max()) + 1
    found = [_of_states(target, tables[1], pairs, shape) for target in tables[0].T]
    information, informations, synergy, mended, variance, p_values, cells, bias = map(
        np.stack, zip(*found, strict=True)
    )
    per_cell = len(tables[0]) / cells
    few = per_cell < FEWEST_IN_A_CELL
    if few.any():
        warn(
            f"{few.sum()} of {few.size} pairs have fewer than {FEWEST_IN_A_CELL} samples for each joint state with the"
            " target: their synergy is biased upwards; merge states, or have fewer bins"
        )
    copies = _are_copies(tables[1], pairs)
    _warn_of_copies(copies, pairs)
    return PairSynergy(
        pairs=pairs,
        information=information,
        informations=informations,
        whole_minus_sum=information - informations.sum(-1),
        whole_minus_sum_z=_z(information - informations.sum(-1) - bias, variance, len(tables[0])),
        synergy=synergy,
        calibrated_synergy=mended,
        partial_synergy=information - informations.max(-1),
        p_values=p_values,
        near_copies=copies,
        samples_per_cell=per_cell,
    )


def _require_pairs(samples: int, sources: int) -> None:
    if samples < 5 or sources < 2:
        raise ValueError(f"pairs need at least 2 sources and 5 samples, got {sources} and {samples}")


def _pairs(sources: int) -> Int[np.ndarray, "pairs two"]:
    return np.stack(np.triu_indices(sources, 1), axis=1)


def _warn_of_copies(copies: np.ndarray, pairs: np.ndarray) -> None:
    if copies.any():
        first, second = pairs[np.argmax(copies)].tolist()
        warn(
            f"{copies.sum()} pairs of sources are near copies, such as {first} and {second}: what a reader loses who"
            " counts both is no synergy; leave one out"
        )


@jax.jit
def _of_correlations(
    across: Float[Array, "sources targets"], among: Float[Array, "sources sources"], pairs: Int[Array, "pairs two"]
) -> tuple[Array, Array, Array, Array]:
    """Information, informations, S_CI and S_cal, with the targets first."""

    def of_one(pair: Array) -> tuple[Array, Array, Array, Array]:
        found = measured_gaussian(across[pair], among[pair[:, None], pair])
        return found.information, found.informations, found.synergy, found.calibrated_synergy

    batch = max(1, min(len(pairs), _AT_ONCE))
    return jax.tree.map(lambda values: jnp.moveaxis(values, 0, 1), jax.lax.map(of_one, pairs, batch_size=batch))


def _gaussian_p_values(
    information: np.ndarray, first: np.ndarray, second: np.ndarray, shared: np.ndarray, samples: int
) -> Float[np.ndarray, "targets pairs"]:
    from scipy.special import stdtr

    # 1 - R² is exp(-2 I), and with two regressors the F-test is a power of it
    of_nothing = np.exp(-information * (samples - 3))
    unexplained = np.minimum(1 - first**2, 1 - second**2)
    # of a source that is the target nothing is left that could depend on the other
    exact = unexplained < _ROUNDING
    scale = np.sqrt((1 - first**2) * (1 - second**2), where=~exact, out=np.ones_like(first))
    partial = np.where(exact, 0, np.clip((shared - first * second) / scale, -1, 1))
    with np.errstate(divide="ignore"):
        statistic = np.abs(partial) * np.sqrt((samples - 3) / np.maximum(1 - partial**2, 0))
    return np.maximum(of_nothing, 2 * stdtr(samples - 3, -statistic))


def _z(estimate: np.ndarray, variance: np.ndarray, samples: int) -> Float[np.ndarray, "targets pairs"]:
    """An estimate in standard errors, without limit where none varies, as of coins and their exclusive or."""
    exact = variance < _ROUNDING**2
    scaled = estimate * np.sqrt(samples / np.where(exact, 1, variance))
    return np.where(exact, np.where(np.abs(estimate) > _ROUNDING, np.copysign(np.inf, estimate), 0), scaled)


def _gaussian_variance(first: np.ndarray, second: np.ndarray, shared: np.ndarray) -> Float[np.ndarray, "targets pairs"]:
    """The variance of log p(x, z) p(x) p(z₁) p(z₂) / p(z) p(x, z₁) p(x, z₂), whose mean is the whole minus the sum.

    Of Gaussians it is a quadratic form v'Av, whose variance is 2 tr (A C)². Each factor below is an entry of A C: a
    correlation less a coefficient of the regression of one variable on two.
    """
    unexplained = lambda correlation: np.maximum((1 - correlation) * (1 + correlation), _ROUNDING)

    def term(of: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        beside = of - left * right
        return (of - beside / unexplained(left)) * (of - beside / unexplained(right))

    return np.maximum(term(first, second, shared) + term(second, first, shared) + term(shared, first, second), 0)


def _of_states(
    target: Int[np.ndarray, " samples"],
    sources: Int[np.ndarray, "samples sources"],
    pairs: Int[np.ndarray, "pairs two"],
    shape: tuple[int, int],
) -> tuple[np.ndarray, ...]:
    """The measures of one target, the variance and bias of one, p-values, and how many joint states there are."""
    from scipy.stats import chi2

    samples, states = len(target), shape[1]
    used = np.array([len(np.unique(column)) for column in sources.T])[pairs]
    of_target = len(np.unique(target))
    counts = _counts(jnp.asarray(target), jnp.asarray(sources), shape)
    information, informations, synergy, mended, conditional, variance = map(
        np.asarray, _of_counts(counts, jnp.asarray(pairs), states)
    )
    cells = of_target * used.prod(1)
    # the correction of Williams, as if all states were equally frequent
    shrunk = lambda ends: 2 * samples / (1 + ends / (6 * samples))
    of_nothing = chi2.sf(
        shrunk((used.prod(1) + 1) * (of_target + 1)) * information,
        np.maximum((used.prod(1) - 1) * (of_target - 1), 1),
    )
    of_independence = chi2.sf(
        shrunk((used + 1).prod(1) * of_target) * conditional, np.maximum((used - 1).prod(1) * of_target, 1)
    )
    p_values = np.maximum(of_nothing, of_independence)
    bias = (used - 1).prod(1) * (of_target - 1) / (2 * samples)
    return information, informations, synergy, mended, variance, p_values, cells, bias


@functools.partial(jax.jit, static_argnames="shape")
def _counts(
    target: Int[Array, " samples"], sources: Int[Array, "samples sources"], shape: tuple[int, int]
) -> Float[Array, "target columns columns"]:
    """How often each two states of all sources occur together, for each state of the target."""
    of_target, states = shape
    marks = jax.nn.one_hot(sources, states, dtype=float).reshape(len(sources), -1)
    return jax.lax.map(lambda state: (marks * (target == state)[:, None]).T @ marks, jnp.arange(of_target))


@functools.partial(jax.jit, static_argnames="states")
def _of_counts(
    counts: Float[Array, "target columns columns"], pairs: Int[Array, "pairs two"], states: int
) -> tuple[Array, ...]:
    """Four measures, TC(Z | X), and the variance of what the whole minus the sum is the mean of."""
    blocks = counts.reshape(len(counts), -1, states, counts.shape[2] // states, states)

    def of_one(pair: Array) -> tuple[Array, ...]:
        counted = blocks[:, pair[0], :, pair[1], :]
        joint = counted / counted.sum()
        found = measured_discrete(joint)
        of = lambda *axes: jnp.log(jnp.where(joint > 0, joint.sum(axes, keepdims=True), 1))
        pointwise = of() + of(1, 2) + of(0, 2) + of(0, 1) - of(0) - of(2) - of(1)
        variance = (joint * (pointwise - found.whole_minus_sum) ** 2).sum()
        conditional = found.conditional_total_correlation
        return (
            found.information,
            found.informations,
            found.synergy,
            found.mismatched_synergy,
            conditional,
            variance,
        )

    batch = max(1, min(len(pairs), _AT_ONCE))
    return jax.lax.map(of_one, pairs, batch_size=batch)


def _are_copies(sources: Int[np.ndarray, "samples sources"], pairs: Int[np.ndarray, "pairs two"]) -> np.ndarray:
    """Whether each of two columns has one state for each of the other."""
    ranked = [np.unique(column, return_index=True, return_inverse=True)[1:] for column in sources.T]
    # states by where they occur first: the same for all names of states
    named = np.stack([first[inverse] for first, inverse in ranked])
    _, same = np.unique(named, axis=0, return_inverse=True)
    return same.reshape(-1)[pairs[:, 0]] == same.reshape(-1)[pairs[:, 1]]
