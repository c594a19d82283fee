"""Tables of variables of one kind: what their values must be, and how the learners take them."""

import functools
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from infotheory_dl._blocks import sum_blocks
from infotheory_dl._validation import (
    require_all,
    require_choice,
    require_count,
    require_finite,
    require_not_empty,
    require_rank,
    warn,
)
from infotheory_dl.data import Moments, pixel_moments
from infotheory_dl.data.preprocessing import network_inputs
from infotheory_dl.minsyn._families import GAUSSIAN, Family, Variables, discrete
from infotheory_dl.types import AnyArray


class Table(NamedTuple):
    """Samples as a learner takes them.

    Attributes:
      family: of the variables.
      values: in the units of the family.
      moments: by which Gaussian variables were standardised; None for others.
    """

    family: Family
    values: Float[np.ndarray, "samples variables"]
    moments: Moments | None


def read_table(
    x: Real[AnyArray, "samples variables"], num_factors: int, variables: Variables, num_levels: int | None
) -> Table:
    """Checks samples to learn from.

    Raises:
      ValueError: if there are fewer than two samples, values are not of the kind, or Gaussian variables do not vary.
    """
    require_choice("variables", variables, get_args(Variables))
    require_count(1, num_factors=num_factors)
    require_rank("x", x, 2, "(samples, variables)")
    require_not_empty(x=x)
    require_finite(x=x)
    if len(x) < 2:
        raise ValueError("x must have at least 2 samples, got 1")
    if num_levels is not None and variables != "categorical":
        raise ValueError(f"num_levels is of variables='categorical', got variables={variables!r}")
    require_count(2, num_levels=num_levels)
    if num_factors > x.shape[1]:
        warn(f"there are more factors, {num_factors}, than variables, {x.shape[1]}")
    x = np.asarray(x)
    if variables == "gaussian":
        moments = pixel_moments(x, per="pixel")
        constant = np.flatnonzero((x == x[0]).all(0))
        if len(constant):
            raise ValueError(
                f"x has {len(constant)} of {x.shape[1]} columns that do not vary, the first at {constant[0]}: leave"
                " them out, x[:, x.std(0) > 0]"
            )
        return Table(GAUSSIAN, network_inputs(x, moments), moments)
    family = discrete(2 if variables == "binary" else num_levels or max(int(x.max()) + 1, 2))
    _require_of(family, x, are_probabilities=variables == "binary")
    return Table(family, _floating(x), None)


def family_of(margin: Float[AnyArray, "moments variables"], moments: Moments | None) -> Family:
    """The family of the variables of a model."""
    return GAUSSIAN if moments is not None else discrete(len(margin))


@functools.partial(jax.jit, static_argnames=("family", "batch_size"))
def margin_of(
    family: Family, values: Array, smoothing: Any, batch_size: int | None = None
) -> Float[Array, "moments variables"]:
    """Moments of the variables, smoothed by as many samples; at most `batch_size` of the samples at once."""
    of_block = lambda mask, rows: jnp.tensordot(mask.astype(rows.dtype), family.statistics(rows), 1)
    means = sum_blocks(of_block, (values,), batch_size) / len(values)
    return family.margin(means, smoothing / len(values))


def read_more(
    x: Real[AnyArray, "samples variables"], family: Family, moments: Moments | None, num_variables: int
) -> Float[np.ndarray, "samples variables"]:
    """Checks further samples of variables that a model knows."""
    require_rank("x", x, 2, "(samples, variables)")
    if x.shape[1] != num_variables:
        raise ValueError(f"x must have the {num_variables} variables of the training data, got shape {x.shape}")
    require_finite(x=x)
    if moments is not None:
        return network_inputs(x, moments)
    _require_of(family, x, are_probabilities=family.parameters == 1)
    return _floating(np.asarray(x))


def _require_of(family: Family, x: AnyArray, *, are_probabilities: bool) -> None:
    """Raises a ValueError that names the first value which is none of discrete variables."""
    if are_probabilities:
        remedy = "other variables are variables='categorical' or variables='gaussian'"
        require_all(lambda x: (x >= 0) & (x <= 1), "be 0, 1 or a probability", remedy, x=x)
    else:
        is_code = lambda x: (x == np.round(x)) & (x >= 0) & (x <= family.parameters)
        require_all(is_code, f"hold whole numbers from 0 to {family.parameters}", x=x)


def _floating(x: np.ndarray) -> np.ndarray:
    """Single precision but for double precision where jax has it."""
    dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.float32
    return x.astype(jax.dtypes.canonicalize_dtype(dtype))
