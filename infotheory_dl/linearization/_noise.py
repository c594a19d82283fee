"""The likelihood of given labels under label noise: fitted by Newton's method, and followed along the error rate.

The true class of an example has the probabilities softmax(s f + b), with one s or one for each class; its label is
another class at the rate e, spread over the pairs of classes by a pattern of mean 1. A fit is for one rate and one
pattern; a profile is the fits along the rates. Everything is in standard units: predictions f without what does not
matter to a softmax (the mean of each row) and without their mean over the examples, of unit variance.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

# nats by which the profile of the likelihood falls at the ends of a 95 % interval, ½ of the quantile of chi-squared
INTERVAL = 1.92
# pulls s and b away from infinity where classes are apart, by less than a nat in all
_PENALTY_ON_SHARPNESS, _PENALTY_ON_BIAS = 1e-4, 1e-2
_RATES = 21
_STARTS = (0.15, 0.35)
_STEPS, _TOLERANCE = 60, 1e-13
_LIKELIER = 1e-3

Pattern = Float[np.ndarray, "classes classes"]


class Sample(NamedTuple):
    """Predictions in standard units and the labels that were given.

    Attributes:
      predictions: f.
      labels: given labels, in [0, classes); every class occurs.
      frequencies: logarithms of their shares, from which b is counted.
      groups: of classes that share what is fitted for a class; each of its own by default.
      by_class: whether each group has a sharpness of its own.
    """

    predictions: Float[np.ndarray, "examples classes"]
    labels: Int[np.ndarray, " examples"]
    frequencies: Float[np.ndarray, " classes"]
    groups: Int[np.ndarray, " classes"]
    by_class: bool = False

    @property
    def num_groups(self) -> int:
        """How many numbers b has."""
        return int(self.groups.max()) + 1

    @property
    def prior(self) -> Float[np.ndarray, " parameters"]:
        """Of s and b: predictions that say nothing, and the class frequencies."""
        return np.zeros((self.num_groups if self.by_class else 1) + self.num_groups)

    @property
    def penalties(self) -> Float[np.ndarray, " parameters"]:
        """On half the squared distance of each parameter from its prior."""
        place = np.arange(len(self.prior))
        return np.where(place < len(self.prior) - self.num_groups, _PENALTY_ON_SHARPNESS, _PENALTY_ON_BIAS)

    @property
    def places(self) -> tuple[Int[np.ndarray, " classes"], Int[np.ndarray, " classes"]]:
        """Which parameters are s and b of each class."""
        of_sharpness = self.groups if self.by_class else np.zeros_like(self.groups)
        return of_sharpness, len(self.prior) - self.num_groups + self.groups

    def of_classes(
        self, parameters: Float[np.ndarray, " parameters"]
    ) -> tuple[Float[np.ndarray, " classes"], Float[np.ndarray, " classes"]]:
        """s and b of each class."""
        of_sharpness, of_bias = self.places
        return parameters[of_sharpness], self.frequencies + parameters[of_bias]

    def with_sharpness_by_class(self) -> "Sample":
        """The same for the model in which each class has a sharpness of its own."""
        return self._replace(by_class=True)


class Fit(NamedTuple):
    """The most likely s and b for one rate.

    Attributes:
      rate: e.
      parameters: s, and b of each group of classes, counted from the logarithms of their shares.
      objective: minus the log-likelihood of all labels, penalty included.
      log_likelihood: of all labels.
      slope: derivative of the objective in the rate.
      probabilities: of the true classes, by the predictions alone.
      posterior: of the true classes, by the given label too.
    """

    rate: float
    parameters: Float[np.ndarray, " parameters"]
    objective: float
    log_likelihood: float
    slope: float
    probabilities: Float[np.ndarray, "examples classes"]
    posterior: Float[np.ndarray, "examples classes"]


class Profile(NamedTuple):
    """Fits along the rates, for one pattern of errors.

    Attributes:
      sample: what is fitted.
      pattern: how the errors spread over the pairs of classes.
      fits: by rate, ascending, the best among them.
      best: the most likely.
    """

    sample: Sample
    pattern: Pattern
    fits: list[Fit]
    best: Fit

    def interval(self, nats: float) -> tuple[Fit, Fit]:
        """The fits at the least and the largest rate that are less likely than the best by no more than so much."""
        excess = lambda fit: fit.objective - self.best.objective - nats
        inside = [place for place, fit in enumerate(self.fits) if excess(fit) <= 0]

        def end(inner: int, outer: int) -> Fit:
            if not 0 <= outer < len(self.fits):
                return self.fits[inner]
            return _root(excess, self.sample, self.pattern, self.fits[inner], self.fits[outer])

        return end(inside[0], inside[0] - 1), end(inside[-1], inside[-1] + 1)


def uniform_pattern(num_classes: int) -> Pattern:
    """All other classes alike."""
    return (1 - np.eye(num_classes)) / (num_classes - 1)


def transition(rate: float, pattern: Pattern) -> Pattern:
    """Probabilities of each label, in columns, for each true class, in rows."""
    return np.eye(len(pattern)) + rate * (pattern - np.diag(pattern.sum(1)))


def follow(sample: Sample, pattern: Pattern, start: Float[np.ndarray, " parameters"]) -> Profile:
    """Fits s and b along the rates, each from the fit before, and at the best rate.

    Flat predictions and few errors, or sharp ones and many, can both be maxima at one rate. So the rates are followed
    upwards and downwards again.
    """
    fits: list[Fit] = []
    # finer where errors are few
    for rate in _largest_rate(pattern) * np.linspace(0, 1, _RATES) ** 2:
        fits.append(fit_at(sample, pattern, float(rate), start))
        start = fits[-1].parameters
    for place in reversed(range(len(fits) - 1)):
        other = fit_at(sample, pattern, fits[place].rate, fits[place + 1].parameters)
        fits[place] = min(fits[place], other, key=lambda fit: fit.objective)
    place = int(np.argmin([fit.objective for fit in fits]))
    best = fits[place]
    neighbour = place + (1 if best.slope < 0 else -1)
    if 0 <= neighbour < len(fits):
        found = _root(lambda fit: fit.slope, sample, pattern, best, fits[neighbour])
        if found.objective < best.objective:
            best = found
            fits.insert(max(place, neighbour), best)
    return Profile(sample, pattern, fits, best)


def with_pattern(profile: Profile) -> Profile:
    """The profile along the pattern that the errors themselves show, where it is likelier.

    Pairs of classes err at rates of their own that are drawn around the common one; their spread is estimated with
    them, so that pairs of few errors keep to the common rate (empirical Bayes). The search starts from the best fit and
    from rates at which errors that repeat themselves would be seen.
    """
    starts = [profile.best] + [min(profile.fits, key=lambda fit: abs(fit.rate - rate)) for rate in _STARTS]
    found = []
    for start in starts:
        pattern = _search_pattern(profile, start)
        if pattern is not None:
            found.append(follow(profile.sample, pattern, profile.fits[0].parameters))
    best = min(found, key=lambda one: one.best.objective, default=profile)
    # without errors all patterns are one, but for rounding
    return best if best.best.objective < profile.best.objective - _LIKELIER else profile


def fit_at(sample: Sample, pattern: Pattern, rate: float, start: np.ndarray) -> Fit:
    """Fits s and b for one rate by Newton's method, with the curvature of saddles turned upwards."""
    of_labels = np.ascontiguousarray(transition(rate, pattern)[:, sample.labels].T)
    parameters = start
    current = _evaluate(sample, of_labels, parameters)
    for _ in range(_STEPS):
        gradient, hessian = _derivatives(sample, parameters, current)
        curvatures, directions = np.linalg.eigh(hessian)
        curvatures = np.maximum(np.abs(curvatures), 1e-6 * np.abs(curvatures).max())
        step = -directions @ ((directions.T @ gradient) / curvatures)
        promise = -float(gradient @ step)
        if promise <= _TOLERANCE * len(sample.labels):
            break
        length = 1.0
        while length > 1e-8:
            trial = _evaluate(sample, of_labels, parameters + length * step)
            if trial.objective <= current.objective - 1e-4 * length * promise:
                break
            length /= 4
        else:
            break
        parameters, current = parameters + length * step, trial
    moved = (pattern - np.diag(pattern.sum(1)))[:, sample.labels].T
    slope = -float(((current.probabilities * moved).sum(1) / current.likelihood).sum())
    log_likelihood = float(np.log(current.likelihood).sum())
    return Fit(rate, parameters, current.objective, log_likelihood, slope, current.probabilities, current.posterior)


