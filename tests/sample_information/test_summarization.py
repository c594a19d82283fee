"""Orders of removal against training again on the examples that are left, round by round."""

import jax
import numpy as np
import pytest

from infotheory_dl.linearization import kernel_eigen
from infotheory_dl.sample_information import StepSizeError, leave_one_out, summarize
from infotheory_dl.sample_information.summarization import summarized_features
from tests.sample_information.test_leave_one_out import retrained
from tests.sample_information.test_online import problem_of


def over_all_outputs(layout, kernel, k=2):
    """The same kernel written over all outputs of all examples."""
    if layout == "coupled":
        return np.asarray(kernel)
    each = [kernel] * k if layout == "shared" else kernel
    return sum(np.kron(own, np.diag(np.arange(k) == c)) for c, own in enumerate(each))


def by_training_again(layout, problem, score, fraction, **training):
    """The published rounds, with one training for each example that is left and one for all of them."""
    kernel, initial, targets, across = problem
    kernel, across = over_all_outputs(layout, kernel), over_all_outputs(layout, across)
    n = len(targets)
    left, order, sizes = np.arange(n), [], []

    def score_of(example, everything):
        change = retrained(kernel, initial, targets, np.setdiff1d(left, example), **training) - everything
        return change @ kernel @ change if score == "weight_change" else np.square(across @ change).sum()

    while len(left) > 1:
        everything = retrained(kernel, initial, targets, left, **training)
        scores = [score_of(example, everything) for example in left]
        enough = len(order) >= 0.95 * n
        count = len(left) if enough else max(1, int(fraction * len(left)))
        sizes.append(len(left))
        leaving = np.argsort(scores)[:count]
        order += left[leaving].tolist()
        left = np.delete(left, leaving)
    return [*order, *left], sizes


@pytest.mark.parametrize(
    ("layout", "score", "fraction", "training"),
    [
        ("coupled", "output_change", 0.05, {"time": np.inf}),
        ("shared", "weight_change", 0.3, {"time": np.inf}),
        ("each", "output_change", 0.2, {"time": np.inf}),
        ("coupled", "weight_change", 0.3, {"time": 30}),
        ("each", "output_change", 0.3, {"time": 3, "dynamics": "discrete"}),
        ("shared", "output_change", 0.6, {"time": 40, "dynamics": "discrete", "regularization": "rescaled"}),
        ("shared", "output_change", 0.3, {"time": np.inf, "regularization": "rescaled"}),
    ],
)
def test_iterative_removal_equals_training_again_on_those_left(layout, score, fraction, training):
    problem = problem_of(layout, n=12)
    training = {"learning_rate": 0.3, "weight_decay": 0.02, "dynamics": "continuous"} | training
    training = {"regularization": "fixed"} | training
    result = summarize(*problem, score=score, fraction=fraction, **training)
    order, sizes = by_training_again(layout, problem, score, fraction, **training)
    np.testing.assert_array_equal(result.order, order)
    np.testing.assert_array_equal(result.sizes, sizes)


