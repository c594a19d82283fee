"""Scores from products with the kernel against those from its decomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import empirical_kernel
from infotheory_dl.sample_information import kernel_product, leave_one_out, matrix_free_leave_one_out
from tests.sample_information.reference_networks import cnn_case, mlp_case
from tests.sample_information.test_leave_one_out import random_problem


def product_of(kernel):
    """Products with a kernel that is at hand, over all outputs."""

    def product(vectors):
        return (vectors.reshape(len(vectors), -1) @ kernel.T).reshape(len(vectors), -1, vectors.shape[-1])

    return product


@pytest.mark.parametrize(
    ("case", "others", "batch_size"), [(mlp_case, None, 128), (mlp_case, "X_test", 5), (cnn_case, "X_test", 4)]
)
def test_products_of_a_network_are_those_of_its_kernel(case, others, batch_size):
    apply_fn, params, arrays = case()
    inputs, other_inputs = arrays["X_train"], others and arrays[others]
    vectors = jax.random.normal(jax.random.key(0), (3, *arrays["Y_train"].shape))
    result = kernel_product(apply_fn, params, inputs, other_inputs, batch_size=batch_size)(vectors)
    kernel = empirical_kernel(apply_fn, params, other_inputs if others else inputs, inputs)
    np.testing.assert_allclose(result, product_of(kernel)(vectors), rtol=1e-10, atol=1e-10)


def test_scores_of_a_network_equal_those_of_its_decomposed_kernel():
    apply_fn, params, arrays = mlp_case()
    inputs, references = arrays["X_train"], arrays["X_test"]
    outputs = arrays["init_pred_train"], arrays["Y_train"]
    examples = np.array([7, 0, 3])
    products = [kernel_product(apply_fn, params, inputs, others, batch_size=5) for others in (None, references)]
    result = matrix_free_leave_one_out(products[0], *outputs, examples, products[1], weight_decay=0.05, tolerance=1e-11)
    kernels = [empirical_kernel(apply_fn, params, *pair) for pair in ((inputs,), (references, inputs))]
    expected = leave_one_out(kernels[0], *outputs, kernels[1], time=np.inf, learning_rate=1.0, weight_decay=0.05)
    for name, values in result._asdict().items():
        np.testing.assert_allclose(values, getattr(expected, name)[examples], rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_kernel_shared_by_the_outputs_equals_its_decomposition(weight_decay):
    kernel, _, _, across = random_problem(0, k=1)
    _, initial, targets, _ = random_problem(1, k=3)
    products = [lambda v, k=k: jnp.einsum("ij,vjc->vic", k, v) for k in (kernel, across)]
    result = matrix_free_leave_one_out(
        products[0], initial, targets, np.arange(7), products[1], weight_decay=weight_decay, tolerance=1e-12
    )
    expected = leave_one_out(
        kernel, initial, targets, across, time=np.inf, learning_rate=1.0, weight_decay=weight_decay
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10), result, expected)


def test_the_tolerance_bounds_the_error_of_small_changes_too():
    kernel, initial, targets, _ = random_problem(2, n=20, k=1)
    # the first example has nearly nothing to say
    kernel = np.asarray(kernel).copy()
    kernel[0], kernel[:, 0] = 1e-4 * kernel[0], 1e-4 * kernel[:, 0]
    examples = np.array([0, 1])
    result = matrix_free_leave_one_out(product_of(kernel), initial, targets, examples, weight_decay=0.1, tolerance=1e-5)
    expected = leave_one_out(kernel, initial, targets, time=np.inf, learning_rate=1.0, weight_decay=0.1)
    np.testing.assert_allclose(result.weight_change, expected.weight_change[:2], rtol=1e-3)


def test_an_example_that_was_fitted_from_the_start_changes_nothing():
    kernel, initial, _, across = random_problem(3)
    result = matrix_free_leave_one_out(product_of(kernel), initial, initial, [2], product_of(across), weight_decay=0.1)
    jax.tree.map(lambda values: np.testing.assert_array_equal(values, 0), result)


def test_single_precision_stays_single():
    kernel, initial, targets, _ = (values.astype(np.float32) for values in random_problem(4))
    result = matrix_free_leave_one_out(product_of(kernel), initial, targets, [1, 5], weight_decay=0.1)
    expected = leave_one_out(*random_problem(4)[:3], time=np.inf, learning_rate=1.0, weight_decay=0.1)
    assert result.weight_change.dtype == jnp.float32
    np.testing.assert_allclose(result.weight_change, expected.weight_change[np.array([1, 5])], rtol=1e-4)


def test_too_few_iterations_warn():
    kernel, initial, targets, _ = random_problem(5)
    message = r"stopped after 2 iterations at a relative residual of .*, tolerance 1e-06: .* Add weight decay"
    with pytest.warns(UserWarning, match=message):
        matrix_free_leave_one_out(product_of(kernel), initial, targets, [0], weight_decay=0.1, iterations=2)


@pytest.mark.usefixtures("as_a_user_sees")
class TestBadInput:
    kernel, initial, targets, across = random_problem(9)

    def fails(self, message, error=ValueError, **changed):
        arguments = {"product": product_of(self.kernel), "initial_outputs": self.initial, "targets": self.targets}
        with pytest.raises(error, match=message):
            matrix_free_leave_one_out(**(arguments | {"examples": [0]} | changed))

    def test_examples_that_are_absent(self):
        self.fails(r"examples must lie in \[0, 7\), got 7 at index 0", examples=[7])

    def test_products_that_do_not_fit(self):
        across = product_of(self.across)
        self.fails(r"product must keep the shape of vectors, \(1, 7, 2\), got \(1, 3, 2\)", product=across)
        message = r"reference_product must map \(1, 7, 2\) to \(1, references, 2\), got \(1, 14\)"
        self.fails(message, reference_product=lambda vectors: vectors.reshape(1, -1))

    def test_settings_out_of_range(self):
        self.fails("weight_decay must be finite and not negative, got -1", weight_decay=-1)
        self.fails("targets must hold real numbers, got complex128", TypeError, targets=np.ones((7, 2), complex))

    def test_a_network_without_an_axis_of_outputs(self):
        inputs = np.ones((3, 2))
        with pytest.raises(
            ValueError, match=r"apply_fn must return \(3 examples, outputs\) for inputs, got shape \(3,\)"
        ):
            kernel_product(lambda w, x: x @ w, np.ones(2), inputs)
        bad = np.array([[np.nan, 1], [1, 1], [1, 1]])
        with pytest.raises(ValueError, match="other_inputs has 1 of 6 entries that are NaN"):
            kernel_product(lambda w, x: x @ w, np.ones((2, 1)), inputs, bad)
