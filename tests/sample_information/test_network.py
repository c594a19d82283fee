"""From a network to scores: units, kernels for many outputs, changes of the weights, and what a user may get wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import empirical_kernel
from infotheory_dl.sample_information import sample_information, weight_changes
from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case

TRAINING = {"time": 10, "learning_rate": 0.05}


def mlp_arguments():
    apply_fn, params, arrays = mlp_case()
    return apply_fn, params, arrays["X_train"], arrays["Y_train"], arrays["X_test"]


def test_the_scores_of_a_network_equal_the_published_ones():
    _, _, arrays = mlp_case()
    result = sample_information(*mlp_arguments(), **TRAINING, batch_size=5)
    np.testing.assert_allclose(result.weight_change, arrays["si_weights_l2_0.0_cont_t10"], rtol=1e-9)
    np.testing.assert_allclose(result.output_change, arrays["si_pred_l2_0.0_cont_t10"], rtol=1e-9)


def test_nats_are_half_the_squared_norms_over_the_variance():
    plain = sample_information(*mlp_arguments(), **TRAINING)
    result = sample_information(*mlp_arguments(), **TRAINING, sigma=0.1)
    np.testing.assert_allclose(result.weight_information, plain.weight_change / 0.02, rtol=1e-12)
    np.testing.assert_allclose(result.function_information, plain.output_change / 0.02, rtol=1e-12)
    assert plain.weight_information is None
    assert plain.function_information is None
    for name in ("weight_change", "output_change", "output_changes"):
        np.testing.assert_allclose(getattr(result, name), getattr(plain, name))


def test_independent_copies_of_one_output_need_no_full_kernel():
    apply_fn, params, arrays = cnn_case()
    copies = {f"copy{i}": jax.tree.map(lambda leaf, i=i: leaf * (1 + 0.1 * i), params) for i in range(3)}
    both = lambda p, x: jnp.concatenate([apply_fn(p[name], x) for name in p], axis=1)
    targets = np.concatenate([arrays["Y_train"]] * 3, axis=1)
    arguments = (both, copies, arrays["X_train"], targets, arrays["X_test"])
    training = {"time": 20, "learning_rate": 0.1}
    full, class_wise = (sample_information(*arguments, **training, outputs=name) for name in ("full", "class_wise"))
    np.testing.assert_allclose(class_wise.weight_change, full.weight_change, rtol=1e-8)
    np.testing.assert_allclose(class_wise.output_changes, full.output_changes, atol=1e-10)


def test_changes_of_the_weights_have_the_norm_that_the_score_says():
    apply_fn, params, x, y, others = mlp_arguments()
    result = sample_information(apply_fn, params, x, y, others, **TRAINING)
    examples = np.array([7, 2])
    for kernel in (None, empirical_kernel(apply_fn, params, x), result.kernel):
        changes = flatten(weight_changes(apply_fn, params, x, y, examples, kernel, **TRAINING), leading=1)
        np.testing.assert_allclose((changes**2).sum(1), result.weight_change[examples], rtol=1e-9)


@pytest.mark.usefixtures("as_a_user_sees")
class TestBadInput:
    def fails(self, message, error=ValueError, **changed):
        names = ("apply_fn", "params", "inputs", "targets", "reference_inputs")
        arguments = dict(zip(names, mlp_arguments(), strict=True)) | TRAINING | changed
        with pytest.raises(error, match=message):
            sample_information(**arguments)

    def test_a_stochastic_network(self):
        generator = np.random.default_rng(0)
        apply_fn = mlp_arguments()[0]
        noisy = lambda params, x: apply_fn(params, x) + generator.normal()
        self.fails("apply_fn gives different outputs for the same inputs: switch dropout off", apply_fn=noisy)

    def test_nan_anywhere_is_named(self):
        _, params, x, y, others = mlp_arguments()
        self.fails("inputs has 72 of 72 entries that are NaN", inputs=x * np.nan)
        self.fails("targets has 24 of 24 entries that are NaN", targets=y * np.nan)
        self.fails("reference_inputs has 30 of 30 entries that are NaN", reference_inputs=others * np.nan)
        self.fails(
            "params.* has 48 of 48 entries that are NaN", params=jax.tree.map(lambda leaf: leaf * np.nan, params)
        )

    def test_lengths_that_differ(self):
        self.fails("inputs and targets must have one length, got 12 and 11", targets=np.zeros((11, 2)))

    def test_integer_labels(self):
        self.fails(r"targets must have 2 axes \(examples, outputs\), got shape \(12,\)", targets=np.zeros(12, int))

    def test_no_reference_inputs(self):
        self.fails("reference_inputs must not be empty", reference_inputs=np.zeros((0, 6)))

    def test_noise_that_is_none(self):
        self.fails("sigma must be positive, got -1", sigma=-1.0)
