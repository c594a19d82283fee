"""One pass over runs for any set of bounds: codes, counts, information, bounds."""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import is_concrete, warn
from infotheory_dl.fcmi import codes
from infotheory_dl.fcmi._forms import Coding, Form, LossMoments
from infotheory_dl.fcmi._runs import CheckedRuns
from infotheory_dl.fcmi.results import Bound
from infotheory_dl.information.discrete import Estimator, information_from_counts, joint_counts
from infotheory_dl.information.neighbours import mixed_mutual_information
from infotheory_dl.metrics.resampling import resampled
from infotheory_dl.types import Key

LossEstimator = Literal[Estimator, "neighbours"]


class Settings(NamedTuple):
    """What shapes the program.

    Attributes:
      estimator: of the mutual information.
      num_classes: of the predictions, if there are any.
      bins: intervals into which real losses are divided; None if losses are 0 or 1.
    """

    estimator: LossEstimator
    num_classes: int = 0
    bins: int | None = None

    def of(self, coding: Coding) -> LossEstimator:
        """The estimator of one coding: predicted labels have no nearest neighbours."""
        return "plugin" if self.estimator == "neighbours" and coding == "labels" else self.estimator

    def exact(self, coding: Coding) -> bool:
        """Whether nothing is lost in the coding, and nothing subtracted from the estimate."""
        return self.of(coding) in ("plugin", "known_marginal") and (coding == "labels" or self.bins is None)


def evaluate(
    forms: tuple[Form, ...],
    runs: CheckedRuns,
    settings: Settings,
    *,
    squeeze: bool,
    loss_range: tuple[float, float] = (0.0, 1.0),
    key: Key | None = None,
    num_resamples: int = 200,
) -> list[Bound]:
    """Evaluates bounds over the same runs, and warns of rows that tell nothing.

    `squeeze` takes the axis of supersamples away from the information of the rows.
    """
    values, information = _bounds(forms, runs, settings, key)
    intervals: list[Array | None] = [None] * len(forms)
    if key is not None and settings.estimator != "neighbours":
        intervals = _intervals(forms, runs, settings, key, values, num_resamples)
    degenerate = _degenerate(runs).sum()
    _warn(runs, information, degenerate)
    tells = not (is_concrete(degenerate) and degenerate > 0)

    low, high = loss_range

    def bound(form: Form, value: Array, rows: Array, interval: Array | None) -> Bound:
        shift = low if form.kind == "population" else 0.0
        coding = form.codings[0]
        return Bound(
            value=shift + (high - low) * value.mean(),
            per_supersample=shift + (high - low) * value,
            spread=(high - low) * value.std(),
            interval=None if interval is None else shift + (high - low) * interval,
            per_example=rows[0] if squeeze or coding == "pooled_difference" else rows,
            degenerate_rows=degenerate,
            excluded=(runs.weights == 0).sum(),
            estimator=settings.of(coding),
            kind=form.kind,
            certificate=tells and settings.exact(coding),
        )

    return [bound(*parts) for parts in zip(forms, values, information, intervals, strict=True)]


def training_entries(runs: CheckedRuns) -> Bool[Array, "supersamples runs rows 2"]:
    """Which entries of the supersample every run trained on."""
    return runs.selection[..., None] == jnp.arange(2)


def mean_over_runs(
    values: Float[Array, "supersamples runs *rest"], runs: CheckedRuns
) -> Float[Array, "supersamples *rest"]:
    """Mean over the runs that count."""
    weights = runs.weights.reshape(runs.weights.shape + (1,) * (values.ndim - 2))
    return (weights * values).sum(1) / weights.sum(1)


@partial(jax.jit, static_argnums=(0, 2))
def _bounds(
    forms: tuple[Form, ...], runs: CheckedRuns, settings: Settings, key: Key | None
) -> tuple[list[Array], list[Array]]:
    """The bounds of every supersample, and the information of every row that they rest on."""
    codings = dict.fromkeys(coding for form in forms for coding in form.codings)
    information = {coding: _information(coding, runs, settings, key) for coding in codings}
    rows = [jnp.stack([information[coding] for coding in form.codings]).mean(0) for form in forms]
    moments = _loss_moments(runs) if "losses" in runs.outputs else None
    return [form.bound(row, moments) for form, row in zip(forms, rows, strict=True)], rows


def _information(coding: Coding, runs: CheckedRuns, settings: Settings, key: Key | None) -> Array:
    estimator = settings.of(coding)
    if estimator == "neighbours":
        return _information_by_neighbours(coding, runs, key)
    values, num_codes = _coded(coding, runs, settings)
    selection, weights = runs.selection, runs.weights
    if coding == "pooled_difference":
        values, selection, weights = (array.reshape(1, -1, *array.shape[2:]) for array in (values, selection, weights))
    counts = jax.vmap(lambda c, s, w: joint_counts(c, s, num_codes=num_codes, weights=w))(values, selection, weights)
    return information_from_counts(counts, estimator)


