import jax
import numpy as np
import pytest

from infotheory_dl.audit.examples import draw_examples, read_table

KEY = jax.random.key(0)
X = np.arange(60.0).reshape(30, 2)
Y = np.array(["cat", "dog", "emu"] * 10)


def draw(x=X, y=Y, held_out=None, train_size=None, flip=0.0, **further):
    return draw_examples(KEY, x, y, held_out, train_size=train_size, flip=flip, **further)


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
    assert draw(x=np.ones((30, 4, 5), np.uint8)).inputs.shape == (24, 4, 5, 1)


def test_columns_without_names_are_numbered():
    assert draw().feature_names == ("x0", "x1")
    assert draw(feature_names=("age", "height")).feature_names == ("age", "height")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.where(X == 7, np.nan, X)}, "x.* has 1 of 60 entries that are NaN or infinite"),
        ({"x": X.astype(str)}, "x must be numbers, got <U"),
        ({"x": X[:, 0]}, r"x must be \(examples, features\) or .* got shape \(30,\)"),
        ({"y": Y[:20]}, "x and y must have one length, got 30 and 20"),
        ({"y": np.eye(3)[np.arange(30) % 3]}, r"y must have 1 axes \(examples,\)"),
        ({"y": np.linspace(0, 1, 30)}, "y must be class labels, integers or strings, got float64"),
        ({"y": np.full(30, 3)}, "y has one class only, 3; an audit needs at least 2"),
        ({"x": X[:12], "y": Y[:12]}, "an audit needs 20 examples and a fifth more to measure on, got 12"),
        ({"train_size": 30}, r"train_size must lie in \[20, 29\], got 30"),
        ({"flip": 1.0}, r"flip must lie in \[0, 1\), .* got 1.0"),
        ({"held_out": (X[:, :1], Y)}, r"held-out x must have rows of shape \(2,\) as x has, got \(1,\)"),
        ({"held_out": (X, np.full(30, "fox"))}, "held-out y has the class 'fox', which y lacks"),
        ({"feature_names": ("age",)}, "feature_names must be 2, one for each column, got 1"),
    ],
)
@pytest.mark.usefixtures("as_a_user_sees")
def test_wrong_data_are_told_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        draw(**change)


def test_a_table_is_read_as_it_was_saved(tmp_path):
    np.savez(tmp_path / "my.npz", x=X, y=Y, x_test=X[:2], y_test=Y[:2], feature_names=["age", "height"])
    table = read_table(tmp_path / "my.npz")
    np.testing.assert_array_equal(table.x, X)
    np.testing.assert_array_equal(table.held_out[1], Y[:2])
    assert table.feature_names == ("age", "height")
    np.savez(tmp_path / "plain.npz", x=X, y=Y)
    assert read_table(tmp_path / "plain.npz").held_out is None


def test_files_that_are_no_table_are_told(tmp_path):
    (tmp_path / "text.npz").write_text("x,y\n1,2\n")
    np.save(tmp_path / "one.npy", X)
    np.savez(tmp_path / "lacking.npz", x=X, labels=Y)
    np.savez(tmp_path / "half.npz", x=X, y=Y, x_test=X)
    np.savez(tmp_path / "pickled.npz", x=X, y=np.array(["a", None] * 15, object))
    with pytest.raises(ValueError, match=r"text.npz is not an .npz file; make one by numpy.savez"):
        read_table(tmp_path / "text.npz")
    with pytest.raises(ValueError, match=r"one.npy is not an .npz file"):
        read_table(tmp_path / "one.npy")
    with pytest.raises(ValueError, match=r"lacking.npz lacks y: it has x, labels"):
        read_table(tmp_path / "lacking.npz")
    with pytest.raises(ValueError, match="must have both x_test and y_test, or neither"):
        read_table(tmp_path / "half.npz")
    with pytest.raises(ValueError, match=r"pickled.npz cannot be read"):
        read_table(tmp_path / "pickled.npz")
    with pytest.raises(FileNotFoundError, match=r"absent.npz"):
        read_table(tmp_path / "absent.npz")
