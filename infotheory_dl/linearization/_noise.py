"""The likelihood of given labels under label noise: fitted by Newton's method, and followed along the error rate.

The true class of an example has the probabilities softmax(s f + b), with one s or one for each class; its label is
another class at the rate e, spread over the pairs of classes by a pattern of mean 1. A fit is for one rate and one
pattern; a profile is the fits along the rates. Everything is in standard units: predictions f without what does not
matter to a softmax (the mean of each row) and without their mean over the examples, of unit variance.

The likelihood and its derivatives are sums over blocks of examples that fit into the cache of a processor. Where errors
are all alike, the classes given the label are a mixture of those without it and the label itself, so that a fit costs
one pass over the predictions and holds none of its own.
"""

import functools
import operator
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

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
_ENTRIES_AT_ONCE = 2**17
_LEAST = 1e-300

Matrix: TypeAlias = Float[np.ndarray, "classes classes"]
Pattern: TypeAlias = Matrix | None
"""How errors spread over the pairs of classes; None where all are alike."""


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
    """

    rate: float
    parameters: Float[np.ndarray, " parameters"]
    objective: float
    log_likelihood: float
    slope: float


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


def transition(rate: float, pattern: Pattern, num_classes: int) -> Matrix:
    """Probabilities of each label, in columns, for each true class, in rows."""
    if pattern is None:
        pattern = _uniform(num_classes)
    return np.eye(num_classes) + rate * (pattern - np.diag(pattern.sum(1)))


def follow(sample: Sample, pattern: Pattern, start: Float[np.ndarray, " parameters"]) -> Profile:
    """Fits s and b along the rates, each from the fit before, and at the best rate.

    Flat predictions and few errors, or sharp ones and many, can both be maxima at one rate. So the rates are followed
    upwards and downwards again.
    """
    fits: list[Fit] = []
    # finer where errors are few
    for rate in _largest_rate(pattern, len(sample.frequencies)) * np.linspace(0, 1, _RATES) ** 2:
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
    parameters, current = start, _evaluate(sample, pattern, rate, start)
    for _ in range(_STEPS):
        curvatures, directions = np.linalg.eigh(current.hessian)
        curvatures = np.maximum(np.abs(curvatures), 1e-6 * np.abs(curvatures).max())
        step = -directions @ ((directions.T @ current.gradient) / curvatures)
        promise = -float(current.gradient @ step)
        if promise <= _TOLERANCE * len(sample.labels):
            break
        length = 1.0
        while length > 1e-8:
            trial = _evaluate(sample, pattern, rate, parameters + length * step)
            if trial.objective <= current.objective - 1e-4 * length * promise:
                break
            length /= 4
        else:
            break
        parameters, current = parameters + length * step, trial
    return Fit(rate, parameters, current.objective, current.log_likelihood, current.slope)


def probabilities(sample: Sample, fit: Fit) -> Float[np.ndarray, "examples classes"]:
    """Of the true classes of any examples by a fit, by the predictions alone."""
    return _true_classes(sample, fit.parameters, slice(None))


def posterior(sample: Sample, fit: Fit, pattern: Pattern) -> Float[np.ndarray, "examples classes"]:
    """Of the true classes of any examples by a fit, by the given label too."""
    given = _given_labels(sample, pattern, fit.rate, probabilities(sample, fit), slice(None))
    if given.of_classes is not None:
        return given.of_classes
    mixed = (1 - given.trust)[:, None] * given.probabilities
    mixed[np.arange(len(mixed)), sample.labels] += given.trust
    return mixed


class _Evaluation(NamedTuple):
    objective: float
    log_likelihood: float
    slope: float
    gradient: Float[np.ndarray, " parameters"]
    hessian: Float[np.ndarray, "parameters parameters"]


def _evaluate(sample: Sample, pattern: Pattern, rate: float, parameters: np.ndarray) -> _Evaluation:
    """In logits the gradient is p - q, q with the label and p without, the Hessian the difference of covariances."""
    step = max(1, _ENTRIES_AT_ONCE // len(sample.frequencies))
    blocks = [slice(start, start + step) for start in range(0, len(sample.labels), step)]
    parts = (_sums_of_block(sample, pattern, rate, parameters, rows) for rows in blocks)
    sums = functools.reduce(lambda one, other: _Sums(*map(operator.add, one, other)), parts)
    hessian, diagonals = sums.products, sums.diagonals
    of_sharpness, of_bias = sample.places
    for rows, columns, values in (
        (of_sharpness, of_sharpness, diagonals[0]),
        (of_sharpness, of_bias, diagonals[1]),
        (of_bias, of_sharpness, diagonals[1]),
        (of_bias, of_bias, diagonals[2]),
    ):
        np.add.at(hessian, (rows, columns), values)
    return _Evaluation(
        float(sample.penalties @ np.square(parameters) / 2 - sums.log_likelihood),
        sums.log_likelihood,
        sums.slope,
        sums.gradient + sample.penalties * parameters,
        hessian + np.diag(sample.penalties),
    )


class _Sums(NamedTuple):
    """Over a block; of the Hessian the products, and what is to be added for each class."""

    log_likelihood: float
    slope: float
    gradient: Float[np.ndarray, " parameters"]
    products: Float[np.ndarray, "parameters parameters"]
    diagonals: Float[np.ndarray, "blocks classes"]


def _sums_of_block(sample: Sample, pattern: Pattern, rate: float, parameters: np.ndarray, rows: slice) -> _Sums:
    f, labels = sample.predictions[rows], sample.labels[rows]
    p = _true_classes(sample, parameters, rows)
    given = _given_labels(sample, pattern, rate, p, rows)
    weighted = p * f
    # what several classes share, in the place of what each would have
    without = _joined(sample, weighted, p)
    if given.of_classes is None:
        # q = (1 - t) p + t 1_label, with t how far the label is trusted
        places, trust = np.arange(len(labels)), given.trust
        of_sharpness, of_bias = (place[labels] for place in sample.places)
        with_label = (1 - trust)[:, None] * without
        with_label[places, of_sharpness] += trust * f[places, labels]
        with_label[places, of_bias] += trust
        own = f[places, labels]
        diagonals = np.stack([trust @ (weighted * f), trust @ weighted, trust @ p])
        for power, diagonal in zip((2, 1, 0), diagonals, strict=True):
            diagonal -= np.bincount(labels, trust * own**power, minlength=len(diagonal))
    else:
        q = given.of_classes
        with_label = _joined(sample, q * f, q)
        moved = p - q
        moved_by = moved * f
        diagonals = np.stack([(moved_by * f).sum(0), moved_by.sum(0), moved.sum(0)])
    return _Sums(
        float(np.log(given.likelihood).sum()),
        -float((given.change / given.likelihood).sum()),
        without.sum(0) - with_label.sum(0),
        with_label.T @ with_label - without.T @ without,
        diagonals,
    )


def _true_classes(sample: Sample, parameters: np.ndarray, rows: slice) -> Float[np.ndarray, "rows classes"]:
    """softmax(s f + b)."""
    sharpness, bias = sample.of_classes(parameters)
    logits = sharpness * sample.predictions[rows]
    logits += bias
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


class _Given(NamedTuple):
    """The likelihood of labels, its derivative in the rate, and the true classes without the label and with it.

    Those with it are None where they are a mixture of those without and the label itself, of the weight `trust`.
    """

    likelihood: Float[np.ndarray, " rows"]
    change: Float[np.ndarray, " rows"]
    probabilities: Float[np.ndarray, "rows classes"]
    of_classes: Float[np.ndarray, "rows classes"] | None
    trust: Float[np.ndarray, " rows"]


def _given_labels(sample: Sample, pattern: Pattern, rate: float, p: np.ndarray, rows: slice) -> _Given:
    labels, num_classes = sample.labels[rows], p.shape[1]
    # a label that the fit holds for impossible is as unlikely as numbers go
    if pattern is None:
        others = max(1, num_classes - 1)
        own, spread = p[np.arange(len(labels)), labels], rate / others
        likelihood = np.maximum(spread + (1 - rate - spread) * own, _LEAST)
        return _Given(likelihood, (1 - own) / others - own, p, None, 1 - spread / likelihood)
    moved = pattern - np.diag(pattern.sum(1))
    joint = p * (np.eye(num_classes) + rate * moved).T[labels]
    likelihood = np.maximum(joint.sum(1), _LEAST)
    joint /= likelihood[:, None]
    return _Given(likelihood, np.einsum("ij,ij->i", p, moved.T[labels]), p, joint, np.zeros(0))


def _joined(sample: Sample, weighted: np.ndarray, p: np.ndarray) -> Float[np.ndarray, "rows parameters"]:
    """The derivatives of each example's expected logit in the parameters, under probabilities p, weighted being p f."""
    count = sample.num_groups
    if count == len(sample.groups):
        of_bias, of_sharpness = p, weighted if sample.by_class else weighted.sum(1, keepdims=True)
    else:
        of_groups = np.eye(count)[sample.groups]
        of_bias = p @ of_groups
        of_sharpness = weighted @ of_groups if sample.by_class else weighted.sum(1, keepdims=True)
    return np.concatenate([of_sharpness, of_bias], axis=1)


