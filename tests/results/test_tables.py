"""Results as tables."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl.results import columns, to_pandas


class Moments(NamedTuple):
    informations: Float[Array, "factors variables"]
    total: Float[Array, ""]


class Fit(NamedTuple):
    scores: Float[np.ndarray, "*times examples"]
    outputs: Float[Array, "examples classes"]
    suspected: Bool[np.ndarray, " examples"] | None
    kernel: Float[Array, "examples examples"]
    weights: Float[Array, " factors"]
    moments: Moments


class Rating(NamedTuple):
    method: str
    precision: float
    value: Float[Array, ""]
    ranks: Int[np.ndarray, " examples"]


FIT = Fit(
    np.array([1.0, 2.0, 3.0]),
    jnp.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
    np.array([True, False, True]),
    jnp.eye(3),
    jnp.array([5.0, 6.0]),
    Moments(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array(1.0)),
)


def test_the_first_axis_gives_the_rows():
    found = columns(FIT)
    assert list(found) == ["scores", "outputs.0", "outputs.1", "suspected"]
    np.testing.assert_array_equal(found["scores"], FIT.scores)
    np.testing.assert_array_equal(found["outputs.1"], [1.0, 3.0, 5.0])
    assert list(columns(FIT._replace(suspected=None))) == ["scores", "outputs.0", "outputs.1"]
    assert list(columns(FIT._replace(scores=np.ones((2, 3))))) == ["outputs.0", "outputs.1", "suspected"]


def test_other_axes_and_parts_have_their_rows_too():
    found = columns(FIT, "factors")
    assert list(found) == ["weights", "moments.informations.0", "moments.informations.1"]
    np.testing.assert_array_equal(found["moments.informations.1"], [2.0, 4.0])
    np.testing.assert_array_equal(columns(FIT, "variables")["moments.informations.1"], [3.0, 4.0])


def test_several_results_are_a_row_each():
    rating = Rating("margin", 0.5, jnp.array(2.0), np.arange(3))
    found = columns({"ours": rating, "theirs": rating._replace(precision=0.25)})
    assert {name: values.tolist() for name, values in found.items()} == {
        "name": ["ours", "theirs"],
        "method": ["margin", "margin"],
        "precision": [0.5, 0.25],
        "value": [2.0, 2.0],
    }
    assert list(columns((rating, rating))) == ["method", "precision", "value"]


def test_tables_of_pandas_hold_the_same():
    pd = pytest.importorskip("pandas")
    table = to_pandas(FIT, "examples")
    pd.testing.assert_frame_equal(table, pd.DataFrame(columns(FIT)))
    assert table["suspected"].dtype == bool


def test_what_is_no_table_is_told():
    with pytest.raises(ValueError, match="Fit has no axis 'rows'; it has examples, classes, factors, variables"):
        columns(FIT, "rows")
    with pytest.raises(TypeError, match="a table needs a result or several, got dict"):
        columns({"a": 1})
