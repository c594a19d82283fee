"""Leave-one-out scores against the published implementation, and against actually solving without the example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl.linearization import (
    KernelEigen,
    SingularKernelError,
    empirical_kernel,
    kernel_eigen,
    response,
    transposed_jacobian_products,
)
from infotheory_dl.sample_information import (
    StepSizeError,
    coefficient_changes,
    group_information,
    leave_one_out,
    pairwise_redundancy,
    training_stability,
)
from infotheory_dl.sample_information.contour import response_poles
from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case

CASES = {"mlp": mlp_case, "cnn": cnn_case}
TRAININGS = [(kind, time) for kind in ("cont", "disc") for time in (1, 10, 100)] + [("inf", np.inf)]


def reference_training(arrays, kind, time, shift):
    """The settings that a tag of the reference stands for: the shift of the kernel is n times the weight decay."""
    return {
        "time": time,
        "learning_rate": float(arrays["lr"]),
        "weight_decay": shift / len(arrays["X_train"]),
        "dynamics": "discrete" if kind == "disc" else "continuous",
    }


def tag(kind, time, shift):
    return f"l2_{shift}_inf" if kind == "inf" else f"l2_{shift}_{kind}_t{time}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kind", "time"), TRAININGS)
def test_scores_equal_the_published_ones(case, kind, time):
    apply_fn, params, arrays = CASES[case]()
    kernel = kernel_eigen(empirical_kernel(apply_fn, params, arrays["X_train"]))
    across = empirical_kernel(apply_fn, params, arrays["X_test"], arrays["X_train"])
    for shift in arrays["l2s"]:
        name = tag(kind, time, shift)
        training = reference_training(arrays, kind, time, shift)
        result = leave_one_out(kernel, arrays["init_pred_train"], arrays["Y_train"], across, **training)
        np.testing.assert_allclose(result.weight_change, arrays[f"si_weights_{name}"], rtol=1e-9)
        np.testing.assert_allclose(result.output_change, arrays[f"si_pred_{name}"], rtol=1e-9)
        vectors = arrays[f"si_pred_vec_{name}"]
        np.testing.assert_allclose(result.output_changes, vectors, atol=1e-10 * abs(vectors).max())
        removed = np.array([0, 3])
        changes = coefficient_changes(kernel, arrays["init_pred_train"], arrays["Y_train"], removed, **training)
        weights = flatten(transposed_jacobian_products(apply_fn, params, arrays["X_train"], changes), leading=1)
        vectors = arrays[f"si_weights_vec_{name}"]
        np.testing.assert_allclose(weights, vectors[removed], atol=1e-9 * abs(vectors).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["cont", "disc"])
def test_training_stability_equals_the_published_one(case, kind):
    _, _, arrays = CASES[case]()
    training = reference_training(arrays, kind, 1, 0.0) | {"times": arrays["ts"]}
    del training["time"]
    result = training_stability(arrays["ntk"], arrays["init_pred_train"], arrays["Y_train"], **training)
    for row, time in zip(result.output_change, arrays["ts"], strict=True):
        np.testing.assert_allclose(row, arrays[f"stab_train_pred_l2_0.0_{kind}_t{time}"], rtol=1e-9)
    np.testing.assert_allclose(result.loss_change, arrays[f"stab_train_loss_l2_0.0_{kind}"], rtol=1e-8)
    np.testing.assert_allclose(result.loss_changes.T, arrays[f"stab_train_loss_vec_l2_0.0_{kind}"], rtol=1e-8)


def random_problem(seed, n=7, k=2, m=3, width=40):
    """A kernel of random features, targets and reference kernel; n k < width, so that the kernel is invertible."""
    keys = jax.random.split(jax.random.key(seed), 4)
    features, references = (
        jax.random.normal(key, (rows * k, width)) for key, rows in zip(keys[:2], (n, m), strict=True)
    )
    initial, targets = (jax.random.normal(key, (n, k)) for key in keys[2:])
    return features @ features.T / width, initial, targets, references @ features.T / width


def rows_of(examples, k):
    return (np.asarray(examples)[:, None] * k + np.arange(k)).ravel()


def retrained(kernel, initial, targets, kept, *, time, learning_rate, weight_decay, dynamics, regularization):
    """Coefficients of the training on the kept examples alone, by a loop over steps or a fresh decomposition."""
    n, k = targets.shape
    rows = rows_of(kept, k)
    shift = (n if regularization == "fixed" else len(kept)) * weight_decay
    shifted = kernel[np.ix_(rows, rows)] + shift * np.eye(len(rows))
    residuals = np.asarray(initial - targets).ravel()[rows]
    if dynamics == "discrete" and np.isfinite(time):
        inside = np.zeros(len(rows))
        for _ in range(time):
            inside -= learning_rate / len(kept) * (shifted @ inside + residuals)
    else:
        mu, vectors = np.linalg.eigh(shifted)
        phi = 1 / mu if np.isinf(time) else (1 - np.exp(-learning_rate / len(kept) * time * mu)) / mu
        inside = -vectors @ (phi * (vectors.T @ residuals))
    coefficients = np.zeros(n * k)
    coefficients[rows] = inside
    return coefficients


settings_of_training = st.fixed_dictionaries(
    {
        "time": st.sampled_from([1, 3, 8, 40, 500, np.inf]),
        "learning_rate": st.sampled_from([0.01, 0.5, 1.5]),
        "weight_decay": st.sampled_from([0.0, 0.02]),
        "dynamics": st.sampled_from(["continuous", "discrete"]),
        "regularization": st.sampled_from(["fixed", "rescaled"]),
    }
)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), settings_of_training)
def test_leaving_out_equals_solving_again_without_the_example(seed, training):
    kernel, initial, targets, across = random_problem(seed)
    result = leave_one_out(kernel, initial, targets, across, **training)
    everything = retrained(kernel, initial, targets, range(7), **training)
    for i in range(7):
        without = retrained(kernel, initial, targets, np.delete(np.arange(7), i), **training)
        change = without - everything
        np.testing.assert_allclose(result.weight_change[i], change @ kernel @ change, rtol=1e-8)
        np.testing.assert_allclose(result.output_changes[i].ravel(), across @ change, rtol=1e-7, atol=1e-10)
        predicted = initial[i] + (kernel @ without)[rows_of([i], 2)]
        np.testing.assert_allclose(result.residuals[i], targets[i] - predicted, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("training", [{"time": 30}, {"time": 3, "dynamics": "discrete"}, {"time": np.inf}])
def test_groups_of_any_size_equal_solving_again_without_them(training):
    kernel, initial, targets, across = random_problem(1)
    training = {"learning_rate": 0.5, "weight_decay": 0.02, "dynamics": "continuous"} | training
    groups = [[4, 2], [0], np.array([5, 1, 3, 6]), [3]]
    result = group_information(kernel, initial, targets, groups, across, **training)
    everything = retrained(kernel, initial, targets, range(7), **training, regularization="fixed")
    for i, group in enumerate(groups):
        kept = np.setdiff1d(np.arange(7), group)
        change = retrained(kernel, initial, targets, kept, **training, regularization="fixed") - everything
        np.testing.assert_allclose(result.weight_change[i], change @ kernel @ change, rtol=1e-8)
        np.testing.assert_allclose(result.output_changes[i].ravel(), across @ change, rtol=1e-7, atol=1e-10)


def test_a_large_group_equals_two_of_its_halves_solved_at_once():
    kernel, initial, targets, _ = random_problem(0, n=24, width=80)
    training = {"time": 50, "learning_rate": 0.5}
    result = group_information(kernel, initial, targets, [np.arange(20)], **training)
    changes = [
        retrained(
            kernel, initial, targets, kept, weight_decay=0, dynamics="continuous", regularization="fixed", **training
        )
        for kept in (np.arange(20, 24), np.arange(24))
    ]
    change = changes[0] - changes[1]
    np.testing.assert_allclose(result.weight_change[0], change @ kernel @ change, rtol=1e-8)


def test_exact_duplicates_are_fully_redundant_at_convergence_without_decay():
    kernel, initial, targets, across = random_problem(2, k=1)
    twice = np.array([0, 0, *range(1, 7)])
    kernel, across = kernel[np.ix_(twice, twice)] + 1e-7 * np.eye(8), across[:, twice]
    training = {"time": np.inf, "learning_rate": 1.0}
    result = leave_one_out(kernel, initial[twice], targets[twice], across, **training)
    alone = leave_one_out(*random_problem(2, k=1), **training)
    assert max(result.weight_change[:2]) < 1e-3 * alone.weight_change[0]
    redundancy = pairwise_redundancy(kernel, initial[twice], targets[twice], np.array([[0, 1]]), across, **training)
    np.testing.assert_allclose(redundancy.weight_change, -alone.weight_change[:1], rtol=1e-3)
    np.testing.assert_allclose(redundancy.output_change, -alone.output_change[:1], rtol=1e-3)


def test_scores_follow_a_permutation_of_the_examples():
    kernel, initial, targets, across = random_problem(3)
    order = np.array([3, 1, 6, 0, 2, 5, 4])
    rows = rows_of(order, 2)
    training = {"time": 20, "learning_rate": 0.5}
    result = leave_one_out(kernel, initial, targets, across, **training)
    permuted = leave_one_out(kernel[np.ix_(rows, rows)], initial[order], targets[order], across[:, rows], **training)
    np.testing.assert_allclose(permuted.weight_change, result.weight_change[order], rtol=1e-9)
    np.testing.assert_allclose(permuted.output_change, result.output_change[order], rtol=1e-9)


def test_a_shared_kernel_equals_one_for_each_output_and_the_full_one():
    shared, *_ = random_problem(4, k=1)
    _, initial, targets, _ = random_problem(4, k=3)
    across = random_problem(5, k=1)[3]
    training = {"time": 20, "learning_rate": 0.5, "weight_decay": 0.01}
    results = [
        leave_one_out(kernel, initial, targets, reference, **training)
        for kernel, reference in (
            (shared, across),
            (np.stack([shared] * 3), np.stack([across] * 3)),
            (np.kron(shared, np.eye(3)), np.kron(across, np.eye(3))),
        )
    ]
    for other in results[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12), results[0], other)
    changes = [
        coefficient_changes(kernel, initial, targets, np.array([1, 4]), **training)
        for kernel in (shared, np.stack([shared] * 3), np.kron(shared, np.eye(3)))
    ]
    np.testing.assert_allclose(changes[0], changes[1], rtol=1e-8)
    np.testing.assert_allclose(changes[0], changes[2], rtol=1e-8)


def test_heavy_weight_decay_leaves_nothing_to_lose():
    kernel, initial, targets, across = random_problem(6)
    light, heavy = (
        leave_one_out(kernel, initial, targets, across, time=np.inf, learning_rate=1.0, weight_decay=decay)
        for decay in (1e-2, 1e4)
    )
    assert (heavy.weight_change < 1e-8 * light.weight_change).all()
    assert (heavy.output_change < 1e-8 * light.output_change).all()


def test_the_poles_converge_geometrically_to_the_response():
    mu = np.concatenate([[0.0], np.logspace(-8, 3, 100)])
    for dynamics, tolerance in (("continuous", 1e-12), ("discrete", 1e-11)):
        training = {"time": 25, "rate": 1e-3, "dynamics": dynamics}
        poles = response_poles(**training, dtype=np.dtype(float))
        summed = 2 * (poles.weights / (poles.locations + mu[:, None])).sum(1).real
        exact = response(mu, **training)
        np.testing.assert_allclose(summed, exact, atol=tolerance * exact.max())


def test_scores_differentiate_and_vectorize_over_targets():
    kernel, initial, targets, across = random_problem(7)

    @jax.jit
    def score(y):
        return leave_one_out(kernel_eigen(kernel), initial, y, across, time=20, learning_rate=0.5).output_change[2]

    gradient = jax.jit(jax.grad(score))(targets)
    step = 1e-5 * jnp.zeros_like(targets).at[2, 1].set(1)
    np.testing.assert_allclose(gradient[2, 1], (score(targets + step) - score(targets - step)) / 2e-5, rtol=1e-6)
    stacked = jnp.stack([targets, 2 * targets])
    np.testing.assert_allclose(jax.vmap(score)(stacked), [score(targets), score(2 * targets)], rtol=1e-10)


@pytest.mark.parametrize("training", [{"time": np.inf}, {"time": 20, "dynamics": "discrete"}])
def test_a_jitted_function_may_hold_the_kernel_as_a_constant(training):
    kernel, initial, targets, _ = random_problem(7)
    for constant in (kernel, kernel_eigen(kernel)):
        score = lambda y, held=constant: leave_one_out(held, initial, y, learning_rate=0.5, **training).weight_change
        np.testing.assert_allclose(jax.jit(score)(targets), score(targets), rtol=1e-8)


def test_many_times_and_weight_decays_come_in_one_call():
    kernel, initial, targets, across = random_problem(11)
    eigen = kernel_eigen(kernel)

    def score(time, weight_decay):
        return leave_one_out(
            eigen, initial, targets, across, time=time, learning_rate=0.5, weight_decay=weight_decay
        ).output_change

    times, decays = jnp.array([1.0, 40.0, 500.0]), jnp.array([0.0, 0.1])
    grid = jax.vmap(lambda time: jax.vmap(lambda decay: score(time, decay))(decays))(times)
    expected = [[score(float(time), float(decay)) for decay in decays] for time in times]
    np.testing.assert_allclose(grid, expected, rtol=1e-9)


def test_a_score_differentiates_through_the_kernel_to_an_input():
    apply_fn, params, arrays = mlp_case()
    x, y, others = (jnp.asarray(arrays[name]) for name in ("X_train", "Y_train", "X_test"))

    @jax.jit
    def score(inputs):
        kernel = kernel_eigen(empirical_kernel(apply_fn, params, inputs))
        across = empirical_kernel(apply_fn, params, others, inputs)
        initial = apply_fn(params, inputs)
        return leave_one_out(kernel, initial, y, across, time=10, learning_rate=0.05).output_change[3]

    step = jnp.zeros_like(x).at[3, 2].set(1e-5)
    slope = (score(x + step) - score(x - step)) / 2e-5
    np.testing.assert_allclose(jax.jit(jax.grad(score))(x)[3, 2], slope, rtol=1e-5)


def test_a_decomposition_that_was_saved_goes_on_as_it_was(tmp_path):
    kernel, initial, targets, _ = random_problem(12)
    eigen = kernel_eigen(kernel)
    np.savez(tmp_path / "kernel.npz", **eigen._asdict())
    with np.load(tmp_path / "kernel.npz") as arrays:
        saved = KernelEigen(**arrays)
    results = [leave_one_out(k, initial, targets, time=20, learning_rate=0.5) for k in (eigen, saved)]
    np.testing.assert_array_equal(results[0].weight_change, results[1].weight_change)


def test_single_precision_agrees_with_double():
    single = [values.astype(np.float32) for values in random_problem(8)]
    training = {"learning_rate": 0.5, "weight_decay": 0.01}
    for time, tolerance in ((30, 1e-4), (np.inf, 1e-3)):
        expected = leave_one_out(*random_problem(8), time=time, **training)
        result = leave_one_out(*single, time=time, **training)
        assert result.weight_change.dtype == jnp.float32
        np.testing.assert_allclose(result.weight_change, expected.weight_change, rtol=tolerance)
        np.testing.assert_allclose(result.output_change, expected.output_change, rtol=tolerance)


@pytest.mark.usefixtures("as_a_user_sees")
class TestBadInput:
    kernel, initial, targets, across = random_problem(9)
    training = {"time": 20, "learning_rate": 0.5}  # noqa: RUF012

    def fails(self, message, error=ValueError, **changed):
        arguments = {"kernel": self.kernel, "initial_outputs": self.initial, "targets": self.targets}
        with pytest.raises(error, match=message):
            leave_one_out(**(arguments | self.training | changed))

    def test_targets_without_an_axis_of_outputs(self):
        self.fails(r"targets must have 2 axes \(examples, outputs\), got shape \(7,\)", targets=self.targets[:, 0])

    def test_labels_that_are_not_one_hot(self):
        labels = np.zeros((7, 1), int)
        self.fails(r"initial_outputs and targets must have one shape, got \(7, 2\) and \(7, 1\)", targets=labels)

    def test_targets_that_do_not_fit_the_outputs(self):
        self.fails(
            r"initial_outputs and targets must have one shape, got \(7, 2\) and \(7, 3\)", targets=np.zeros((7, 3))
        )

    def test_a_kernel_that_does_not_fit(self):
        self.fails(r"a kernel of shape \(5, 5\) does not fit targets of shape \(7, 2\)", kernel=np.eye(5))

    def test_a_kernel_that_is_not_square(self):
        self.fails(r"kernel must be square \(rows, rows\), got shape \(7, 14\)", kernel=np.ones((7, 14)))

    def test_a_kernel_that_is_not_symmetric(self):
        self.fails("kernel must be symmetric", kernel=np.triu(self.kernel))

    def test_nan_is_named(self):
        self.fails("targets has 1 of 14 entries that are NaN", targets=self.targets.at[2, 1].set(np.nan))
        self.fails("kernel has 1 of 196 entries that are NaN", kernel=self.kernel.at[0, 0].set(np.inf))

    def test_reference_kernel_that_does_not_fit(self):
        self.fails("reference_kernel must have the columns of the kernel, 14", reference_kernel=np.ones((4, 7)))

    def test_one_example(self):
        one = {"kernel": np.eye(2), "initial_outputs": np.zeros((1, 2)), "targets": np.ones((1, 2))}
        self.fails("leaving an example out needs at least 2 of them, got 1", **one)

    def test_a_diverging_step_names_the_largest_stable_one(self):
        largest = 2 * 6 / float(jnp.linalg.eigvalsh(self.kernel)[-1])
        message = f"gradient descent diverges .* so stay below {largest:.4g}"
        self.fails(message, StepSizeError, learning_rate=1.001 * largest, dynamics="discrete")
        leave_one_out(
            self.kernel, self.initial, self.targets, time=5, learning_rate=0.99 * largest, dynamics="discrete"
        )

    def test_half_a_step(self):
        self.fails("a whole number of steps, got time=2.5", time=2.5, dynamics="discrete")

    def test_settings_out_of_range(self):
        self.fails(r"time must lie in \(0, inf\], a number of steps, got 0", time=0)
        self.fails("learning_rate must be positive, got -1", learning_rate=-1)
        self.fails("weight_decay must be finite and not negative, got -0.5", weight_decay=-0.5)
        self.fails("unknown dynamics 'euler'", dynamics="euler")
        self.fails("unknown regularization 'none'", regularization="none")

    def test_a_singular_kernel_names_the_remedies(self):
        singular = np.ones((14, 14))
        message = "add weight decay, train for a finite time, or remove duplicate examples"
        self.fails(message, SingularKernelError, kernel=singular, time=np.inf)
        leave_one_out(singular, self.initial, self.targets, time=np.inf, learning_rate=0.5, weight_decay=0.1)

    def test_groups_that_are_no_groups(self):
        for group, message in (
            ([], r"group 1 must not be empty, got shape \(0,\)"),
            ([1, 1], "group 1 must differ from each other, got 1 at 2 places"),
            ([7], r"group 1 must lie in \[0, 7\), got 7 at index 0"),
            (list(range(7)), "a group of 7 leaves none of the 7 examples"),
        ):
            with pytest.raises(ValueError, match=message):
                group_information(self.kernel, self.initial, self.targets, [[0], group], **self.training)
        with pytest.raises(TypeError, match="group 1 must be integers, got float64"):
            group_information(self.kernel, self.initial, self.targets, [[0], [0.5]], **self.training)
