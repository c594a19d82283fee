"""The edge of every public function: arrays, keys and whole numbers as its annotations promise them, however held."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Int, Real
from scipy import sparse

from infotheory_dl._validation import edge, real_array, warn
from infotheory_dl._validation.edge import arguments_of
from infotheory_dl.types import AnyArray, Key, Scalar
from tests.public_names import faces, names_of

pytestmark = pytest.mark.usefixtures("as_a_user_sees")

# pages and the display of a training take what the library has computed
PUBLIC = {
    f"{face.__name__}.{name}": value
    for face in faces()
    if face.__name__ != "infotheory_dl.report"
    for name, value in names_of(face).items()
    if inspect.isfunction(value)
    and value.__module__.startswith("infotheory_dl")
    and value.__module__ != "infotheory_dl.training.display"
}
READ = {name: arguments_of(inspect.unwrap(value)) for name, value in PUBLIC.items()}
LOOKED_AT = {name: arguments for name, arguments in READ.items() if arguments}


def call(function, argument, value):
    """Calls a function with one argument; the others are left open."""
    parameters = inspect.signature(function).parameters
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    bound = inspect.signature(function).bind_partial()
    bound.arguments.update({name: None for name, parameter in parameters.items() if parameter.kind not in several})
    kind = parameters[argument].kind
    bound.arguments[argument] = {several[0]: (value,), several[1]: {argument: value}}.get(kind, value)
    function(*bound.args, **bound.kwargs)


def told(function, argument, value):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(function, argument, value)
    assert "_validation/" in str(caught.traceback[-1].path).replace("\\", "/"), f"{argument}: {caught.value}"
    return str(caught.value)


@pytest.mark.parametrize("name", LOOKED_AT)
def test_every_public_function_reads_its_arguments_at_the_edge(name):
    """Odd arrays, keys and counts are refused by the name of the argument, before anything else is looked at."""
    function = PUBLIC[name]
    assert hasattr(function, "__wrapped__"), f"{name} is no edge"
    for argument, form in LOOKED_AT[name].items():
        odd = {
            "array": [[[1], [2, 3]], {"a": 1}, "abc", sparse.csr_matrix(np.eye(2))],
            "numbers": [np.array(["a", "b"]), np.array(["2020-01-01"], "M8[D]"), [[1], [2, 3]], {"a": 1}, "abc"],
            "key": [0, np.zeros(2, np.uint32), "seed"],
            "whole number": [2.0, True, "2", np.float64(2)],
        }[form]
        if form == "numbers":
            odd += [np.ma.array([1, 2], mask=[True, False]), sparse.csr_matrix(np.eye(2)), pd.Series(["a", None])]
        for value in odd:
            assert argument in told(function, argument, value)


@pytest.mark.parametrize("name", [name for name, arguments in LOOKED_AT.items() if "key" in arguments.values()])
def test_keys_are_asked_for_in_words(name):
    for argument in (argument for argument, form in LOOKED_AT[name].items() if form == "key"):
        assert "jax.random.key(seed)" in told(PUBLIC[name], argument, 0)
        assert "wrap_key_data" in told(PUBLIC[name], argument, jax.random.PRNGKey(0))


@edge
def of_floats(x: Float[AnyArray, "..."]) -> object:
    return x


@edge
def of_numbers(x: Real[AnyArray, "..."]) -> object:
    return x


@edge
def of_integers(x: Int[AnyArray, "..."]) -> object:
    return x


@edge
def of_truths(x: Bool[AnyArray, "..."]) -> object:
    return x


@edge(half=False)
def of_many_digits(x: Float[AnyArray, "..."]) -> object:
    return x


@edge
def of_settings(key: Key, count: int | None = None, rate: Scalar = 0.0, *tables: Float[AnyArray, "..."]) -> object:
    return key, count, rate, tables


CONTAINERS = {
    "list": lambda values: values.tolist(),
    "tuple": lambda values: tuple(map(tuple, values.tolist())),
    "JAX": jnp.asarray,
    "column by column": np.asfortranarray,
    "strided": lambda values: np.repeat(values, 2, 0)[::2],
    "big-endian": lambda values: values.astype(values.dtype.newbyteorder(">")),
    "objects": lambda values: values.astype(object),
    "masked, but no entry": np.ma.array,
    "matrix": np.matrix,
    "pandas": pd.DataFrame,
    "nullable of pandas": lambda values: pd.DataFrame(values).convert_dtypes(convert_integer=False),
    "nullable objects of pandas": lambda values: pd.DataFrame(values).astype("Float64").astype(object),
    "polars": pl.DataFrame,
    "rows of JAX": lambda values: list(map(jnp.asarray, values)),
}


@pytest.mark.parametrize("container", CONTAINERS)
@settings(max_examples=15, derandomize=True)
@given(rows=st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 3), min_size=1, max_size=4))
def test_an_array_is_the_same_whatever_holds_it(container, rows):
    values = np.array(rows)
    np.testing.assert_array_equal(np.asarray(of_floats(CONTAINERS[container](values))), values)
    np.testing.assert_array_equal(np.asarray(real_array("x", CONTAINERS[container](values))), values)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.float16, jnp.bfloat16, np.float32, float])
def test_numbers_of_every_dtype_take_the_form_that_is_annotated(dtype):
    for array in (np.array([0, 1, 1]).astype(dtype), jnp.asarray([0, 1, 1], dtype)):
        single = array.dtype == np.float32 or array.dtype.itemsize == 2
        assert of_floats(array).dtype == (np.float32 if single else float)
        assert of_truths(array).dtype == bool
        if dtype is not bool:
            assert jnp.issubdtype(of_integers(array).dtype, jnp.integer)
            np.testing.assert_array_equal(of_integers(array), [0, 1, 1])
        np.testing.assert_array_equal(np.asarray(of_numbers(array), float), [0, 1, 1])


def test_arrays_that_are_right_are_not_copied():
    for values in (np.zeros((2, 2)), jnp.zeros((2, 2)), np.zeros(3, np.float32)):
        assert of_floats(values) is values
    assert of_numbers(values := np.zeros(3, np.uint8)) is values
    assert of_floats(3) == 3


def test_traced_values_keep_their_place():
    assert jax.jit(of_floats)(jnp.zeros(2, jnp.bfloat16)).dtype == np.float32
    assert jax.jit(lambda x: of_floats([x, 2 * x]))(3.0).tolist() == [3.0, 6.0]
    with pytest.raises(TypeError, match=r"x must hold whole numbers, got float64: convert it by astype\(int\)"):
        jax.jit(of_integers)(jnp.zeros(2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: of_floats(np.array([1j])), TypeError, r"x must hold real numbers, got complex128: take np\.real or"),
        (lambda: of_floats(["a", "b"]), TypeError, "x must hold real numbers, got objects of the type str: data.as_ta"),
        (lambda: of_floats([1, None, "a"]), TypeError, "got objects of the type str"),
        (lambda: of_floats("file.csv"), TypeError, "x must be an array, got 'file.csv' of the type str"),
        (lambda: of_floats([[1], [2, 3]]), ValueError, "x must be an array, got rows of unequal lengths"),
        (lambda: of_floats(sparse.eye(3).tocsr()), TypeError, r"csr_matrix is sparse; give its toarray\(\)"),
        (lambda: of_floats(np.ma.array([1, 2], mask=[0, 1])), ValueError, "x has 1 of 2 entries masked: leave them"),
        (lambda: of_integers([0.5, 1]), ValueError, r"x must hold whole numbers, got 0\.5 at index 0: .*np\.argmax"),
        (
            lambda: of_integers([True]),
            TypeError,
            r"whole numbers, got bool: of a mask take np\.flatnonzero",
        ),
        (lambda: of_integers([1, None]), ValueError, "x has 1 of 2 entries missing"),
        (lambda: of_truths([0, 2]), TypeError, "x must hold truth values, got int64 with other numbers than 0 and 1"),
        (lambda: of_many_digits(np.eye(2, dtype=np.float16)), TypeError, "x must be float32 or float64, got float16"),
        (lambda: of_settings(jax.random.split(jax.random.key(0))), TypeError, "key must be one key, got 2 of them"),
        (lambda: of_settings(jax.random.key(0), 2.0), TypeError, r"count must be a whole number, got 2\.0"),
        (lambda: of_settings(jax.random.key(0), rate="a"), TypeError, "rate must be a number, got 'a'"),
        (
            lambda: of_settings(jax.random.key(0), 1, 0.0, [0.0], ["b"]),
            TypeError,
            r"tables\[1\] must hold real",
        ),
        (lambda: of_settings(), TypeError, "missing 1 required positional argument: 'key'"),
    ],
)
def test_what_is_no_such_argument_is_refused_with_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_missing_numbers_become_nan_where_that_can_be():
    np.testing.assert_array_equal(of_floats([1, None, 2.5]), [1, np.nan, 2.5])
    np.testing.assert_array_equal(of_floats(pd.Series([1, None], dtype="Int64")), [1, np.nan])


def test_a_whole_number_may_be_of_any_library():
    key = jax.random.key(0)
    for count in (3, np.int8(3), jnp.asarray(3)):
        assert of_settings(key, count)[1] == 3
        assert type(of_settings(key, count)[1]) is int


def test_a_warning_points_to_the_line_of_the_user():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn("here")
    assert caught[0].filename == __file__
