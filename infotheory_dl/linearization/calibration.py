"""Probabilities from predictions that never saw the label of their own example, by the labels that were given."""

import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import class_labels, require_finite, require_rank
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels

_TOLERANCES = {"ftol": 1e-13, "gtol": 1e-8}


@concise
class Calibration(NamedTuple):
    """A model of label noise with two numbers, and how well it fits.

    Attributes:
      sharpness: s in the probabilities softmax(s f) of the true class.
      error_rate: share of given labels that are another class, all alike.
      loss: mean negative log-likelihood of the given labels, in nats.
    """

    sharpness: float
    error_rate: float
    loss: float


def calibrate(predictions: Float[AnyArray, "examples classes"], labels: AnyLabels) -> Calibration:
    """Fits the model to the given labels by maximum likelihood; no true label is needed.

    Of several kinds of predictions for the same labels, those of the least loss tell the true classes best.

    Args:
      predictions: f, of networks that have not seen the label of the example, such as `leave_one_out_predictions`.
      labels: as given, right or wrong.

    Returns:
      The two numbers and the loss.

    Raises:
      ValueError: if the predictions are not a finite matrix, or the labels not one class for each row.

    Source: the noise model is that of Bootkrajang and Kabán, 2012, with one rate for all pairs of classes.
    """
    require_rank("predictions", predictions, 2, "(examples, classes)")
    require_finite(predictions=predictions)
    num_examples, num_classes = np.shape(predictions)
    codes = class_labels(labels, num_classes=num_classes, num_examples=num_examples).codes
    return calibrated(np.asarray(predictions, float), codes)


def calibrated(predictions: Float[np.ndarray, "examples classes"], labels: Int[np.ndarray, " examples"]) -> Calibration:
    """The core of `calibrate`; predictions in double precision."""
    from scipy.optimize import minimize

    num_classes = predictions.shape[1]
    of_labels = lambda rows: np.take_along_axis(rows, labels[:, None], axis=1)[:, 0]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        sharpness, rate = np.exp(parameters[0]), parameters[1]
        other = rate / (num_classes - 1)
        true = probabilities(predictions, sharpness)
        given = of_labels(true)
        likelihood = (1 - rate - other) * given + other
        excess = of_labels(predictions) - (true * predictions).sum(1)
        slopes = (1 - rate - other) * sharpness * given * excess, (1 - given) / (num_classes - 1) - given
        return -np.log(likelihood).mean(), -np.array([(slope / likelihood).mean() for slope in slopes])

    unit = -math.log(predictions.std() or 1.0)
    # beyond this rate every other class would be more likely than the true one
    largest_rate = 1 - 1 / num_classes
    bounds = [(unit - 5, unit + 7), (1e-6, largest_rate)]
    # flat predictions of few errors and sharp ones of many can both be maxima
    starts = itertools.product((unit, unit + 2), (0.1, largest_rate / 2))
    fits = [minimize(loss, start, method="L-BFGS-B", jac=True, bounds=bounds, options=_TOLERANCES) for start in starts]
    best = min(fits, key=lambda fit: fit.fun)
    return Calibration(float(np.exp(best.x[0])), float(best.x[1]), float(best.fun))


def probabilities(
    predictions: Float[np.ndarray, "examples classes"], sharpness: float
) -> Float[np.ndarray, "examples classes"]:
    """softmax(sharpness * predictions)."""
    exponentials = np.exp(sharpness * (predictions - predictions.max(axis=1, keepdims=True)))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
