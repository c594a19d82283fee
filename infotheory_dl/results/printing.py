"""Results print in a few lines: what they hold, how large it is, and the numbers that count."""

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl.results._types import fields, is_record

Record = TypeVar("Record", bound=type)

_WIDTH = 120
_VALUES_SHOWN = 6
_SEARCHED = 1_000_000  # larger arrays are not looked through


def concise(kind: Record) -> Record:
    """Lets a result, a NamedTuple or a dataclass, print in a line for each attribute. A decorator."""
    kind.__repr__ = summary  # type: ignore[method-assign, assignment]
    return kind


def summary(result: Any) -> str:
    """What a result holds, in a line for each attribute: scalars, few values, or shapes, types and ranges."""
    lines = [f"{name}: {_described(value)}" for name, value in fields(result).items()]
    shortened = (line if len(line) < _WIDTH else f"{line[: _WIDTH - 1]}…" for line in lines)
    return "\n  ".join([type(result).__name__, *shortened])


def _described(value: Any) -> str:
    if isinstance(value, np.generic) or _is_array(value):
        return _described_array(value)
    if is_record(value):
        # the numbers of a part come first, as a line may not hold all of it
        parts = sorted(fields(value).items(), key=lambda part: not _is_number(part[1]))
        return f"{type(value).__name__} of {', '.join(f'{name} {_brief(part)}' for name, part in parts)}"
    return _brief(value)


def _brief(value: Any) -> str:
    """A part of a part."""
    if _is_array(value):
        return _written(value) if _is_number(value) else _shape(value)
    if is_record(value):
        first, *_ = fields(value).values() or [None]
        return _written(first) if _is_number(first) and _is_array(first) else f"({type(value).__name__})"
    of_arrays = isinstance(value, tuple | list) and value and all(_is_array(part) and part.shape for part in value)
    if isinstance(value, Mapping) or of_arrays:
        leaves = jax.tree.leaves(value)
        entries = sum(int(np.size(leaf)) for leaf in leaves if hasattr(leaf, "shape"))
        arrays = "1 array" if len(leaves) == 1 else f"{len(leaves)} arrays"
        return f"{arrays} of {entries} entries in a {type(value).__name__}"
    if isinstance(value, tuple | list) and any(map(is_record, value)):
        return f"{len(value)} × {type(value[0]).__name__}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return (repr(value).splitlines() or [""])[0]


def _described_array(value: Any) -> str:
    if not _is_known(value) or value.size > _SEARCHED or not _is_numeric(value.dtype):
        return _written(value) if _is_number(value) else _shape(value)
    if value.ndim == 0:
        return _written(value)
    array = np.asarray(value)
    if array.size <= _VALUES_SHOWN and array.ndim == 1:
        return f"{_shape(value)}: {', '.join(map(_number, array.tolist()))}" if array.size else _shape(value)
    if array.dtype == bool:
        return f"{_shape(value)}, {int(array.sum())} true"
    if not array.size or array.dtype.kind == "c":
        return _shape(value)
    real = array.astype(np.float64) if array.dtype.kind == "V" else array
    finite = real[np.isfinite(real)]
    absent = real.size - finite.size
    extent = f", {_number(np.min(finite).item())} to {_number(np.max(finite).item())}" if finite.size else ""
    return f"{_shape(value)}{extent}{f', {absent} not finite' if absent else ''}"


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_known(value: Any) -> bool:
    """Whether the entries can be looked at: not those of a trace, of another process, or given away."""
    if isinstance(value, jax.core.Tracer):
        return False
    if isinstance(value, jax.Array):
        return value.is_fully_addressable and not value.is_deleted()
    return isinstance(value, np.ndarray | np.generic)


def _is_numeric(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return True
    return getattr(value, "ndim", None) == 0 and _is_known(value) and _is_numeric(value.dtype)


def _written(value: Any) -> str:
    return _number(np.asarray(value).astype(np.float64 if value.dtype.kind == "V" else value.dtype).item())


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _shape(value: Any) -> str:
    name = "text" if getattr(value.dtype, "kind", None) in ("U", "S", "T") else str(value.dtype)
    return f"{name}[{', '.join(map(str, value.shape))}]"
