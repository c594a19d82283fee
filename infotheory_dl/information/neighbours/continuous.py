"""Entropy, mutual information and conditional mutual information of variables by their nearest neighbours."""

from typing import Any, Literal

from jaxtyping import Array, Float, Real

from infotheory_dl._validation import edge, is_concrete, require_choice, warn
from infotheory_dl.information._tables import result_dtype
from infotheory_dl.information.neighbours._samples import (
    as_tables,
    estimate,
    in_units,
    scaled,
    scaled_if_known,
    without_ties,
    zero_if_constant,
)
from infotheory_dl.information.neighbours._search import Search
from infotheory_dl.types import AnyArray, Key

ContinuousEstimator = Literal["kraskov", "gao"]


@edge
def entropy(
    samples: Real[AnyArray, "samples variables"], *, neighbours: int = 3, key: Key | None = None
) -> Float[Array, ""]:
    """Estimates the differential entropy of a continuous variable.

    Args:
      samples: independent draws.
      neighbours: k, how many neighbours are looked at; fewer mean less bias and more variance.
      key: of a noise that breaks ties, as in `mutual_information`. With it the entropy of tied samples is finite, but
        the lower the smaller the noise is; without it, the default, there is no noise.

    Returns:
      The entropy in nats, which may be negative. Minus infinity where more than k samples are the same, as the entropy
      of a variable is that has single values with positive probability.

    Raises:
      ValueError: if a sample is NaN or infinite, or there are no more samples than neighbours.
      TypeError: if the samples are no real numbers.

    Warns:
      UserWarning: if the entropy is minus infinity.

    Source: Kozachenko and Leonenko, 1987.
    """
    (table,) = as_tables(neighbours, samples=samples)
    values, log_spread = scaled_if_known(table)
    value = estimate(_kozachenko, neighbours, key, values, dtype=result_dtype(samples)) + log_spread.sum()
    if is_concrete(value) and value == -float("inf"):
        warn(
            f"more than {neighbours} samples are the same, or a column does not vary: the differential entropy is minus"
            " infinity; of a discrete variable take information.discrete.entropy, to rounded values add noise as wide"
            " as the rounding"
        )
    return value


@edge
def mutual_information(
    x: Real[AnyArray, "samples x_variables"],
    y: Real[AnyArray, "samples y_variables"],
    *,
    neighbours: int = 3,
    estimator: ContinuousEstimator = "kraskov",
    key: Key | None = None,
) -> Float[Array, ""]:
    """Estimates the mutual information of two variables, either of several columns.

    Args:
      x, y: independent draws of the pair.
      neighbours: as in `entropy`.
      estimator: "kraskov", for continuous variables; or "gao", for variables that are continuous, discrete, or both by
        turns: ties are counted as such. Continuous values that are rounded are better left to "kraskov".
      key: of the noise by which "kraskov" breaks ties, a fixed one by default. It is added to columns in which a value
        occurs more than once, and 1e-10 of their spread wide, or as much more as takes four levels of the dtype for
        each sample: under `jit` and `vmap` in single precision about 5e-7 for each sample.

    Returns:
      The estimate in nats, which may be negative. Zero if a variable does not vary.

    Raises:
      ValueError: if the numbers of samples differ, the estimator is unknown, or as in `entropy`.
      TypeError: as in `entropy`.

    Source: Kraskov, Stögbauer and Grassberger, 2004 (first estimator); Gao, Kannan, Oh and Viswanath, 2017.
    """
    require_choice("estimator", estimator, tuple(_FORMULAS))
    tables = as_tables(neighbours, x=x, y=y)
    return estimate(_FORMULAS[estimator], neighbours, key, *tables, dtype=result_dtype(x, y))


@edge
def conditional_mutual_information(
    x: Real[AnyArray, "samples x_variables"],
    y: Real[AnyArray, "samples y_variables"],
    given: Real[AnyArray, "samples given_variables"],
    *,
    neighbours: int = 3,
    key: Key | None = None,
) -> Float[Array, ""]:
    """Estimates what two continuous variables tell of each other where a third is known, I(x; y | given).

    Args:
      x, y, given: independent draws of the three.
      neighbours: as in `entropy`.
      key: of the noise that breaks ties, as in `mutual_information`.

    Returns:
      The estimate in nats, which may be negative, and is too low where the samples are few for the columns of `given`.
      Zero if x or y does not vary.

    Raises:
      ValueError: as in `mutual_information`.
      TypeError: as in `entropy`.

    Source: Frenzel and Pompe, 2007.
    """
    tables = as_tables(neighbours, x=x, y=y, given=given)
    return estimate(_frenzel, neighbours, key, *tables, dtype=result_dtype(x, y, given))


def _kozachenko(search: Search, neighbours: int, key: Key | None, samples: Any) -> Any:
    numpy, digamma = search.numpy, search.digamma
    variable = scaled(search, samples)
    points = variable.values if key is None else without_ties(search, key, variable)
    count, columns = points.shape
    radii = search.kth_distances(points, neighbours)
    volume = columns * (numpy.log(2.0) + numpy.log(radii).mean()) + variable.log_spread.sum()
    return digamma(float(count)) - digamma(float(neighbours)) + volume


def _kraskov(search: Search, neighbours: int, key: Key | None, x: Any, y: Any) -> Any:
    numpy, digamma = search.numpy, search.digamma
    x, y = in_units(search, key, x, y)
    radii = numpy.nextafter(search.kth_distances(numpy.hstack([x, y]), neighbours), 0)
    # the sample itself, at distance zero, is the one that the estimator adds
    marginal = digamma(search.counts_within(x, radii)) + digamma(search.counts_within(y, radii))
    information = digamma(float(neighbours)) + digamma(float(len(x))) - marginal.mean()
    return zero_if_constant(search, information, x, y)


def _gao(search: Search, neighbours: int, key: Key | None, x: Any, y: Any) -> Any:
    numpy, digamma = search.numpy, search.digamma
    x, y = scaled(search, x).values, scaled(search, y).values
    both = numpy.hstack([x, y])
    distances = search.kth_distances(both, neighbours)
    tied = search.counts_within(both, numpy.zeros_like(distances))
    radii = within(search, both, distances)
    terms = (
        digamma(numpy.where(distances == 0, tied, float(neighbours)))
        - digamma(search.counts_within(x, radii))
        - digamma(search.counts_within(y, radii))
    )
    return zero_if_constant(search, numpy.log(float(len(x))) + terms.mean(), x, y)


def _frenzel(search: Search, neighbours: int, key: Key | None, x: Any, y: Any, given: Any) -> Any:
    numpy, digamma = search.numpy, search.digamma
    x, y, given = in_units(search, key, x, y, given)
    radii = numpy.nextafter(search.kth_distances(numpy.hstack([x, y, given]), neighbours), 0)
    counts = lambda *variables: digamma(search.counts_within(numpy.hstack(variables), radii))
    information = digamma(float(neighbours)) - (counts(x, given) + counts(y, given) - counts(given)).mean()
    return zero_if_constant(search, information, x, y)


_FORMULAS = {"kraskov": _kraskov, "gao": _gao}


def within(search: Search, points: Any, distances: Any) -> Any:
    """Radii that leave out what is at just these distances, though scaling has rounded it: ties of whole numbers."""
    numpy = search.numpy
    rounding = 4 * numpy.finfo(points.dtype).eps * (abs(points).max(-1) + distances)
    return numpy.maximum(distances - rounding, 0)
