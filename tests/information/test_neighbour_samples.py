"""Numbers as people have them: units, offsets, dtypes, ties, constants; and a tree beside all pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import mutual_info_regression

from infotheory_dl.information import discrete
from infotheory_dl.information.neighbours import (
    conditional_mutual_information,
    entropy,
    mixed_mutual_information,
    mutual_information,
)
from infotheory_dl.information.neighbours._search import TREE

SAMPLES = 60
TABLE = np.random.default_rng(0).normal(size=(SAMPLES, 4)) @ np.random.default_rng(1).normal(size=(4, 4))
LABELS = (TABLE[:, 0] + np.random.default_rng(2).normal(size=SAMPLES) > 0).astype(int)
# of a table of four columns and labels
ESTIMATORS = {
    "kraskov": lambda table, labels: mutual_information(table[:, :2], table[:, 2:]),
    "gao": lambda table, labels: mutual_information(table[:, :2], table[:, 2:], estimator="gao"),
    "conditional": lambda table, labels: conditional_mutual_information(table[:, :1], table[:, 1:2], table[:, 2:]),
    "entropies": lambda table, labels: mixed_mutual_information(table, labels),
    "ross": lambda table, labels: mixed_mutual_information(table, labels, estimator="ross"),
    "mixed gao": lambda table, labels: mixed_mutual_information(table, labels, estimator="gao"),
}
EXPECTED = {name: float(estimator(TABLE, LABELS)) for name, estimator in ESTIMATORS.items()}
EXAMPLES = settings(max_examples=15, derandomize=True, deadline=None)


@pytest.mark.parametrize("name", ESTIMATORS)
@EXAMPLES
@given(
    exponents=st.lists(st.integers(-200, 200), min_size=4, max_size=4),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
    offsets=st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
    order=st.permutations(range(SAMPLES)),
)
def test_units_of_columns_and_the_order_of_samples_do_not_matter(name, exponents, signs, offsets, order):
    table = (TABLE + offsets) * signs * 10.0 ** np.array(exponents)
    np.testing.assert_allclose(ESTIMATORS[name](table[order], LABELS[order]), EXPECTED[name], atol=1e-9)


@EXAMPLES
@given(exponent=st.integers(-200, 200), columns=st.permutations(range(4)))
def test_entropy_grows_by_the_logarithm_of_the_unit(exponent, columns):
    shifted = entropy(TABLE[:, columns] * 10.0**exponent) - 4 * exponent * np.log(10)
    np.testing.assert_allclose(shifted, entropy(TABLE), atol=1e-9)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_order_of_columns_and_the_names_of_labels_do_not_matter(name):
    np.testing.assert_allclose(
        ESTIMATORS[name](TABLE[:, [1, 0, 3, 2]], np.array(["v", "u"])[LABELS]), EXPECTED[name], atol=1e-12
    )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_dtypes_and_containers_do_not_matter(name):
    whole = np.random.default_rng(3).integers(0, 120, (SAMPLES, 4))
    whole[:, 1] = np.clip(whole[:, 0] + np.random.default_rng(4).integers(-20, 21, SAMPLES), 0, 127)
    expected = float(ESTIMATORS[name](whole.astype(float), LABELS))
    for dtype in (np.uint8, np.int8, np.int32, np.uint64, np.float16, np.float32, jnp.bfloat16):
        np.testing.assert_allclose(ESTIMATORS[name](whole.astype(dtype), LABELS), expected, atol=1e-6)
    for offset in (2**40, 2**62):
        np.testing.assert_allclose(ESTIMATORS[name](whole.astype(np.int64) + offset, LABELS), expected, atol=1e-12)
    np.testing.assert_allclose(ESTIMATORS[name](jnp.asarray(whole), LABELS), expected, atol=1e-12)
    assert ESTIMATORS[name](TABLE.astype(np.float32), LABELS).dtype == jnp.float32


def test_frames_and_lists_are_tables():
    frame = pd.DataFrame(TABLE, columns=list("abcd"))
    expected = mutual_information(TABLE[:, :1], TABLE[:, 1:2])
    np.testing.assert_array_equal(mutual_information(frame[["a"]], frame[["b"]]), expected)
    np.testing.assert_array_equal(mutual_information(TABLE[:, :1].tolist(), frame[["b"]].astype("Float64")), expected)
    np.testing.assert_array_equal(entropy(frame), entropy(TABLE))
    signs = TABLE[:, :1] > 0
    np.testing.assert_array_equal(
        mutual_information(signs, frame[["b"]]), mutual_information(1.0 * signs, frame[["b"]])
    )
    with pytest.raises(TypeError, match=r"x must hold real numbers, got .*: data\.as_table makes numbers"):
        mutual_information(frame[["a"]].astype(str), frame[["b"]])


def test_an_offset_beyond_single_precision_costs_nothing_with_a_tracer_beside_it():
    x, y = TABLE[:, :1] + 2.0**40, TABLE[:, 1:2].astype(np.float32)
    traced = jax.jit(lambda y: mutual_information(x.astype(np.float64), y))(y)
    np.testing.assert_allclose(traced, mutual_information(TABLE[:, :1], TABLE[:, 1:2]), atol=1e-3)


def test_an_outlier_is_one_sample_among_others():
    pair = np.random.default_rng(5).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=400)
    expected = mutual_information(pair[:, :1], pair[:, 1:])
    pair[7, 1] = 1e30
    np.testing.assert_allclose(mutual_information(pair[:, :1], pair[:, 1:]), expected, atol=0.02)


@pytest.mark.parametrize("decimals", [2, 1])
def test_rounded_values_tell_what_they_told_and_no_more(decimals):
    pair = np.random.default_rng(6).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=1000)
    x, y = pair.round(decimals)[:, :1], pair.round(decimals)[:, 1:]
    np.testing.assert_allclose(mutual_information(x, y), mutual_information(pair[:, :1], pair[:, 1:]), atol=0.05)
    peer = mutual_info_regression(x, y[:, 0], random_state=0)[0]
    np.testing.assert_allclose(mutual_information(x, y), peer, atol=0.05)


def test_ties_are_broken_alike_each_time_and_otherwise_by_another_key():
    x, y = TABLE[:, :1].round(), TABLE[:, 1:2].round()
    assert mutual_information(x, y) == mutual_information(x, y)
    assert mutual_information(x, y, key=jax.random.key(1)) != mutual_information(x, y)
    # no noise without ties
    untied = mutual_information(TABLE[:, :1], TABLE[:, 1:2])
    assert mutual_information(TABLE[:, :1], TABLE[:, 1:2], key=jax.random.key(1)) == untied


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "conditional"])
def test_what_does_not_vary_tells_nothing(name):
    for constant in (0.0, 1.0, 1e9):
        table = TABLE.copy()
        table[:, :2] = constant
        if name not in ("kraskov", "gao"):
            table[:] = constant
        assert ESTIMATORS[name](table, LABELS) == 0
    np.testing.assert_allclose(ESTIMATORS[name](np.ones_like(TABLE), np.zeros(SAMPLES, int)), 0, atol=1e-12)


def test_conditional_information_with_constants():
    one = np.ones((SAMPLES, 1))
    x, y, z = TABLE[:, :1], TABLE[:, 1:2], TABLE[:, 2:]
    assert conditional_mutual_information(one, y, z) == 0
    assert conditional_mutual_information(x, one, z) == 0
    np.testing.assert_allclose(conditional_mutual_information(x, y, one), mutual_information(x, y), rtol=1e-12)


@pytest.mark.parametrize("estimator", ["entropies", "ross", "gao"])
def test_columns_of_few_values_have_their_information(estimator):
    random = np.random.default_rng(7)
    labels = (np.arange(1000) < 100).astype(int)
    information = lambda x: mixed_mutual_information(x.reshape(-1, 1), labels, estimator=estimator)
    entropy_of_labels = discrete.entropy(np.bincount(labels))
    np.testing.assert_allclose(information(labels.astype(float)), entropy_of_labels, atol=2e-3)
    inflated = np.where(random.random(1000) < 0.5, 0, random.exponential(size=1000))
    np.testing.assert_allclose(information(inflated), 0, atol=0.03)
    # zero if the label is one, for half of the others
    telling = np.where(labels | (random.random(1000) < 0.5), 0, random.exponential(size=1000))
    joint = np.histogram2d(telling == 0, labels, bins=2)[0]
    np.testing.assert_allclose(information(telling), discrete.information_from_counts(joint), atol=0.03)


PAIR = TABLE[:, :1].round(1), TABLE[:, 1:2].round(1)
PROGRAMS = {
    "kraskov": (mutual_information, PAIR),
    "gao": (lambda x, y: mutual_information(x, y, estimator="gao"), PAIR),
    "conditional": (conditional_mutual_information, (*PAIR, TABLE[:, 2:])),
    "entropy": (entropy, (TABLE,)),
    "entropies": (mixed_mutual_information, (PAIR[0], LABELS)),
    "ross": (lambda x, labels: mixed_mutual_information(x, labels, estimator="ross"), (PAIR[0], LABELS)),
    "mixed gao": (lambda x, labels: mixed_mutual_information(x, labels, estimator="gao"), (PAIR[0], LABELS)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_tree_and_all_pairs_find_the_same_ties_included(name, monkeypatch):
    function, arrays = PROGRAMS[name]
    expected = function(*arrays)
    both = jax.jit(jax.vmap(function))(*(np.stack([array, array]) for array in arrays))
    np.testing.assert_allclose(both, [expected, expected], atol=1e-12)
    # as on an accelerator
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(function(*arrays), expected, atol=1e-12)


@EXAMPLES
@given(
    whole=st.lists(st.integers(0, 30), min_size=2, max_size=20),
    unit=st.sampled_from([0.1, 1 / 3, 1e-7]),
    offset=st.sampled_from([0.0, 1 / 7, 1e6]),
)
def test_samples_within_a_radius_of_one_column_are_counted_to_the_last_digit(whole, unit, offset):
    values = offset + unit * np.array(whole)
    differences = np.abs(values[:, None] - values)
    for radii in differences.T:
        for exact in (radii, np.nextafter(radii, 0)):
            counts = TREE.counts_within(values[:, None], exact)
            np.testing.assert_array_equal(counts, (differences <= exact[:, None]).sum(1))


def test_what_is_known_is_computed_while_something_else_is_traced():
    scaled = jax.jit(lambda factor: factor * mutual_information(*PAIR))
    np.testing.assert_allclose(scaled(2.0), 2 * mutual_information(*PAIR), rtol=1e-12)


def test_single_precision_is_followed_under_jit():
    x, y = TABLE[:, :1].astype(np.float32), TABLE[:, 1:2].astype(np.float32)
    single = jax.jit(mutual_information)(x, y)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, mutual_information(x, y), atol=1e-5)
