"""Numbers as the report writes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from infotheory_dl.types import Scalar


def with_minus(number: str) -> str:
    """A number as written by Python, with the sign of minus."""
    return number.replace("-", "−")


def percent(share: Scalar) -> str:
    """A share in percent, to a tenth."""
    # what single and double precision have of one share is written alike
    return with_minus(f"{round(100 * float(share), 5):.1f}".removesuffix(".0")) + "\u00a0%"


def signed(value: Scalar) -> str:
    """A number with the sign of minus."""
    return with_minus(f"{value:.2f}")


def nats(value: Scalar) -> str:
    """An amount of information to a hundredth, or to two figures where it is less than a tenth."""
    amount = float(value)
    return with_minus(f"{amount:.2f}" if amount == 0 or abs(amount) >= 0.1 else f"{amount:.2g}")


def probability(value: Scalar) -> str:
    """A p-value, to one figure."""
    return with_minus(f"{value:.1g}")


def known(value: Scalar, write: Callable[[Any], str] = "{:.2f}".format) -> str:
    """A number, or a dash where there is none."""
    return "—" if np.isnan(value) else with_minus(write(value))


def count(number: int, singular: str, plural: str) -> str:
    """A number of things."""
    return f"{number} {singular if number == 1 else plural}"