class _Evaluation(NamedTuple):
    objective: float
    likelihood: np.ndarray
    probabilities: np.ndarray
    posterior: np.ndarray


def _evaluate(sample: Sample, of_labels: np.ndarray, parameters: np.ndarray) -> _Evaluation:
    sharpness, bias = sample.of_classes(parameters)
    logits = sharpness * sample.predictions + bias
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    joint = probabilities * of_labels
    # a label that the fit holds for impossible is as unlikely as numbers go
    likelihood = np.maximum(joint.sum(1), 1e-300)
    penalty = sample.penalties @ np.square(parameters)
    objective = -np.log(likelihood).sum() + penalty / 2
    return _Evaluation(float(objective), likelihood, probabilities, joint / likelihood[:, None])


def posterior(sample: Sample, fit: Fit, pattern: Pattern) -> Float[np.ndarray, "examples classes"]:
    """Probabilities of the true classes of any examples by a fit, with their labels."""
    of_labels = transition(fit.rate, pattern)[:, sample.labels].T
    return _evaluate(sample, of_labels, fit.parameters).posterior


def _derivatives(sample: Sample, parameters: np.ndarray, at: _Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """In logits the gradient is p - q, q with the label and p without, the Hessian the difference of covariances."""
    f, p, q = sample.predictions, at.probabilities, at.posterior
    moved = p - q
    diagonals = (moved * f * f).sum(0), (moved * f).sum(0), moved.sum(0)
    of_sharpness, of_bias = sample.places
    # what several classes share, in the place of what each would have
    joined = lambda values: _joined(sample, values)
    without, given = joined(p), joined(q)
    hessian = given.T @ given - without.T @ without
    for rows, columns, values in (
        (of_sharpness, of_sharpness, diagonals[0]),
        (of_sharpness, of_bias, diagonals[1]),
        (of_bias, of_sharpness, diagonals[1]),
        (of_bias, of_bias, diagonals[2]),
    ):
        np.add.at(hessian, (rows, columns), values)
    gradient = without.sum(0) - given.sum(0) + sample.penalties * parameters
    return gradient, hessian + np.diag(sample.penalties)


def _joined(
    sample: Sample, probabilities: Float[np.ndarray, "examples classes"]
) -> Float[np.ndarray, "examples parameters"]:
    """The derivatives of each example's expected logit in the parameters, under these probabilities."""
    count = sample.num_groups
    of_groups = np.eye(count)[sample.groups]
    separate = count == len(sample.groups)
    summed = lambda values: values if separate else values @ of_groups
    weighted = probabilities * sample.predictions
    of_sharpness = summed(weighted) if sample.by_class else weighted.sum(1, keepdims=True)
    return np.concatenate([of_sharpness, summed(probabilities)], axis=1)


def _largest_rate(pattern: Pattern) -> float:
    """Up to it the true class is a likelier label than the other classes are on average."""
    return 0.98 * (1 - 1 / len(pattern)) / max(1.0, float(pattern.sum(1).max()))


def _root(value: Callable[[Fit], float], sample: Sample, pattern: Pattern, inner: Fit, outer: Fit) -> Fit:
    """The fit at the rate between two at which a value vanishes; the outer one where it does not."""
    from scipy.optimize import brentq

    fits = {inner.rate: inner, outer.rate: outer}

    def at(rate: float) -> float:
        if rate not in fits:
            nearest = min(fits.values(), key=lambda fit: abs(fit.rate - rate))
            fits[rate] = fit_at(sample, pattern, rate, nearest.parameters)
        return value(fits[rate])

    if at(inner.rate) * at(outer.rate) > 0:
        return outer
    root = brentq(at, inner.rate, outer.rate, xtol=1e-12, rtol=1e-12)
    at(root)
    return fits[root]


def _search_pattern(profile: Profile, start: Fit) -> Pattern | None:
    """Expectation and maximisation of the rates of all pairs, from a fit; None where they are all alike."""
    sample, uniform = profile.sample, profile.pattern
    num_examples, num_classes = sample.predictions.shape
    given = (sample.labels[:, None] == np.arange(num_classes)).astype(float)
    pairs = ~np.eye(num_classes, dtype=bool)
    # predictions that are too flat would take every error for doubt
    sharp = start.parameters.copy()
    sharp[: -sample.num_groups] = np.maximum(2.0, sharp[: -sample.num_groups])
    pattern, rate, fit, last = uniform, max(start.rate, 1e-3), start._replace(parameters=sharp), np.inf
    best: tuple[float, Pattern | None] = (np.inf, None)
    spread = 0.0
    for iteration in range(25):
        fit = fit_at(sample, pattern, rate, fit.parameters)
        if fit.objective < best[0]:
            best = fit.objective, pattern if spread else None
        # the first steps look for the pattern, and may well be steps down
        if iteration > 3 and last - fit.objective < 1e-2:
            break
        last = fit.objective
        errors = np.where(pairs, fit.posterior.T @ given, 0)
        shares = fit.probabilities.mean(0)
        expected = rate * num_examples * shares[:, None] * uniform
        excess = np.square(errors - expected)[pairs].sum() - expected[pairs].sum()
        spread = max(0.0, float(excess / np.square(expected)[pairs].sum()))
        pattern = uniform * (errors * spread + 1) / (expected * spread + 1)
        pattern = pattern / (shares @ pattern.sum(1))
        rate = float(np.clip(errors.sum() / num_examples, 1e-4, _largest_rate(pattern)))
    return best[1]
