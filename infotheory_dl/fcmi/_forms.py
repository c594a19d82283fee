"""The bounds that rest on arrays, by name: of what the information is, and what follows from it."""

from collections.abc import Callable
from functools import cache, partial
from math import log
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl.fcmi import formulas
from infotheory_dl.fcmi.results import Kind

Coding = Literal["labels", "loss_pair", "loss_difference", "pooled_difference", "first_loss", "second_loss"]
Information = Float[Array, "supersamples rows"]
Value = Float[Array, " supersamples"]


class LossMoments(NamedTuple):
    """What bounds need of the training losses, in expectation over the runs.

    Attributes:
      mean: of the training loss L of a run.
      square: of its square.
      row_square: mean over rows and columns of the squared mean loss of the runs that trained on the entry.
    """

    mean: Value
    square: Value
    row_square: Value


class Form(NamedTuple):
    """A bound as a function of information and losses.

    Attributes:
      codings: of what in a run the information is.
      bound: from the information of every row, the mean over the codings, and the moments of the training losses (None
        if there are only predictions) to the bound of every supersample.
      kind: what it bounds.
    """

    codings: tuple[Coding, ...]
    bound: Callable[..., Value]
    kind: Kind = "gap"


@cache
def moment_form(name: Literal["variance", "sharpness"], gamma: float) -> Form:
    """The variance or the sharpness bound at one gamma; the same object for equal arguments, so compiled once."""
    moment = {"variance": lambda losses: losses.square, "sharpness": lambda losses: losses.row_square}[name]
    return Form(
        _SINGLE, lambda rows, losses: formulas.moment_gap(_mean(rows), losses.mean, moment(losses), gamma=gamma)
    )


def _mean(rows: Information) -> Value:
    # estimates that a row does not allow are NaN
    return jnp.nanmean(rows, axis=-1)


def _square_root(factor: float, rows: Information, losses: LossMoments | None) -> Value:
    return factor * _mean(formulas.weight_cmi(rows))


def _over_one_bit(factor: float, rows: Information, losses: LossMoments) -> Value:
    return factor * _mean(rows) / log(2)


def _with_loss(formula: Callable[[Value, Value], Value], rows: Information, losses: LossMoments) -> Value:
    return formula(_mean(rows), losses.mean)


_SINGLE: tuple[Coding, ...] = ("first_loss", "second_loss")

LABEL_FORMS = {"fcmi": Form(("labels",), partial(_square_root, 1.0))}

LOSS_FORMS = {
    "ecmi": Form(("loss_pair",), partial(_square_root, 1.0)),
    "ldcmi": Form(("loss_difference",), partial(_square_root, 1.0)),
    "ldmi": Form(("pooled_difference",), partial(_square_root, 1.0)),
    "single_loss_0": Form(("first_loss",), partial(_square_root, 2.0)),
    "single_loss_1": Form(("second_loss",), partial(_square_root, 2.0)),
    "fast_rate": Form(_SINGLE, partial(_with_loss, formulas.fast_rate_gap)),
    "fast_rate_simple": Form(_SINGLE, partial(_with_loss, formulas.fast_rate_simple_gap)),
    "variance": moment_form("variance", 1.0),
    "sharpness": moment_form("sharpness", 1.0),
    "binary_kl": Form(("loss_pair",), partial(_with_loss, formulas.binary_kl_loss), "population"),
    "linear": Form(("loss_pair",), partial(_with_loss, formulas.linear_loss), "population"),
}

INTERPOLATION_FORMS = {
    "interpolating": Form(("loss_pair",), partial(_over_one_bit, 1.0), "population"),
    "interpolating_loss_difference": Form(("loss_difference",), partial(_over_one_bit, 1.0), "population"),
    "interpolating_single_loss": Form(_SINGLE, partial(_over_one_bit, 2.0), "population"),
}
