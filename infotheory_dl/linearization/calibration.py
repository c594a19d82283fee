"""Probabilities from predictions that never saw the label of their own example, by the labels that were given."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import require_finite, require_rank
from infotheory_dl.types import AnyArray


class Calibration(NamedTuple):
    """A model of label noise with two numbers.

    Attributes:
      sharpness: s in the probabilities softmax(s f) of the true class.
      error_rate: share of given labels that are another class, all alike.
    """

    sharpness: float
    error_rate: float


def calibrate(predictions: Float[AnyArray, "examples classes"], labels: Int[AnyArray, " examples"]) -> Calibration:
    """Fits the model to the given labels by maximum likelihood; no true label is needed.

    Args:
      predictions: f, of networks that have not seen the label of the example, such as `leave_one_out_predictions`.
      labels: as given, right or wrong.

    Returns:
      The two numbers.

    Raises:
      ValueError: if the predictions are not a finite matrix, or the labels not one class for each row.

    Source: the noise model is that of Bootkrajang and Kabán, 2012, with one rate for all pairs of classes.
    """
    from scipy.optimize import minimize

    require_rank("predictions", predictions, 2, "(examples, classes)")
    require_finite(predictions=predictions)
    predictions, labels = np.asarray(predictions, float), np.asarray(labels)
    num_classes = predictions.shape[1]
    if labels.shape != predictions.shape[:1] or not ((labels >= 0) & (labels < num_classes)).all():
        raise ValueError(f"labels must be one class in [0, {num_classes}) for each of {len(predictions)} predictions")

    def loss(parameters: np.ndarray) -> float:
        log_sharpness, rate = parameters
        given = np.take_along_axis(probabilities(predictions, np.exp(log_sharpness)), labels[:, None], axis=1)
        return -np.log((1 - rate) * given + rate / (num_classes - 1) * (1 - given)).mean()

    # beyond this rate every other class would be more likely than the true one
    bounds = [(-3, 7), (1e-6, 1 - 1 / num_classes)]
    fit = minimize(loss, (np.log(10), 0.1), method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-6, "fatol": 1e-9})
    return Calibration(float(np.exp(fit.x[0])), float(fit.x[1]))


def probabilities(
    predictions: Float[np.ndarray, "examples classes"], sharpness: float
) -> Float[np.ndarray, "examples classes"]:
    """softmax(sharpness * predictions)."""
    exponents = sharpness * (predictions - predictions.max(axis=1, keepdims=True))
    return np.exp(exponents) / np.exp(exponents).sum(axis=1, keepdims=True)
