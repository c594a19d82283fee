"""Probabilities from predictions that never saw the label of their own example, by the labels that were given."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import class_labels, edge, require_finite, require_rank
from infotheory_dl.linearization import _noise
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels

EVIDENCE = 5.0
"""Nats that a claim must be ahead by: predictions of class frequencies, a rate of wrong labels of a lower one.

Labels that have nothing to do with the predictions gain as much in fewer than one of a hundred cases
(`benchmarks/sample_information`, part `rates`).
"""


@concise
class Calibration(NamedTuple):
    """A model of label noise, and what the predictions know.

    Attributes:
      sharpness: s in the probabilities softmax(s f + b) of the true class. Where classes are perfectly apart any large
        s fits as well, and a weak penalty bounds it.
      bias: b, which carries the class frequencies; minus infinity for classes that no label names.
      transition: probability of each label, in columns, for each true class, in rows.
      error_rate: share of given labels that are another class; NaN where it cannot be told.
      interval: from where to where the rate may be, with 95 % confidence; from 0 to 1 where it cannot be told.
      told: whether the predictions know enough of the labels, so that wrong ones can be told: they gain five nats.
      gain: log-likelihood of the given labels by softmax(s f + b) above that of the bare class frequencies, in nats.
      gain_per_example: the same for each label, an estimate of the information that the predictions have of it.
      loss: mean negative log-likelihood of the given labels, in nats.
    """

    sharpness: float
    bias: Float[np.ndarray, " classes"]
    transition: Float[np.ndarray, "classes classes"]
    error_rate: float
    interval: Float[np.ndarray, " ends"]
    told: bool
    gain: float
    gain_per_example: float
    loss: float


class NoiseModel(NamedTuple):
    """The calibration, and the true classes of the examples by it.

    Attributes:
      calibration: what is reported.
      posterior: probabilities of the true classes by predictions and given labels; None where nothing can be told.
      cautious_posterior: the same at the lowest rate of wrong labels that is less likely by no more than the evidence.
    """

    calibration: Calibration
    posterior: Float[np.ndarray, "examples classes"] | None
    cautious_posterior: Float[np.ndarray, "examples classes"] | None


@edge
def calibrate(predictions: Float[AnyArray, "examples classes"], labels: AnyLabels) -> Calibration:
    """Fits the model to the given labels by maximum likelihood; no true label is needed.

    The true class has the probabilities softmax(s f + b); the label is another class at one rate, all alike, or by a
    pattern of classes where the labels show one. The bare class frequencies are the case s = 0. Where the fit is hardly
    more likely than they are, any rate would do, and none is named: the fit returned is that without wrong labels.

    Of several kinds of predictions for the same labels, those of the least loss tell the true classes best.

    Args:
      predictions: f, of networks that have not seen the label of the example, such as `leave_one_out_predictions`.
      labels: as given, right or wrong.

    Returns:
      The model, the rate of wrong labels with its interval, and what the predictions gain.

    Raises:
      ValueError: if the predictions are not a finite matrix, or the labels not one class for each row.

    Source: the noise model is that of Bootkrajang and Kabán, 2012. The interval is that of the profile likelihood
      (Wilks, 1938), with s, b and the pattern's place in it fitted anew for each rate.
    """
    require_rank("predictions", predictions, 2, "(examples, classes)")
    require_finite(predictions=predictions)
    num_examples, num_classes = np.shape(predictions)
    codes = class_labels(labels, num_classes=num_classes, num_examples=num_examples).codes
    return noise_model(np.asarray(predictions, float), codes).calibration


def noise_model(predictions: Float[np.ndarray, "examples classes"], labels: Int[np.ndarray, " examples"]) -> NoiseModel:
    """The core of `calibrate`; predictions in double precision."""
    present = np.bincount(labels, minlength=predictions.shape[1]) > 0
    standard, units = _standard(predictions, present)
    codes = np.cumsum(present)[labels] - 1
    frequencies = np.log(np.bincount(codes) / len(codes))
    sample = _noise.Sample(standard, codes, frequencies)
    entropy = -float(np.exp(frequencies) @ frequencies)
    flat = np.concatenate([[0.0], frequencies])
    if not standard.any():
        return NoiseModel(_untold(units, flat, 0.0, entropy, len(labels)), None, None)

    uniform = _noise.uniform_pattern(len(frequencies))
    plain = _noise.fit_at(sample, uniform, 0.0, flat)
    # predictions that speak against their labels know nothing: left out, a label makes its class rarer among the others
    gain = max(0.0, plain.log_likelihood + len(labels) * entropy) if plain.parameters[0] > 0 else 0.0
    if gain < EVIDENCE:
        chosen = plain.parameters if gain > 0 else flat
        return NoiseModel(_untold(units, chosen, gain, entropy - gain / len(labels), len(labels)), None, None)
    profile = _noise.follow(sample, uniform, plain.parameters)
    if len(frequencies) > 2:
        profile = _noise.with_pattern(profile, EVIDENCE)
    best = profile.best
    low, high = profile.interval(_noise.INTERVAL)
    cautious, _ = profile.interval(EVIDENCE)
    transition = np.eye(len(present))
    transition[np.ix_(present, present)] = _noise.transition(best.rate, profile.pattern)
    calibration = Calibration(
        *units.of(best.parameters),
        transition=transition,
        error_rate=best.rate,
        interval=np.array([low.rate, high.rate]),
        told=True,
        gain=gain,
        gain_per_example=gain / len(labels),
        loss=-best.log_likelihood / len(labels),
    )
    return NoiseModel(calibration, *(_in_all_classes(fit.posterior, present) for fit in (best, cautious)))


def probabilities(
    predictions: Float[np.ndarray, "examples classes"], calibration: Calibration
) -> Float[np.ndarray, "examples classes"]:
    """softmax(s f + b)."""
    logits = calibration.sharpness * predictions + calibration.bias
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


class _Units(NamedTuple):
    """What predictions lose before they are fitted, to give the parameters back in their own units."""

    offsets: Float[np.ndarray, " present"]
    scale: float
    present: Bool[np.ndarray, " classes"]

    def of(self, parameters: Float[np.ndarray, " parameters"]) -> tuple[float, Float[np.ndarray, " classes"]]:
        """Sharpness and bias of these predictions."""
        sharpness = float(parameters[0] / self.scale)
        bias = np.full(len(self.present), -np.inf)
        bias[self.present] = parameters[1:] - sharpness * self.offsets
        return sharpness, bias


def _standard(
    predictions: Float[np.ndarray, "examples classes"], present: Bool[np.ndarray, " classes"]
) -> tuple[Float[np.ndarray, "examples present"], _Units]:
    """Predictions for the present classes without the means of rows and columns, of unit variance."""
    chosen = predictions[:, present]
    relative = chosen - chosen.mean(1, keepdims=True)
    offsets = relative.mean(0)
    centred = relative - offsets
    scale = float(np.sqrt(np.square(centred).mean()))
    # all that there is may be what rounding leaves of constants
    if scale <= 1e-12 * np.abs(chosen).max():
        return np.zeros_like(centred), _Units(np.zeros_like(offsets), 1.0, present)
    return centred / scale, _Units(offsets, scale, present)


def _untold(
    units: _Units, parameters: Float[np.ndarray, " parameters"], gain: float, loss: float, num_examples: int
) -> Calibration:
    """No rate is named; sharpness and bias are those without wrong labels."""
    return Calibration(
        *units.of(parameters),
        transition=np.eye(len(units.present)),
        error_rate=float("nan"),
        interval=np.array([0.0, 1.0]),
        told=False,
        gain=gain,
        gain_per_example=gain / num_examples,
        loss=loss,
    )


def _in_all_classes(
    values: Float[np.ndarray, "examples present"], present: Bool[np.ndarray, " classes"]
) -> Float[np.ndarray, "examples classes"]:
    whole = np.zeros((len(values), len(present)))
    whole[:, present] = values
    return whole
