"""Scales of charts: from values to places on the page, with their ticks as they are written."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from infotheory_dl.report.format import with_minus


class Scale(NamedTuple):
    """From values to places on the page, with the places of the ticks."""

    place: Callable[[float], float]
    ticks: list[float]


def linear_scale(values: np.ndarray, start: float, end: float) -> Scale:
    """Between round numbers that hold all values."""
    low, high = float(np.min(values)), float(np.max(values))
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [i * step for i in range(first, last + 1)]
    low, high = ticks[0], ticks[-1]
    return Scale(lambda value: start + (value - low) / (high - low) * (end - start), ticks)


def log_scale(values: np.ndarray, start: float, end: float) -> Scale:
    """From the smallest to the largest value, with powers of ten as ticks."""
    low, high = math.log10(np.min(values)), math.log10(np.max(values))
    low, high = (low, high) if high - low > 1e-9 else (low - 0.5, high + 0.5)
    decades = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    every = max(1, math.ceil(len(decades) / 7))
    ticks = [10.0**power for power in decades if power % every == 0]
    return Scale(lambda value: start + (math.log10(value) - low) / (high - low) * (end - start), ticks)


def grid_line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A line behind what is drawn, at a tick."""
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def number(value: float) -> str:
    """A tick, in four figures."""
    return with_minus(f"{value:.4g}")


def in_percent(value: float) -> str:
    """A tick that is a share."""
    return with_minus(f"{100 * value:.4g}\u00a0%")


def power(value: float) -> str:
    """A tick that is a power of ten."""
    exponent = round(math.log10(value))
    superscript = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return {0: "1", 1: "10"}.get(exponent, f"10{superscript}")
