"""Results come back from their files as what they were."""

import dataclasses
import json
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

import infotheory_dl
from infotheory_dl import networks
from infotheory_dl._files import whole_file, write_arrays
from infotheory_dl.corex import linear
from infotheory_dl.fcmi.results import Bound, GeneralizationGap
from infotheory_dl.results import load, save
from infotheory_dl.results._types import find_type, type_name


class Inner(NamedTuple):
    loadings: Any
    note: str | None = None


class Outer(NamedTuple):
    inner: Any
    others: Any = ()


@struct.dataclass
class Fit:
    params: Any
    network: nn.Module = struct.field(pytree_node=False)
    activation: Any = struct.field(pytree_node=False, default=jnp.tanh)


def and_back(tmp_path, result, *kind):
    return load(save(tmp_path / "result.npz", result), *kind)


def assert_same(read, saved):
    assert type(read) is type(saved)
    assert jax.tree.structure(read) == jax.tree.structure(saved)
    for again, leaf in zip(jax.tree.leaves(read), jax.tree.leaves(saved), strict=True):
        assert isinstance(again, jax.Array) == isinstance(leaf, jax.Array)
        assert type(again) is type(leaf) or isinstance(leaf, jax.Array)
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            again, leaf = jax.random.key_data(again), jax.random.key_data(leaf)
        np.testing.assert_array_equal(again, leaf)
        assert getattr(again, "dtype", None) == getattr(leaf, "dtype", None)


@pytest.mark.parametrize(
    "value",
    [
        jnp.arange(6.0).reshape(2, 3),
        np.arange(3, dtype=np.int8),
        np.zeros((0, 2)),
        np.array(["a", "bcd"]),
        np.float32(0.1),
        jnp.array([1.5, jnp.inf], jnp.bfloat16),
        jnp.array(3, jnp.int4),
        jnp.array([1 + 2j]),
        jax.random.key(3),
        jax.random.split(jax.random.key(3, impl="rbg"), 2),
        {"Dense_0": {"kernel": np.ones(2), "bias": None}, "none": {3: "three"}},
        {"a.b": np.ones(1), "a": {"b": np.zeros(2)}},
        (1, 0.1, float("inf"), True, None, "ψ", [np.ones(1), ()]),
        [Inner(np.ones(1)), Inner(np.ones(2), "note")],
        optax.adam(0.1).init({"w": jnp.ones(2)}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_comes_back_from_its_file(tmp_path, value):
    result = Outer(Inner(value, "note"), others=value)
    assert_same(and_back(tmp_path, result, Outer), result)


def test_arrays_have_the_names_of_their_attributes(tmp_path):
    save(tmp_path / "result.npz", Outer(Inner(jnp.ones(2)), {"file": (np.zeros(1),)}))
    with np.load(tmp_path / "result.npz") as arrays:
        assert set(arrays) == {"infotheory_dl", "inner.loadings", "others.file.0"}
        description = json.loads(str(arrays["infotheory_dl"]))
    assert description["version"] == infotheory_dl.__version__
    assert description["result"]["type"] == "tests.results.test_files:Outer"


def test_dataclasses_and_networks_come_back(tmp_path):
    shapes = ((), 2, (), 2, (2, 3), (), ())
    bound = Bound(*map(jnp.ones, shapes[:5]), *[jnp.array(1)] * 2, estimator="plugin", kind="gap", certificate=True)
    assert_same(and_back(tmp_path, bound), bound)
    network = networks.Standardized(networks.MLP((5,), 2), (0.0, 1.0), 1.0)
    x = jnp.ones((3, 2))
    fit = Fit(network.init(jax.random.key(0), x), network)
    read = and_back(tmp_path, fit, Fit)
    assert_same(read, fit)
    np.testing.assert_array_equal(read.network.apply(read.params, x), network.apply(fit.params, x))


def test_a_type_is_named_by_its_room():
    assert type_name(GeneralizationGap) == "infotheory_dl.fcmi:GeneralizationGap"
    assert type_name(linear.LinearCorex) == "infotheory_dl.corex.linear:LinearCorex"
    assert type_name(optax.EmptyState) == "optax:EmptyState"
    assert find_type("infotheory_dl.fcmi:GeneralizationGap") is GeneralizationGap


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([jnp.tanh], r"Outer.inner.0 is a .*, which a file cannot hold: only arrays, numbers"),
        ({"a": {1.5: 2}}, "Outer.inner.a is a dict, which a file cannot hold"),
        (np.array([None]), "Outer.inner is an array of Python's objects"),
        ({1, 2}, "Outer.inner is a set"),
    ],
)
def test_what_has_no_place_in_a_file_is_named(tmp_path, value, message):
    with pytest.raises(TypeError, match=message):
        save(tmp_path / "result.npz", Outer(value))
    assert list(tmp_path.iterdir()) == []


def test_what_is_traced_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"Inner.loadings is traced: save what a compiled function returns"):
        jax.jit(lambda x: save(tmp_path / "result.npz", Inner(x)))(1.0)


def test_a_class_of_a_function_is_refused(tmp_path):
    @dataclasses.dataclass
    class Local:
        a: int

    with pytest.raises(TypeError, match=r"Local of tests.results.test_files cannot be saved"):
        save(tmp_path / "result.npz", Local(1))


def written(path, **changes):
    """A file as another version may have written it."""
    record = {"type": "tests.results.test_files:Inner", "fields": {"loadings": None, "note": None}}
    description = {"format": 1, "version": "9.8.7", "result": record, **changes}
    with whole_file(path) as stream:
        write_arrays(stream, {"infotheory_dl": np.array(json.dumps(description))})
    return path


def of_type(name, **fields):
    return {"type": name, "fields": fields}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, r"in the format 2 of infotheory_dl 9.8.7, this is [\d.]+, which reads the format 1: use that"),
        (
            {"result": of_type("tests.results.test_files:Inner", loadings=1, rotation=2)},
            r"is of a type Inner with loadings, rotation, here it has loadings, note; it was written by infotheory_dl"
            r" 9.8.7: use that version",
        ),
        (
            {"result": of_type("infotheory_dl.attic:Fit")},
            r"Fit, which infotheory_dl.attic does not have here",
        ),
        (
            {"result": of_type("infotheory_dl.data:load")},
            r"load, which infotheory_dl.data does not have here",
        ),
        ({"result": of_type("mynets:Net")}, r"which mynets does not have here; .*: import mynets first"),
        ({"result": of_type("antigravity:Net")}, r"import antigravity first"),
    ],
)
def test_what_this_version_does_not_know_is_refused_by_name(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path / "result.npz", **changes))


def test_another_type_is_refused_by_name(tmp_path):
    file = save(tmp_path / "result.npz", Inner(np.ones(1)))
    with pytest.raises(ValueError, match=r"result.npz is of the type Inner, expected is Outer"):
        load(file, Outer)
    np.savez(tmp_path / "plain.npz", x=np.ones(1))
    with pytest.raises(ValueError, match=r"plain.npz holds no result but the arrays x; make one by .*results.save"):
        load(tmp_path / "plain.npz")
    with pytest.raises(FileNotFoundError, match=r"absent.npz: No such file or directory; make one by"):
        load(tmp_path / "absent.npz")


def test_double_precision_that_is_off_is_told(tmp_path):
    file = save(tmp_path / "result.npz", Inner(jnp.ones(2), "note"))
    with jax.enable_x64(False), pytest.warns(UserWarning, match="which is off: loadings are rounded; jax.config"):
        read = load(file)
    assert read.loadings.dtype == jnp.float32
