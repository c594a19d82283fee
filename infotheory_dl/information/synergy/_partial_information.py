"""Partial information decompositions of what two sources tell of a target."""

from typing import Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real

from infotheory_dl._validation import edge, require_choice
from infotheory_dl.information.synergy._discrete import checked_pmf, divergence, log_likelihood, measured
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

PartialMeasure = Literal["minimum", "mmi", "broja"]

PARTIAL_MEASURES: tuple[PartialMeasure, ...] = get_args(PartialMeasure)

_MAX_ITERATIONS = 20_000
_SWEEPS = 2


# coupling, its scaling, how far it moved, turns
_State: TypeAlias = tuple[Array, Array, Array, Array]


@concise
class PartialInformation(NamedTuple):
    """I(X; Z₁, Z₂) in four parts that add up to it, in nats.

    Attributes:
      synergy: what only both sources together tell.
      unique: what only the first tells, and only the second.
      redundancy: what either of them tells.
    """

    synergy: Float[Array, ""]
    unique: Float[Array, "2"]
    redundancy: Float[Array, ""]


@edge
def partial_information(
    pmf: Real[AnyArray, "_ _ _"],
    *,
    measure: PartialMeasure = "broja",
    target_axis: int = 0,
    normalize: bool = False,
) -> PartialInformation:
    """Decomposes what two sources tell of a target into synergy, unique and redundant information.

    Args:
      pmf: joint probabilities of the target and two sources, an axis for each.
      measure: what is redundant. "minimum": of each state of the target what the worse source tells; "mmi": the lesser
        of the two informations; "broja": what is left of them when the sources are coupled so that both together tell
        the least, with both pairs of target and source as they are.
      target_axis, normalize: as in `discrete`.

    Returns:
      The parts. Those of "broja" are of a minimum that is approached: to 1e-6 nats and better in double precision where
      the minimum lies inside, to 1e-4 where the best coupling has zeros that the sources have not.

    Raises:
      ValueError: if there are not two sources, the measure is unknown, or `pmf` is none, see `discrete`.

    Source: Williams and Beer, 2010 ("minimum"); Barrett, 2015 ("mmi"); Bertschinger, Rauh, Olbrich, Jost and Ay, 2014
      ("broja"). The last is solved by alternating projections (Csiszár and Tusnády, 1984): the iterations are ours.
    """
    require_choice("measure", measure, PARTIAL_MEASURES)
    if np.ndim(pmf) != 3:
        raise ValueError(f"pmf must have an axis for the target and two for the sources, got shape {np.shape(pmf)}")
    return decomposed(checked_pmf(pmf, target_axis, normalize), measure)


def decomposed(joint: Float[Array, "target first second"], measure: PartialMeasure) -> PartialInformation:
    """The core of `partial_information`; the target comes first."""
    whole = measured(joint)
    if measure == "broja":
        least = jnp.minimum(_least_information(joint), whole.information)
        # what both tell at least is no less than what either tells
        least = jnp.maximum(least, whole.informations.max())
        redundancy = whole.informations.sum() - least
    else:
        redundancy = whole.informations.min() if measure == "mmi" else whole.redundancy
    unique = whole.informations - redundancy
    return PartialInformation(whole.information - unique.sum() - redundancy, unique, redundancy)


@jax.jit
def _least_information(joint: Float[Array, "target first second"]) -> Float[Array, ""]:
    """min I(X; Z₁, Z₂) over couplings of the sources with the same p(x, z₁) and p(x, z₂).

    The information is the least of Σ p(x, z) log p(z | x)/r(z) over r, so that the best r and the best coupling are
    found in turns: r is the marginal of the coupling, the coupling of each x is the projection of r onto its marginals:
    r scaled by a factor of z₁ and one of z₂, which are improved a little in each turn.
    """
    target = joint.sum((1, 2), keepdims=True)
    conditional = joint / jnp.where(target > 0, target, 1)
    of_first, of_second = conditional.sum(2, keepdims=True), conditional.sum(1, keepdims=True)
    ratio = lambda wanted, present: jnp.where(present > 0, wanted / jnp.where(present > 0, present, 1), 0)

    def projected(_: Int[Array, ""], coupling: Array) -> Array:
        coupling = coupling * ratio(of_first, coupling.sum(2, keepdims=True))
        return coupling * ratio(of_second, coupling.sum(1, keepdims=True))

    def information(coupling: Array) -> Array:
        mass = target * coupling
        marginal = mass.sum(0, keepdims=True)
        log = jnp.log(jnp.where(marginal > 0, marginal, 1)) + jnp.log(jnp.where(target > 0, target, 1))
        return divergence(mass, jnp.where((marginal > 0) & (target > 0), log, -jnp.inf)).sum()

    def moves(state: _State) -> Array:
        _, _, change, count = state
        return (change > 4 * jnp.finfo(change.dtype).eps) & (count < _MAX_ITERATIONS)

    def alternate(state: _State) -> _State:
        coupling, scaling, _, count = state
        mixture = (target * coupling).sum(0, keepdims=True)
        improved = lax.fori_loop(0, _SWEEPS, projected, mixture * scaling)
        return improved, ratio(improved, mixture), jnp.abs(improved - coupling).max(), count + 1

    # independent sources have the right marginals, and are a scaling of a uniform marginal
    start = jnp.exp(log_likelihood(joint))
    state = start, start, jnp.asarray(jnp.inf, joint.dtype), jnp.asarray(0)
    return information(lax.while_loop(moves, alternate, state)[0])
