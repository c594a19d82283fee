"""How far codes are one known factor each: measures that ask for correlated factors no independence of the codes."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import (
    edge,
    require_count,
    require_finite,
    require_not_empty,
    require_rank,
    require_same_length,
    require_within,
)
from infotheory_dl.minsyn._states import informations, normalised
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key, Scalar

__all__ = [
    "Disentanglement",
    "FactorialPurity",
    "MatchedInformation",
    "disentanglement",
    "factorial_purity",
    "matched_information",
    "mutual_information_gap",
]


@concise
class FactorialPurity(NamedTuple):
    """Which factor each code varies with, over all combinations of the factors.

    Attributes:
      purity: the mean over codes of the largest share; 1 where every code depends on one factor alone, and on average
        no less than 1 / factors where codes are linear in what the factors add up to.
      shares: the part of each code's variance that is between the values of each factor, η².
      codes_of: how many codes have their largest share with each factor.
    """

    purity: Float[np.ndarray, ""]
    shares: Float[np.ndarray, "codes factors"]
    codes_of: Int[np.ndarray, " factors"]


@concise
class MatchedInformation(NamedTuple):
    """Discrete codes and factors, matched one to one.

    Attributes:
      score: the mean over factors of the normalised information with the code that each is matched with; a factor that
        is left without a code counts zero.
      informations: I / mean of both entropies, of each code and factor, in [0, 1].
      code_of: which code each factor is matched with; -1 where there are fewer codes than factors.
    """

    score: Float[np.ndarray, ""]
    informations: Float[np.ndarray, "codes factors"]
    code_of: Int[np.ndarray, " factors"]


@concise
class Disentanglement(NamedTuple):
    """What a forest that predicts factors from codes says of them.

    Attributes:
      disentanglement: whether a code serves one factor only: one less the entropy, over factors, of its importances,
        relative to the largest; the mean over codes, by their importance.
      completeness: whether a factor is served by one code only, likewise; the mean over factors.
      informativeness: how often factors are predicted right from the codes of other samples, the mean over factors.
      importances: of each code for each factor; those of a factor add up to one.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importances: Float[np.ndarray, "codes factors"]


@edge
def factorial_purity(
    codes: Float[AnyArray, "samples codes"], factors: Int[AnyArray, "samples factors"]
) -> FactorialPurity:
    """Computes how much of each code's variance lies between the values of one factor, exactly.

    Codes are to be computed for every combination of the factors, equally often, such as for all words of
    `data.word_grid`: there factors are independent, whatever they were in training. Of a code that is a sum of
    functions of single factors the shares then add up to one.

    Args:
      codes: of all combinations.
      factors: the values of the factors, in whole numbers.

    Returns:
      The shares and their summary. A code that does not vary has none.

    Raises:
      ValueError: if combinations are missing or not equally frequent, or an entry is NaN or infinite.

    Source: ours.
    """
    values, levels = _checked(codes, factors)
    sizes = [len(np.unique(column)) for column in levels.T]
    _, counts = np.unique(levels, axis=0, return_counts=True)
    if len(counts) != np.prod(sizes) or np.ptp(counts):
        raise ValueError(
            f"factors must have all {np.prod(sizes)} combinations equally often, got {len(counts)} of them, from"
            f" {np.min(counts)} to {np.max(counts)} times: encode the full grid, such as all words of data.word_grid()"
        )
    values = np.asarray(values, float)
    values = values - values.mean(0)
    variances = (values**2).mean(0)
    shares = np.zeros((values.shape[1], levels.shape[1]))
    for place, column in enumerate(levels.T):
        means = np.stack([values[column == level].mean(0) for level in np.unique(column)])
        shares[:, place] = np.divide((means**2).mean(0), variances, out=shares[:, place], where=variances > 0)
    codes_of = np.bincount(shares.argmax(1), minlength=shares.shape[1])
    return FactorialPurity(np.asarray(shares.max(1).mean()), shares, codes_of)


@edge
def matched_information(
    codes: Int[AnyArray, "samples codes"], factors: Int[AnyArray, "samples factors"]
) -> MatchedInformation:
    """Matches discrete codes with factors, one to one, so that they tell the most of each other.

    Args:
      codes: in whole numbers.
      factors: in whole numbers.

    Returns:
      The match (Hungarian method) and the normalised information of all pairs.

    Raises:
      ValueError: if the numbers of samples differ.

    Source: the score is ours; Kuhn, 1955 (the match).
    """
    from scipy.optimize import linear_sum_assignment

    shares = normalised(*informations(*_checked(codes, factors)))
    matched_codes, matched_factors = linear_sum_assignment(shares, maximize=True)
    code_of = np.full(shares.shape[1], -1)
    code_of[matched_factors] = matched_codes
    return MatchedInformation(shares[matched_codes, matched_factors].sum() / shares.shape[1], shares, code_of)


