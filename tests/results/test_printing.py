"""Results print in a few lines."""

import pickle
from inspect import get_annotations, ismodule
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import infotheory_dl
from infotheory_dl.results import concise
from infotheory_dl.results._types import is_record_type
from infotheory_dl.results.printing import summary


class Part(NamedTuple):
    loadings: Any
    total: Any


@concise
class Fit(NamedTuple):
    weights: Any
    other: Any = None


@concise
@struct.dataclass
class State:
    params: Any
    name: str = struct.field(pytree_node=False, default="state")


def test_every_attribute_is_a_line():
    text = repr(Fit(jnp.linspace(-1, 2, 24).reshape(4, 6), np.array([1.5, 2.5], np.float32)))
    assert text.splitlines() == ["Fit", "  weights: float64[4, 6], -1 to 2", "  other: float32[2]: 1.5, 2.5"]


def line(value):
    return repr(Fit(None, value)).splitlines()[-1].removeprefix("  other: ")


def test_numbers_are_told_and_arrays_are_described():
    assert line(jnp.array(0.25)) == "0.25"
    assert line(np.float32(0.25)) == "0.25"
    assert line(1 / 3) == "0.333333"
    assert line(jnp.array(True)) == "True"
    assert line(jnp.array(2.5, jnp.bfloat16)) == "2.5"
    assert line(np.arange(10) % 2 == 0) == "bool[10], 5 true"
    assert line(np.array([[1.0, np.nan], [np.inf, 3.0]])) == "float64[2, 2], 1 to 3, 2 not finite"
    assert line(np.full((2, 2), np.nan)) == "float64[2, 2], 4 not finite"
    assert line(jnp.ones((2, 2), jnp.bfloat16)) == "bfloat16[2, 2], 1 to 1"
    assert line(np.zeros((0, 3))) == "float64[0, 3]"
    assert line(np.array(["a", "b"])) == "text[2]"
    assert line(jax.random.split(jax.random.key(0), 3)) == "key<fry>[3]"
    assert line(np.broadcast_to(1.0, (2000, 2000))) == "float64[2000, 2000]"
    assert line(None) == "None"
    assert line("word") == "'word'"


def test_parts_are_a_line_with_their_numbers_first():
    assert line(Part(np.ones((2, 3)), jnp.array(1.5))) == "Part of total 1.5, loadings float64[2, 3]"
    assert line((Part(1, 2), Part(1, 2))) == "2 × Part"
    assert line({"a": {"w": np.ones((2, 3)), "b": np.ones(3)}}) == "2 arrays of 9 entries in a dict"
    assert line((np.ones((2, 3)), jnp.ones(3))) == "2 arrays of 9 entries in a tuple"
    assert line((1.5, "word")) == "(1.5, 'word')"
    assert line(Part(Part(1, 2), {"a": np.ones(2)})) == "Part of loadings (Part), total 1 array of 2 entries in a dict"
    estimates = Part(Part(np.float64(0.25), 2), Part(np.ones(2), 2))  # a part that begins with a number is that number
    assert line(estimates) == "Part of loadings 0.25, total (Part)"
    assert len(line("x" * 500)) <= 120
    assert repr(State({"w": jnp.ones(3)})).splitlines()[1:] == [
        "  params: 1 array of 3 entries in a dict",
        "  name: 'state'",
    ]


def test_what_is_traced_or_given_away_is_described_too():
    seen = []

    def look(x):
        seen.append(repr(Fit(x, Part(x, x.sum()))))
        return Fit(x)

    result = jax.jit(jax.vmap(look))(jnp.ones((5, 2)))
    assert seen[0].splitlines()[1:] == [
        "  weights: float64[2]",
        "  other: Part of loadings float64[2], total float64[]",
    ]
    assert "weights: float64[5, 2]" in repr(jax.eval_shape(lambda: result))
    result.weights.delete()
    assert "weights: float64[5, 2]" in repr(result)


def test_results_stay_pytrees_that_can_be_pickled():
    fit = Fit(jnp.ones(3), 2)
    assert jax.tree.structure(pickle.loads(pickle.dumps(fit))) == jax.tree.structure(fit)
    assert isinstance(jax.tree.map(lambda x: x, fit), Fit)
    assert fit == Fit(fit.weights, 2)


# what goes in, or is carried from step to step, not what comes out
NO_RESULTS = {"Batch", "Minibatches", "Line", "Row", "Start", "Plan", "JointState", "EarlyLearningState", "LSTM"}


def records_of(module):
    """NamedTuples and dataclasses that a room and its public modules offer."""
    for name in module.__all__:
        value = getattr(module, name)
        if ismodule(value) and hasattr(value, "__all__"):
            yield from records_of(value)
        elif is_record_type(value):
            yield value


def holds_arrays(kind):
    hints = get_annotations(kind).values()
    return any(hasattr(option, "dim_str") for hint in hints for option in (hint, *get_args(hint)))


@pytest.mark.parametrize("room", infotheory_dl.__all__)
def test_every_result_of_a_room_prints_in_a_few_lines(room):
    kinds = set(filter(holds_arrays, records_of(getattr(infotheory_dl, room))))
    assert [kind for kind in kinds if kind.__repr__ is not summary and kind.__name__ not in NO_RESULTS] == []
