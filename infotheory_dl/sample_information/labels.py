"""Labels in doubt: what each candidate would say of its example, and how far the given one is contradicted."""

import functools
from typing import NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._precision import in_double
from infotheory_dl._validation import edge, is_concrete, require_finite, require_rank
from infotheory_dl.linearization import Dynamics, KernelEigen, response
from infotheory_dl.results import concise
from infotheory_dl.sample_information.problem import Problem, checked_problem
from infotheory_dl.sample_information.removal import Training, TrainingSettings, remove
from infotheory_dl.types import AnyArray, Scalar


@concise
class LabelInformation(NamedTuple):
    """The information that each example would have with each candidate label.

    Attributes:
      weight_change: squared norm of the change of the weights when the example is left out.
      output_change: of the outputs, mean over the reference inputs; None without them.
    """

    weight_change: Float[Array, "examples candidates"]
    output_change: Float[Array, "examples candidates"] | None


@edge(half=False)
def label_information(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    candidates: Float[AnyArray, "candidates outputs"],
    reference_kernel: Float[AnyArray, "..."] | None = None,
    **training: Unpack[TrainingSettings],
) -> LabelInformation:
    """Computes the information of each example under every candidate label, all other labels as they are.

    The network trained without the example does not know its label, so that the change is affine in the label: no
    further training is solved.

    Args:
      kernel: one for all outputs, (n k, n k), or one shared by them, (n, n), or its `kernel_eigen`.
      initial_outputs, targets, reference_kernel: as in `leave_one_out`.
      candidates: targets to try, such as the rows of an identity matrix.
      **training: time, learning_rate, ... of `leave_one_out`, which see for the errors too.

    Returns:
      Raw squared norms.
    """
    problem = checked_problem(kernel, initial_outputs, targets, reference_kernel)
    if problem.kernel.eigenvalues.ndim > 1:
        raise ValueError("label_information needs one kernel for all outputs, or one that they share")
    require_rank("candidates", candidates, 2, "(candidates, outputs)")
    require_finite(candidates=candidates)
    n, k = targets.shape
    if candidates.shape[1] != k:
        raise ValueError(f"candidates must have the {k} columns of targets, got shape {candidates.shape}")

    setting = Training(**training)
    removal = remove(problem, np.arange(n)[:, None], setting, keep_coefficients=True, dtype=np.float64)
    settings = (setting.time, setting.learning_rate, setting.weight_decay)
    is_infinite = is_concrete(setting.time) and bool(np.isinf(setting.time))
    core = functools.partial(_of_candidates, setting.dynamics, is_infinite)
    return in_double(core, problem, removal.coefficients, targets, candidates, settings, dtype=problem.dtype)


@functools.partial(jax.jit, static_argnums=(0, 1))
@jax.default_matmul_precision("highest")
def _of_candidates(
    dynamics: Dynamics,
    is_infinite: bool,
    problem: Problem,
    change: Float[Array, "examples problems rank"],
    targets: Float[Array, "examples outputs"],
    candidates: Float[Array, "candidates outputs"],
    settings: tuple[Scalar, Scalar, Scalar],
) -> LabelInformation:
    n = len(targets)
    eigenvalues, eigenvectors = map(jnp.asarray, (problem.kernel.eigenvalues, problem.kernel.eigenvectors))
    time, learning_rate, weight_decay = settings
    shifted = eigenvalues + n * weight_decay
    phi = response(shifted, time=np.inf if is_infinite else time, rate=learning_rate / n, dynamics=dynamics)
    coupled = len(eigenvectors) // n
    rows = eigenvectors.reshape(n, coupled, -1)
    # a label y' in place of y adds phi(K) to the column of the example, times y - y'
    label_changes = (targets[:, None] - candidates).reshape(n, len(candidates), coupled, -1)

    def squared_norms(metric: Float[Array, "rows rows"] | Float[Array, " rows"]) -> Array:
        def form(left: Array, right: Array) -> Array:
            return (left * metric if metric.ndim == 1 else left @ metric) @ jnp.swapaxes(right, -1, -2)

        responses = rows * phi
        constant = jnp.trace(form(change, change), axis1=-2, axis2=-1)
        linear = jnp.einsum("ncap,npa->nc", label_changes, form(change, responses))
        quadratic = jnp.einsum("ncap,nab,ncbp->nc", label_changes, form(responses, responses), label_changes)
        return constant[:, None] + 2 * linear + quadratic

    output_change = None
    if problem.reference_kernel is not None:
        references = jnp.asarray(problem.reference_kernel) @ eigenvectors
        output_change = squared_norms(references.T @ references) / (len(references) // coupled)
    return LabelInformation(squared_norms(eigenvalues), output_change)
