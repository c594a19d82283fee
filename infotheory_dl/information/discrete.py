"""Entropy and mutual information of discrete variables, in nats, from counts.

Every estimator is a function of the table of counts of one row: how often each code occurs with each selection. A table
has no more columns than there are runs: codes of larger alphabets are replaced by their ranks in the row.
"""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import xlog1py, xlogy
from jaxtyping import Array, Bool, Float, Int, Real

from infotheory_dl._validation import (
    is_concrete,
    require_choice,
    require_count,
    require_rank,
    require_shape,
    require_within,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key

__all__ = [
    "ESTIMATORS",
    "EntropyEstimator",
    "Estimator",
    "PermutationNull",
    "entropy",
    "information_from_counts",
    "joint_codes",
    "joint_counts",
    "mutual_information",
    "permutation_null",
    "ranks",
]

EntropyEstimator = Literal["plugin", "miller_madow", "jackknife"]
Estimator = Literal["plugin", "known_marginal", "miller_madow", "jackknife"]

ESTIMATORS: tuple[Estimator, ...] = ("plugin", "known_marginal", "miller_madow", "jackknife")


@concise
class PermutationNull(NamedTuple):
    """What an estimate of mutual information would be if codes and selection were independent.

    Attributes:
      information: the estimate itself.
      mean: its mean over permutations of the selection, which is the bias of the estimate under independence.
      p_value: share of the permutations, the identity among them, that give at least the estimate.
      debiased: the estimate less that mean, non-negative. An estimate, not an upper bound.
    """

    information: Float[Array, " rows"]
    mean: Float[Array, " rows"]
    p_value: Float[Array, " rows"]
    debiased: Float[Array, " rows"]


def mutual_information(
    codes: Int[AnyArray, "runs rows"],
    selection: Int[AnyArray, "#runs #rows"] | Bool[AnyArray, "#runs #rows"],
    *,
    num_codes: int,
    estimator: Estimator = "plugin",
    valid: Bool[AnyArray, " runs"] | None = None,
    num_selections: int = 2,
) -> Float[Array, " rows"]:
    """Estimates I(code; selection) of every row from paired draws.

    Args:
      codes: discrete variable in [0, num_codes), one draw for each run and row.
      selection: the other variable, in [0, num_selections), drawn together with the codes.
      num_codes: size of the alphabet of the codes.
      estimator: see `information_from_counts`.
      valid: runs that count, all of them by default.
      num_selections: size of the alphabet of the selection, two for a fair coin.

    Returns:
      Mutual information in nats, non-negative.

    Raises:
      ValueError: if shapes do not fit, there are fewer than two runs, a value lies outside its alphabet, or the
        estimator is unknown.

    Source: Harutyunyan et al., 2021 (section 5).
    """
    require_choice("estimator", estimator, ESTIMATORS)
    counts = joint_counts(codes, selection, num_codes=num_codes, weights=valid, num_selections=num_selections)
    return information_from_counts(counts, estimator)


def joint_counts(
    codes: Int[AnyArray, "runs rows"],
    selection: Int[AnyArray, "#runs #rows"] | Bool[AnyArray, "#runs #rows"],
    *,
    num_codes: int,
    weights: Int[AnyArray, " runs"] | Bool[AnyArray, " runs"] | None = None,
    num_selections: int = 2,
) -> Int[Array, "rows selections columns"]:
    """Counts how often each code occurs with each selection, row by row.

    Args:
      codes, selection, num_codes, num_selections: as in `mutual_information`.
      weights: how often each run counts, once by default: zero leaves a run out, a resample counts some twice.

    Returns:
      The counts. Column j is code j where num_codes <= runs, and else the code that j runs have a smaller one than.

    Raises:
      ValueError: as in `mutual_information`.
    """
    _require_draws(codes, selection, weights, num_codes, num_selections)
    weights = jnp.ones(len(codes), int) if weights is None else jnp.asarray(weights).astype(int)
    return _joint_counts(jnp.asarray(codes), jnp.asarray(selection), weights, num_codes, num_selections)


def ranks(codes: Int[AnyArray, "runs rows"]) -> Int[Array, "runs rows"]:
    """Replaces every code by the number of runs with a smaller one in its row: below `runs`, equal where codes are."""
    codes = jnp.asarray(codes)
    # a sort that carries the order along takes several times as long as sorting and searching
    return jax.vmap(jnp.searchsorted, in_axes=1, out_axes=1)(jnp.sort(codes, axis=0), codes).astype(codes.dtype)


def joint_codes(codes: Int[AnyArray, "runs variables"], *, num_codes: int) -> Int[Array, " runs"]:
    """Codes several variables as one: runs get the same code, below their number, where all variables agree.

    Args:
      codes: variables in [0, num_codes).
      num_codes: size of the alphabet of each.

    Raises:
      ValueError: if runs * min(num_codes, runs) does not fit into 32 bits.
    """
    require_rank("codes", codes, 2, "(runs, variables)")
    runs = codes.shape[0]
    if num_codes > runs:
        codes, num_codes = ranks(codes), runs
    if runs * num_codes >= 2**31:
        raise ValueError(f"joint codes of {runs} runs and {num_codes} codes do not fit into 32 bits")
    append = lambda joint, column: (ranks((joint * num_codes + column)[:, None])[:, 0], None)
    joint, _ = lax.scan(append, jnp.zeros(runs, int), jnp.asarray(codes).T.astype(int))
    return joint


def entropy(counts: Real[AnyArray, "*batch codes"], estimator: EntropyEstimator = "plugin") -> Float[Array, "*batch"]:
    """Estimates the entropy of a discrete variable from the counts of its values.

    Args:
      counts: how often each value was seen, on the last axis.
      estimator: "plugin" (maximum likelihood, too low by about (values - 1) / (2 draws)), or with that bias removed to
        first order: "miller_madow" or "jackknife".

    Returns:
      The entropy in nats.

    Raises:
      ValueError: if the estimator is unknown.

    Source: Miller, 1955; Zahl, 1977.
    """
    require_choice("estimator", estimator, ("plugin", "miller_madow", "jackknife"))
    counts = _floating(counts)
    frequencies = counts / counts.sum(-1, keepdims=True)
    return -xlogy(frequencies, frequencies).sum(-1) + _correction(counts, estimator)


def information_from_counts(
    counts: Real[AnyArray, "*batch selections codes"], estimator: Estimator = "plugin"
) -> Float[Array, "*batch"]:
    """Estimates mutual information from a table of counts.

    Args:
      counts: how often each code was seen with each selection.
      estimator: "plugin" (maximum likelihood; too high by about (codes - 1)(selections - 1) / (2 draws) under
        independence), "known_marginal" (every selection has the same probability: the Jensen-Shannon divergence of the
        codes given each; NaN where a selection never occurs), "miller_madow" or "jackknife" (the bias of the plug-in
        removed to first order).

    Returns:
      Mutual information in nats, non-negative. Exactly zero where one of the variables never varies.

    Raises:
      ValueError: if the estimator is unknown.

    Source: Miller, 1955; Quenouille, 1956; Lin, 1991.
    """
    require_choice("estimator", estimator, ESTIMATORS)
    return _estimate(_floating(counts), estimator)


def permutation_null(
    key: Key,
    codes: Int[AnyArray, "runs rows"],
    selection: Int[AnyArray, "runs #rows"] | Bool[AnyArray, "runs #rows"],
    *,
    num_codes: int,
    num_permutations: int = 200,
    estimator: Estimator = "plugin",
    num_selections: int = 2,
) -> PermutationNull:
    """Compares an estimate of mutual information with the same estimate after permutations of the selection over runs.

    Args:
      key: source of randomness.
      codes, selection, num_codes, estimator, num_selections: as in `mutual_information`, which see for the errors too.
      num_permutations: how many random permutations. Each permutes all rows alike, so that what rows share stays.

    Returns:
      The estimate, its null mean and its p-value, row by row.

    Raises:
      ValueError: also if there is no permutation.
    """
    require_choice("estimator", estimator, ESTIMATORS)
    require_count(1, num_permutations=num_permutations)
    _require_draws(codes, selection, None, num_codes, num_selections)
    codes, selection = jnp.asarray(codes), jnp.asarray(selection)
    if num_codes > len(codes):
        codes, num_codes = ranks(codes), len(codes)
    weights = jnp.ones(len(codes), int)

    def estimate(selection: Array) -> Array:
        return _estimate(_floating(_joint_counts(codes, selection, weights, num_codes, num_selections)), estimator)

    information = estimate(selection)
    # equal tables in another order differ by rounding, and must tie
    threshold = information * (1 - jnp.finfo(information.dtype).eps ** 0.5)

    null = lax.map(
        lambda key: estimate(jax.random.permutation(key, selection)), jax.random.split(key, num_permutations)
    )
    p_value = (1 + (null >= threshold).sum(0)) / (1 + num_permutations)
    return PermutationNull(
        information,
        null.mean(0),
        p_value.astype(information.dtype),
        jnp.maximum(information - null.mean(0), 0),
    )


@partial(jax.jit, static_argnums=(3, 4))
def _joint_counts(codes: Array, selection: Array, weights: Array, num_codes: int, num_selections: int) -> Array:
    runs, rows = codes.shape
    if num_codes > runs:
        codes, num_codes = ranks(codes), runs
    selection = jnp.broadcast_to(selection, codes.shape).astype(codes.dtype)
    counts = jnp.zeros((rows, num_selections, num_codes), weights.dtype)
    return counts.at[jnp.arange(rows), selection, codes].add(weights[:, None])


@partial(jax.jit, static_argnums=1)
def _estimate(counts: Array, estimator: Estimator) -> Array:
    if estimator == "known_marginal":
        return _information(counts / counts.sum(-1, keepdims=True))
    if estimator == "plugin":
        return _information(counts)
    cells = counts.reshape(*counts.shape[:-2], -1)
    # information is a sum of entropies, and so is its correction
    correction = (
        _correction(counts.sum(-1), estimator) + _correction(counts.sum(-2), estimator) - _correction(cells, estimator)
    )
    return jnp.maximum(_information(counts) + correction, 0)


def _information(joint: Array) -> Array:
    """Divergence of a table, which need not be normalised, from the product of its marginals."""
    total = joint.sum((-1, -2), keepdims=True)
    product = joint.sum(-1, keepdims=True) * joint.sum(-2, keepdims=True)
    excess = jnp.where(product == 0, 0, (joint * total - product) / jnp.where(product == 0, 1, product))
    # r log r - r + 1 of the ratios r of joint and product, whose terms are each non-negative: near independence the
    # logarithms themselves would cancel to rounding errors, of which bounds take the square root
    terms = product * (xlog1py(1 + excess, excess) - excess)
    return jnp.maximum(terms.sum((-1, -2)) / total[..., 0, 0] ** 2, 0)


def _correction(counts: Array, estimator: EntropyEstimator) -> Array:
    """What an estimator adds to the plug-in entropy."""
    draws = counts.sum(-1)
    if estimator == "miller_madow":
        return ((counts > 0).sum(-1) - 1) / (2 * draws)
    if estimator == "jackknife":
        # n H - (n - 1) mean of the leave-one-out entropies, after the terms that cancel
        weight = lambda count: xlog1py(jnp.maximum(count - 1, 0), 1 / jnp.maximum(count - 1, 1))
        return weight(draws) - (counts * weight(counts)).sum(-1) / draws
    return jnp.zeros_like(draws)


def _floating(counts: AnyArray) -> Array:
    return jnp.asarray(counts, jnp.result_type(counts, float))


def _require_draws(
    codes: AnyArray, selection: AnyArray, weights: AnyArray | None, num_codes: int, num_selections: int
) -> None:
    require_rank("codes", codes, 2, "(runs, rows)")
    runs = codes.shape[0]
    if np.ndim(selection) != 2 or any(s not in (1, c) for s, c in zip(selection.shape, codes.shape, strict=True)):
        raise ValueError(f"selection must have or broadcast to the shape of codes {codes.shape}, got {selection.shape}")
    require_count(1, num_codes=num_codes)
    require_count(2, num_selections=num_selections)
    if weights is not None:
        require_shape("valid", weights, (runs,), "one entry for each run")
        runs = int(np.asarray(weights).sum()) if is_concrete(weights) else runs
    if runs < 2:
        raise ValueError(f"mutual information needs at least 2 runs, got {runs}")
    require_within(f"[0, {num_codes})", codes=codes)
    require_within(f"[0, {num_selections})", selection=selection)
