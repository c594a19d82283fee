"""Probabilities from predictions that never saw the label of their own example, by the labels that were given."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from threadpoolctl import threadpool_limits

from infotheory_dl._validation import class_labels, edge, require_finite, require_rank
from infotheory_dl.linearization import _noise
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels

EVIDENCE = 5.0
"""Nats that a claim must be ahead by: predictions of class frequencies, a rate of wrong labels of a lower one.

Labels that have nothing to do with the predictions gain as much in fewer than one of a hundred cases
(`benchmarks/sample_information`, part `claims`).
"""


# of the examples of a class: of fewer, a fit makes some look better told than they are
_TOLD_BEST = 0.5
# of more classes those of like frequency share a bias
_CLASSES_APART, _GROUPS = 100, 32
_ENTRIES_FITTED, _FEWEST_FITTED = 2**19, 4096
_ENTRIES_AT_ONCE = 2**22


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
      systematic_rate: share of labels that may be wrong where one class is taken for another as a rule, which looks
        like classes that overlap: what a label lacks of certainty in the half of its class that is told best. At least
        the upper end of the interval. An indication: nothing in the labels speaks for or against such errors.
      told: whether the predictions know enough of the labels, so that wrong ones can be told: they gain five nats.
      fits: whether one sharpness, and errors that are all alike, fit as well as more numbers do. If not, errors follow
        a pattern, which is estimated, or classes differ, which the interval allows for. False where nothing is told.
      gain: log-likelihood of the given labels by softmax(s f + b) above that of the bare class frequencies, in nats.
      gain_per_example: the same for each label, an estimate of the information that the predictions have of it.
      loss: mean negative log-likelihood of the given labels, in nats.
    """

    sharpness: float
    bias: Float[np.ndarray, " classes"]
    transition: Float[np.ndarray, "classes classes"]
    error_rate: float
    interval: Float[np.ndarray, " ends"]
    systematic_rate: float
    told: bool
    fits: bool
    gain: float
    gain_per_example: float
    loss: float


class NoiseModel(NamedTuple):
    """The calibration, and the true classes of the examples by it.

    Attributes:
      calibration: what is reported.
      right: probability that the given label is right; None where nothing can be told.
      at_least: probability that the class of the largest prediction is the true one, the least under models that are
        less likely by no more than the evidence, each at the lowest rate of wrong labels of which this is so.
    """

    calibration: Calibration
    right: Float[np.ndarray, " examples"] | None
    at_least: Float[np.ndarray, " examples"] | None


@edge
def calibrate(predictions: Float[AnyArray, "examples classes"], labels: AnyLabels) -> Calibration:
    """Fits the model to the given labels by maximum likelihood; no true label is needed.

    The true class has the probabilities softmax(s f + b); the label is another class at one rate, all alike, or by a
    pattern of classes where that is likelier by five nats. The bare class frequencies are the case s = 0. Where the
    fit is hardly more likely than they are, any rate would do, and none is named: the fit returned is that without
    wrong labels.

    Of several kinds of predictions for the same labels, those of the least loss tell the true classes best.

    Args:
      predictions: f, of networks that have not seen the label of the example, such as `leave_one_out_predictions`.
      labels: as given, right or wrong.

    Returns:
      The model, the rate of wrong labels with its interval, and what the predictions gain.

    Raises:
      ValueError: if the predictions are not a finite matrix, or the labels not one class for each row.

    Source: the noise model is that of Bootkrajang and Kabán, 2012. The interval spans those of four models, by the
      profile likelihood of each (Wilks, 1938): one s, or one for each class; errors that are all alike, or by a
      pattern. That the examples of a class that are told best bound what errors of a rule can hide is from the anchor
      points of Liu and Tao, 2016.
    """
    require_rank("predictions", predictions, 2, "(examples, classes)")
    require_finite(predictions=predictions)
    num_examples, num_classes = np.shape(predictions)
    codes = class_labels(labels, num_classes=num_classes, num_examples=num_examples).codes
    return noise_model(np.asarray(predictions, float), codes).calibration


def noise_model(predictions: Float[np.ndarray, "examples classes"], labels: Int[np.ndarray, " examples"]) -> NoiseModel:
    """The core of `calibrate`; predictions in any precision, the fit is in double.

    Of many examples of many classes it is fitted to some that lie evenly among each class; where classes are more than
    100, those of like frequency share what is fitted, and errors are all alike.
    """
    rows = _fitted_rows(labels, predictions.shape[1])
    # threads of BLAS cost more than they bring to many small products
    with threadpool_limits(1, user_api="blas"):
        return _noise_model(predictions, labels, rows)