def _coded(coding: Coding, runs: CheckedRuns, settings: Settings) -> tuple[Int[Array, "supersamples runs rows"], int]:
    """The codes and the size of their alphabet."""
    if coding == "labels":
        return codes.pair_labels(runs.outputs["predictions"], settings.num_classes), settings.num_classes**2
    num_levels = settings.bins or 2
    levels = codes.loss_levels(runs.outputs["losses"], num_levels)
    if coding == "loss_pair":
        return codes.loss_pair(levels, num_levels), num_levels**2
    if coding in ("loss_difference", "pooled_difference"):
        return codes.loss_difference(levels, num_levels), 2 * num_levels - 1
    return codes.columns(levels)[..., 0 if coding == "first_loss" else 1], num_levels


def _information_by_neighbours(coding: Coding, runs: CheckedRuns, key: Key | None) -> Array:
    pair = codes.columns(runs.outputs["losses"])
    variables = {
        "loss_pair": lambda: pair,
        "loss_difference": lambda: pair[..., 1:] - pair[..., :1],
        "pooled_difference": lambda: pair[..., 1:] - pair[..., :1],
        "first_loss": lambda: pair[..., :1],
        "second_loss": lambda: pair[..., 1:],
    }[coding]()
    selection, valid = runs.selection, runs.weights > 0
    if coding == "pooled_difference":
        variables, selection, valid = (
            array.reshape(1, -1, *array.shape[2:]) for array in (variables, selection, valid)
        )
    supersamples, _, rows = selection.shape

    def row_information(place: Array) -> Array:
        supersample, row = place // rows, place % rows
        noise = None if key is None else jax.random.fold_in(key, place)
        return mixed_mutual_information(
            variables[supersample, :, row], selection[supersample, :, row], valid=valid[supersample], key=noise
        )

    information = lax.map(row_information, jnp.arange(supersamples * rows)).reshape(supersamples, rows)
    return jnp.maximum(information, 0)


def _loss_moments(runs: CheckedRuns) -> LossMoments:
    losses, trained = codes.columns(runs.outputs["losses"]), training_entries(runs)
    training_loss = jnp.where(trained, losses, 0).sum((2, 3)) / runs.selection.shape[-1]
    times_trained = (runs.weights[..., None, None] * trained).sum(1)
    row_loss = (runs.weights[..., None, None] * jnp.where(trained, losses, 0)).sum(1) / times_trained
    return LossMoments(
        mean_over_runs(training_loss, runs),
        mean_over_runs(training_loss**2, runs),
        # an entry that no run trained on has no mean
        jnp.nanmean(row_loss**2, axis=(1, 2)),
    )


@partial(jax.jit, static_argnums=(0, 2, 5))
def _intervals(
    forms: tuple[Form, ...], runs: CheckedRuns, settings: Settings, key: Key, values: list[Array], num_resamples: int
) -> list[Float[Array, "2"]]:
    """Central 95% of the bounds over resampled runs, the same for all supersamples, and resampled supersamples.

    Resampling repeats runs, which biases information upwards once more: the deviations are from their own mean.
    """
    supersamples, num_runs = runs.weights.shape

    def measure(drawn: Array, chosen: Array) -> list[Array]:
        weights = runs.weights * jnp.bincount(drawn, length=num_runs)
        bounds, _ = _bounds(forms, runs._replace(weights=weights), settings, None)
        return [value[chosen % len(value)].mean() for value in bounds]

    draws = resampled(key, measure, (num_runs, supersamples), num_resamples)
    return [
        jnp.maximum(value.mean() + jnp.nanquantile(draw - jnp.nanmean(draw), jnp.array([0.025, 0.975])), 0)
        for value, draw in zip(values, draws, strict=True)
    ]


def _degenerate(runs: CheckedRuns) -> Bool[Array, "supersamples rows"]:
    """Rows whose selection never varies over the runs that count."""
    selected = (runs.weights[..., None] * runs.selection).sum(1)
    return (selected == 0) | (selected == runs.weights.sum(1)[:, None])


def _warn(runs: CheckedRuns, information: list[Array], degenerate: Array) -> None:
    if not is_concrete(degenerate):
        return
    rows = runs.selection[:, 0].size
    if degenerate:
        warn(
            f"the selection of {degenerate} of {rows} rows never varies over the runs: they tell nothing about those"
            " rows, whatever the training has memorised, and the bounds are too small; more runs, or the antithetic"
            " design, vary them all"
        )
    undefined = max((int(jnp.isnan(row).sum()) for row in information if is_concrete(row)), default=0)
    if undefined > degenerate:
        warn(
            f"the information of {undefined} of {rows} rows is NaN, and these rows are left out: an estimator needs"
            " more runs with each selection"
        )
