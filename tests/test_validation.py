"""The checks of the public edge: labels in every form that people hold them in, and the words of every refusal."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl import data, information, linear_models, linearization, metrics
from infotheory_dl import sample_information as si
from infotheory_dl._validation import (
    class_codes,
    class_labels,
    require_count,
    require_distinct,
    require_distributions,
    require_finite,
    require_indices,
    require_not_empty,
    require_not_negative,
    require_positive,
    require_rank,
    require_real,
    require_same_length,
    require_same_shape,
    require_shape,
    require_square,
    require_within,
)
from infotheory_dl.label_noise import detection, losses, transition

WHOLE_NUMBERS = {
    "list": list,
    "list of several types": lambda values: [np.int8(values[0]), *map(float, values[1:])],
    "list of scalars of JAX": lambda values: list(map(jnp.asarray, values)),
    "int8": lambda values: np.array(values, np.int8),
    "big-endian": lambda values: np.array(values, ">i4"),
    "float16": lambda values: np.array(values, np.float16),
    "bfloat16 of JAX": lambda values: jnp.array(values, jnp.bfloat16),
    "float64": lambda values: np.array(values, float),
    "objects": lambda values: np.array(values, object),
    "JAX": jnp.array,
    "masked, but no entry": np.ma.array,
    "pandas": pd.Series,
    "nullable of pandas": lambda values: pd.Series(values, dtype="Int64"),
    "categories of pandas": lambda values: pd.Series(values, dtype="category"),
    "polars": pl.Series,
}
NAMES = {
    "list": list,
    "tuple": tuple,
    "strings": np.array,
    "strings of NumPy of any length": lambda values: np.array(values, np.dtypes.StringDType()),
    "objects": lambda values: np.array(values, object),
    "bytes": lambda values: [value.encode() for value in values],
    "array of bytes": lambda values: np.char.encode(np.array(values), "utf-8"),
    "pandas": pd.Series,
    "objects of pandas": lambda values: pd.Series(values, dtype=object),
    "strings of pandas": lambda values: pd.Series(values, dtype="string"),
    "categories of pandas, some of them unused": lambda values: pd.Series(
        pd.Categorical(values, ["~", *sorted(set(values), reverse=True)])
    ),
    "polars": pl.Series,
    "categories of polars": lambda values: pl.Series(values, dtype=pl.Categorical),
}


@pytest.mark.parametrize("container", WHOLE_NUMBERS)
@settings(max_examples=25)
@given(values=st.lists(st.integers(-100, 100), min_size=1, max_size=8))
def test_whole_numbers_are_the_same_classes_whatever_holds_them(container, values):
    labels = class_labels(WHOLE_NUMBERS[container](values))

    assert labels.names.tolist() == sorted(set(values))
    assert labels.names[labels.codes].tolist() == values
    assert labels.codes.dtype == labels.names.dtype == int


@pytest.mark.parametrize("container", NAMES)
@settings(max_examples=25)
@given(values=st.lists(st.text("aé雪 1", min_size=1, max_size=3), min_size=1, max_size=8))
def test_names_are_the_same_classes_whatever_holds_them(container, values):
    labels = class_labels(NAMES[container](values))

    assert labels.names.tolist() == sorted(set(values))
    assert labels.names[labels.codes].tolist() == values


@pytest.mark.parametrize("container", [list, np.array, jnp.array, pd.Series, lambda v: pd.Series(v, dtype="boolean")])
def test_booleans_are_classes_too(container):
    labels = class_labels(container([True, False, True]))

    assert labels.names.tolist() == [False, True]
    assert labels.codes.tolist() == [1, 0, 1]
    assert class_labels(container([True, True]), num_classes=2).codes.tolist() == [1, 1]


@pytest.mark.parametrize("container", WHOLE_NUMBERS)
def test_of_a_known_number_of_classes_numbers_are_codes(container):
    labels = class_labels(WHOLE_NUMBERS[container]([3, 1, 3]), num_classes=5)

    assert labels.codes.tolist() == [3, 1, 3]
    assert labels.names.tolist() == [0, 1, 2, 3, 4]


def test_names_of_a_known_number_of_classes_are_numbered_in_their_order():
    labels = class_labels(["yes", "no", "yes"], num_classes=2)

    assert labels.codes.tolist() == [1, 0, 1]
    assert labels.names.tolist() == ["no", "yes"]


def test_labels_get_the_codes_of_names_that_are_known_already():
    training = class_labels(["b", "a", "c"])

    assert class_labels(pd.Series(["c", "c"]), names=training.names).codes.tolist() == [2, 2]


def test_numbers_beyond_signed_integers_stay_what_they_are():
    values = np.array([2**64 - 1, 0], np.uint64)

    labels = class_labels(values)

    assert labels.names[labels.codes].tolist() == values.tolist()


def test_traced_labels_are_taken_on_trust():
    traced = jax.jit(lambda labels: class_codes(labels, num_classes=3, num_examples=2))

    assert traced(jnp.array([2, 7])).tolist() == [2, 7]
    assert class_codes(["no", "yes"], num_classes=2).tolist() == [0, 1]
    with pytest.raises(TypeError, match="labels must be integers under a transformation of JAX, got float64"):
        traced(jnp.array([2.0, 7.0]))
    with pytest.raises(ValueError, match="labels must be one for each of the 2 examples, got 3"):
        traced(jnp.array([0, 1, 2]))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.eye(3), r"labels must be of shape \(examples,\), got \(3, 3\): of one-hot rows take np\.argmax\(.., 1\)"),
        ([[0], [1]], r"labels must be of shape \(examples,\), got \(2, 1\): of a column take np\.ravel"),
        (pd.DataFrame({"y": [0, 1]}), r"got \(2, 1\): of a column take np\.ravel"),
        ("cat", r"labels must be of shape \(examples,\), got str"),
        (None, r"labels must be of shape \(examples,\), got NoneType"),
        ([[0, 1], [2]], "labels must be one class for each example, got rows of unequal lengths"),
        ([], "labels must be of at least 1 example, got none"),
        (
            [0.0, 1.5],
            r"labels must be whole numbers or names of classes, got 1\.5 at index 1: a continuous target must",
        ),
        ([np.inf, 0.0], "got inf at index 0"),
        ([1e300, 0.0], r"got 1e\+300 at index 0"),
        (np.array([0, np.nan]), "labels has 1 of 2 missing, the first at index 1: leave these examples out, or give"),
        (["a", None, "b", None], "labels has 2 of 4 missing, the first at index 1"),
        (["a", np.nan], "labels has 1 of 2 missing, the first at index 1"),
        (pd.Series([0, None], dtype="Int64"), "labels has 1 of 2 missing, the first at index 1"),
        (pd.Series(["a", None], dtype="category"), "labels has 1 of 2 missing, the first at index 1"),
        (pd.Series(["a", None], dtype="string"), "labels has 1 of 2 missing, the first at index 1"),
        (pl.Series([None, 1]), "labels has 1 of 2 missing, the first at index 0"),
        (np.ma.array([0, 1], mask=[False, True]), "labels has 1 of 2 missing, the first at index 1"),
        ([b"\xff"], "labels are bytes that are not UTF-8"),
    ],
)
def test_what_are_no_labels_is_refused_with_what_to_do(labels, words):
    with pytest.raises(ValueError, match=words):
        class_labels(labels)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([1j]), "labels must be classes: whole numbers, booleans or strings, got complex128"),
        (np.array(["2020-01-01"], "M8[D]"), r"whole numbers, booleans or strings, got datetime64\[D\]"),
        ([1, "a"], "labels must be classes of one type, got int and str: convert them, such as by str"),
        ([{}], "labels must be classes of one type, got dict"),
    ],
)
def test_types_that_are_no_labels_are_refused(labels, words):
    with pytest.raises(TypeError, match=words):
        class_labels(labels)


def test_labels_that_do_not_fit_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"^y must lie in \[0, 3\), got 3 at index 1: number the classes from 0$"):
        class_labels([1, 3, -1], num_classes=3, name="y")
    with pytest.raises(
        ValueError, match=r"labels must be of 3 classes, got the 2 'a', 'b': give the number of each, in "
    ):
        class_labels(["a", "b"], num_classes=3)
    with pytest.raises(ValueError, match="labels must be one for each of the 3 examples, got 2"):
        class_labels([0, 1], num_examples=3)
    with pytest.raises(ValueError, match="labels must be among the classes 'a', 'b', got 'c' at index 1"):
        class_labels(["a", "c"], names=np.array(["a", "b"]))
    with pytest.raises(ValueError, match="labels must be among the classes '0', '1', '10', '11', '12', …, got 0 at"):
        class_labels([0] * 99, names=np.array(sorted(map(str, range(99)))))
    with pytest.raises(ValueError, match="labels must be among the classes 0, 1, 2, 3, 4, …, got 9 at index 0"):
        class_labels([9], names=np.arange(8))
    with pytest.raises(ValueError, match="y has one class only, 'a'; at least 2 are needed"):
        class_labels(["a", "a"], to_learn=True, name="y")


def test_what_has_more_classes_than_a_third_of_the_examples_is_no_label():
    random = np.random.default_rng(0)
    target = np.round(100 * random.normal(size=100)).astype(int)
    with pytest.raises(ValueError, match=r"y has 88 classes in 100 examples, 78 of them with one example only"):
        class_labels(target, name="y", to_learn=True)
    with pytest.raises(ValueError, match=r"if y is a number to be predicted, cut it into classes, such as by np"):
        class_labels(target.astype(float), name="y", to_learn=True)
    ids = [f"row {place}" for place in range(30)]
    with pytest.raises(ValueError, match="cannot be learned; if they name the examples, they are no labels"):
        class_labels(ids, to_learn=True)
    # as many as a third are, and so are all that are known to be classes
    assert len(class_labels(np.arange(30) // 3, to_learn=True).names) == 10
    assert len(class_labels(np.arange(6) % 2, to_learn=True).names) == 2
    assert len(class_labels(np.arange(30), num_classes=30, to_learn=True).names) == 30


def test_small_integers_are_compared_with_large_numbers_of_classes():
    assert class_labels(np.array([255, 0], np.uint8), num_classes=1000).codes.tolist() == [255, 0]


def test_an_interval_is_checked_as_it_is_written():
    require_within("[0, 1)", zero=0, half=np.float32(0.5), many=jnp.array([0.0, 0.9]), left_open=None)
    require_within("(0, inf]", time=np.inf)
    jax.jit(lambda traced: require_within("[0, 1)", traced=traced))(7.0)

    with pytest.raises(ValueError, match=r"^q must lie in \[0, 1\), got 1$"):
        require_within("[0, 1)", q=1)
    with pytest.raises(ValueError, match=r"^q must lie in \(1e-6, 1\], got 1e-07$"):
        require_within("(1e-6, 1]", q=1e-7)
    with pytest.raises(ValueError, match=r"size must lie in \[1, 3\], the number of examples, got 4"):
        require_within(f"[1, {3}]", "the number of examples", size=4)
    with pytest.raises(ValueError, match=r"losses must lie in \[0, 1\], got nan at index \(1, 0\)"):
        require_within("[0, 1]", losses=jnp.array([[0.0, 1.0], [jnp.nan, 2.0]]))
    with pytest.raises(TypeError, match="q must hold real numbers, got complex128"):
        require_within("[0, 1]", q=1j)


def test_signs_and_counts_are_checked():
    require_positive(rates=np.array([1e-300, 1.0]))
    require_not_negative(weight_decay=0)
    require_count(2, folds=np.int8(2), left_open=None)
    require_count(1, 3, size=jnp.array(3))

    with pytest.raises(ValueError, match="rate must be positive, got 0"):
        require_positive(scale=1, rate=0)
    with pytest.raises(ValueError, match=r"rates must be positive, got -1\.0 at index 1"):
        require_positive(rates=np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="rate must be finite, got inf"):
        require_positive(rate=np.inf)
    with pytest.raises(ValueError, match="weight must be finite and not negative, got nan"):
        require_not_negative(weight=np.nan)
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        require_count(2, folds=1)
    with pytest.raises(ValueError, match=r"size must lie in \[1, 3\], the number of examples, got 4"):
        require_count(1, 3, "the number of examples", size=4)
    with pytest.raises(TypeError, match=r"folds must be a whole number, got 2\.0"):
        require_count(2, folds=2.0)


def test_entries_that_are_not_finite_are_counted_wherever_they_are():
    require_finite(inputs=np.zeros(3), labels=np.array([1, 2]), tree={"low": jnp.zeros(2, jnp.bfloat16)})

    for array in (np.array, jnp.array, lambda values: jnp.array(values, jnp.bfloat16)):
        with pytest.raises(ValueError, match=r"params\['w'\] has 2 of 3 entries that are NaN or infinite"):
            require_finite(inputs=np.zeros(3), params={"w": array([1.0, jnp.nan, -jnp.inf])})
    with pytest.raises(ValueError, match="1 of 1 entries"):
        require_finite(z=complex(0, np.inf))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"x must have 2 or 4 axes \(examples, \.\.\.\), got shape \(3,\)"):
        require_rank("x", np.zeros(3), (2, 4), "(examples, ...)")
    with pytest.raises(ValueError, match=r"memory must have the shape \(2, 3\), that of logits, got \(2,\)"):
        require_shape("memory", np.zeros(2), (2, 3), "that of logits")
    with pytest.raises(ValueError, match=r"kernel must be square \(rows, rows\), got shape \(2, 3\)"):
        require_square("kernel", np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"y must not be empty, got shape \(0, 2\)"):
        require_not_empty(x=np.zeros(1), y=np.zeros((0, 2)))
    with pytest.raises(ValueError, match="x, y and z must have one length, got 1, 2 and 1"):
        require_same_length(x=[0], y=[0, 0], z=[0])
    with pytest.raises(ValueError, match=r"x and y must have one shape, got \(1,\) and \(1, 1\)"):
        require_same_shape(x=np.zeros(1), y=np.zeros((1, 1)))


def test_types_and_indices_are_checked():
    require_real(x=np.array([True]), y=jnp.zeros(1, jnp.bfloat16), z=[1, 2.0])
    require_indices(3, rows=np.array([[0, 2]], np.uint8))

    with pytest.raises(TypeError, match=r"x must hold real numbers, got object: convert it by astype\(float\)"):
        require_real(x=np.array([1, None]))
    with pytest.raises(ValueError, match=r"rows must lie in \[0, 3\), got 3 at index \(0, 1\)"):
        require_indices(3, rows=np.array([[0, 3]]))
    with pytest.raises(TypeError, match=r"rows must be integers, got bool: of a mask take np\.flatnonzero"):
        require_indices(3, rows=[True, False])
    with pytest.raises(ValueError, match="rows must differ from each other, got 4 at 2 places"):
        require_distinct(rows=[4, 1, 4])


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("num_classes", [2, 3, 1000])
def test_rows_that_rounding_leaves_near_one_are_distributions(dtype, num_classes):
    rows = np.random.default_rng(0).dirichlet(np.full(num_classes, 0.5), 20)

    require_distributions(rows=rows.astype(dtype), on_the_device=jnp.asarray(rows, dtype), a_row=rows[0].astype(dtype))


def test_rows_that_are_no_distributions_are_named_with_their_sum():
    with pytest.raises(ValueError, match=r"^row 1 of p must be a distribution, but adds up to 1\.2: take the softmax$"):
        require_distributions(1e-4, "take the softmax", p=np.array([[0.5, 0.5], [0.6, 0.6]]))
    with pytest.raises(ValueError, match=r"row \(0, 1\) of p must be a distribution, but has -0\.5 in it"):
        require_distributions(p=np.array([[[1.0, 0.0], [1.5, -0.5]]]))
    with pytest.raises(ValueError, match=r"p must be a distribution, but adds up to 0\.9"):
        require_distributions(p=jnp.array([0.5, 0.4]))
    with pytest.raises(ValueError, match="p has 1 of 2 entries that are NaN or infinite"):
        require_distributions(p=np.array([np.nan, 1.0]))
    with pytest.raises(ValueError, match=r"must be a distribution, but adds up to 1\.00001"):
        require_distributions(1e-6, transition=np.array([[0.5, 0.50001]]))


CODES = np.array([0, 1, 1, 0, 1, 0, 1, 1, 0, 1])
INPUTS = np.random.default_rng(0).normal(size=(10, 2)) + CODES[:, None]
PROBABILITIES = np.random.default_rng(1).dirichlet([1.0, 1.0], 10)


@pytest.mark.parametrize(
    "function",
    [
        lambda labels: data.one_hot(labels, 2),
        lambda labels: data.corrupt_labels(jax.random.key(0), labels, data.uniform_transition(2, 0.3)).labels,
        lambda labels: information.neighbours.mixed_mutual_information(INPUTS, labels),
        lambda labels: linear_models.fit(INPUTS, labels, l2=1.0).coefficients,
        lambda labels: linearization.calibrate(PROBABILITIES, labels).loss,
        lambda labels: metrics.label_margins(PROBABILITIES, labels),
        lambda labels: si.find_label_errors(PROBABILITIES, labels).wrong,
        lambda labels: si.baselines.knn_shapley(INPUTS, labels, INPUTS[:3], labels[:3]),
        lambda labels: losses.cross_entropy(PROBABILITIES, labels),
        lambda labels: detection.noisy_ids(PROBABILITIES, labels),
        lambda labels: transition.confident_joint(PROBABILITIES, labels),
    ],
)
def test_every_entry_point_takes_labels_as_people_hold_them(function):
    names = np.array(["no", "yes"])[CODES]
    expected = np.asarray(function(CODES))
    for labels in (CODES > 0, CODES.astype(float), CODES.tolist(), names.astype(object), pd.Series(names)):
        np.testing.assert_array_equal(function(labels), expected)
    with pytest.raises(ValueError, match=r"must be whole numbers or names of classes, got 0\.5 at index 1"):
        function(CODES / 2)
