"""The benchmark's linear baselines: features with missing ones filled in, standardised, and logistic regressions."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Real

from infotheory_dl import linear_models
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
    require_rank("labels", labels, (1, 2), "(examples,) or (examples, labels)")
    require_same_length(table=table, labels=labels)
    given, truths = np.asarray(table, float), np.asarray(labels)
    if not np.isin(truths, (0, 1)).all():
        raise ValueError(f"labels must be boolean or 0 and 1, got the values {np.unique(truths)[:5].tolist()}")
    kept = np.flatnonzero(~np.isnan(given).all(0))
    if not len(kept):
        raise ValueError(f"none of the {given.shape[1]} features is ever observed")
    fill = np.nanmean(given[:, kept], axis=0)
    filled = _filled(given, kept, fill)
    mean, scale = filled.mean(0), filled.std(0)
    # of a constant column only rounding is left
    scale = np.where(scale > _ROUNDING * np.abs(filled).max(0), scale, 1)
    strength = 1 / (inverse_penalty * len(given))
    problems = np.moveaxis(truths.astype(int), 0, -1)
    l2, l1 = (strength, 0.0) if penalty == "l2" else (0.0, strength)
    regression = linear_models.fit((filled - mean) / scale, problems, num_classes=2, l2=l2, l1=l1)
    return LinearModel(kept, fill, mean, scale, regression)


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


def _filled(table: np.ndarray, kept: np.ndarray, fill: np.ndarray) -> np.ndarray:
    columns = table[:, kept]
    return np.where(np.isnan(columns), fill, columns)
