"""Which labels are wrong, how many, and which to repair: a model of label noise fitted to leave-one-out predictions."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import class_labels, require_finite, require_rank, require_within
from infotheory_dl.linearization.calibration import calibrated
from infotheory_dl.linearization.calibration import probabilities as probabilities_of
from infotheory_dl.metrics.labels import margins as margins_of
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels


@concise
class LabelErrors(NamedTuple):
    """What the labels ought to be.

    Attributes:
      suggested: the class that the network trained without the example predicts.
      wrong: probability that the given label is wrong.
      repairable: probability that the suggested label is right and the given one wrong.
      error_rate: estimated share of wrong labels.
      sharpness: of the fitted probabilities, softmax(sharpness * predictions).
      threshold: margins below it are repaired.
      repaired: which labels these are.
      expected_precision: mean of `repairable` over them; NaN if there are none.
    """

    suggested: Int[np.ndarray, " examples"]
    wrong: Float[np.ndarray, " examples"]
    repairable: Float[np.ndarray, " examples"]
    error_rate: float
    sharpness: float
    threshold: float
    repaired: Bool[np.ndarray, " examples"]
    expected_precision: float


def find_label_errors(
    predictions: Float[AnyArray, "examples classes"], labels: AnyLabels, *, precision: float = 0.95
) -> LabelErrors:
    """Estimates which labels are wrong, without knowing any, and repairs as many as keep the expected precision.

    The model has two numbers: the true class of an example has the probabilities softmax(s f), f being what the network
    trained without the example predicts; its label is another class, all alike, with probability e. Both are fitted to
    the given labels (`linearization.calibrate`), and give each label's probability to be wrong. The rule of repair:
    margins below a threshold, the highest for which the suggested labels are expected to be right in a share
    `precision` of the repairs.

    Args:
      predictions: outputs that never saw the label of their own example.
      labels: given labels, in [0, classes).
      precision: share of repairs that shall be right, in (0, 1).

    Returns:
      Suggestions, probabilities and repairs.

    Raises:
      ValueError: if the shapes do not fit, a label is out of range, or the precision is not in (0, 1).

    Source: the noise model is that of Bootkrajang and Kabán, 2012, with one rate for all pairs of classes.
    """
    require_within("(0, 1)", precision=precision)
    require_rank("predictions", predictions, 2, "(examples, classes)")
    require_finite(predictions=predictions)
    num_examples, num_classes = np.shape(predictions)
    if num_classes < 2:
        raise ValueError(
            f"predictions must have a column for each class, at least 2, got shape {np.shape(predictions)}"
        )
    codes = class_labels(labels, num_classes=num_classes, num_examples=num_examples).codes
    return estimated_errors(np.asarray(predictions), codes, precision)


def estimated_errors(
    predictions: Float[np.ndarray, "examples classes"], labels: Int[np.ndarray, " examples"], precision: float
) -> LabelErrors:
    """The core of `find_label_errors`."""
    is_given = labels[:, None] == np.arange(predictions.shape[1])
    margins = np.asarray(margins_of(jnp.asarray(predictions), jnp.asarray(is_given)))
    suggested = predictions.argmax(1)
    sharpness, error_rate, _ = calibrated(predictions.astype(float), labels)
    probabilities = probabilities_of(predictions, sharpness)
    given, best = (np.take_along_axis(probabilities, c[:, None], axis=1)[:, 0] for c in (labels, suggested))
    flip = error_rate / (predictions.shape[1] - 1)
    likelihood = (1 - error_rate) * given + flip * (1 - given)
    wrong = flip * (1 - given) / likelihood
    repairable = np.where(suggested == labels, 0, flip * best / likelihood)

    order = np.argsort(margins)
    expected = np.cumsum(repairable[order]) / np.arange(1, len(order) + 1)
    count = int(np.max(np.flatnonzero(expected >= precision) + 1, initial=0))
    ordered = margins[order]
    # between the last repaired margin and the next
    threshold = -np.inf if count == 0 else min(0.0, float(ordered[count - 1 : count + 1].mean()))
    repaired = margins < threshold
    return LabelErrors(
        suggested,
        wrong,
        repairable,
        error_rate,
        sharpness,
        threshold,
        repaired,
        float(repairable[repaired].mean()) if repaired.any() else float("nan"),
    )
