"""Bounds on generalization from what a training procedure shows of its selection: predictions or losses.

Arrays from any framework will do. Runs are trainings, each with its own selection S of one of two examples in every
row; predictions and losses are on all 2n entries, entry 2i + c being column c of row i. Every bound rests on the mutual
information, for every row i with the supersample fixed, of S_i and something that a run shows of that row.

Functions of numbers, such as `vapnik_chervonenkis` and `sgld`, are in `formulas`, those of designed runs in
`enumeration`; both are here too.
"""

from collections.abc import Iterable
from typing import Literal, TypedDict, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from infotheory_dl._validation import edge, is_concrete, require_choice, require_count, require_indices, require_within
from infotheory_dl.fcmi._evaluation import LossEstimator, Settings, evaluate, mean_over_runs, training_entries
from infotheory_dl.fcmi._forms import INTERPOLATION_FORMS, LABEL_FORMS, LOSS_FORMS, Form, moment_form
from infotheory_dl.fcmi._runs import CheckedRuns, checked_runs
from infotheory_dl.fcmi.codes import columns, predicted_labels, zero_one_losses
from infotheory_dl.fcmi.enumeration import conditional_fcmi, exact_fcmi
from infotheory_dl.fcmi.formulas import (
    ensemble,
    input_output,
    input_output_squared_gap,
    sgld,
    squared_gap,
    stability,
    stability_squared_gap,
    vapnik_chervonenkis,
    weight_cmi,
)
from infotheory_dl.fcmi.results import Bound, GeneralizationGap
from infotheory_dl.information.discrete import ESTIMATORS, Estimator
from infotheory_dl.types import AnyArray, Key

__all__ = [
    "Bound",
    "GeneralizationGap",
    "LossOptions",
    "binary_kl",
    "conditional_fcmi",
    "ecmi",
    "ensemble",
    "evaluate_all",
    "exact_fcmi",
    "fast_rate",
    "fast_rate_simple",
    "fcmi",
    "generalization_gap",
    "input_output",
    "input_output_squared_gap",
    "interpolating",
    "ldcmi",
    "linear",
    "predicted_labels",
    "sgld",
    "sharpness",
    "single_loss",
    "squared_gap",
    "stability",
    "stability_squared_gap",
    "vapnik_chervonenkis",
    "variance",
    "weight_cmi",
    "zero_one_losses",
]

Predictions = Int[AnyArray, "*#supersamples runs entries"]
Losses = Num[AnyArray, "*#supersamples runs entries"] | Bool[AnyArray, "*#supersamples runs entries"]
Selection = Int[AnyArray, "*#supersamples runs rows"] | Bool[AnyArray, "*#supersamples runs rows"]
Valid = Bool[AnyArray, "*#supersamples runs"]


class LossOptions(TypedDict, total=False):
    """Options of every bound on losses.

    Attributes:
      estimator: "plugin" (default), "known_marginal", "miller_madow", "jackknife", as in
        `infotheory_dl.information.discrete`; or, for losses that are not 0 or 1, "neighbours", as in
        `infotheory_dl.information.neighbours`.
      bins: number of intervals of equal width into which losses that are not 0 or 1 are divided.
      loss_range: the least and the largest value that a loss can take, (0, 1) by default. A bound scales with it.
      valid: runs that count, (runs,) or (supersamples, runs); diverged ones do not. What they hold is not looked at.
      key: source of randomness: of a bootstrap over runs and supersamples, which gives the 95% interval of the bound
        (none without a key); with "neighbours", which has no interval, of the noise that breaks ties.
      num_resamples: of the bootstrap, 200 by default.
    """

    estimator: LossEstimator
    bins: int | None
    loss_range: tuple[float, float]
    valid: Valid | None
    key: Key | None
    num_resamples: int


