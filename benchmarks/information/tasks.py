"""Distributions whose mutual information is known, in closed form or as an integral of one variable."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy import integrate, special, stats

Samples: TypeAlias = Float[np.ndarray, "samples variables"]


class Task(NamedTuple):
    """Two variables that can be drawn.

    Attributes:
      name: of the distribution.
      information: of the variables, in nats.
      draw: `draw(random, samples)` is draws of both; the second is labels in a task of a continuous and a discrete one.
    """

    name: str
    information: float
    draw: Callable[[np.random.Generator, int], tuple[Any, Any]]


def normal(columns: int, correlation: float) -> Task:
    """Pairs of columns with a correlation, each pair independent of the others."""
    information = -columns * np.log(1 - correlation**2) / 2
    return Task(f"normal, {columns} × {columns}", information, partial(_normal_pair, columns, correlation))


def transformed(name: str, correlation: float, x_map: Callable[[Any], Any], y_map: Callable[[Any], Any]) -> Task:
    """A normal pair after invertible maps of either, which leave the information as it is."""

    def draw(random: np.random.Generator, samples: int) -> tuple[Samples, Samples]:
        x, y = _normal_pair(1, correlation, random, samples)
        return x_map(x), y_map(y)

    return Task(name, -np.log(1 - correlation**2) / 2, draw)


def half_cube(x: Samples) -> Samples:
    """Longer tails."""
    return np.sign(x) * np.abs(x) ** 1.5


def wiggly(x: Samples, *, phase: float) -> Samples:
    """An increasing function whose slope varies between a fifth and nearly two."""
    return x + 0.5 * np.sin(x + phase) + 0.15 * np.sin(2 * x - phase)


def swiss_roll(x: Samples) -> Samples:
    """A curve in the plane, rolled up: by the quantile of x."""
    angle = 1.5 * np.pi * (1 + 2 * stats.norm.cdf(x))
    return np.hstack([angle * np.cos(angle), angle * np.sin(angle)]) / 21


def uniform_noise(width: float) -> Task:
    """A uniform variable on [0, 1], and the same with uniform noise of this width on either side."""
    # the entropy of the sum, a trapezoid, less that of the noise
    information = width - np.log(2 * width) if width <= 0.5 else 1 / (4 * width)

    def draw(random: np.random.Generator, samples: int) -> tuple[Samples, Samples]:
        x = random.random((samples, 1))
        return x, x + random.uniform(-width, width, (samples, 1))

    return Task(f"uniform, noise {width:g}", information, draw)


def student(columns: int, degrees: float, correlation: float) -> Task:
    """The normal pairs divided by one and the same chi: large values come together, even without correlation."""
    part = lambda freedom: special.gammaln(freedom / 2) - freedom / 2 * special.digamma(freedom / 2)
    common = part(degrees) + part(degrees + 2 * columns) - 2 * part(degrees + columns)
    information = common - columns * np.log(1 - correlation**2) / 2

    def draw(random: np.random.Generator, samples: int) -> tuple[Samples, Samples]:
        chi = np.sqrt(random.chisquare(degrees, (samples, 1)) / degrees)
        x, y = _normal_pair(columns, correlation, random, samples)
        return x / chi, y / chi

    return Task(f"Student {degrees:g}, {columns} × {columns}", information, draw)


def shifted(distance: float) -> Task:
    """Normal variables of two labels, equally frequent, whose means are this distance apart."""

    def draw(random: np.random.Generator, samples: int) -> tuple[Samples, Any]:
        labels = random.integers(0, 2, samples)
        return random.normal(size=(samples, 1)) + distance * labels[:, None], labels

    density = lambda x: (stats.norm.pdf(x) + stats.norm.pdf(x - distance)) / 2
    entropy = integrate.quad(lambda x: special.entr(density(x)), -9, distance + 9)[0]
    return Task(f"normal, {distance:g} apart", entropy - float(stats.norm.entropy()), draw)


def counts() -> Task:
    """Exponential rates, and Poisson counts of them, which are geometric: rare counts are labels too."""

    def draw(random: np.random.Generator, samples: int) -> tuple[Samples, Any]:
        rates = random.exponential(size=(samples, 1))
        return rates, random.poisson(rates[:, 0])

    numbers = np.arange(200)
    entropy_given = lambda rate: special.entr(stats.poisson.pmf(numbers, rate)).sum() * np.exp(-rate)
    # of the geometric distribution with half a chance to stop
    information = 2 * np.log(2) - integrate.quad(entropy_given, 0, 60, limit=200)[0]
    return Task("Poisson counts", information, draw)


def inflated(share: float, other_share: float) -> Task:
    """Exponential values, or zero: with one probability under the one label, with another under the other."""

    def draw(random: np.random.Generator, samples: int) -> tuple[Samples, Any]:
        labels = random.integers(0, 2, samples)
        zero = random.random(samples) < np.where(labels, share, other_share)
        return np.where(zero, 0, random.exponential(size=samples))[:, None], labels

    entropy = lambda p: special.entr(p) + special.entr(1 - p)
    information = entropy((share + other_share) / 2) - (entropy(share) + entropy(other_share)) / 2
    return Task(f"zeros, {share:g} and {other_share:g}", information, draw)


def _normal_pair(
    columns: int, correlation: float, random: np.random.Generator, samples: int
) -> tuple[Samples, Samples]:
    x, own = random.normal(size=(2, samples, columns))
    return x, correlation * x + np.sqrt(1 - correlation**2) * own


CONTINUOUS = (
    normal(1, 0.75),
    normal(3, 0.5),
    normal(5, 0.5),
    normal(25, 0.3),
    uniform_noise(0.1),
    uniform_noise(0.75),
    transformed("half-cube", 0.75, half_cube, half_cube),
    transformed("wiggly", 0.75, partial(wiggly, phase=0.3), partial(wiggly, phase=2.0)),
    student(1, 1.0, 0.0),
    student(1, 3.0, 0.75),
    student(2, 3.0, 0.5),
    transformed("swiss roll", 0.75, swiss_roll, stats.norm.cdf),
)
MIXED = (shifted(1.0), shifted(3.0), counts(), inflated(0.5, 0.5), inflated(0.2, 0.7))
