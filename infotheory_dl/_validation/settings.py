"""Settings: numbers and arrays of numbers in an interval, counts, choices."""

import functools
import operator
import re
from typing import Any

import numpy as np

from infotheory_dl._validation.arrays import is_concrete, require_all, require_real
from infotheory_dl._validation.edge import whole_number


def require_within(interval: str, meaning: str = "", /, **values: Any) -> None:
    """Raises a ValueError that names the first value outside an interval.

    Args:
      interval: as it is written, "[0, 1)"; its ends may be infinite, "(0, inf]".
      meaning: what is said of the interval beside it, such as "the number of examples" of its end.
      **values: numbers, or arrays all of whose entries must lie in it; NaN lies nowhere.
    """
    low, high, from_low, to_high = _parsed(interval)
    _require(lambda x: from_low(x, low) & to_high(x, high), f"lie in {interval}{meaning and f', {meaning}'}", values)


def require_positive(**values: Any) -> None:
    """Raises a ValueError that names the first value that is not positive and finite."""
    _require(lambda x: x > 0, "be positive", values)
    _require(lambda x: x < np.inf, "be finite", values)


def require_not_negative(**values: Any) -> None:
    """Raises a ValueError that names the first value that is negative, infinite or NaN."""
    _require(lambda x: (x >= 0) & (x < np.inf), "be finite and not negative", values)


def require_count(least: int, most: int | None = None, meaning: str = "", /, **counts: Any) -> None:
    """Raises an error that names the first count that is no whole number, or out of its range.

    Args:
      least: the least.
      most: the greatest; default any.
      meaning: what is said of the range beside it, such as "the number of examples" of its end.
      **counts: whole numbers of Python, NumPy or JAX.
    """
    allowed = f"be at least {least}" if most is None else f"lie in [{least}, {most}]"
    for name, count in counts.items():
        if count is None or not is_concrete(count):
            continue
        number = whole_number(name, count)
        if number < least or (most is not None and number > most):
            raise ValueError(f"{name} must {allowed}{meaning and f', {meaning}'}, got {number}")


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raises a ValueError that lists the choices."""
    if value not in choices:
        raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(map(repr, choices))}")


def _require(sound: Any, expected: str, values: dict[str, Any]) -> None:
    values = {name: value for name, value in values.items() if value is not None}
    require_real(**values)
    require_all(sound, expected, **values)


@functools.lru_cache
def _parsed(interval: str) -> tuple[float, float, Any, Any]:
    """The ends of an interval, and how a number must compare with each."""
    matched = re.fullmatch(r"([\[(])([^,]+), ([^,]+)([\])])", interval)
    assert matched is not None, f"{interval} is no interval"
    opening, low, high, closing = matched.groups()
    return (
        float(low),
        float(high),
        operator.ge if opening == "[" else operator.gt,
        operator.le if closing == "]" else operator.lt,
    )
