"""What an audit finds besides wrong labels: planted faults are told, and data without any raise no more than chance."""

import jax
import numpy as np
import pytest

from infotheory_dl import data
from infotheory_dl.audit.checks.classes import tabulate_classes
from infotheory_dl.audit.checks.copies import find_copies, find_leaks
from infotheory_dl.audit.checks.order import OrderEffect, most_alike, order_effects
from infotheory_dl.audit.checks.outlying import find_outlying
from infotheory_dl.audit.checks.sources import compare_sources
from infotheory_dl.audit.examples import Examples, draw_examples
from infotheory_dl.audit.report import checks as section
from infotheory_dl.sample_information import find_label_errors

SIZE = 300
KEY = jax.random.key(0)


def drawn(x, y, held_out=None, **columns) -> tuple[Examples, data.Table]:
    """All rows of a table with these further columns, as examples of an audit."""
    table = data.as_table({**{f"x{i}": column for i, column in enumerate(x.T)}, **columns}, y, held_out)
    return draw_examples(KEY, table, train_size=None, flip=0.0), table


def classes_and_rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, SIZE)
    return random.normal(size=(SIZE, 6)) + 2 * np.eye(3, 6)[y], y


def test_copies_are_told_with_their_labels():
    x, y = classes_and_rows(0)
    x[:4], x[4] = x[10:14], x[20] + 0.001
    y[:2], y[2:5] = (y[10:12] + 1) % 3, y[[12, 13, 20]]
    examples, table = drawn(x, y)
    found = find_copies(KEY, examples, table)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == [(0, 10), (1, 11), (2, 12), (3, 13), (4, 20)]
    assert found.same.tolist() == [True] * 4 + [False]
    assert found.across.tolist() == [True, True, False, False, False]
    assert (found.looked_at, found.by_chance) == (SIZE, 0)


def test_rows_of_few_values_are_alike_by_chance_and_no_copies():
    random = np.random.default_rng(1)
    kinds = random.integers(0, 4, (SIZE, 3))
    examples, table = drawn(kinds.astype(float), random.integers(0, 2, SIZE))
    assert not len(find_copies(KEY, examples, table).first)
    # a column that tells most rows apart makes copies of what is the same in all
    x = np.column_stack([kinds, random.normal(size=SIZE)])
    x[:30] = x[30:60]
    examples, table = drawn(x, random.integers(0, 2, SIZE))
    found = find_copies(KEY, examples, table)
    assert {*range(30)} <= {*found.first.tolist()}
    assert found.by_chance <= 0.05 * 60


def test_held_out_examples_that_were_trained_on_are_told():
    x, y = classes_and_rows(2)
    further, labels = classes_and_rows(3)
    further[5:8] = x[50:53] + 0.001
    examples, _ = drawn(x, y, ({f"x{i}": column for i, column in enumerate(further.T)}, labels))
    found = find_leaks(examples)
    assert (found.first.tolist(), found.second.tolist()) == ([5, 6, 7], [50, 51, 52])


@pytest.mark.parametrize("seed", range(3))
def test_leverage_tells_the_rows_that_are_far_from_all(seed):
    x, _ = classes_and_rows(seed)
    x[:3] *= 30
    assert np.flatnonzero(find_outlying(leverage_of(x)).is_outlying).tolist() == [0, 1, 2]
    assert not find_outlying(leverage_of(x[3:])).is_outlying.any()


def leverage_of(x):
    gram = x @ x.T
    return np.diagonal(gram @ np.linalg.inv(gram + 10 * np.eye(len(x))))


def test_the_table_of_classes_counts_what_is_suspected():
    x, y = classes_and_rows(4)
    predictions = np.eye(3)[y] + 0.2 * np.random.default_rng(5).normal(size=(SIZE, 3))
    given = y.copy()
    given[:20] = (y[:20] + 1) % 3
    examples, _ = drawn(x, given)
    errors = find_label_errors(predictions, given)
    found = tabulate_classes(examples, errors)
    assert found.suspected.sum() == (errors.wrong > 0.5).sum()
    np.testing.assert_array_equal(found.sizes, np.bincount(given))
    np.testing.assert_allclose(found.sizes @ found.wrong, errors.wrong.sum())
    np.testing.assert_allclose(found.false_alarms.sum(), (1 - errors.wrong)[errors.wrong > 0.5].sum())
    assert found.effective <= 3
    assert found.imbalance == found.sizes.max() / found.sizes.min()


def test_order_is_told_within_the_classes():
    x, y = classes_and_rows(6)
    examples, _ = drawn(x, np.sort(y))
    independent = order_effects(KEY, examples, np.random.default_rng(7).normal(size=(SIZE, 4)), x[:, 0])
    # classes that come one after the other say nothing of the inputs
    assert independent.labels.p_value == 1 / 200
    assert min(independent.inputs.p_value, independent.margins.p_value) > 0.01
    walk = np.cumsum(x[:, :4], axis=0)
    found = order_effects(KEY, examples, walk, walk[:, 0])
    assert found.inputs.p_value == found.margins.p_value == 1 / 200
    assert found.inputs.observed > 0.5 > found.inputs.expected


def test_two_tests_of_the_order_raise_no_more_alarms_than_one():
    effects = lambda *p_values: [(name, OrderEffect(0.1, 0.1, p)) for name, p in zip("ab", p_values, strict=False)]
    assert most_alike(effects(0.04, 0.03)) == ("b", 0.06)
    assert most_alike(effects(0.01, 0.9)) == ("a", 0.02)
    assert most_alike(effects(0.8, 0.9)) == ("a", 1.0)
    p_values = np.random.default_rng(0).uniform(size=(4000, 2))
    alarms = np.mean([most_alike(effects(*pair))[1] <= 0.05 for pair in p_values.tolist()])
    # 1 - .975² by the closed form
    assert abs(alarms - (1 - 0.975**2)) < 3 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize("is_worse", [False, True])
def test_a_source_with_worse_labels_is_told(is_worse):
    x, y = classes_and_rows(8)
    random = np.random.default_rng(9)
    source = np.array(["north", "south", "west"])[random.integers(0, 3, SIZE)]
    margins = random.uniform(-0.1, 1, SIZE)
    margins[(source == "south") & (random.random(SIZE) < 0.2 * is_worse)] = -1
    examples, table = drawn(x, y, source=source)
    found = compare_sources(KEY, examples, table, (margins < 0) * 1.0)
    assert (found.column, found.names) == ("source", ("north", "south", "west"))
    assert (found.q_value[1] <= 0.05) == is_worse
    np.testing.assert_allclose(found.sizes @ found.expected, (margins < 0).sum())
    assert compare_sources(KEY, *drawn(x, y), margins) is None


def test_the_page_and_the_sentences_say_what_was_found(result):
    page = section.beyond_labels(result)
    for heading in ("Copies", "Outlying examples", "Does the order tell anything?", "Classes and their rates"):
        assert heading in page
    copies = result.checks.copies._replace(
        first=np.array([0]),
        second=np.array([1]),
        distance=np.zeros(1),
        p_value=np.zeros(1),
        across=np.ones(1, bool),
    )
    worse = result._replace(
        checks=result.checks._replace(
            copies=copies,
            leaks=copies._replace(looked_at=20),
            outlying=result.checks.outlying._replace(is_outlying=np.arange(100) == 3),
        )
    )
    told = " ".join(section.sentences(worse))
    assert "1 pair of examples is the same or nearly, 1 to the last digit, 1 with two different labels" in told
    assert "1 of the 20 held-out examples" in told
    assert "1 example is unlike all others" in told
    assert "held-out 0" in section.beyond_labels(worse)
