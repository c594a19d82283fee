"""Leave-one-out scores against the published implementation, and against actually solving without the example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl.linearization import (
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
        np.testing.assert_allclose(result.weights, arrays[f"si_weights_{name}"], rtol=1e-9)
        np.testing.assert_allclose(result.predictions, arrays[f"si_pred_{name}"], rtol=1e-9)
        vectors = arrays[f"si_pred_vec_{name}"]
        np.testing.assert_allclose(result.prediction_changes, vectors, atol=1e-10 * abs(vectors).max())
        changes = coefficient_changes(kernel, arrays["init_pred_train"], arrays["Y_train"], np.array([0, 3]), **training)
        weights = flatten(transposed_jacobian_products(apply_fn, params, arrays["X_train"], changes), leading=1)
        vectors = arrays[f"si_weights_vec_{name}"]
        np.testing.assert_allclose(weights, vectors[[0, 3]], atol=1e-9 * abs(vectors).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["cont", "disc"])
def test_training_stability_equals_the_published_one(case, kind):
    _, _, arrays = CASES[case]()
    training = reference_training(arrays, kind, 1, 0.0) | {"times": arrays["ts"]}
    del training["time"]
    result = training_stability(arrays["ntk"], arrays["init_pred_train"], arrays["Y_train"], **training)
    for row, time in zip(result.predictions, arrays["ts"], strict=True):
        np.testing.assert_allclose(row, arrays[f"stab_train_pred_l2_0.0_{kind}_t{time}"], rtol=1e-9)
    np.testing.assert_allclose(result.losses, arrays[f"stab_train_loss_l2_0.0_{kind}"], rtol=1e-8)
