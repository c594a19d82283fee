"""A predictor of gradients without a second network: each label is predicted from those of all other examples.

The kernel ridge regression of the others' labels predicts the label of an example, and with it the gradient s - q of
its cross-entropy, from everything but the label itself: the linear network that never saw it says q, in closed form,
for all examples from one eigendecomposition. A classifier trained on the targets q is LIMIT without sampling, whose
predictor is this one.

What it bounds and what not. Given the inputs and the labels of the others, the target of an example is independent of
its own label: I(q_i ; y_i | x, y_-i) = 0, so no step tells the weights the label of an example through that example.
The label still is one of the many that predict the other examples, and training on all targets together can betray it:
the matrix that maps labels to targets may well have an inverse. So without noise no bound on I(w : y | x) follows but
that by the entropy of the targets. With Gaussian noise on the targets, drawn once before the training, there is one:
`target_information`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl._precision import in_double
from infotheory_dl._validation import (
    class_labels,
    edge,
    require_count,
    require_not_negative,
    require_positive,
    require_rank,
)
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.label_noise._labels import checked_probabilities
from infotheory_dl.linearization import Calibration, KernelEigen
from infotheory_dl.linearization.calibration import least_loss, noise_model, probabilities
from infotheory_dl.linearization.dynamics import left_out_predictions
from infotheory_dl.linearization.eigen import require_eigen, require_invertible
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels, Key, Scalar


@concise
class LeaveOneOutTargets(NamedTuple):
    """What the labels of all other examples say of each.

    Attributes:
      probabilities: q, of the true class.
      predictions: f, of one-hot labels around their mean 1 / classes, from which q is softmax(sharpness f + bias).
      weight_decay: of the regression.
      calibration: the sharpness, the bias, the share of wrong labels, and how well they fit.
    """

    probabilities: Float[np.ndarray, "examples classes"]
    predictions: Float[np.ndarray, "examples classes"]
    weight_decay: float
    calibration: Calibration


@concise
class TargetInformation(NamedTuple):
    """Bounds on what noisy targets, and all that is computed from them, tell of the labels, in nats.

    Attributes:
      total: on I(w : y | x), over all labels together.
      per_example: on I(w : y_i | x, y_-i), for each label where all others are known.
    """

    total: Float[Array, ""]
    per_example: Float[Array, " examples"]


@edge
def leave_one_out_targets(
    kernel: KernelEigen,
    labels: AnyLabels,
    num_classes: int,
    *,
    weight_decays: Float[AnyArray, " candidates"] | None = None,
    standard_deviation: float = 0.0,
    key: Key | None = None,
) -> LeaveOneOutTargets:
    """Predicts every label from all the others, with no setting left open and no clean label needed.

    The weight decay and the sharpness are those under which the given labels are the most likely
    (`linearization.calibrate`). The squared error, which `select_weight_decay` goes by, decides alike where half of the
    labels are right; where few are, it asks for predictions of nearly nothing.

    Args:
      kernel: of the examples, one row for each: exact or of low rank, such as `mean_kernel_eigen`.
      labels: given labels, in [0, num_classes).
      num_classes: at least 2.
      weight_decays: to choose from, positive; by default 17 that shift the kernel by 0.01 to 100 times its mean
        eigenvalue.
      standard_deviation: of Gaussian noise on the predictions.
      key: its source.

    Returns:
      The targets.

    Raises:
      ValueError: if the kernel has not one row for each label, a label is no class, naming the first, a weight decay is
        not positive, or the noise is negative or has no source.
    """
    require_count(2, num_classes=num_classes)
    require_eigen(kernel)
    given = class_labels(labels, num_classes=num_classes).codes
    if kernel.eigenvectors.shape[-2] != len(given):
        raise ValueError(f"kernel must have a row for each of {len(given)} labels, got {kernel.eigenvectors.shape[-2]}")
    require_not_negative(standard_deviation=standard_deviation)
    candidates = np.logspace(-2, 2, 17) * np.asarray(kernel.eigenvalues, float).sum() / len(given) ** 2
    if weight_decays is not None:
        require_rank("weight_decays", weight_decays, 1, "(candidates,)")
        require_positive(weight_decays=weight_decays)
        candidates = np.asarray(weight_decays, float)
    dtype = jnp.result_type(kernel.dtype)
    centred = jnp.asarray(centred_targets(given, num_classes, dtype=dtype))
    of_all = in_double(_predictions, kernel, centred, candidates, dtype=dtype)
    if standard_deviation > 0:
        if key is None:
            raise ValueError("noise on the targets needs a key")
        of_all += standard_deviation * jax.random.normal(key, centred.shape, dtype)
    best = int(np.argmin([least_loss(predictions, given) for predictions in np.asarray(of_all, float)]))
    predictions = np.asarray(of_all[best])
    calibration = noise_model(predictions.astype(float), given).calibration
    return LeaveOneOutTargets(
        probabilities(predictions, calibration), predictions, float(candidates[best]), calibration
    )


@edge
def target_information(
    kernel: KernelEigen,
    label_distributions: Float[AnyArray, "examples classes"],
    *,
    weight_decay: Scalar,
    standard_deviation: Scalar,
) -> TargetInformation:
    """Bounds I(w : y | x) for weights that are trained on leave-one-out predictions with Gaussian noise.

    The predictions are M y with a matrix M of the inputs alone. For labels that are independent given the inputs, with
    the variances D_c of the indicators of class c, I(y ; M y + noise) is at most
    sum_c ½ log det(1 + M D_c Mᵀ / variance): the classes separately, a Gaussian in the place of each. What is computed
    from the noisy predictions afterwards, be it their softmax or the weights, knows no more.

    It holds for a weight decay that was fixed before the labels were seen, and targets that depend on the labels
    through the noisy predictions alone. For the weight decay and the sharpness that `leave_one_out_targets` chooses by
    the same labels it is an estimate.

    Args:
      kernel: of the examples, one row for each.
      label_distributions: of each label given its input, such as the rows of the transition matrix for the clean
        classes.
      weight_decay: of the regression.
      standard_deviation: of the noise, positive.

    Returns:
      The bounds.

    Raises:
      ValueError: if the kernel has not one row for each distribution, the rows are not distributions, or the noise is
        not positive.
      SingularKernelError: if there is no weight decay and the kernel is singular.

    Source: ours; the capacity of a Gaussian channel is Shannon's, 1948.
    """
    distributions = jnp.asarray(checked_probabilities(label_distributions))
    num_examples = len(distributions)
    if kernel.eigenvectors.shape[-2] != num_examples:
        raise ValueError(
            f"kernel must have a row for each of {num_examples} distributions, got {kernel.eigenvectors.shape[-2]}"
        )
    require_positive(standard_deviation=standard_deviation)
    require_eigen(kernel)
    require_invertible(kernel, num_examples * weight_decay)
    dtype = jnp.result_type(kernel.dtype)
    return in_double(_channel_information, kernel, distributions, weight_decay, standard_deviation, dtype=dtype)


@jax.jit
def _predictions(
    kernel: KernelEigen, targets: Float[Array, "examples classes"], weight_decays: Float[Array, " candidates"]
) -> Float[Array, "candidates examples classes"]:
    return lax.map(lambda weight_decay: left_out_predictions(kernel, targets, weight_decay), weight_decays)


@jax.jit
@jax.default_matmul_precision("highest")
def _channel_information(
    kernel: KernelEigen,
    distributions: Float[Array, "examples classes"],
    weight_decay: Scalar,
    standard_deviation: Scalar,
) -> TargetInformation:
    identity = jnp.eye(len(distributions), dtype=distributions.dtype)
    scaled = left_out_predictions(kernel, identity, weight_decay) / standard_deviation
    variances = distributions * (1 - distributions)

    def of_class(variance: Array) -> Array:
        return jnp.linalg.slogdet(identity + (scaled * variance) @ scaled.T)[1] / 2

    gains = jnp.square(scaled).sum(0)[:, None] * variances
    return TargetInformation(lax.map(of_class, variances.T).sum(), jnp.log1p(gains).sum(-1) / 2)