@edge
def fcmi(
    predictions: Predictions,
    selection: Selection,
    *,
    num_classes: int,
    estimator: Estimator = "plugin",
    valid: Valid | None = None,
    key: Key | None = None,
    num_resamples: int = 200,
) -> Bound:
    """Bounds the gap by the information of predicted labels: mean over rows of sqrt(2 I(pair of labels; S_i)).

    It holds for every loss in [0, 1] of the predicted labels, and for every training procedure.

    Args:
      predictions: predicted labels of every run, (runs, 2n) or (supersamples, runs, 2n).
      selection: 0 or 1, (runs, n) or, if supersamples differ in it, (supersamples, runs, n).
      num_classes: number of labels.
      estimator: of the mutual information, as in `infotheory_dl.information.discrete`.
      valid, key, num_resamples: as in `LossOptions`.

    Returns:
      The bound and the information of every row.

    Raises:
      ValueError: if shapes do not fit, a value is outside its range, the estimator is unknown, or a supersample has
        fewer than two runs.
      TypeError: if predictions are not integers.

    Source: Harutyunyan et al., 2021 (theorem for subsets of one row).
    """
    require_choice("estimator", estimator, ESTIMATORS)
    (bound,) = _evaluate(
        [LABEL_FORMS["fcmi"]],
        selection,
        predictions=predictions,
        num_classes=num_classes,
        estimator=estimator,
        valid=valid,
        key=key,
        num_resamples=num_resamples,
    )
    return bound


