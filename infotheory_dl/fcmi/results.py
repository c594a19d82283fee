"""What an evaluation over runs returns."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import jax
from jaxtyping import Array, Float, Int

from infotheory_dl.results import concise

Kind = Literal["gap", "population"]


@concise
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bound:
    """A bound, and how it came about. A pytree of its arrays.

    Attributes:
      value: the mean over supersamples, in units of the loss.
      per_supersample: the bound of each.
      spread: standard deviation over supersamples, zero for one. Supersamples that overlap make it too small.
      interval: ends of the interval of `value` under resampled runs and supersamples, if a key was given.
      per_example: the information about the selection of every row, in nats: how strongly the row is memorised. Its
        leading axis is that of the supersamples, where the runs had one.
      degenerate_rows: how many rows have a selection that never varies over the runs, which then tell nothing.
      excluded: how many runs were left out.
      estimator: of the mutual information.
      kind: "gap" (bounds ghost loss less training loss) or "population" (bounds the ghost loss).
      certificate: whether the information is estimated without a subtraction that may go too far. In expectation over
        the runs "known_marginal" then never falls below it, and "plugin" only by as much as chance unbalances the
        selection; a mean of its square roots still may, where predictions change more rarely than the runs can show.
        False for bias-corrected values, for losses in bins or by neighbours, which see less than the
        losses themselves, and where rows are degenerate.
    """

    value: Float[Array, "..."]
    per_supersample: Float[Array, "... supersamples"]
    spread: Float[Array, "..."]
    interval: Float[Array, "... 2"] | None
    per_example: Float[Array, "..."]
    degenerate_rows: Int[Array, "..."]
    excluded: Int[Array, "..."]
    estimator: str = field(metadata={"static": True})
    kind: Kind = field(metadata={"static": True})
    certificate: bool = field(metadata={"static": True})


@concise
class GeneralizationGap(NamedTuple):
    """The gap that was seen.

    Attributes:
      value: ghost loss less training loss, in the mean over runs and supersamples; positive when overfitting.
      per_supersample: the gap of each.
      spread: standard deviation over supersamples, zero for one.
      training_loss: mean loss on the training examples of each supersample.
      ghost_loss: mean loss on its ghosts.
    """

    value: Float[Array, ""]
    per_supersample: Float[Array, " supersamples"]
    spread: Float[Array, ""]
    training_loss: Float[Array, " supersamples"]
    ghost_loss: Float[Array, " supersamples"]
