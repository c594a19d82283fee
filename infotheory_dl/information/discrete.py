"""Entropy and mutual information of discrete variables, in nats, from counts.

Every estimator is a function of the table of counts of one row: how often each code occurs with each selection. A table
has no more columns than there are runs: codes of larger alphabets are replaced by their ranks in the row.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import xlog1py, xlogy
from jaxtyping import Array, Bool, Float, Int, Integer, Real

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_choice,
    require_count,
    require_rank,
    require_shape,
    require_within,
)
from infotheory_dl.information.chance import PermutationNull, null_of
from infotheory_dl.types import AnyArray, Key

__all__ = [
    "ESTIMATORS",
    "EntropyEstimator",
    "Estimator",
    "conditional_mutual_information",
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


@edge
def mutual_information(
    codes: Integer[AnyArray, "runs rows"],
    selection: Integer[AnyArray, "#runs #rows"] | Bool[AnyArray, "#runs #rows"],
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


@edge
def conditional_mutual_information(
    codes: Integer[AnyArray, "runs rows"],
    selection: Integer[AnyArray, "#runs #rows"] | Bool[AnyArray, "#runs #rows"],
    given: Integer[AnyArray, "#runs #rows"] | Bool[AnyArray, "#runs #rows"],
    *,
    num_codes: int,
    estimator: Estimator = "plugin",
    valid: Bool[AnyArray, " runs"] | None = None,
    num_selections: int = 2,
    num_given: int = 2,
) -> Float[Array, " rows"]:
    """Estimates I(code; selection | given) of every row: the mean of the information among runs of each given value.

    Args:
      codes, selection, num_codes, valid, num_selections: as in `mutual_information`.
      estimator: of the information among runs of each given value, see `information_from_counts`.
      given: the third variable, in [0, num_given), drawn together with the others.
      num_given: size of its alphabet.

    Returns:
      Conditional mutual information in nats, non-negative.

    Raises:
      ValueError: as in `mutual_information`.

    Source: Cover and Thomas, 2006 (definition 2.61).
    """
    require_choice("estimator", estimator, ESTIMATORS)
    _require_draws(codes, selection, valid, num_codes, num_selections)
    _require_beside(codes, "given", given, num_given)
    both = jnp.asarray(given).astype(int) * num_selections + jnp.asarray(selection).astype(int)
    counts = joint_counts(
        codes, both, num_codes=num_codes, weights=valid, num_selections=num_given * num_selections
    ).reshape(np.shape(codes)[1], num_given, num_selections, -1)
    sizes = counts.sum((2, 3))
    information = jnp.where(sizes > 0, information_from_counts(counts, estimator), 0)
    return (sizes * information).sum(1) / sizes.sum(1)


@edge
def joint_counts(
    codes: Integer[AnyArray, "runs rows"],
    selection: Integer[AnyArray, "#runs #rows"] | Bool[AnyArray, "#runs #rows"],
    *,
    num_codes: int,
    weights: Integer[AnyArray, " runs"] | Bool[AnyArray, " runs"] | None = None,
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
    codes, num_codes = _not_more_than_runs(codes, num_codes)
    weights = jnp.ones(len(codes), int) if weights is None else jnp.asarray(weights).astype(int)
    return _joint_counts(jnp.asarray(codes), jnp.asarray(selection), weights, num_codes, num_selections)


@edge
def ranks(codes: Integer[AnyArray, "runs rows"]) -> Int[Array, "runs rows"]:
    """Replaces every code by the number of runs with a smaller one in its row: below `runs`, equal where codes are."""
    require_rank("codes", codes, 2, "(runs, rows)")
    return places(codes)


def places(values: Real[AnyArray, "runs rows"]) -> Int[Array, "runs rows"]:
    """The core of `ranks`, of numbers of any kind."""
    if isinstance(values, np.ndarray) and values.dtype != jax.dtypes.canonicalize_dtype(values.dtype):
        # numbers that jax would cut to 32 bits
        return jnp.asarray(_places_on_host(values))
    return _places(jnp.asarray(values))


@edge
def joint_codes(codes: Integer[AnyArray, "runs variables"], *, num_codes: int) -> Int[Array, " runs"]:
    """Codes several variables as one: runs get the same code, below their number, where all variables agree.

    Args:
      codes: variables in [0, num_codes).
      num_codes: size of the alphabet of each.

    Raises:
      ValueError: if runs * min(num_codes, runs) does not fit into 32 bits.
    """
    require_rank("codes", codes, 2, "(runs, variables)")
    runs = codes.shape[0]
    codes, num_codes = _not_more_than_runs(codes, num_codes)
    if runs * num_codes >= 2**31:
        raise ValueError(f"joint codes of {runs} runs and {num_codes} codes do not fit into 32 bits")
    append = lambda joint, column: (ranks((joint * num_codes + column)[:, None])[:, 0], None)
    joint, _ = lax.scan(append, jnp.zeros(runs, int), jnp.asarray(codes).T.astype(int))
    return joint


@edge
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


@edge
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


@edge
def permutation_null(
    key: Key,
    codes: Integer[AnyArray, "runs rows"],
    selection: Integer[AnyArray, "runs #rows"] | Bool[AnyArray, "runs #rows"],
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
    codes, num_codes = _not_more_than_runs(codes, num_codes)
    codes, selection = jnp.asarray(codes), jnp.asarray(selection)
    weights = jnp.ones(len(codes), int)

    def estimate(selection: Array) -> Array:
        return _estimate(_floating(_joint_counts(codes, selection, weights, num_codes, num_selections)), estimator)

    null = lax.map(
        lambda key: estimate(jax.random.permutation(key, selection)), jax.random.split(key, num_permutations)
    )
    return null_of(estimate(selection), null)


@partial(jax.jit, static_argnums=(3, 4))
def _joint_counts(codes: Array, selection: Array, weights: Array, num_codes: int, num_selections: int) -> Array:
    rows = codes.shape[1]
    selection = jnp.broadcast_to(selection, codes.shape).astype(int)
    counts = jnp.zeros((rows, num_selections, num_codes), weights.dtype)
    return counts.at[jnp.arange(rows), selection, codes.astype(int)].add(weights[:, None])


def _not_more_than_runs(codes: AnyArray, num_codes: int) -> tuple[AnyArray, int]:
    """Codes and the size of their alphabet, by their ranks where there are fewer runs."""
    return (places(codes), len(codes)) if num_codes > len(codes) else (codes, num_codes)


@jax.jit
def _places(values: Array) -> Array:
    # a sort that carries the order along takes several times as long as sorting and searching
    return jax.vmap(jnp.searchsorted, in_axes=1, out_axes=1)(jnp.sort(values, axis=0), values).astype(int)


def _places_on_host(values: np.ndarray) -> np.ndarray:
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    # of equal values the place of the first
    new = np.concatenate([np.ones_like(ordered[:1], bool), ordered[1:] != ordered[:-1]])
    first = np.maximum.accumulate(np.where(new, np.arange(len(values))[:, None], 0))
    found = np.empty_like(first)
    np.put_along_axis(found, order, first, axis=0)
    return found


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
    require_count(1, num_codes=num_codes)
    _require_beside(codes, "selection", selection, num_selections)
    if weights is not None:
        require_shape("valid", weights, (runs,), "one entry for each run")
        runs = int(np.asarray(weights).sum()) if is_concrete(weights) else runs
    if runs < 2:
        raise ValueError(f"mutual information needs at least 2 runs, got {runs}")
    require_within(f"[0, {num_codes})", codes=codes)


def _require_beside(codes: AnyArray, name: str, values: AnyArray, size: int) -> None:
    if np.ndim(values) != 2 or any(s not in (1, c) for s, c in zip(values.shape, codes.shape, strict=True)):
        raise ValueError(f"{name} must have or broadcast to the shape of codes {codes.shape}, got {np.shape(values)}")
    require_count(2, **{f"num_{name}s" if name == "selection" else f"num_{name}": size})
    require_within(f"[0, {size})", **{name: values})
