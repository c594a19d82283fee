"""Which labels are wrong, how many, and which to repair: a model of label noise fitted to leave-one-out predictions."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import class_labels, edge, require_finite, require_rank, require_within
from infotheory_dl.linearization.calibration import noise_model
from infotheory_dl.metrics.labels import margins as margins_of
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels


@concise
class LabelErrors(NamedTuple):
    """What the labels ought to be, as far as that can be told.

    Attributes:
      told: whether the predictions know enough of the labels for wrong ones to be told. Where they do not, no rate is
        named, no label suspected and none repaired.
      suggested: the class that the network trained without the example predicts.
      wrong: probability that the given label is wrong; NaN where it cannot be told.
      repairable: probability that the suggested label is right and the given one wrong, at the lowest rate of wrong
        labels that the data allow; NaN where it cannot be told.
      error_rate: estimated share of wrong labels; NaN where it cannot be told.
      interval: from where to where it may be, with 95 % confidence; from 0 to 1 where it cannot be told.
      systematic_rate: share of labels that may be wrong where one class is taken for another as a rule, see
        `linearization.Calibration`.
      fits: whether one sharpness, and errors that are all alike, fit as well as more numbers do.
      gain: log-likelihood of the given labels above that of the bare class frequencies, in nats.
      gain_per_example: the same for each label.
      sharpness: of the fitted probabilities, softmax(sharpness * predictions + bias).
      bias: theirs, one for each class.
      transition: probability of each label, in columns, for each true class, in rows.
      threshold: margins below it may be repaired.
      repaired: which labels are. A class keeps at least one of its labels.
      expected_precision: mean of `repairable` over them; NaN if there are none.
    """

    told: bool
    suggested: Int[np.ndarray, " examples"]
    wrong: Float[np.ndarray, " examples"]
    repairable: Float[np.ndarray, " examples"]
    error_rate: float
    interval: Float[np.ndarray, " ends"]
    systematic_rate: float
    fits: bool
    gain: float
    gain_per_example: float
    sharpness: float
    bias: Float[np.ndarray, " classes"]
    transition: Float[np.ndarray, "classes classes"]
    threshold: float
    repaired: Bool[np.ndarray, " examples"]
    expected_precision: float


@edge
def find_label_errors(
    predictions: Float[AnyArray, "examples classes"], labels: AnyLabels, *, precision: float = 0.95
) -> LabelErrors:
    """Estimates which labels are wrong, without knowing any, and repairs as many as keep the expected precision.

    The model is that of `linearization.calibrate`: the true class of an example has the probabilities softmax(s f + b),
    f being what the network trained without the example predicts; its label is another class at one rate, all alike or
    by a pattern. It is fitted to the given labels, and gives each label's probability to be wrong, if the predictions
    make the labels likelier than the class frequencies do by five nats. If not, nothing is claimed.

    The rule of repair: margins below a threshold, the highest for which the suggested labels are expected to be right
    in a share `precision` of the repairs, and of those the labels whose suggestion is more likely right than not. The
    expectation is the least of two models, with one sharpness and with one for each class, at the lowest rate of wrong
    labels that is less likely than the best by no more than five nats: where the labels may all be right none is
    repaired. A class never loses all of its labels.

    Args:
      predictions: outputs that never saw the label of their own example.
      labels: given labels, in [0, classes).
      precision: share of repairs that shall be right, in (0, 1).

    Returns:
      Suggestions, probabilities and repairs.

    Raises:
      ValueError: if the shapes do not fit, a label is out of range, or the precision is not in (0, 1).

    Source: see `linearization.calibrate`.
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
    num_examples, num_classes = predictions.shape
    is_given = labels[:, None] == np.arange(num_classes)
    margins = np.asarray(margins_of(jnp.asarray(predictions), jnp.asarray(is_given)))
    suggested = predictions.argmax(1)
    calibration, right, at_least = noise_model(predictions, labels)
    wrong = repairable = np.full(num_examples, np.nan)
    threshold, repaired = -np.inf, np.zeros(num_examples, bool)
    if right is not None and at_least is not None:
        wrong = 1 - right
        repairable = np.where(suggested == labels, 0, at_least)
        # the only example of its class keeps its label
        is_lone = np.isin(labels, np.flatnonzero(np.bincount(labels) == 1))
        threshold = _highest_threshold(margins[~is_lone], repairable[~is_lone], precision)
        repaired = (margins < threshold) & (repairable > 0.5)
        repaired &= np.isin(labels, labels[~repaired])
    return LabelErrors(
        told=calibration.told,
        suggested=suggested,
        wrong=wrong,
        repairable=repairable,
        error_rate=calibration.error_rate,
        interval=calibration.interval,
        systematic_rate=calibration.systematic_rate,
        fits=calibration.fits,
        gain=calibration.gain,
        gain_per_example=calibration.gain_per_example,
        sharpness=calibration.sharpness,
        bias=calibration.bias,
        transition=calibration.transition,
        threshold=threshold,
        repaired=repaired,
        expected_precision=float(repairable[repaired].mean()) if repaired.any() else float("nan"),
    )


def _highest_threshold(
    margins: Float[np.ndarray, " examples"], repairable: Float[np.ndarray, " examples"], precision: float
) -> float:
    """The highest threshold, at most 0, below which repairs are right in a share `precision`."""
    order = np.argsort(margins)
    expected = np.cumsum(repairable[order]) / np.arange(1, len(order) + 1)
    count = int(np.max(np.flatnonzero(expected >= precision) + 1, initial=0))
    # between the last repaired margin and the next
    return -np.inf if count == 0 else min(0.0, float(margins[order][count - 1 : count + 1].mean()))
