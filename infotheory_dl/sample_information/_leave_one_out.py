"""The information of examples, of groups and of pairs: all removals from one eigendecomposition of the kernel."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from infotheory_dl._precision import in_double
from infotheory_dl._validation import edge
from infotheory_dl.linearization import Dynamics, KernelEigen, kernel_eigen, trained_outputs
from infotheory_dl.linearization.eigen import composed
from infotheory_dl.results import concise
from infotheory_dl.sample_information.problem import Problem, checked_indices, checked_problem
from infotheory_dl.sample_information.removal import (
    Regularization,
    Removal,
    Training,
    TrainingAtAnyTime,
    TrainingSettings,
    remove,
)
from infotheory_dl.types import AnyArray, Scalar


@concise
class LeaveOneOut(NamedTuple):
    """What leaving each of n examples out changes, (without it) minus (with all).

    Attributes:
      weight_change: ‖w_-i - w‖², in squared units of the weights; half of it over sigma² is the sample information in
        nats.
      output_change: ‖f_-i - f‖², mean over the reference inputs, in squared units of the outputs; half of it over
        sigma² is the functional sample information in nats. None without reference inputs.
      output_changes: f_-i - f itself, None without reference inputs.
      residuals: targets minus the predictions for each example by the network trained without it.
    """

    weight_change: Float[Array, " examples"]
    output_change: Float[Array, " examples"] | None
    output_changes: Float[Array, "examples references outputs"] | None
    residuals: Float[Array, "examples outputs"]


@concise
class GroupInformation(NamedTuple):
    """What leaving each of several groups out changes; the attributes are those of `LeaveOneOut`."""

    weight_change: Float[Array, " groups"]
    output_change: Float[Array, " groups"] | None
    output_changes: Float[Array, "groups references outputs"] | None


@concise
class PairwiseRedundancy(NamedTuple):
    """What two examples share: the sum of their squared changes minus that of the pair.

    Attributes:
      weight_change: positive where the examples carry the same information, negative where each needs the other; in
        squared units of the weights.
      output_change: likewise for the outputs, None without reference inputs.
    """

    weight_change: Float[Array, " pairs"]
    output_change: Float[Array, " pairs"] | None


@concise
class TrainingStability(NamedTuple):
    """How far the fit of the other training examples moves when one is left out.

    Attributes:
      output_change: squared norm of the change of the outputs, mean over the n - 1 others, for each time.
      loss_change: squared change of the training loss, mean over the times.
      loss_changes: loss over the others without the example minus the loss over all with it.
    """

    output_change: Float[Array, "times examples"]
    loss_change: Float[Array, " examples"]
    loss_changes: Float[Array, "times examples"]


@edge(half=False)
def leave_one_out(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    reference_kernel: Float[AnyArray, "..."] | None = None,
    *,
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar = 0.0,
    dynamics: Dynamics = "continuous",
    regularization: Regularization = "fixed",
) -> LeaveOneOut:
    """Computes what each example tells a linearized network: all n leave-one-out trainings from one eigendecomposition.

    Args:
      kernel: of the training examples, K = J Jᵀ, or its `kernel_eigen`: (n k, n k), rows example-major; or (n, n)
        shared by all outputs; or (k, n, n), one for each output.
      initial_outputs: of the network before training, f0.
      targets: y, one column for each output.
      reference_kernel: J* Jᵀ between m reference inputs and the training examples, (m k, n k), (m, n) or (k, m, n).
      time: number of full-batch steps, or infinity.
      learning_rate: step size on the mean over the examples of ½‖f - y‖².
      weight_decay: penalty on that mean loss; it shifts the kernel by n weight_decay.
      dynamics: "continuous" (gradient flow) or "discrete" (gradient descent).
      regularization: "fixed" keeps the shift when an example leaves, "rescaled" makes it (n - 1) weight_decay.

    Returns:
      Raw squared norms, changes and leave-one-out residuals.

    Raises:
      ValueError: if shapes do not fit, an argument holds NaN or infinity, the kernel is not positive semi-definite, or
        a setting is out of its range.
      TypeError: if targets are labels and not floating-point columns.
      StepSizeError: if gradient descent diverges; names the largest stable learning rate.
      SingularKernelError: if time is infinite, there is no weight decay and the kernel is singular; or if rounding of
        the kernel may carry a score by more than a thousandth of itself and of the median score. Not under `jit` and
        the like.

    Source: Harutyunyan et al., 2021 (sections 3 and 4); the poles are ours.
    """
    problem = checked_problem(kernel, initial_outputs, targets, reference_kernel)
    return left_out(problem, Training(time, learning_rate, weight_decay, dynamics, regularization))


def left_out(problem: Problem, training: Training) -> LeaveOneOut:
    """The core of `leave_one_out`."""
    removal = remove(problem, np.arange(len(problem.residuals))[:, None], training)
    return LeaveOneOut(
        removal.weight_change,
        mean_square(removal.output_changes),
        removal.output_changes,
        removal.residuals[:, 0],
    )


@edge(half=False)
def coefficient_changes(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    examples: Int[AnyArray, " removed"],
    **training: Unpack[TrainingSettings],
) -> Float[Array, "removed examples outputs"]:
    """Computes the change of the training coefficients a, of weights w0 + Jᵀ a, when each of some examples is left out.

    Args:
      kernel, initial_outputs, targets: as in `leave_one_out`.
      examples: indices of the examples to leave out, each alone.
      **training: time, learning_rate, ... of `leave_one_out`, which see for the errors too.

    Returns:
      The changes; `transposed_jacobian_products` turns them into changes of the weights.
    """
    problem = checked_problem(kernel, initial_outputs, targets, None)
    removed = np.asarray(examples)[:, None]
    (removal,) = _remove_by_size(problem, removed, Training(**training), keep_coefficients=True, dtype=np.float64)
    rows = in_double(_from_eigenbasis, problem.kernel.eigenvectors, removal.coefficients, dtype=problem.dtype)
    return rows if problem.kernel.eigenvalues.ndim > 1 else rows.reshape(-1, *targets.shape)


@jax.jit
@jax.default_matmul_precision("highest")
def _from_eigenbasis(
    vectors: Float[Array, "*outputs rows rank"], coefficients: Float[Array, "removed problems rank"]
) -> Float[Array, "removed rows problems"]:
    return jnp.einsum("krj,xkj->xrk" if vectors.ndim == 3 else "rj,xpj->xrp", vectors, coefficients)


@edge(half=False)
def group_information(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    groups: Sequence[Sequence[int] | Int[AnyArray, " _"]],
    reference_kernel: Float[AnyArray, "..."] | None = None,
    **training: Unpack[TrainingSettings],
) -> GroupInformation:
    """Computes what whole groups tell a linearized network: sources, classes, sets of duplicates.

    Args:
      kernel, initial_outputs, targets, reference_kernel: as in `leave_one_out`.
      groups: indices of the examples of each group; groups may overlap and differ in size.
      **training: time, learning_rate, ... of `leave_one_out`, which see for the errors too.

    Returns:
      Raw squared norms and changes, in the order of the groups.

    Raises:
      ValueError: if a group is empty, names an example twice or one that is absent, or holds all examples.
    """
    problem = checked_problem(kernel, initial_outputs, targets, reference_kernel)
    removals = _remove_by_size(problem, groups, Training(**training))
    sizes = np.array([len(group) for group in groups])
    back = np.argsort(np.argsort(sizes, kind="stable"), kind="stable")
    weight_change = jnp.concatenate([removal.weight_change for removal in removals])[back]
    found = [removal.output_changes for removal in removals if removal.output_changes is not None]
    changes = jnp.concatenate(found)[back] if found else None
    return GroupInformation(weight_change, mean_square(changes), changes)


@edge(half=False)
def pairwise_redundancy(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    pairs: Int[AnyArray, "pairs 2"],
    reference_kernel: Float[AnyArray, "..."] | None = None,
    **training: Unpack[TrainingSettings],
) -> PairwiseRedundancy:
    """Computes how much of the information of two examples is the same: SI(i) + SI(j) - SI({i, j}).

    Args:
      kernel, initial_outputs, targets, reference_kernel: as in `leave_one_out`.
      pairs: indices of two different examples in each row.
      **training: time, learning_rate, ... of `leave_one_out`, which see for the errors too.

    Returns:
      The redundancy of each pair, in the units of the raw squared norms.
    """
    pairs = np.asarray(pairs)
    singles = np.unique(pairs)
    groups = [*singles[:, None], *pairs]
    information = group_information(kernel, initial_outputs, targets, groups, reference_kernel, **training)

    def redundancy(values: Array) -> Array:
        alone, together = values[: len(singles)], values[len(singles) :]
        return alone[np.searchsorted(singles, pairs)].sum(1) - together

    output_change = None if information.output_change is None else redundancy(information.output_change)
    return PairwiseRedundancy(redundancy(information.weight_change), output_change)


@edge(half=False)
def training_stability(
    kernel: Float[AnyArray, "rows rows"] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    *,
    times: Sequence[Scalar] | Real[AnyArray, " times"],
    **training: Unpack[TrainingAtAnyTime],
) -> TrainingStability:
    """Computes how the outputs and the loss on the other training examples change without each example.

    Args:
      kernel, initial_outputs, targets: as in `leave_one_out`; one kernel, for all outputs or shared by them.
      times: numbers of steps.
      **training: learning_rate, ... of `leave_one_out`, which see for the errors too.

    Returns:
      Squared changes of outputs and losses.

    Source: Harutyunyan et al., 2021 (appendix); with weight decay the published code differs and is wrong.
    """
    eigen = kernel if isinstance(kernel, KernelEigen) else kernel_eigen(kernel)
    problem = checked_problem(eigen, initial_outputs, targets, composed(eigen))
    n = len(targets)
    others = 1 - jnp.eye(n, dtype=problem.residuals.dtype)
    output_change, loss_changes = [], []
    for time in times:
        setting = Training(time=time, **training)
        removal = remove(problem, np.arange(n)[:, None], setting)
        changes = removal.output_changes
        assert changes is not None
        fitted = trained_outputs(
            problem.kernel,
            initial_outputs,
            targets,
            time=setting.time,
            learning_rate=setting.learning_rate,
            weight_decay=setting.weight_decay,
            dynamics=setting.dynamics,
        ) - jnp.asarray(targets)
        loss = jnp.square(fitted).sum() / (2 * n)
        loss_without = (others * jnp.square(fitted + changes).sum(-1)).sum(1) / (2 * (n - 1))
        output_change.append((others * jnp.square(changes).sum(-1)).sum(1) / (n - 1))
        loss_changes.append(loss_without - loss)
    stacked = jnp.stack(loss_changes)
    return TrainingStability(jnp.stack(output_change), jnp.square(stacked).mean(0), stacked)


def mean_square(changes: Float[Array, "groups references outputs"] | None) -> Float[Array, " groups"] | None:
    """Squared norms over the outputs, their mean over the reference inputs."""
    return None if changes is None else jnp.square(changes).sum(-1).mean(-1)


def _remove_by_size(
    problem: Problem,
    groups: Sequence[Any] | np.ndarray,
    training: Training,
    *,
    keep_coefficients: bool = False,
    dtype: Any = None,
) -> list[Removal]:
    """Removes the groups of each size together, sizes ascending."""
    n = len(problem.residuals)
    members = [checked_indices(f"group {i}", group, n) for i, group in enumerate(groups)]
    if not members:
        raise ValueError("groups is empty")
    by_size = [np.stack([g for g in members if len(g) == size]) for size in sorted({len(g) for g in members})]
    return [remove(problem, stack, training, keep_coefficients=keep_coefficients, dtype=dtype) for stack in by_size]
