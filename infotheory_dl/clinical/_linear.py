"""The benchmark's linear baselines: features with missing ones filled in, standardised, and logistic regressions."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Real

from infotheory_dl import linear_models, metrics
from infotheory_dl._validation import edge, require_choice, require_positive, require_rank, require_same_length
from infotheory_dl.linear_models import LogisticRegression
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

_ROUNDING = 1e-12
# penalty, and scikit-learn's C, that the authors chose for each task
LINEAR_PENALTIES: dict[str, tuple[Literal["l2", "l1"], float]] = {
    "mortality": ("l2", 1e-3),
    "decompensation": ("l2", 1e-3),
    "length_of_stay": ("l2", 1e-5),
    "phenotyping": ("l1", 0.1),
}
# those that they chose from
LINEAR_GRID: tuple[tuple[Literal["l2", "l1"], float], ...] = (
    *(("l2", 10.0**-power) for power in range(6)),
    *(("l1", 10.0**-power) for power in range(5)),
)


@concise
class LinearModel(NamedTuple):
    """Regressions on standardised features.

    Attributes:
      kept: columns that some example of the training set has.
      fill: their means over the examples that have them, for those that have not.
      mean: of the filled columns.
      scale: their standard deviations; 1 where it is zero.
      regression: of these columns, one problem for each label.
    """

    kept: Int[np.ndarray, " kept"]
    fill: Float[np.ndarray, " kept"]
    mean: Float[np.ndarray, " kept"]
    scale: Float[np.ndarray, " kept"]
    regression: LogisticRegression


@edge
def fit_linear(
    table: Real[AnyArray, "examples features"],
    labels: Bool[AnyArray, "examples *labels"] | Integer[AnyArray, "examples *labels"],
    *,
    penalty: Literal["l2", "l1"] = "l2",
    inverse_penalty: float = 1e-3,
) -> LinearModel:
    """Fits the linear baseline: fills missing features by their means, standardises, and fits logistic regressions.

    Args:
      table: of `features`; NaN is missing.
      labels: 0 or 1 of each example; of several labels, (examples, labels), which are fitted in one program.
      penalty: of the coefficients.
      inverse_penalty: scikit-learn's C.

    Returns:
      The model; `predict_linear` applies it.

    Raises:
      ValueError: if the lengths differ, no column is ever observed, a label is not 0 or 1, or a setting is out of
        range.

    Warns:
      UserWarning: if a regression has not converged.

    Source: Harutyunyan et al., 2019 (logistic regression).
    """
    require_choice("penalty", penalty, ("l2", "l1"))
    require_positive(inverse_penalty=inverse_penalty)
    _require_labels(table, labels)
    blank, columns = _standardised(table)
    return blank._replace(regression=_regressions(columns, labels, penalty, np.asarray(inverse_penalty)))


@concise
class LinearSelection(NamedTuple):
    """The penalty that is best on other data.

    Attributes:
      model: fitted with it.
      penalty: of the coefficients.
      inverse_penalty: scikit-learn's C.
      penalties: all that were tried.
      scores: of each, on the other data.
    """

    model: LinearModel
    penalty: str
    inverse_penalty: float
    penalties: tuple[tuple[str, float], ...]
    scores: Float[np.ndarray, " penalties"]


@edge
def select_linear(
    table: Real[AnyArray, "examples features"],
    labels: Bool[AnyArray, "examples *labels"] | Integer[AnyArray, "examples *labels"],
    validation_table: Real[AnyArray, "others features"],
    validation_labels: Bool[AnyArray, "others *labels"] | Integer[AnyArray, "others *labels"],
    *,
    penalties: Sequence[tuple[Literal["l2", "l1"], float]] = LINEAR_GRID,
    score: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> LinearSelection:
    """Fits the linear baseline with each of several penalties, and chooses by other data. All labels and all penalties
    of a kind are one program.

    Args:
      table: of `features`; NaN is missing.
      labels: as in `fit_linear`.
      validation_table: of the other data.
      validation_labels: of the other data.
      penalties: of the coefficients, each with scikit-learn's C.
      score: `score(labels, probabilities)` of the other data, the greatest of which is the best; default the area under
        the receiver operating characteristic, its mean over the labels that vary.

    Raises:
      ValueError: as in `fit_linear`, if there is no penalty, or without a score no label varies in the other data.

    Warns:
      UserWarning: if a regression has not converged.

    Source: Harutyunyan et al., 2019 (logistic regression).
    """
    if not penalties:
        raise ValueError("there must be a penalty at least, got none")
    for penalty, inverse_penalty in penalties:
        require_choice("penalty", penalty, ("l2", "l1"))
        require_positive(inverse_penalty=inverse_penalty)
    _require_labels(table, labels)
    _require_labels(validation_table, validation_labels)
    truths = np.asarray(validation_labels)
    score = score or _mean_area
    blank, columns = _standardised(table)
    models, scores = {}, {}
    for kind in ("l2", "l1"):
        chosen = [inverse for penalty, inverse in penalties if penalty == kind]
        if not chosen:
            continue
        fitted = _regressions(columns, labels, kind, np.array(chosen).reshape(-1, *[1] * (truths.ndim - 1)))
        found = blank._replace(regression=fitted)
        for place, probabilities in enumerate(np.moveaxis(np.asarray(predict_linear(found, validation_table)), -1, 0)):
            models[kind, chosen[place]] = jax.tree.map(lambda leaf, place=place: leaf[place], fitted)
            scores[kind, chosen[place]] = float(score(truths, probabilities))
    values = np.array([scores[kind, inverse] for kind, inverse in penalties])
    kind, inverse_penalty = penalties[int(np.argmax(values))]
    return LinearSelection(
        blank._replace(regression=models[kind, inverse_penalty]), kind, inverse_penalty, tuple(penalties), values
    )


@edge
def predict_linear(model: LinearModel, table: Real[AnyArray, "examples features"]) -> Float[Array, "examples *labels"]:
    """Computes the probabilities of the labels.

    Args:
      model: of `fit_linear`.
      table: of `features`, with the same columns.

    Raises:
      ValueError: if the table has fewer columns.
    """
    given = np.asarray(table, float)
    require_rank("table", given, 2, "(examples, features)")
    if given.shape[1] <= model.kept.max():
        raise ValueError(
            f"table must have the features of the model, {model.kept.max() + 1} at least, got {given.shape[1]}"
        )
    columns = (_filled(given, model.kept, model.fill) - model.mean) / model.scale
    return linear_models.probabilities(model.regression, columns)[..., 1].T


def _require_labels(table: AnyArray, labels: AnyArray) -> None:
    require_rank("labels", labels, (1, 2), "(examples,) or (examples, labels)")
    require_same_length(table=table, labels=labels)
    if not np.isin(np.asarray(labels), (0, 1)).all():
        raise ValueError(f"labels must be boolean or 0 and 1, got the values {np.unique(labels)[:5].tolist()}")


def _standardised(table: AnyArray) -> tuple[LinearModel, np.ndarray]:
    """A model without its regression, and what that is fitted to."""
    given = np.asarray(table, float)
    kept = np.flatnonzero(~np.isnan(given).all(0))
    if not len(kept):
        raise ValueError(f"none of the {given.shape[1]} features is ever observed")
    fill = np.nanmean(given[:, kept], axis=0)
    filled = _filled(given, kept, fill)
    mean, scale = filled.mean(0), filled.std(0)
    # of a constant column only rounding is left
    scale = np.where(scale > _ROUNDING * np.abs(filled).max(0), scale, 1)
    return LinearModel(kept, fill, mean, scale, None), (filled - mean) / scale  # type: ignore[arg-type]


def _regressions(columns: np.ndarray, labels: AnyArray, penalty: str, inverse: np.ndarray) -> LogisticRegression:
    strength = 1 / (inverse * len(columns))
    l2, l1 = (strength, 0.0) if penalty == "l2" else (0.0, strength)
    problems = np.moveaxis(np.asarray(labels).astype(int), 0, -1)
    return linear_models.fit(columns, problems, num_classes=2, l2=l2, l1=l1)


def _mean_area(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Over the labels that vary."""
    several, scores = (values.reshape(len(values), -1) for values in (labels, probabilities))
    varying = np.flatnonzero(np.ptp(several, axis=0))
    if not len(varying):
        raise ValueError("no label varies in the validation data: give a score")
    return float(np.mean([metrics.area_under_roc(scores[:, label], several[:, label]) for label in varying]))


def _filled(table: np.ndarray, kept: np.ndarray, fill: np.ndarray) -> np.ndarray:
    columns = table[:, kept]
    return np.where(np.isnan(columns), fill, columns)
