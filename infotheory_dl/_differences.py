"""Differences in double precision, whatever the numbers are: what centring on the host rests on."""

import numpy as np
from jaxtyping import Float, Real

_EXACT = 2**53


def differences(rows: Real[np.ndarray, "..."], point: float | Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """rows - point in double precision, also of whole numbers of 64 bits that double precision would round."""
    wide = rows.dtype.kind in "iu" and rows.dtype.itemsize == 8
    if not wide or (rows.size and rows.max() <= _EXACT and rows.min() >= -_EXACT):
        # floats wider than double precision are not rounded before they are subtracted
        return np.asarray(np.subtract(rows, point, dtype=np.result_type(rows.dtype, float)), float)
    limits = np.iinfo(rows.dtype)
    # the whole number nearest to the point that is a number of either kind
    whole = np.clip(np.rint(np.nan_to_num(point)), float(limits.min), np.nextafter(float(limits.max), 0))
    near = whole.astype(rows.dtype)
    # a difference may need 65 bits: modulo 2**64 it is known but for its sign
    forward = rows.astype(np.uint64) - near.astype(np.uint64)
    exact = np.where(rows >= near, forward.astype(float), -(~forward + np.uint64(1)).astype(float))
    return exact - (point - whole)
