"""Training kept up to date while examples come and go, against training on whoever is there from the start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import SingularKernelError, feature_eigen, kernel_eigen, trained_coefficients
from infotheory_dl.sample_information import group_information, leave_one_out, online
from tests.sample_information.test_leave_one_out import random_problem, rows_of

LAYOUTS = ["coupled", "shared", "each"]


def problem_of(layout, n=7, k=2):
    """A random problem whose kernel couples the outputs, is shared by them, or is there for each."""
    _, initial, targets, _ = random_problem(1, n, k)
    if layout == "coupled":
        kernel, _, _, across = random_problem(0, n, k, width=80)
        return kernel, initial, targets, across
    kernels = [random_problem(seed, n, k=1, width=80) for seed in range(k)]
    if layout == "shared":
        return kernels[0][0], initial, targets, kernels[0][3]
    return jnp.stack([kernel[0] for kernel in kernels]), initial, targets, jnp.stack([kernel[3] for kernel in kernels])


def rows_in(layout, examples, k=2):
    return rows_of(examples, k if layout == "coupled" else 1)


def some_of(layout, problem, examples):
    """The problem for some of its examples."""
    kernel, initial, targets, across = problem
    rows = rows_in(layout, examples)
    return kernel[..., rows[:, None], rows], initial[examples], targets[examples], across[..., rows]


def assert_same(left, right, rtol=1e-8, atol=1e-11):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), left, right)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_scores_from_the_state_equal_leave_one_out(layout, weight_decay):
    problem = problem_of(layout)
    state = online.converged(*problem, weight_decay=weight_decay)
    expected = leave_one_out(*problem, time=np.inf, learning_rate=1.0, weight_decay=weight_decay)
    assert_same(online.leave_one_out(state), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_coming_and_going_equals_training_on_those_present(layout):
    problem = problem_of(layout)
    kernel, initial, targets, across = problem
    state = online.converged(*some_of(layout, problem, np.arange(5)), weight_decay=0.1)
    state = online.without(state, np.array([3, 0]))
    present, new = np.array([1, 2, 4]), np.array([6, 5, 3])
    rows, new_rows = rows_in(layout, present), rows_in(layout, new)
    cross, own = kernel[..., new_rows[:, None], rows], kernel[..., new_rows[:, None], new_rows]
    state = online.with_examples(state, cross, own, initial[new], targets[new], across[..., new_rows])
    state = online.without(state, [1])
    present = np.array([1, 4, 6, 5, 3])
    # the shift stays 5 times 0.1
    expected = online.converged(*some_of(layout, problem, present), weight_decay=0.5 / len(present))
    assert_same(state, expected)
    assert_same(online.leave_one_out(state), online.leave_one_out(expected))


def test_many_removals_one_by_one_lose_no_digits():
    kernel, initial, targets, across = random_problem(2, n=57, k=1, width=90)
    state = online.converged(kernel, initial, targets, across)
    for example in range(50):
        state = online.detach(state, np.array([example]))
    state = online.keep(state, np.arange(50, 57))
    rest = (kernel[50:, 50:], initial[50:], targets[50:], across[:, 50:])
    assert_same(online.leave_one_out(state), leave_one_out(*rest, time=np.inf, learning_rate=1.0), rtol=1e-7)


def test_without_a_group_the_outputs_change_by_its_information():
    kernel, initial, targets, across = random_problem(3)
    group = np.array([5, 2])
    before = online.converged(kernel, initial, targets, across, weight_decay=0.05)
    after = online.without(before, group)
    learned = [-state.reference_products @ state.residuals.ravel() for state in (before, after)]
    training = {"time": np.inf, "learning_rate": 1.0, "weight_decay": 0.05}
    expected = group_information(kernel, initial, targets, [group], across, **training)
    np.testing.assert_allclose(learned[1] - learned[0], expected.output_changes[0].ravel(), rtol=1e-8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_coefficients_are_those_of_training_to_convergence(layout):
    kernel, initial, targets, _ = problem_of(layout)
    state = online.converged(kernel, initial, targets, weight_decay=0.1)
    training = {"time": np.inf, "learning_rate": 1.0, "weight_decay": 0.1}
    if layout == "each":
        expected = np.concatenate(
            [
                trained_coefficients(kernel_eigen(own), initial[:, [c]], targets[:, [c]], **training)
                for c, own in enumerate(kernel)
            ],
            axis=1,
        )
    else:
        expected = trained_coefficients(kernel_eigen(kernel), initial, targets, **training)
    np.testing.assert_allclose(online.coefficients(state), expected, rtol=1e-9)


def test_a_kernel_of_low_rank_equals_the_full_one():
    features = np.asarray(jax.random.normal(jax.random.key(4), (14, 5)))
    _, initial, targets, _ = random_problem(4)
    states = [
        online.converged(kernel, initial, targets, weight_decay=0.1)
        for kernel in (feature_eigen(features), features @ features.T)
    ]
    assert_same(*states)


def test_single_precision_follows_double():
    single = [values.astype(np.float32) for values in problem_of("coupled")]
    states = [online.converged(*problem, weight_decay=0.1) for problem in (single, problem_of("coupled"))]
    result, expected = (online.leave_one_out(online.detach(state, np.array([3, 0]))) for state in states)
    assert result.weight_change.dtype == jnp.float32
    np.testing.assert_allclose(result.weight_change, expected.weight_change, rtol=1e-3)
    np.testing.assert_allclose(result.output_change, expected.output_change, rtol=1e-3)


@pytest.mark.usefixtures("as_a_user_sees")
class TestBadInput:
    kernel, initial, targets, across = random_problem(9)
    state = online.converged(kernel, initial, targets, across)

    def test_examples_that_cannot_leave(self):
        for examples, message in (
            ([7], r"examples must lie in \[0, 7\), got 7 at index 0"),
            ([1, 1], "examples must differ from each other, got 1 at 2 places"),
            ([], "examples must not be empty"),
            (range(7), "without all 7 examples there is nothing to train on"),
        ):
            with pytest.raises(ValueError, match=message):
                online.without(self.state, examples)
        with pytest.raises(TypeError, match="examples must be integers, got bool: of a mask"):
            online.without(self.state, np.ones(7, bool))

    def test_new_examples_that_do_not_fit(self):
        good = {
            "cross_kernel": np.zeros((2, 14)),
            "own_kernel": np.eye(2),
            "initial_outputs": np.zeros((1, 2)),
            "targets": np.ones((1, 2)),
            "reference_kernel": np.zeros((6, 2)),
        }
        for message, changed in (
            (
                r"cross_kernel must have the shape \(2, 14\), for 1 new examples, got \(1, 7\)",
                {"cross_kernel": np.ones((1, 7))},
            ),
            (r"own_kernel must have the shape \(2, 2\)", {"own_kernel": np.eye(3)}),
            ("own_kernel has 4 of 4 entries that are NaN", {"own_kernel": np.full((2, 2), np.nan)}),
            (r"reference_kernel must have the shape \(6, 2\)", {"reference_kernel": np.zeros((3, 2))}),
            ("a reference_kernel goes with a state that was given one", {"reference_kernel": None}),
            (
                r"targets must have 2 columns, got shape \(1, 1\)",
                {k: np.ones((1, 1)) for k in ("initial_outputs", "targets")},
            ),
        ):
            with pytest.raises(ValueError, match=message):
                online.with_examples(self.state, **(good | changed))

    def test_a_duplicate_without_weight_decay(self):
        rows, twin = rows_of([3], 2), np.array([3])
        message = "the kernel of the new examples is singular .* start with weight decay, or leave duplicate"
        with pytest.raises(SingularKernelError, match=message):
            online.with_examples(
                self.state,
                self.kernel[rows],
                self.kernel[np.ix_(rows, rows)],
                self.initial[twin],
                self.targets[twin],
                self.across[:, rows],
            )

    def test_training_that_does_not_converge(self):
        with pytest.raises(SingularKernelError, match="needs an invertible kernel"):
            online.converged(np.ones((14, 14)), self.initial, self.targets)
        with pytest.raises(ValueError, match="weight_decay must be finite and not negative, got -1"):
            online.converged(self.kernel, self.initial, self.targets, weight_decay=-1)

    def test_one_example_alone(self):
        alone = online.without(self.state, np.arange(6))
        with pytest.raises(ValueError, match="leaving an example out needs at least 2 of them, got 1"):
            online.leave_one_out(alone)