def _noise_model(predictions: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> NoiseModel:
    sample, units = _standard(predictions[rows].astype(float), labels[rows])
    num_examples, entropy = len(rows), _entropy(sample)
    plain, gain = _without_errors(sample)
    of_all = len(labels) / num_examples
    if gain < EVIDENCE:
        chosen = plain.parameters if gain > 0 else sample.prior
        loss = entropy - gain / num_examples
        return NoiseModel(_untold(units, sample.of_classes(chosen), gain * of_all, loss, len(labels)), None, None)

    alike = _noise.follow(sample, None, plain.parameters)
    sharpness, bias = plain.parameters[:1].repeat(sample.num_groups), plain.parameters[1:]
    by_class = _noise.follow(sample.with_sharpness_by_class(), alike.pattern, np.concatenate([sharpness, bias]))
    patterned, both = alike, by_class
    if sample.num_groups == len(sample.frequencies):
        patterned, both = _noise.with_pattern(alike), _noise.with_pattern(by_class)
    # each once: the search for a pattern may find none
    profiles = {id(one): one for one in (alike, patterned, by_class, both)}.values()
    is_patterned = patterned.best.objective < alike.best.objective - EVIDENCE
    profile = patterned if is_patterned else alike
    ends = [end.rate for one in profiles for end in one.interval(_noise.INTERVAL)]
    # of so many numbers more, half of log n each is chance (the Bayesian information criterion)
    allowed = EVIDENCE + (len(bias) - 1) / 2 * np.log(num_examples)
    transition = np.eye(len(units.present))
    transition[np.ix_(units.present, units.present)] = _noise.transition(
        profile.best.rate, profile.pattern, len(sample.frequencies)
    )
    calibration = Calibration(
        *units.of(*sample.of_classes(profile.best.parameters)),
        transition=transition,
        error_rate=profile.best.rate,
        interval=np.array([min(ends), max(ends)]),
        systematic_rate=max(*ends, _uncertainty(sample, profile)),
        told=True,
        fits=not is_patterned and by_class.best.objective > alike.best.objective - allowed,
        gain=gain * of_all,
        gain_per_example=gain / num_examples,
        loss=-profile.best.log_likelihood / num_examples,
    )
    models = [(profile.best, profile), *((one.interval(EVIDENCE)[0], one) for one in (patterned, both))]
    right, at_least = np.empty(len(labels)), np.empty(len(labels))
    step = max(1, _ENTRIES_AT_ONCE // predictions.shape[1])
    for start in range(0, len(labels), step):
        block = slice(start, start + step)
        some = units.standardized(sample, predictions[block], labels[block])
        likeliest, *cautious = (
            _noise.posterior(some._replace(by_class=one.sample.by_class), fit, one.pattern) for fit, one in models
        )
        # of classes without a label nothing is known, and none is the true one
        whole = np.cumsum(units.present) - 1
        suggested, places = predictions[block].argmax(1), np.arange(len(some.labels))
        right[block] = likeliest[places, some.labels]
        least = np.min([one[places, whole[suggested]] for one in cautious], axis=0)
        at_least[block] = np.where(units.present[suggested], least, 0.0)
    return NoiseModel(calibration, right, at_least)


def _fitted_rows(labels: Int[np.ndarray, " examples"], num_classes: int) -> Int[np.ndarray, " fitted"]:
    """All examples, or, where these times the classes are many, some that lie evenly among those of each class."""
    count = max(_FEWEST_FITTED, _ENTRIES_FITTED // num_classes)
    if len(labels) <= count:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    first = np.flatnonzero(np.diff(labels[order], prepend=-1))
    return order[np.union1d(first, np.linspace(0, len(order) - 1, count).astype(int))]


def least_loss(predictions: Float[np.ndarray, "examples classes"], labels: Int[np.ndarray, " examples"]) -> float:
    """The loss of `calibrate` for errors that are all alike, to compare kinds of predictions by."""
    rows = _fitted_rows(labels, predictions.shape[1])
    with threadpool_limits(1, user_api="blas"):
        sample, _ = _standard(predictions[rows].astype(float), labels[rows])
        plain, gain = _without_errors(sample)
        if gain < EVIDENCE:
            return _entropy(sample) - gain / len(rows)
        profile = _noise.follow(sample, None, plain.parameters)
        return -profile.best.log_likelihood / len(rows)


def probabilities(
    predictions: Float[np.ndarray, "examples classes"], calibration: Calibration
) -> Float[np.ndarray, "examples classes"]:
    """softmax(s f + b)."""
    logits = calibration.sharpness * predictions + calibration.bias
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def expected_doubtful(predictions: Float[np.ndarray, "examples classes"], sharpness: float, bias: np.ndarray) -> float:
    """How many true classes are expected not to be that of the largest prediction, by softmax(sharpness f + bias)."""
    step = max(1, _ENTRIES_AT_ONCE // predictions.shape[1])
    total = 0.0
    for start in range(0, len(predictions), step):
        block = predictions[start : start + step].astype(float)
        logits = sharpness * block + bias
        logits -= np.take_along_axis(logits, block.argmax(1)[:, None], 1)
        total += float((1 - 1 / np.exp(logits).sum(1)).sum())
    return total


class _Units(NamedTuple):
    """What predictions lose before they are fitted, to give the results back in their own units and classes."""

    offsets: Float[np.ndarray, " present"]
    scale: float
    present: Bool[np.ndarray, " classes"]

    def of(
        self, sharpness: Float[np.ndarray, " present"], bias: Float[np.ndarray, " present"]
    ) -> tuple[float, Float[np.ndarray, " classes"]]:
        """Sharpness and bias of these predictions."""
        whole = np.full(len(self.present), -np.inf)
        own = float(sharpness[0] / self.scale)
        whole[self.present] = bias - own * self.offsets
        return own, whole

    def standardized(self, fitted: _noise.Sample, predictions: np.ndarray, labels: np.ndarray) -> _noise.Sample:
        """Other predictions in the units of those that were fitted."""
        chosen = predictions[:, self.present].astype(float)
        chosen -= chosen.mean(1, keepdims=True)
        codes = (np.cumsum(self.present) - 1)[labels]
        return fitted._replace(predictions=(chosen - self.offsets) / self.scale, labels=codes)


def _standard(
    predictions: Float[np.ndarray, "examples classes"], labels: Int[np.ndarray, " examples"]
) -> tuple[_noise.Sample, _Units]:
    """Predictions for the classes that occur without the means of rows and columns, of unit variance."""
    counts = np.bincount(labels, minlength=predictions.shape[1])
    present = counts > 0
    codes = np.cumsum(present)[labels] - 1
    frequencies = np.log(counts[present] / len(codes))
    chosen = predictions[:, present]
    relative = chosen - chosen.mean(1, keepdims=True)
    offsets = relative.mean(0)
    centred = relative - offsets
    scale = float(np.sqrt(np.square(centred).mean()))
    # all that there is may be what rounding leaves of constants
    if scale <= 1e-12 * np.abs(chosen).max():
        centred, offsets, scale = np.zeros_like(centred), np.zeros_like(offsets), 1.0
    groups = np.arange(len(frequencies))
    if len(groups) > _CLASSES_APART:
        groups[np.argsort(frequencies, kind="stable")] = groups * _GROUPS // len(groups)
    return _noise.Sample(centred / scale, codes, frequencies, groups), _Units(offsets, scale, present)


def _entropy(sample: _noise.Sample) -> float:
    """Of the class frequencies, in nats."""
    return -float(np.exp(sample.frequencies) @ sample.frequencies)


def _without_errors(sample: _noise.Sample) -> tuple[_noise.Fit, float]:
    """The fit if no label is wrong, and by how many nats in all it is likelier than the class frequencies."""
    plain = _noise.fit_at(sample, None, 0.0, sample.prior)
    # predictions that speak against their labels know nothing: left out, a label makes its class rarer among the others
    if plain.parameters[0] <= 0:
        return plain, 0.0
    return plain, max(0.0, plain.log_likelihood + len(sample.labels) * _entropy(sample))


def _uncertainty(sample: _noise.Sample, profile: _noise.Profile) -> float:
    """How improbable labels are, by the fit, in the half of the examples of each label that are told best."""
    of_labels = _noise.transition(profile.best.rate, profile.pattern, len(sample.frequencies))
    labels = _noise.probabilities(sample, profile.best) @ of_labels
    likeliest = labels.argmax(1)
    certain = [
        np.quantile(labels[likeliest == label, label], 1 - _TOLD_BEST) if (likeliest == label).any() else own.max()
        for label, own in enumerate(labels.T)
    ]
    return float(np.exp(sample.frequencies) @ (1 - np.array(certain)))


def _untold(
    units: _Units,
    of_classes: tuple[Float[np.ndarray, " present"], Float[np.ndarray, " present"]],
    gain: float,
    loss: float,
    num_examples: int,
) -> Calibration:
    """No rate is named; sharpness and bias are those without wrong labels."""
    return Calibration(
        *units.of(*of_classes),
        transition=np.eye(len(units.present)),
        error_rate=float("nan"),
        interval=np.array([0.0, 1.0]),
        systematic_rate=1.0,
        told=False,
        fits=False,
        gain=gain,
        gain_per_example=gain / num_examples,
        loss=loss,
    )
