"""The edge of a public function: its arguments in the form that its annotations promise, whatever holds them."""

import functools
import inspect
import operator
import types
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import AbstractArray

from infotheory_dl._validation.arrays import require_all, require_not_half
from infotheory_dl._validation.containers import is_missing, is_traced, to_numpy

_Function = TypeVar("_Function", bound=Callable[..., Any])

_OF_TABLES = ": data.as_table makes numbers of the columns of a table"


class _Array(NamedTuple):
    """What an annotation says of an array.

    Attributes:
      kinds: letters of the dtypes that it allows: b, u, i, f, c; k for keys; none where any is allowed.
      is_scalar: whether it has no axes.
      others: the types, no arrays, that the argument may be of as well.
      has_any_axes: whether it may have none, and as well some.
    """

    kinds: frozenset[str]
    is_scalar: bool = False
    others: tuple[type, ...] = ()
    has_any_axes: bool = False


_REAL = _Array(frozenset("uif"))


@overload
def edge(function: _Function, /) -> _Function: ...


@overload
def edge(*, half: bool = True) -> Callable[[_Function], _Function]: ...


def edge(function: Any = None, /, *, half: bool = True) -> Any:
    """Lets a public function take its arrays, keys and whole numbers as people hold them. A decorator, the outermost.

    The annotations say which arguments are what:

    - An array may be one of JAX or NumPy, a list, a Series or frame of pandas or polars, nullable or of objects, a
      tensor on the host. Whole numbers and truth values become floating-point where that is annotated, floating-point
      numbers that are whole become integers where these are, zeros and ones truth values. Half precision is computed
      with in single precision, which holds it exactly. Other precisions stay.
    - Whatever is no such array is refused by the name of the argument, with what to do: text, dates, complex numbers,
      fractions and masks for whole numbers, what is masked, missing or sparse, rows of unequal lengths.
    - A key is one of `jax.random.key`; a whole number is one of Python, NumPy or JAX.

    What the numbers mean is checked by the function. Traced values are taken on trust, but for their dtypes.

    Args:
      function: to be decorated.
      half: whether half precision is enough for its arrays; else it is refused.
    """
    if function is None:
        return functools.partial(edge, half=half)

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        signature, readers = _read(function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # whose own words name the function
        given = bound.arguments
        for name, reader in readers.items():
            value = given.get(name)
            if value is None:
                continue
            if not half and isinstance(getattr(value, "dtype", None), np.dtype):
                require_not_half(**{name: value})
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                given[name] = tuple(reader(f"{name}[{place}]", item) for place, item in enumerate(value))
            elif kind is inspect.Parameter.VAR_KEYWORD:
                given[name] = {key: reader(key, item) for key, item in value.items()}
            else:
                given[name] = reader(name, value)
        return function(*bound.args, **bound.kwargs)

    return checked


def real_array(name: str, value: Any) -> Any:
    """An array of real numbers out of whatever holds it, as `edge` makes it of an argument.

    Raises:
      TypeError, ValueError: if it holds anything else, with what to do.
    """
    return _as_array(_REAL, name, value)


@functools.cache
def _read(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Callable[[str, Any], Any]]]:
    """The signature, and for each argument that is looked at how."""
    signature = inspect.signature(function)
    readers = {name: _reader(parameter.annotation) for name, parameter in signature.parameters.items()}
    return signature, {name: reader for name, reader in readers.items() if reader is not None}


def arguments_of(function: Callable[..., Any]) -> dict[str, str]:
    """The arguments of a function that `edge` looks at: "numbers", "array" of anything, "key" or "whole number"."""

    def form(reader: Any) -> str:
        if reader is whole_number:
            return "whole number"
        return "key" if reader.func is _as_keys else "numbers" if reader.args[0].kinds else "array"

    return {name: form(reader) for name, reader in _read(function)[1].items()}


def _reader(annotation: Any) -> Callable[[str, Any], Any] | None:
    leaves = list(_leaves(annotation))
    if not all(isinstance(leaf, type) and leaf is not Any for leaf in leaves):
        return None  # anything, or a sequence of arrays
    arrays = [leaf for leaf in leaves if issubclass(leaf, AbstractArray)]
    if arrays:
        kinds = frozenset().union(*(_kinds(leaf.dtypes) for leaf in arrays))
        others = tuple(leaf for leaf in leaves if leaf not in arrays)
        is_scalar = all(leaf.dim_str == "" for leaf in arrays)
        expected = _Array(kinds, is_scalar, others, all(leaf.dim_str.startswith("*") for leaf in arrays))
        return functools.partial(_as_keys if "k" in kinds else _as_array, expected)
    return whole_number if int in leaves and {*leaves} <= {int, types.NoneType} else None


def _kinds(dtypes: Any) -> frozenset[str]:
    """The letters of the dtypes of an annotation, such as "bfloat16" or "prng_key"; none if it allows all."""
    letters = {"prng_key": "k", "bfloat16": "f"}
    return frozenset(letters.get(dtype, dtype[0]) for dtype in dtypes) if isinstance(dtypes, tuple) else frozenset()


