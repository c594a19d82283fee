"""Whether a fit explains more than it would of columns that share nothing."""

import functools
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Key as Keys

from infotheory_dl._validation import edge, require_count
from infotheory_dl.corex._linear.fitting import LinearSettings, asked, fit
from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex._linear.programs import (
    LinearRates,
    LinearSetup,
    Rows,
    best_of,
    fit_starts,
    rows_of,
    skewness_of,
    standardised_table,
)
from infotheory_dl.corex._settings import keyword_defaults
from infotheory_dl.corex.preprocessing import counts_and_root
from infotheory_dl.results import concise
from infotheory_dl.types import AnyTable, Key

# of all tables that are fitted side by side
_ENTRIES_AT_ONCE = 2**21


@concise
class TotalCorrelationTest(NamedTuple):
    """What a fit explains, beside what fits explain of the same columns without what they share.

    Attributes:
      p_value: share of the permuted tables, and the table itself, of which at least as much is explained.
      total_correlation: of the fit, nats.
      null: that of the fit to each permuted table, nats.
      factor_p_values: for each factor the share of the permuted tables, and the table itself, whose best factor
        explains at least as much.
      factor_null: what the best factor explains of each permuted table, nats.
      model: the fit.
    """

    p_value: float
    total_correlation: float
    null: Float[np.ndarray, " permutations"]
    factor_p_values: Float[np.ndarray, " factors"]
    factor_null: Float[np.ndarray, " permutations"]
    model: LinearCorex

    @property
    def excess(self) -> float:
        """What the fit explains beyond the mean of the permuted tables, nats."""
        return self.total_correlation - float(self.null.mean())


@edge
def total_correlation_test(
    key: Key, x: AnyTable, num_factors: int, *, num_permutations: int = 39, **settings: Unpack[LinearSettings]
) -> TotalCorrelationTest:
    """Fits a table, and tables with the values of each column in an order of its own.

    Any fit explains something of noise: it has more parameters than there are samples, or restarts to choose from. What
    it explains of permuted columns, which share nothing, is what there is to be beaten: by the fit as a whole, and by
    each factor, where the best factors of the permuted tables stand for chance.

    Args:
      key: source of randomness, of the starts and of the permutations.
      x: as in `fit`.
      num_factors: number of factors.
      num_permutations: how many permuted tables; the least p-value is 1 / (num_permutations + 1).
      settings: the others of `fit`, but `initial_weights`: all fits start alike, at random.

    Returns:
      The test, and the fit to the table.

    Raises:
      TypeError, ValueError: as `fit`; ValueError if weights to start from are given.

    Source: Phipson and Smyth, 2010 (the p-value).
    """
    require_count(1, num_permutations=num_permutations)
    if settings.get("initial_weights") is not None:
        raise ValueError("the fits of a test start at random; leave initial_weights out")
    of_solver: dict[str, Any] = keyword_defaults(fit) | {**settings}
    of_table = [of_solver.pop(name) for name in ("preprocessing", "missing", "missing_value", "on_constant")]
    key_fit, key_null = jax.random.split(key)
    model = fit(key_fit, x, num_factors, **settings)
    noises, setup, rates = asked(**of_solver)
    _, table = standardised_table(x, *of_table)
    keys, active = (
        jax.random.split(key_null, num_permutations),
        jnp.ones((of_solver["num_restarts"], num_factors), bool),
    )
    stages, pairwise = jnp.asarray(noises, table.dtype), settings.get("missing") == "pairwise"
    with jax.default_matmul_precision(setup.precision):
        null, of_factors = map(np.asarray, _null(keys, table, active, stages, rates, setup, pairwise))
    reached = float(model.total_correlation)
    return TotalCorrelationTest(
        p_value=float(_p_values(null, np.array([reached]))[0]),
        total_correlation=reached,
        null=null,
        factor_p_values=_p_values(of_factors, np.asarray(model.total_correlations)),
        factor_null=of_factors,
        model=model,
    )


def _p_values(null: np.ndarray, reached: np.ndarray) -> Float[np.ndarray, " values"]:
    return (1 + (null[:, None] >= reached).sum(0)) / (1 + len(null))


@functools.partial(jax.jit, static_argnames=("setup", "pairwise"))
def _null(
    keys: Keys[Array, " permutations"],
    table: Array,
    active: Array,
    noises: Array,
    rates: LinearRates,
    setup: LinearSetup,
    pairwise: bool,
) -> tuple[Float[Array, " permutations"], Float[Array, " permutations"]]:
    """What the best of the starts explains of each permuted table, and what its best factor does."""

    def rows_in(permuted: Array) -> Rows:
        if pairwise:
            return Rows(counts_and_root(permuted)[1], skewness_of(jnp.nan_to_num(permuted)))
        return rows_of(permuted, compress=not setup.sampled)

    def of_one(key: Key) -> tuple[Array, Array]:
        key_order, key_fit = jax.random.split(key)
        permuted = jax.random.permutation(key_order, table, axis=0, independent=True)
        fits = fit_starts(key_fit, rows_in(permuted), None, active, noises, setup, rates)
        best = best_of(fits)
        return fits.moments.total_correlation[best], fits.moments.total_correlations[best].max()

    # side by side every fit takes as long as the longest, which accelerators make up for, and CPUs do not
    at_once = None if jax.default_backend() == "cpu" else max(1, min(len(keys), _ENTRIES_AT_ONCE // table.size))
    return jax.lax.map(of_one, keys, batch_size=at_once)