@edge
def mutual_information_gap(
    codes: Float[AnyArray, "samples codes"], factors: Int[AnyArray, "samples factors"], *, bins: int = 20
) -> float:
    """Computes the mutual information gap: by how much the best code of a factor tells more of it than the second.

    Args:
      codes: cut into `bins` of equal width each, but for codes of no more values than bins.
      factors: in whole numbers.
      bins: how many.

    Returns:
      The gap over the factor's entropy, the mean over factors; with a single code its information.

    Raises:
      ValueError: if the numbers of samples differ, an entry is NaN or infinite, or there are fewer than two bins.

    Source: Chen et al., 2018.
    """
    require_count(2, bins=bins)
    values, levels = _checked(codes, factors)
    found, _, entropies = informations(np.stack([_binned(column, bins) for column in values.T], axis=1), levels)
    best, second = np.sort(np.vstack([found, np.zeros_like(found)]), axis=0)[::-1][:2]
    gaps = np.divide(best - second, entropies, out=np.zeros_like(entropies), where=entropies > 0)
    return float(gaps.mean())


@edge
def disentanglement(
    key: Key,
    codes: Float[AnyArray, "samples codes"],
    factors: Int[AnyArray, "samples factors"],
    *,
    test_size: Scalar = 0.25,
    num_trees: int = 100,
) -> Disentanglement:
    """Computes disentanglement, completeness and informativeness, from forests that predict each factor.

    Args:
      key: source of randomness, of the forests and of the test samples.
      codes: of samples.
      factors: in whole numbers.
      test_size: the part of the samples that forests are tested on, in (0, 1).
      num_trees: of each forest.

    Returns:
      The three measures.

    Raises:
      ValueError: if the numbers of samples differ, an entry is NaN or infinite, or a setting is out of its range.

    Source: Eastwood and Williams, 2018.
    """
    require_within("(0, 1)", test_size=test_size)
    require_count(1, num_trees=num_trees)
    values, levels = _checked(codes, factors)
    from sklearn.ensemble import RandomForestClassifier

    key_order, key_trees = jax.random.split(key)
    order = np.asarray(jax.random.permutation(key_order, len(values)))
    train, test = np.split(order, [len(order) - max(1, int(test_size * len(order)))])
    seed = int(jax.random.randint(key_trees, (), 0, 2**31 - 1, np.int32))
    importances, right = np.zeros((values.shape[1], levels.shape[1])), []
    for place, column in enumerate(levels.T):
        # every split looks at all codes: where it may not, codes that tell nothing gain importance
        forest = RandomForestClassifier(num_trees, max_features=None, random_state=seed)
        forest.fit(values[train], column[train])
        importances[:, place] = forest.feature_importances_
        right.append(forest.score(values[test], column[test]))
    by_code = importances.sum(1)
    return Disentanglement(
        disentanglement=float((by_code / max(by_code.sum(), 1e-300)) @ _concentration(importances)),
        completeness=float(_concentration(importances.T).mean()),
        informativeness=float(np.mean(right)),
        importances=importances,
    )


def _checked(codes: AnyArray, factors: AnyArray) -> tuple[np.ndarray, np.ndarray]:
    """Both on the host, the factors as codes from zero."""
    require_rank("codes", codes, 2, "(samples, codes)")
    require_rank("factors", factors, 2, "(samples, factors)")
    require_same_length(codes=codes, factors=factors)
    require_not_empty(codes=codes, factors=factors)
    require_finite(codes=codes)
    return np.asarray(codes), np.asarray(factors)


def _binned(values: np.ndarray, bins: int) -> np.ndarray:
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= bins:
        return places
    edges = np.linspace(values.min(), values.max(), bins + 1)[1:-1]
    return np.digitize(values, edges)


def _concentration(importances: np.ndarray) -> np.ndarray:
    """One less the entropy of each row over that of equal entries; one where there is a single column."""
    rows, columns = importances.shape
    if columns == 1:
        return np.ones(rows)
    total = importances.sum(1, keepdims=True)
    shares = np.divide(importances, total, out=np.full_like(importances, 1 / columns), where=total > 0)
    from scipy.special import entr

    return 1 - entr(shares).sum(1) / np.log(columns)