def _leaves(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _leaves(part)
    else:
        yield annotation


def whole_number(name: str, value: Any) -> Any:
    """The value as an integer of Python, if it is one of Python, NumPy or JAX; as it is where it is traced.

    Raises:
      TypeError: if it is anything else, truth values among them.
    """
    if is_traced(value):
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None


def _as_keys(expected: _Array, name: str, value: Any) -> Any:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        if expected.is_scalar and value.ndim:
            raise TypeError(f"{name} must be one key, got {value.size} of them: take {name}[0]")
        return value
    of_one = expected.is_scalar or expected.has_any_axes
    call = "jax.random.key(seed)" if of_one else "jax.random.split(jax.random.key(seed), number)"
    if getattr(value, "dtype", None) == np.uint32:
        raise TypeError(f"{name} must be {call}, got a key of the old kind: wrap it by jax.random.wrap_key_data")
    shown = f"an array of {value.dtype}" if hasattr(value, "dtype") else repr(value)
    raise TypeError(f"{name} must be {call}, got {shown}")


def _as_array(expected: _Array, name: str, value: Any) -> Any:
    """The value as an array of JAX or NumPy whose dtype the annotation allows; a number of Python as it is."""
    if isinstance(value, expected.others):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) and expected.kinds and "f" not in expected.kinds:
            raise TypeError(f"{name} must hold {_meaning(expected.kinds)}, got {value!r}")
        return value
    array: Any = value
    if not isinstance(value, jax.Array):
        array = jnp.asarray(value) if is_traced(value) else _of_container(expected, name, value)
    if not expected.kinds:
        return array
    if isinstance(array, np.ndarray) and array.dtype == object:
        array = _of_objects(expected.kinds, name, array)
    return _of_dtype(expected.kinds, name, array)


def _of_container(expected: _Array, name: str, value: Any) -> np.ndarray:
    form = "a number" if expected.is_scalar else "an array"
    if isinstance(value, np.ma.MaskedArray):
        masked = int(np.ma.count_masked(value))
        if masked:
            raise ValueError(f"{name} has {masked} of {value.size} entries masked: leave them out, or fill them")
        return value.data
    try:
        array = to_numpy(value)
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name} must be {form}, got rows of unequal lengths") from None
        raise TypeError(f"{name} must be {form}: {error}") from error
    if array.dtype.kind in "OSU" and not array.ndim:
        raise TypeError(f"{name} must be {form}, got {_described(value)}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _of_objects(kinds: frozenset[str], name: str, array: np.ndarray) -> np.ndarray:
    """Objects that are numbers, as such; where they may be fractions, what is missing is NaN."""
    missing = np.array([is_missing(value) for value in array.flat], bool).reshape(array.shape)
    present = array[~missing]
    others = {type(value).__name__ for value in present if not isinstance(value, Real | np.bool_)}
    if others:
        raise TypeError(
            f"{name} must hold {_meaning(kinds)}, got objects of the type {' and '.join(sorted(others))}{_OF_TABLES}"
        )
    if not missing.any():
        return np.array(array.tolist()).reshape(array.shape)
    if "f" not in kinds:
        raise ValueError(f"{name} has {missing.sum()} of {missing.size} entries missing: leave them out, or fill them")
    return np.where(missing, np.nan, array).astype(float)


def _of_dtype(kinds: frozenset[str], name: str, array: Any) -> Any:
    dtype = array.dtype
    kind = "f" if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype).kind
    kind = "i" if kind == "V" and jnp.issubdtype(dtype, jnp.integer) else kind
    if kind not in "buifc":
        raise TypeError(f"{name} must hold {_meaning(kinds)}, got {dtype}{_OF_TABLES if kind in 'USVTmM' else ''}")
    if kind == "c" and "c" not in kinds:
        raise TypeError(f"{name} must hold {_meaning(kinds)}, got {dtype}: take np.real or np.abs of it")
    if kind == "f" and "c" not in kinds and dtype.itemsize < 4:
        array, dtype = array.astype(np.float32), np.dtype(np.float32)
    if kind in kinds or kind == "c":
        return array
    if kinds == {"b"}:
        return _truths(name, array)
    if kind == "f":
        return _whole(name, array)
    if "f" in kinds:
        return array.astype(np.uint8 if "u" in kinds else float)
    if kind == "b":
        raise TypeError(f"{name} must hold whole numbers, got {dtype}: of a mask take np.flatnonzero, or astype(int)")
    return array.astype(int)


def _whole(name: str, array: Any) -> Any:
    if is_traced(array):
        raise TypeError(f"{name} must hold whole numbers, got {array.dtype}: convert it by astype(int)")
    remedy = "round it, or of probabilities or logits take np.argmax(.., axis=-1)"
    require_all(lambda x: x == np.round(x), "hold whole numbers", remedy, **{name: array})
    return array.astype(int)


def _truths(name: str, array: Any) -> Any:
    if not is_traced(array) and not bool(((array == 0) | (array == 1)).all()):
        raise TypeError(f"{name} must hold truth values, got {array.dtype} with other numbers than 0 and 1 in it")
    return array.astype(bool)


def _meaning(kinds: frozenset[str]) -> str:
    return "real numbers" if "f" in kinds else "whole numbers" if kinds & {*"iu"} else "truth values"


def _described(value: Any) -> str:
    text = repr(value)
    return (
        f"{text} of the type {type(value).__name__}" if len(text) <= 60 else f"one of the type {type(value).__name__}"
    )
