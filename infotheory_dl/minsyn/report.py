"""Where a representation is synergistic: which variables it tells only with all factors together."""

import functools
import math
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from infotheory_dl._validation import edge, require_choice, require_count, require_same_length, warn
from infotheory_dl.information._tables import as_table
from infotheory_dl.information.synergy._discrete import measured as measured_discrete
from infotheory_dl.information.synergy._gaussian import NEAR_COPY, warn_of_copies
from infotheory_dl.information.synergy._gaussian import measured as measured_gaussian
from infotheory_dl.information.synergy._samples import standardised_samples
from infotheory_dl.minsyn._states import informations, normalised, states
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SynergyMeasure = Literal["gaussian", "rank_gaussian", "discrete"]

_MEASURES = {
    "gaussian": "S_CI of Gaussians",
    "rank_gaussian": "S_CI of Gaussians, after every column became normal quantiles of its ranks",
    "discrete": "S_CI of discrete states",
}
_MOST_CELLS = 1 << 24
_CELLS_AT_ONCE = 1 << 22
_FEWEST_IN_A_CELL = 5


@concise
class SynergyReport(NamedTuple):
    """What factors tell of every variable, and how much of it a reader needs all of them for. In nats.

    The maps have the shape of one sample of x, so that those of images are images.

    Attributes:
      measure: which measure of synergy this is, in words.
      information: I(X_i; Z), of all factors together.
      informations: I(X_i; Z_j), of each.
      whole_minus_sum: I(X_i; Z) - sum_j I(X_i; Z_j): synergy less redundancy, of either sign.
      synergy: S_CI, what a reader loses who takes the factors to be independent given the variable. It is no synergy of
        a partial information decomposition: of two coins that are both told, S_CI is zero.
      independent_information: I_CI = I - S_CI, what is left to that reader; it may be negative.
      calibrated_synergy: what a reader loses who mends that: S_cal, with the variance of the errors refitted; of
        discrete states S_mis, with all likelihoods raised to one power.
      hidden: I(X_i; Z) - I(X_i; Z without Z_j), what is lost when a factor is hidden.
      near_copies: factors that share more than 0.999 of their correlation with another one; what a reader loses who
        counts both is no synergy.
    """

    measure: str
    information: Float[Array, "*variables"]
    informations: Float[Array, "factors *variables"]
    whole_minus_sum: Float[Array, "*variables"]
    synergy: Float[Array, "*variables"]
    independent_information: Float[Array, "*variables"]
    calibrated_synergy: Float[Array, "*variables"]
    hidden: Float[Array, "factors *variables"]
    near_copies: Bool[np.ndarray, " factors"]

    @property
    def synergy_share(self) -> float:
        """The synergy of all variables over their information; zero where there is none."""
        total = float(self.information.sum())
        return float(self.synergy.sum()) / total if total > 0 else 0.0


@edge
def synergy_report(
    codes: Real[AnyArray, "samples factors"],
    x: Real[AnyArray, "samples *variables"],
    *,
    measure: SynergyMeasure = "gaussian",
    bins: int = 4,
) -> SynergyReport:
    """Measures the synergy of any representation about every variable: of a PCA, of a trained network, of columns.

    Args:
      codes: the representation of the samples.
      x: what is represented, such as images; variables that do not vary are told nothing.
      measure: "gaussian", by correlations, which see what is linear; "rank_gaussian", after every column became normal
        quantiles of its ranks; "discrete", by counts of joint states, which see XOR.
      bins: of "discrete": a column of more values is cut into so many states, equally frequent.

    Returns:
      The maps of all measures.

    Raises:
      ValueError: if the numbers of samples differ, an entry is NaN or infinite, a factor follows from the others, there
        are no more samples than factors, or more than 2**24 joint states.

    Warns:
      UserWarning: if two factors are near copies of each other, or there are fewer than five samples for each joint
        state.

    Source: ours; see `information.synergy` for the measures.
    """
    require_choice("measure", measure, get_args(SynergyMeasure))
    require_count(2, bins=bins)
    require_same_length(codes=codes, x=x)
    shape, rows = np.shape(x)[1:], np.reshape(x, (len(x), -1))
    by_counts = measure == "discrete"
    maps, copies = _by_counts(codes, rows, bins) if by_counts else _by_correlations(codes, rows, measure)
    as_samples = {name: values.reshape(*values.shape[:-1], *shape) for name, values in maps._asdict().items()}
    return SynergyReport(measure=_MEASURES[measure], near_copies=np.asarray(copies), **as_samples)


