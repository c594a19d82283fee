"""Runs without training: what the linearized network would predict after training on any selection, in closed form.

One kernel over the 2n entries of a supersample holds all of them, so that thousands of selections, or all 2^n, cost
little more than thousands of small linear systems.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float

from infotheory_dl._precision import in_double
from infotheory_dl._validation import edge, is_concrete, require_finite, require_rank
from infotheory_dl.fcmi.supersample import Selection, training_rows
from infotheory_dl.linearization import kernel_eigen, trained_outputs
from infotheory_dl.linearization.eigen import decomposed, require_invertible
from infotheory_dl.types import AnyArray, Scalar


@edge(half=False)
def linearized_runs(
    kernel: Float[AnyArray, "kernel_rows kernel_rows"],
    initial_outputs: Float[AnyArray, "entries outputs"],
    targets: Float[AnyArray, "entries outputs"],
    selection: Selection,
    *,
    time: Scalar,
    learning_rate: Scalar = 1.0,
    weight_decay: Scalar = 0.0,
    batch_size: int = 200,
) -> Float[Array, "runs entries outputs"]:
    """Outputs of the linearized network for all entries, after gradient flow on the squared error of each selection.

    Each run is `linearization.trained_outputs` on its own half of the kernel.

    Args:
      kernel: of all entries: of all outputs, 2n outputs rows, example-major; or one for all outputs, 2n rows.
      initial_outputs: of the entries, at the weights where the network is linearized.
      targets: of the entries.
      selection: which entry of each row is trained on.
      time: number of steps, or infinity.
      learning_rate: step size on the mean loss; at infinite time it does not matter.
      weight_decay: penalty on the mean loss.
      batch_size: runs that are held at once.

    Returns:
      The outputs of each run, whose `training.predicted_classes` are the predictions that the bounds take.

    Raises:
      ValueError: if the shapes do not fit, an array is not finite, or the kernel is not positive semi-definite.
      SingularKernelError: if time is infinite, there is no weight decay and the kernel is singular.

    Source: Lee et al., 2019 (equation 11), for each selection of Harutyunyan et al., 2021 (f-CMI).
    """
    require_rank("selection", selection, 2, "(runs, rows)")
    require_finite(initial_outputs=initial_outputs, targets=targets)
    n = selection.shape[1]
    entries, outputs = targets.shape
    if entries != 2 * n or initial_outputs.shape != targets.shape or len(kernel) not in (entries, entries * outputs):
        raise ValueError(
            f"selections of {n} rows need initial_outputs and targets of {2 * n} entries and a kernel of them, got"
            f" shapes {initial_outputs.shape}, {targets.shape} and {kernel.shape}"
        )
    eigen = kernel_eigen(kernel)
    if is_concrete(time) and np.isinf(time) and is_concrete(weight_decay) and weight_decay == 0:
        # the smallest eigenvalue of a part is not below that of the whole (Cauchy's interlacing)
        require_invertible(eigen, 0.0)
    return trained_runs(
        kernel,
        initial_outputs,
        targets,
        selection,
        time=time,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        batch_size=batch_size,
    )


def trained_runs(
    kernel: Float[AnyArray, "kernel_rows kernel_rows"],
    initial_outputs: Float[AnyArray, "entries outputs"],
    targets: Float[AnyArray, "entries outputs"],
    selection: Selection,
    *,
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar,
    batch_size: int,
) -> Float[Array, "runs entries outputs"]:
    """The core of `linearized_runs`."""
    settings = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    converged = is_concrete(time) and bool(np.isinf(time))
    arrays = tuple(map(jnp.asarray, (kernel, initial_outputs, targets, selection)))
    return in_double(
        functools.partial(_runs, batch_size=batch_size),
        *arrays,
        settings if converged else {**settings, "time": time},
        dtype=jnp.result_type(*arrays[:3]),
    )


@functools.partial(jax.jit, static_argnames="batch_size")
def _runs(kernel, initial_outputs, targets, selection, settings, *, batch_size):
    width = len(kernel) // len(targets)
    solve = _trained if "time" in settings else _converged

    def run(selection):
        rows = training_rows(selection)
        places = (width * rows[:, None] + jnp.arange(width)).ravel()
        columns = kernel[:, places]
        return solve(columns[places], columns, initial_outputs, targets, rows, **settings)

    return lax.map(run, selection, batch_size=batch_size)


def _trained(kernel, columns, initial_outputs, targets, rows, **settings):
    """All outputs after training on some rows, from the kernel of these and its columns beside all entries."""
    eigen = decomposed(kernel)
    return trained_outputs(eigen, initial_outputs[rows], targets[rows], columns, initial_outputs, **settings)


def _converged(kernel, columns, initial_outputs, targets, rows, *, learning_rate, weight_decay):
    """The same at infinite time: a linear system in place of an eigendecomposition."""
    shifted = kernel + len(rows) * weight_decay * jnp.eye(len(kernel), dtype=kernel.dtype)
    residuals = (targets - initial_outputs)[rows].reshape(len(kernel), -1)
    change = columns @ cho_solve(cho_factor(shifted), residuals)
    return initial_outputs + change.reshape(targets.shape)
