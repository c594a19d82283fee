"""The column that says where examples are from: what labels are predicted by does not include it."""

import jax
import numpy as np
import pytest

from infotheory_dl import data
from infotheory_dl.audit.checks.copies import find_copies
from infotheory_dl.audit.checks.sources import sources_of
from infotheory_dl.audit.columns import all_groups, features_alone
from infotheory_dl.audit.examples import draw_examples
from infotheory_dl.audit.regression.targets import draw_rows

KEY, SIZE = jax.random.key(0), 200
RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=(SIZE, 2))
LABELS = (NUMBERS[:, 0] > 0).astype(int)
WHERE = RANDOM.choice(["A", "B", "C"], SIZE)


def table(**columns) -> data.Table:
    return data.as_table({"f0": NUMBERS[:, 0], **columns, "f1": NUMBERS[:, 1]}, LABELS)


def test_labels_are_predicted_without_the_columns_that_say_where_examples_are_from():
    given, plain = table(Source=WHERE, domain=np.arange(SIZE) % 4), table()
    found, expected = (draw_examples(KEY, one, train_size=150, flip=0.0) for one in (given, plain))
    np.testing.assert_array_equal(found.inputs, expected.inputs)
    np.testing.assert_array_equal(found.held_out_inputs, expected.held_out_inputs)
    assert found.feature_names == ("f0", "f1")
    assert "'Source' and 'domain' say where examples are from" in " ".join(found.notices)
    column, names, codes = sources_of(found, given)
    assert (column, names) == ("Source", ("A", "B", "C"))
    np.testing.assert_array_equal(np.array(names)[codes], WHERE[found.indices])


def test_numbers_are_predicted_without_it_too():
    given = data.as_table({"x": NUMBERS[:, 0], "source": WHERE}, NUMBERS[:, 1])
    found = draw_rows(KEY, given, train_size=None, flip=0.0, one_scale=False)[0]
    assert (found.inputs.shape, found.feature_names) == ((SIZE, 1), ("x",))


def test_examples_held_out_lose_the_column_as_well():
    given = data.as_table({"source": WHERE, "x": NUMBERS[:, 0]}, LABELS)
    own = features_alone(given._replace(held_out=(given.x[:5], LABELS[:5])))
    np.testing.assert_array_equal(own.held_out[0], NUMBERS[:5, :1])


def test_a_column_of_one_value_or_very_many_says_of_no_example_where_it_is_from():
    for column in (np.full(SIZE, 3), np.arange(SIZE)):
        given = table(source=column)
        assert all_groups(given) == {}
        assert features_alone(given) is given


def test_where_nothing_else_is_left_the_audit_says_what_to_give():
    with pytest.raises(ValueError, match=r"all that there is besides the labels, 'source', says .* give columns"):
        draw_examples(KEY, data.as_table({"source": WHERE}, LABELS), train_size=None, flip=0.0)


def test_rows_that_only_their_source_tells_apart_are_copies():
    rounded, codes = np.round(NUMBERS[:, 0], 3), np.arange(SIZE) % 2
    rounded[1], other = rounded[0], NUMBERS[:, 1].copy()
    other[1] = other[0]
    given = data.as_table({"a": rounded, "source": np.array(["A", "B"])[codes], "b": other}, LABELS)
    examples = draw_examples(KEY, given, train_size=None, flip=0.0)
    found = find_copies(KEY, examples, given)
    pairs = examples.indices[np.stack([found.first, found.second], axis=1)]
    assert [0, 1] in np.sort(pairs, axis=1).tolist()