def draw_synergy(report: SynergyReport) -> "Figure":
    """Draws the maps of a report: information, synergy, and what hiding each factor loses, on one scale.

    Args:
      report: of variables that form images, or a line.

    Returns:
      The figure; its title says which measure of synergy it shows.

    Raises:
      ModuleNotFoundError: if matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    maps = {"information": report.information, "synergy": report.synergy}
    for place, (hidden, copy) in enumerate(zip(report.hidden, report.near_copies, strict=True)):
        maps[f"lost without Z{place}" + ", a near copy" * bool(copy)] = hidden
    columns = math.ceil(math.sqrt(len(maps)))
    rows = math.ceil(len(maps) / columns)
    figure = Figure((3.5 * columns, 0.8 + 1.6 * rows), layout="constrained")
    figure.suptitle(f"{report.measure}: {report.synergy_share:.1%} of the information, nats")
    largest = max(float(jnp.max(values)) for values in maps.values()) or 1.0
    for axes in figure.subplots(rows, columns, squeeze=False).ravel()[len(maps) :]:
        axes.set_axis_off()
    for axes, (title, values) in zip(figure.axes, maps.items(), strict=False):
        image = np.asarray(values)
        image = image.reshape(len(image), -1) if image.ndim > 1 else image[None]
        drawn = axes.imshow(image, vmin=0, vmax=largest, cmap="magma", aspect="auto" if len(image) == 1 else "equal")
        axes.set_title(title, fontsize="small")
        axes.set_axis_off()
    figure.colorbar(drawn, ax=figure.axes)
    return figure


class _Maps(NamedTuple):
    """Those of a report, in its order, with an axis of variables at the end."""

    information: Array
    informations: Array
    whole_minus_sum: Array
    synergy: Array
    independent_information: Array
    calibrated_synergy: Array
    hidden: Array


def _by_correlations(codes: AnyArray, x: AnyArray, measure: SynergyMeasure) -> tuple[_Maps, Array]:
    samples = standardised_samples("x", x, "codes", codes, rank_gaussianize=measure == "rank_gaussian")
    warn_of_copies(samples.among)
    shared = jnp.abs(samples.among - jnp.eye(len(samples.among))).max(1)
    return _of_correlations(samples.across, samples.among), shared > NEAR_COPY


@jax.jit
def _of_correlations(across: Float[Array, "factors variables"], among: Float[Array, "factors factors"]) -> _Maps:
    found = measured_gaussian(across, among)
    precision = jnp.linalg.inv(among)
    # without a factor the explained variance falls by the square of its coefficient over its own precision
    lost = jnp.matmul(precision, across, precision="highest") ** 2 / jnp.diagonal(precision)[:, None]
    return _Maps(
        found.information,
        found.informations.T,
        found.whole_minus_sum,
        found.synergy,
        found.independent_information,
        found.calibrated_synergy,
        jnp.log1p(lost * jnp.exp(2 * found.information)) / 2,
    )


def _by_counts(codes: AnyArray, x: AnyArray, bins: int) -> tuple[_Maps, np.ndarray]:
    tables = as_table("codes", codes), as_table("x", x)
    sources, targets = (states(np.asarray(table), bins) for table in tables)
    shape = tuple((1 + sources.max(0)).tolist())
    most = 1 + int(targets.max())
    cells = most * math.prod(shape)
    if cells > _MOST_CELLS:
        raise ValueError(
            f"factors and a variable have {cells} joint states, more than {_MOST_CELLS}: take fewer factors, or fewer"
            " bins"
        )
    if len(sources) < _FEWEST_IN_A_CELL * cells:
        warn(
            f"{len(sources)} samples for {cells} joint states are fewer than {_FEWEST_IN_A_CELL} each: synergy is"
            " biased upwards; take fewer factors, or fewer bins"
        )
    shared = normalised(*informations(sources, sources)) - np.eye(len(shape))
    places = np.ravel_multi_index(tuple(sources.T), shape)
    return _of_states(jnp.asarray(targets.T), jnp.asarray(places), most, shape), shared.max(1) > NEAR_COPY


@functools.partial(jax.jit, static_argnames=("most", "shape"))
def _of_states(
    targets: Int[Array, "variables samples"], places: Int[Array, " samples"], most: int, shape: tuple[int, ...]
) -> _Maps:
    """Variables of fewer states than the most have some without mass."""

    def of_one(target: Array) -> _Maps:
        joint = jnp.zeros((most, math.prod(shape))).at[target, places].add(1 / len(places)).reshape(most, *shape)
        found = measured_discrete(joint)
        without = [
            found.information - (measured_discrete(joint.sum(factor)).information if len(shape) > 1 else 0)
            for factor in range(1, joint.ndim)
        ]
        return _Maps(
            found.information,
            found.informations,
            found.whole_minus_sum,
            found.synergy,
            found.independent_information,
            found.mismatched_synergy,
            jnp.stack(without),
        )

    at_once = max(1, min(len(targets), _CELLS_AT_ONCE // (most * math.prod(shape))))
    maps = jax.lax.map(of_one, targets, batch_size=at_once)
    return jax.tree.map(lambda values: jnp.moveaxis(values, 0, -1), maps)
