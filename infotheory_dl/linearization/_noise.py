"""The likelihood of given labels under label noise: fitted by Newton's method, and followed along the error rate.

The true class of an example has the probabilities softmax(s f + b); its label is another class at the rate e, spread
over the pairs of classes by a pattern of mean 1. A fit is for one rate and one pattern; a profile is the fits along the
rates. Everything is in standard units: predictions f without what does not matter to a softmax (the mean of each row)
and without their mean over the examples, of unit variance.
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

Pattern = Float[np.ndarray, "classes classes"]


class Sample(NamedTuple):
    """Predictions in standard units and the labels that were given.

    Attributes:
      predictions: f.
      labels: given labels, in [0, classes); every class occurs.
      frequencies: logarithms of their shares, the prior of b.
    """

    predictions: Float[np.ndarray, "examples classes"]
    labels: Int[np.ndarray, " examples"]
    frequencies: Float[np.ndarray, " classes"]


class Fit(NamedTuple):
    """The most likely s and b for one rate.

    Attributes:
      rate: e.
      parameters: s, and b of each class.
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


def transition(rate: float, pattern: Pattern) -> Float[np.ndarray, "classes classes"]:
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


def with_pattern(profile: Profile, nats: float) -> Profile:
    """The profile along the pattern that the errors themselves show, where it is likelier by so many nats.

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
    return best if best.best.objective < profile.best.objective - nats else profile


def fit_at(sample: Sample, pattern: Pattern, rate: float, start: Float[np.ndarray, " parameters"]) -> Fit:
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
    likelihood: Float[np.ndarray, " examples"]
    probabilities: Float[np.ndarray, "examples classes"]
    posterior: Float[np.ndarray, "examples classes"]


def _evaluate(
    sample: Sample, of_labels: Float[np.ndarray, "examples classes"], parameters: Float[np.ndarray, " parameters"]
) -> _Evaluation:
    sharpness, bias = parameters[0], parameters[1:]
    logits = sharpness * sample.predictions + bias
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    joint = probabilities * of_labels
    # a label that the fit holds for impossible is as unlikely as numbers go
    likelihood = np.maximum(joint.sum(1), 1e-300)
    penalty = _PENALTY_ON_SHARPNESS * sharpness**2 + _PENALTY_ON_BIAS * np.square(bias - sample.frequencies).sum()
    objective = -np.log(likelihood).sum() + penalty / 2
    return _Evaluation(float(objective), likelihood, probabilities, joint / likelihood[:, None])


def _derivatives(
    sample: Sample, parameters: Float[np.ndarray, " parameters"], at: _Evaluation
) -> tuple[Float[np.ndarray, " parameters"], Float[np.ndarray, "parameters parameters"]]:
    """In logits the gradient is p - q, q with the label and p without, the Hessian the difference of covariances."""
    f, p, q = sample.predictions, at.probabilities, at.posterior
    moved = p - q
    by_sharpness = (moved * f).sum(0)
    gradient = np.concatenate([[by_sharpness.sum()], moved.sum(0)])
    gradient += _penalties(sample) * (parameters - np.concatenate([[0.0], sample.frequencies]))
    mean_p, mean_q = (p * f).sum(1), (q * f).sum(1)
    hessian = np.empty((len(parameters), len(parameters)))
    hessian[0, 0] = (moved * f * f).sum() - mean_p @ mean_p + mean_q @ mean_q
    hessian[0, 1:] = hessian[1:, 0] = by_sharpness - mean_p @ p + mean_q @ q
    hessian[1:, 1:] = np.diag(moved.sum(0)) - p.T @ p + q.T @ q
    return gradient, hessian + np.diag(_penalties(sample))


def _penalties(sample: Sample) -> Float[np.ndarray, " parameters"]:
    return np.concatenate([[_PENALTY_ON_SHARPNESS], np.full(len(sample.frequencies), _PENALTY_ON_BIAS)])


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
    given = sample.labels[:, None] == np.arange(num_classes)
    pairs = ~np.eye(num_classes, dtype=bool)
    # predictions that are too flat would take every error for doubt
    sharp = np.concatenate([[max(2.0, start.parameters[0])], start.parameters[1:]])
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
