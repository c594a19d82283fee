"""Kernels that are none, and kernels whose rounding decides the answer: refused, or right to what is documented."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import fcmi, label_noise, linearization
from infotheory_dl import sample_information as si
from infotheory_dl.linearization import SingularKernelError, feature_eigen, kernel_eigen
from infotheory_dl.linearization.eigen import eigen_of
from infotheory_dl.sample_information import online

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(12, 2))
DISTANCES = np.linalg.norm(POINTS[:, None] - POINTS, axis=-1)
TARGETS = np.where(POINTS[:, :1] > 0, 1.0, -1.0)
NONE = np.zeros_like(TARGETS)
TRAINING = {"time": 100.0, "learning_rate": 0.1}


def radial(points):
    return np.exp(-np.square(points[:, None] - points).sum(-1) / 4)


def single(*arrays):
    return [np.asarray(array, np.float32) for array in arrays]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [DISTANCES, -radial(POINTS), np.stack([radial(POINTS), DISTANCES])])
def test_an_indefinite_kernel_is_refused_by_its_least_eigenvalue(kernel, dtype, as_a_user_sees):
    least = np.linalg.eigvalsh(kernel).min()
    with pytest.raises(ValueError, match=rf"kernel must be positive semi-definite, .* range from {least:.3g} to"):
        kernel_eigen(kernel.astype(dtype))


ENTRIES = {
    "leave_one_out": lambda kernel: si.leave_one_out(kernel, NONE, TARGETS, **TRAINING),
    "group_information": lambda kernel: si.group_information(kernel, NONE, TARGETS, [[0, 1]], **TRAINING),
    "coefficient_changes": lambda kernel: si.coefficient_changes(kernel, NONE, TARGETS, np.arange(2), **TRAINING),
    "training_stability": lambda kernel: si.training_stability(kernel, NONE, TARGETS, times=[1.0], learning_rate=0.1),
    "label_information": lambda kernel: si.label_information(kernel, NONE, TARGETS, np.eye(1), **TRAINING),
    "summarize": lambda kernel: si.summarize(kernel, NONE, TARGETS, score="weight_change", **TRAINING),
    "converged": lambda kernel: online.converged(kernel, NONE, TARGETS, weight_decay=10.0),
    "leverage": lambda kernel: si.baselines.leverage(kernel),
    "linearized_runs": lambda kernel: fcmi.linearized_runs(kernel, NONE, TARGETS, np.zeros((1, 6), int), time=1.0),
    "matrix_free": lambda kernel: si.matrix_free_leave_one_out(
        lambda v: jnp.einsum("ij,vjk->vik", kernel, v), NONE, TARGETS, [0]
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_function_of_a_kernel_refuses_an_indefinite_one(entry):
    with pytest.raises(ValueError, match=r"must be .*positive semi-definite"):
        ENTRIES[entry](DISTANCES)


def test_eigenvalues_that_rounding_makes_negative_are_zero():
    features = RNG.normal(size=(40, 3)).astype(np.float32)
    with jax.enable_x64(False):
        eigen = kernel_eigen(features @ features.T)
    assert eigen.eigenvalues.dtype == np.float64
    assert (eigen.eigenvalues[:37] < 1e-4).all()
    assert (eigen.eigenvalues >= 0).all()


def test_a_kernel_that_is_held_in_a_better_precision_has_the_rounding_of_the_one_it_was_made_in():
    points = np.repeat(RNG.normal(size=(60, 4)), 2, axis=0)
    points[0] = 100
    features = (points + 1e-4 * RNG.normal(size=points.shape)).astype(np.float32)
    kernel = (features @ features.T).astype(float)
    with pytest.raises(ValueError, match="rounding in float64 explains"):
        kernel_eigen(kernel)
    exact = np.sort(np.linalg.eigvalsh(features.astype(float).T @ features))
    found = eigen_of(kernel, made_in=np.dtype(np.float32)).eigenvalues
    np.testing.assert_allclose(found[-4:], exact, atol=1e-6 * exact[-1])
    assert (found >= 0).all()


def test_a_decomposition_with_a_negative_eigenvalue_is_refused():
    values, vectors = np.linalg.eigh(DISTANCES)
    eigen, labels = linearization.KernelEigen(values, vectors), (TARGETS[:, 0] > 0).astype(int)
    for take in (
        lambda: si.leave_one_out(eigen, NONE, TARGETS, **TRAINING),
        lambda: si.baselines.leverage(eigen),
        lambda: linearization.trained_outputs(eigen, NONE, TARGETS, **TRAINING),
        lambda: linearization.leave_one_out_predictions(eigen, TARGETS, 10.0),
        lambda: linearization.select_weight_decay(eigen, TARGETS),
        lambda: label_noise.leave_one_out_targets(eigen, labels, 2),
    ):
        with pytest.raises(ValueError, match="positive semi-definite"):
            take()


def test_half_precision_is_refused(as_a_user_sees):
    with pytest.raises(TypeError, match="kernel must be float32 or float64, got float16"):
        kernel_eigen(np.eye(2, dtype=np.float16))
    for entry in set(ENTRIES) - {"matrix_free"}:
        with pytest.raises(TypeError, match="kernel must be float32 or float64, got float16"):
            ENTRIES[entry](radial(POINTS).astype(np.float16))
    with pytest.raises(TypeError, match="features must be float32 or float64, got bfloat16"):
        feature_eigen(jnp.eye(2, dtype=jnp.bfloat16))


def test_a_kernel_of_zeros_has_no_weight_decay():
    with pytest.raises(SingularKernelError, match="a kernel of zeros tells no weight decay from another"):
        linearization.select_weight_decay(kernel_eigen(np.zeros((12, 12))), TARGETS)


def conflict(gap, agree=False):
    """A kernel in which two inputs are nearly the same, with labels that contradict each other or not."""
    points = POINTS.copy()
    points[1] = points[0] + gap
    targets = TARGETS.copy()
    targets[1] = targets[0] if agree else -targets[0]
    return radial(points), targets


@pytest.mark.parametrize("agree", [False, True])
@pytest.mark.parametrize("gap", [0.0, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("weight_decay", [0.0, 1e-6, 1e-3])
@pytest.mark.parametrize("time", [1e2, 1e4, 1e7, np.inf])
def test_single_precision_is_right_or_refused_where_labels_contradict_each_other(gap, agree, weight_decay, time):
    kernel, targets = conflict(gap, agree)
    training = {"time": time, "learning_rate": 0.1, "weight_decay": weight_decay}
    try:
        expected = si.leave_one_out(kernel, NONE, targets, kernel[:5], **training)
    except SingularKernelError:
        expected = None
    with jax.enable_x64(False):
        try:
            result = si.leave_one_out(*single(kernel, NONE, targets, kernel[:5]), **training)
        except SingularKernelError:
            return
    assert expected is not None
    for name in ("weight_change", "output_change", "residuals"):
        exact, found = np.asarray(getattr(expected, name)), np.asarray(getattr(result, name))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4 * np.median(abs(exact)))


def test_ordinary_trainings_in_single_precision_are_not_refused():
    with jax.enable_x64(False):
        for gap, time in ((0.0, 1e4), (0.1, 1e4), (0.5, np.inf)):
            kernel, targets = conflict(gap)
            kernel = kernel + 1e-2 * np.eye(12) * np.isinf(time)
            si.leave_one_out(*single(kernel, NONE, targets), time=time, learning_rate=0.1)
            si.leave_one_out(*single(kernel, NONE, targets), time=np.inf, learning_rate=0.1, weight_decay=1e-3)


def test_what_training_leaves_to_rounding_is_refused_too():
    kernel, targets = single(*conflict(1e-6))
    with jax.enable_x64(False):
        eigen = kernel_eigen(kernel)
        for train in (linearization.trained_outputs, linearization.trained_coefficients):
            with pytest.raises(SingularKernelError, match=r"rounding of the kernel in float32 .* add weight decay"):
                train(eigen, *single(NONE), targets, time=1e8, learning_rate=0.1)
        with pytest.raises(SingularKernelError, match=r"needs an invertible kernel.* in float32"):
            linearization.leave_one_out_predictions(eigen, targets, 1e-8)


def test_the_algebra_is_in_double_precision_where_it_is_off():
    kernel, targets = conflict(1e-2)
    training = {"time": 1e4, "learning_rate": 0.1}
    exact = linearization.trained_outputs(kernel_eigen(kernel), NONE, targets, **training)
    decay = float(linearization.select_weight_decay(kernel_eigen(kernel), targets))
    left_out = linearization.leave_one_out_predictions(kernel_eigen(kernel), targets, decay)
    labels = (targets[:, 0] > 0).astype(int)
    of_labels = label_noise.leave_one_out_targets(kernel_eigen(kernel), labels, 2)
    kernel, targets, none = single(kernel, targets, NONE)
    with jax.enable_x64(False):
        eigen = kernel_eigen(kernel)
        found = linearization.trained_outputs(eigen, none, targets, **training)
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, exact, atol=1e-4)
        np.testing.assert_allclose(linearization.select_weight_decay(eigen, targets), decay, rtol=1e-5)
        np.testing.assert_allclose(linearization.leave_one_out_predictions(eigen, targets, decay), left_out, atol=1e-4)
        again = label_noise.leave_one_out_targets(eigen, labels, 2)
        np.testing.assert_allclose(again.probabilities, of_labels.probabilities, atol=1e-4)


def test_a_kernel_in_double_precision_counts_as_such_where_it_is_off():
    kernel, targets = conflict(1e-4)
    training = {"time": 1e5, "learning_rate": 0.1}
    exact = si.leave_one_out(kernel, NONE, targets, **training).weight_change
    with jax.enable_x64(False), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SingularKernelError, match="in float32 may carry the weight change without example"):
            si.leave_one_out(*single(kernel, NONE, targets), **training)
        found = si.leave_one_out(kernel, *single(NONE, targets), **training).weight_change
        assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_transformations_take_single_precision_as_before():
    kernel, targets = single(*conflict(0.5))
    (none,) = single(NONE)
    with jax.enable_x64(False):
        score = lambda y: si.leave_one_out(kernel, none, y, **TRAINING).weight_change
        of_kernel = lambda k: si.leave_one_out(k, none, targets, **TRAINING).weight_change
        expected = score(targets)
        np.testing.assert_allclose(jax.jit(score)(targets), expected, rtol=1e-3)
        np.testing.assert_allclose(jax.jit(of_kernel)(kernel), expected, rtol=1e-3)
        np.testing.assert_allclose(jax.vmap(score)(targets[None])[0], expected, rtol=1e-3)
        eigen = kernel_eigen(kernel)
        of_eigen = lambda k: si.leave_one_out(k, none, targets, **TRAINING).weight_change
        np.testing.assert_allclose(jax.jit(of_eigen)(eigen), expected, rtol=1e-3)
        assert jax.grad(lambda k: of_kernel(k).sum())(jnp.asarray(kernel)).dtype == jnp.float32
        constant = jax.jit(lambda scale: scale * score(targets))
        np.testing.assert_allclose(constant(jnp.float32(2)), 2 * expected, rtol=1e-3)
