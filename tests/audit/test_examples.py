import jax
import numpy as np
import pytest

from infotheory_dl.audit.examples import draw_examples
from infotheory_dl.data import as_table

KEY = jax.random.key(0)
X = np.arange(60.0).reshape(30, 2)
Y = np.array(["cat", "dog", "emu"] * 10)


def draw(x=X, y=Y, held_out=None, train_size=None, flip=0.0, keep_apart=True, **further):
    table = as_table(x, y, held_out, missing="refuse", **further)
    return draw_examples(KEY, table, train_size=train_size, flip=flip, keep_apart=keep_apart)


def test_all_examples_are_audited_in_their_order_and_a_fifth_is_to_measure_on():
    examples = draw(keep_apart=False, flip=0.5)
    np.testing.assert_array_equal(examples.indices, np.arange(30))
    assert len(examples.measured) == len(set(examples.measured.tolist())) == 6
    np.testing.assert_array_equal(examples.held_out_inputs, examples.inputs[examples.measured])
    np.testing.assert_array_equal(examples.held_out_labels, examples.true_labels[examples.measured])
    assert len(draw(keep_apart=False, train_size=20).measured) == 0


def test_a_fifth_is_held_out_and_nothing_is_in_both_parts():
    examples = draw()
    assert len(examples.labels) == 24
    assert len(examples.held_out_labels) == 6
    assert examples.available == 30
    np.testing.assert_array_equal(examples.x, X[examples.indices])
    spread = X[examples.indices].std(0)
    held_out = examples.held_out_inputs * spread + X[examples.indices].mean(0)
    assert not {tuple(row) for row in np.round(held_out)} & {tuple(row) for row in examples.x}


def test_audited_inputs_have_mean_zero_and_variance_one():
    inputs = draw().inputs
    np.testing.assert_allclose(inputs.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(inputs.std(0), 1, atol=1e-12)


def test_labels_of_any_kind_become_numbers_with_names():
    examples = draw()
    assert examples.class_names == ("cat", "dog", "emu")
    np.testing.assert_array_equal(np.array(examples.class_names)[examples.true_labels], Y[examples.indices])
    assert draw(y=(np.arange(30) % 2 == 0)).class_names == ("False", "True")
    assert draw(y=np.arange(30) % 2 + 5.0).class_names == ("5", "6")


def test_classes_of_one_example_are_named_at_the_start():
    notices = draw(y=np.array(["cat"] * 15 + ["dog"] * 14 + ["emu"])).notices
    assert len(notices) == 1
    assert notices[0].startswith("Classes with fewer than 3 audited examples can hardly be told: 'emu' (")
    assert draw().notices == ()


def test_flips_are_as_many_as_asked_for_and_spare_the_held_out_examples():
    examples = draw(flip=0.25)
    assert examples.flipped.sum() == 6
    np.testing.assert_array_equal(np.array(examples.class_names)[examples.true_labels], Y[examples.indices])
    assert draw(flip=0.0).flipped.sum() == 0


def test_held_out_examples_of_ones_own_leave_all_others_to_the_audit():
    examples = draw(held_out=(X[:4], Y[:4]))
    assert len(examples.labels) == 30
    np.testing.assert_array_equal(examples.held_out_labels, [0, 1, 2, 0])


def test_images_without_an_axis_of_channels_get_one():
    assert draw(x=np.arange(600, dtype=np.uint16).reshape(30, 4, 5)).inputs.shape == (24, 4, 5, 1)


def test_columns_without_names_are_numbered():
    assert draw().feature_names == ("x0", "x1")
    assert draw(feature_names=("age", "height")).feature_names == ("age", "height")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.where(X == 7, np.nan, X)}, "x.* has 1 of 60 entries that are NaN or infinite"),
        ({"x": np.where(X == 7, 1j, X)}, "column 'x0' holds complex128; a table takes numbers"),
        ({"x": X[:, 0]}, r"x must be \(examples, features\) or .* got shape \(30,\)"),
        ({"y": Y[:20]}, "x and y must have one length, got 30 and 20"),
        ({"y": np.eye(3)[np.arange(30) % 3]}, r"y must be of shape \(examples,\), got \(30, 3\): of one-hot rows"),
        ({"y": np.linspace(0, 1, 30)}, "is it a quantity to be predicted?"),
        ({"y": np.full(30, 3)}, "y has one class only, 3; at least 2 are needed"),
        ({"y": None}, "an audit needs labels: give y, or name their column"),
        ({"x": X[:12], "y": Y[:12]}, "an audit needs 20 examples and a fifth more to measure on, got 12"),
        ({"train_size": 30}, r"train_size must lie in \[20, 29\], got 30"),
        (
            {"x": np.ones((120, 2)), "y": np.arange(120) // 3, "train_size": 79},
            "79 .* are too few for 40 classes: raise",
        ),
        ({"x": np.ones((30, 2))}, "all 30 examples have the same features: there is nothing to tell them apart by"),
        ({"flip": 1.0}, r"flip must lie in \[0, 1\), .* got 1.0"),
        ({"held_out": (X[:, :1], Y)}, r"held-out x must have rows of shape \(2,\) as x has, got \(1,\)"),
        ({"held_out": (X[:0], Y[:0])}, "held-out examples: x has no rows"),
        ({"held_out": (X, np.full(30, "fox"))}, "held-out y must be among the classes 'cat', 'dog', 'emu', got 'fox'"),
        ({"feature_names": ("age",)}, "feature_names must be 2, one for each column, got 1"),
    ],
)
@pytest.mark.usefixtures("as_a_user_sees")
def test_wrong_data_are_told_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        draw(**change)


def test_an_audit_calls_examples_by_the_names_that_they_have():
    examples = draw(row_names=[f"row {place}" for place in range(30)])
    assert examples.names == tuple(f"row {place}" for place in examples.indices)
    assert draw().names == tuple(map(str, draw().indices))


@pytest.mark.parametrize(
    ("offset", "scale", "dtype"),
    [(1e9, 1.0, float), (-3e12, 1e3, float), (0.0, 1e200, float), (0.0, 1e-200, float), (2**40, 10, np.int64)],
)
def test_inputs_in_any_unit_are_the_same_once_they_are_standardized(offset, scale, dtype):
    x = np.random.default_rng(0).integers(-9, 9, (30, 2))
    for single in (False, True):
        # where jax knows no double precision too
        with jax.enable_x64(not single):
            changed = (np.array(scale, dtype) * x.astype(dtype) + np.array(offset, dtype)).astype(dtype)
            expected = draw(x=x.astype(float)).inputs
            np.testing.assert_allclose(draw(x=changed).inputs, expected, atol=2e-6)