@edge
def ecmi(losses: Losses, selection: Selection, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the gap by the information of losses: mean over rows of sqrt(2 I(pair of losses; S_i)).

    Args:
      losses: of every run, (runs, 2n) or (supersamples, runs, 2n); 0 or 1, or see `LossOptions`.
      selection: 0 or 1, (runs, n) or, if supersamples differ in it, (supersamples, runs, n).
      options: see `LossOptions`.

    Returns:
      The bound and the information of every row.

    Raises:
      ValueError: if shapes do not fit, a loss is NaN or outside its range, losses are real without bins or neighbours,
        the estimator is unknown, or a supersample has fewer than two runs.

    Source: Hellström and Durisi, 2022.
    """
    (bound,) = _evaluate([LOSS_FORMS["ecmi"]], selection, losses=losses, **options)
    return bound


@edge
def ldcmi(losses: Losses, selection: Selection, *, pooled: bool = False, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the gap by the information of loss differences: mean over rows of sqrt(2 I(l_i1 - l_i0; S_i)).

    Args:
      losses, selection, options: as in `ecmi`, which see for the errors too.
      pooled: whether the information is that of all supersamples together, without their being fixed: there is less of
        it, and more runs to estimate it.

    Source: Wang and Mao, 2023.
    """
    (bound,) = _evaluate([LOSS_FORMS["ldmi" if pooled else "ldcmi"]], selection, losses=losses, **options)
    return bound


@edge
def single_loss(
    losses: Losses, selection: Selection, *, column: Literal[0, 1] = 0, **options: Unpack[LossOptions]
) -> Bound:
    """Bounds the gap by the information of one loss of every row: twice the mean of sqrt(2 I(l_ic; S_i)).

    Args:
      losses, selection, options: as in `ecmi`, which see for the errors too.
      column: c. Both are bounds.

    Source: Wang and Mao, 2023.
    """
    if column not in (0, 1):
        raise ValueError(f"column must be 0 or 1, got {column}")
    (bound,) = _evaluate([LOSS_FORMS[f"single_loss_{column}"]], selection, losses=losses, **options)
    return bound


@edge
def binary_kl(losses: Losses, selection: Selection, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the population loss by the information of pairs of losses, through the binary divergence.

    See `formulas.binary_kl_loss`. Arguments and errors are those of `ecmi`.

    Source: Hellström and Durisi, 2022.
    """
    (bound,) = _evaluate([LOSS_FORMS["binary_kl"]], selection, losses=losses, **options)
    return bound


@edge
def linear(losses: Losses, selection: Selection, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the population loss linearly in the training loss and the information of pairs of losses.

    See `formulas.linear_loss`. Arguments and errors are those of `ecmi`.

    Source: Hellström and Durisi, 2022.
    """
    (bound,) = _evaluate([LOSS_FORMS["linear"]], selection, losses=losses, **options)
    return bound


@edge
def interpolating(
    losses: Losses,
    selection: Selection,
    *,
    coding: Literal["loss_pair", "loss_difference", "single_loss"] = "loss_pair",
    **options: Unpack[LossOptions],
) -> Bound:
    """Bounds the population loss of a procedure whose training loss is always zero: I / ln 2.

    Args:
      losses, selection, options: as in `ecmi`, which see for the errors too. The value means nothing where a training
        loss is not zero.
      coding: what the information, a mean over rows, is of: "loss_pair", "loss_difference" (losses of 0 or 1 only), or
        "single_loss" (2 I / ln 2, with the mean over both columns).

    Source: Hellström and Durisi, 2022; Wang and Mao, 2023.
    """
    require_choice("coding", coding, ("loss_pair", "loss_difference", "single_loss"))
    if coding == "loss_difference" and (options.get("bins") or options.get("estimator") == "neighbours"):
        raise ValueError("interpolation bounds by loss differences need losses of 0 or 1")
    name = "interpolating" if coding == "loss_pair" else f"interpolating_{coding}"
    (bound,) = _evaluate([INTERPOLATION_FORMS[name]], selection, losses=losses, **options)
    return bound


@edge
def fast_rate(losses: Losses, selection: Selection, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the gap by the information of single losses, linearly where the training loss is small.

    See `formulas.fast_rate_gap`. Arguments and errors are those of `ecmi`.

    Source: Wang and Mao, 2023.
    """
    (bound,) = _evaluate([LOSS_FORMS["fast_rate"]], selection, losses=losses, **options)
    return bound


@edge
def fast_rate_simple(losses: Losses, selection: Selection, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the gap by 4 I + 4 sqrt(I L), with the information of single losses and the training loss L.

    Arguments and errors are those of `ecmi`.

    Source: Wang and Mao, 2023.
    """
    (bound,) = _evaluate([LOSS_FORMS["fast_rate_simple"]], selection, losses=losses, **options)
    return bound


@edge
def variance(losses: Losses, selection: Selection, *, gamma: float = 1.0, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the gap by the information of single losses and the mean square of the training loss.

    See `formulas.moment_gap`, also for why the default, the best gamma, gives the value of `fast_rate`.

    Args:
      losses, selection, options: as in `ecmi`, which see for the errors too.
      gamma: in (0, 1].

    Source: Wang and Mao, 2023.
    """
    require_within("(0, 1]", gamma=gamma)
    (bound,) = _evaluate([moment_form("variance", gamma)], selection, losses=losses, **options)
    return bound


@edge
def sharpness(losses: Losses, selection: Selection, *, gamma: float = 1.0, **options: Unpack[LossOptions]) -> Bound:
    """Bounds the gap by the information of single losses and the mean squares of the rows' training losses.

    See `formulas.moment_gap`, also for why the default, the best gamma, gives the value of `fast_rate`.

    Args:
      losses, selection, options: as in `ecmi`, which see for the errors too.
      gamma: in (0, 1].

    Source: Wang and Mao, 2023.
    """
    require_within("(0, 1]", gamma=gamma)
    (bound,) = _evaluate([moment_form("sharpness", gamma)], selection, losses=losses, **options)
    return bound


@edge
def evaluate_all(
    selection: Selection,
    *,
    predictions: Predictions | None = None,
    losses: Losses | None = None,
    labels: Int[AnyArray, "*#supersamples entries"] | None = None,
    num_classes: int | None = None,
    **options: Unpack[LossOptions],
) -> dict[str, Bound]:
    """Evaluates every bound that the arrays allow, in one pass.

    Args:
      selection, options: as in `ecmi`.
      predictions, num_classes: as in `fcmi`.
      losses: as in `ecmi`.
      labels: true labels, (2n,) or (supersamples, 2n), in the place of losses: predictions then have losses of 0 or 1.

    Returns:
      Bounds by name: "fcmi" from predictions; from losses "ecmi", "ldcmi", "ldmi" (pooled), "single_loss_0" and
      "single_loss_1" (the columns), "fast_rate", "fast_rate_simple", "variance", "sharpness", "binary_kl", "linear",
      and, if no run has a training loss, the "interpolating" ones.

    Raises:
      ValueError: as in `fcmi` and `ecmi`; if labels are given without predictions, or beside losses, or are none of
        the classes.
    """
    if labels is not None:
        if predictions is None or losses is not None:
            raise ValueError("labels turn predictions into losses: give predictions beside them, and no losses")
        if num_classes is not None:
            require_indices(num_classes, labels=labels)
        losses = zero_one_losses(predictions, labels)
    forms = LABEL_FORMS if predictions is not None else {}
    if losses is not None:
        forms = forms | LOSS_FORMS
    bounds = _evaluate(
        forms.values(),
        selection,
        if_interpolating=() if losses is None else INTERPOLATION_FORMS.values(),
        predictions=predictions,
        num_classes=num_classes,
        losses=losses,
        **options,
    )
    return dict(zip((*forms, *INTERPOLATION_FORMS), bounds, strict=False))


@edge
def generalization_gap(losses: Losses, selection: Selection, *, valid: Valid | None = None) -> GeneralizationGap:
    """Measures the gap: mean loss on the ghosts less mean loss on the training examples.

    Args:
      losses: of every run, (runs, 2n) or (supersamples, runs, 2n), of any range; `zero_one_losses` of predictions.
      selection, valid: as in `ecmi`, which see for the errors too.
    """
    runs = checked_runs(selection, losses=losses, loss_range=None, valid=valid)
    trained = training_entries(runs)
    training, ghost = _mean_loss(runs, trained), _mean_loss(runs, ~trained)
    gap = ghost - training
    return GeneralizationGap(gap.mean(), gap, gap.std(), training, ghost)


def _mean_loss(runs: CheckedRuns, entries: Bool[Array, "supersamples runs rows 2"]) -> Float[Array, " supersamples"]:
    """Of some entries, one in each row."""
    losses = jnp.where(entries, columns(runs.outputs["losses"]), 0)
    return mean_over_runs(losses.sum((2, 3)) / entries.shape[2], runs)


def _evaluate(
    forms: Iterable[Form],
    selection: Selection,
    *,
    if_interpolating: Iterable[Form] = (),
    predictions: Predictions | None = None,
    num_classes: int | None = None,
    losses: Losses | None = None,
    estimator: LossEstimator = "plugin",
    bins: int | None = None,
    loss_range: tuple[float, float] = (0.0, 1.0),
    valid: Valid | None = None,
    key: Key | None = None,
    num_resamples: int = 200,
) -> list[Bound]:
    require_choice("estimator", estimator, (*ESTIMATORS, "neighbours"))
    require_count(2, bins=bins)
    runs = checked_runs(
        selection,
        predictions=predictions,
        num_classes=num_classes,
        losses=losses,
        loss_range=loss_range,
        valid=valid,
    )
    if losses is not None and bins is None and estimator != "neighbours" and is_concrete(losses):
        real = (runs.outputs["losses"] > 0) & (runs.outputs["losses"] < 1)
        if real.any():
            raise ValueError(
                f"losses must be {loss_range[0]:g} or {loss_range[1]:g} to be coded as they are, but {real.sum()} of"
                f" {real.size} lie between: give bins=, or estimator='neighbours'"
            )
    if if_interpolating:
        training_loss = _mean_loss(runs, training_entries(runs))
        if is_concrete(training_loss) and (training_loss == 0).all():
            forms = (*forms, *if_interpolating)
    return evaluate(
        tuple(forms),
        runs,
        Settings(estimator, num_classes or 0, bins),
        squeeze=next(np.ndim(values) == 2 for values in (predictions, losses) if values is not None),
        loss_range=loss_range,
        key=key,
        num_resamples=num_resamples,
    )