def _uniform(num_classes: int) -> Matrix:
    return (1 - np.eye(num_classes)) / max(1, num_classes - 1)


def _largest_rate(pattern: Pattern, num_classes: int) -> float:
    """Up to it the true class is a likelier label than the other classes are on average."""
    return 0.98 * (1 - 1 / num_classes) / (1.0 if pattern is None else max(1.0, float(pattern.sum(1).max())))


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


def _search_pattern(profile: Profile, start: Fit) -> Pattern:
    """Expectation and maximisation of the rates of all pairs, from a fit; None where they are all alike."""
    sample = profile.sample
    num_examples, num_classes = sample.predictions.shape
    uniform = _uniform(num_classes)
    given = (sample.labels[:, None] == np.arange(num_classes)).astype(float)
    pairs = ~np.eye(num_classes, dtype=bool)
    # predictions that are too flat would take every error for doubt
    sharp = start.parameters.copy()
    sharp[: -sample.num_groups] = np.maximum(2.0, sharp[: -sample.num_groups])
    pattern: Pattern = None
    rate, fit, last = max(start.rate, 1e-3), start._replace(parameters=sharp), np.inf
    best: tuple[float, Pattern] = (np.inf, None)
    for iteration in range(25):
        fit = fit_at(sample, pattern, rate, fit.parameters)
        if fit.objective < best[0]:
            best = fit.objective, pattern
        # the first steps look for the pattern, and may well be steps down
        if iteration > 3 and last - fit.objective < 1e-2:
            break
        last = fit.objective
        errors = np.where(pairs, posterior(sample, fit, pattern).T @ given, 0)
        shares = probabilities(sample, fit).mean(0)
        expected = rate * num_examples * shares[:, None] * uniform
        excess = np.square(errors - expected)[pairs].sum() - expected[pairs].sum()
        spread = max(0.0, float(excess / np.square(expected)[pairs].sum()))
        shaped = uniform * (errors * spread + 1) / (expected * spread + 1)
        shaped = shaped / (shares @ shaped.sum(1))
        pattern = shaped if spread else None
        rate = float(np.clip(errors.sum() / num_examples, 1e-4, _largest_rate(pattern, num_classes)))
    return best[1]