def test_the_published_fraction_removes_a_twentieth_a_round():
    kernel, initial, targets, _ = problem_of("shared", n=45)
    training = {"time": np.inf, "learning_rate": 1.0, "weight_decay": 0.1}
    sizes = np.asarray(summarize(kernel, initial, targets, score="weight_change", **training).sizes)
    np.testing.assert_array_equal(-np.diff(sizes), np.maximum(sizes[:-1] // 20, 1))
    assert (sizes[0], sizes[-2], sizes[-1]) == (45, 3, 2)


def test_bottom_and_top_order_by_one_scoring():
    problem = problem_of("coupled")
    training = {"time": 20, "learning_rate": 0.5}
    scores = leave_one_out(*problem, **training).output_change
    bottom, top = (summarize(*problem, strategy=strategy, **training) for strategy in ("bottom", "top"))
    np.testing.assert_array_equal(bottom.order, np.argsort(scores))
    np.testing.assert_array_equal(top.order, np.argsort(-scores))
    np.testing.assert_array_equal(bottom.sizes, [7])


def test_a_random_order_holds_every_example_once_and_follows_its_key():
    problem = problem_of("coupled")
    orders = [summarize(*problem, strategy="random", key=jax.random.key(seed)).order for seed in (0, 0, 1)]
    np.testing.assert_array_equal(np.sort(orders[0]), np.arange(7))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


def test_duplicates_go_before_what_stands_alone():
    points = np.asarray(jax.random.normal(jax.random.key(0), (12, 3)))
    points = points[[*range(12), *range(6)]]
    kernel = np.exp(-np.square(points[:, None] - points).sum(-1)) + 1e-6 * np.eye(18)
    targets = np.where(points[:, :1] > 0, 1.0, -1.0)
    result = summarize(kernel, np.zeros((18, 1)), targets, score="weight_change", time=np.inf, learning_rate=1.0)
    duplicated = [*range(6), *range(12, 18)]
    assert set(np.asarray(result.order[:6])) <= set(duplicated)
    # one of each pair stays
    assert len({example % 12 for example in np.asarray(result.order[6:]).tolist()}) == 12


def test_a_decomposed_kernel_gives_the_same_order():
    kernel, *rest = problem_of("shared", n=12)
    training = {"time": 30, "learning_rate": 0.3}
    orders = [summarize(values, *rest, fraction=0.3, **training).order for values in (kernel, kernel_eigen(kernel))]
    np.testing.assert_array_equal(*orders)


@pytest.mark.usefixtures("as_a_user_sees")
class TestBadInput:
    problem = problem_of("coupled")
    training = {"time": 20, "learning_rate": 0.5}  # noqa: RUF012

    def fails(self, message, error=ValueError, problem=problem, **changed):
        with pytest.raises(error, match=message):
            summarize(*problem, **(self.training | changed))

    def test_unknown_choices(self):
        self.fails("unknown strategy 'best'", strategy="best")
        self.fails("unknown score 'loss'", score="loss")

    def test_random_without_a_key(self):
        self.fails("strategy='random' needs a key", strategy="random")

    def test_a_fraction_out_of_range(self):
        self.fails(r"fraction must lie in \(0, 1\), got 1.5", fraction=1.5)

    def test_predictions_without_a_reference(self):
        message = "score='output_change' needs a reference_kernel; without one there is score='weight_change'"
        self.fails(message, problem=self.problem[:3])

    def test_settings_of_training_are_checked_before_the_rounds(self):
        self.fails(r"time must lie in \(0, inf\], a number of steps, got 0", time=0)
        self.fails("gradient descent diverges", StepSizeError, dynamics="discrete", learning_rate=1e3)


def test_rounds_on_features_are_those_of_fits_without_each_example():
    rng = np.random.default_rng(3)
    features, targets, shift = rng.normal(size=(24, 3)), rng.normal(size=(24, 2)), 0.7
    rows = np.concatenate([features, np.ones((24, 1))], axis=1)

    def outputs(members):
        own = rows[members]
        solved = np.linalg.solve(own.T @ own + np.diag([shift] * 3 + [0.0]), own.T @ targets[members])
        return rows @ solved

    left, expected = list(range(24)), []
    while left:
        without = lambda i, left: np.square(outputs([j for j in left if j != i]) - outputs(left)).sum()
        change = [without(i, left) if len(left) > 1 else 0.0 for i in left]
        count = max(1, len(left) // 4) if len(left) > 2 else len(left)
        leaving = np.argsort(change, kind="stable")[:count]
        expected += [left[place] for place in leaving]
        left = [i for place, i in enumerate(left) if place not in set(leaving.tolist())]
    order = summarized_features(features, targets, shift, fraction=0.25)
    np.testing.assert_array_equal(order, expected)
