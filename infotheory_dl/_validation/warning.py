"""Warnings to users."""

import sys
import warnings

_WITHIN = ("infotheory_dl", "jaxtyping", "beartype")


def warn(message: str) -> None:
    """Warns at the line of the user's program that called the library, however deep within it this is noticed."""
    depth = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _WITHIN:
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, stacklevel=depth)
