"""What else was tried beside LIMIT: other forms of the predicted gradient, a penalty in its place, and noise alone.

Each loss is that of a batch, as `joint` trains it:

    system = joint(ablations.confusion, (classifier, predictor, PARAMETERS), optimizer)
    state = system.init(classifier_variables, predictor_variables, jnp.eye(num_classes), gradient_weight_decay=0.5)

Settings that change the program are bound by `functools.partial`, those that can differ between models given to `init`.
Means, metrics and errors are those of `limit.loss`, and so are s, q, y and G.

Source: Harutyunyan et al., 2020: the soft regularization and the noise are the paper's, the other forms of their code.
"""

import math
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float

from infotheory_dl import networks
from infotheory_dl._validation import edge, require_choice, require_finite, require_not_negative
from infotheory_dl.label_noise import losses
from infotheory_dl.label_noise._joint import classification_metrics
from infotheory_dl.label_noise._labels import Labels, checked_pair, checked_rows
from infotheory_dl.label_noise.limit import Noise, SurrogateSettings, full_mask, standard_noise, surrogate
from infotheory_dl.training import Metrics, masked_mean
from infotheory_dl.types import AnyArray, Key, Params, Scalar

__all__ = [
    "absolute_error",
    "confusion",
    "free_form",
    "gradient_noise",
    "head",
    "noisy_cross_entropy",
    "penalize",
    "use_label",
]


@edge
def absolute_error(
    classifier_logits: Float[AnyArray, "examples classes"],
    predictor_logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    distribution: Noise = "gaussian",
    **settings: Unpack[SurrogateSettings],
) -> tuple[Float[Array, ""], Metrics]:
    """LIMIT for the gradient of the absolute error: G = (q · s)(s - q), to be near (s · y)(s - y).

    Args:
      classifier_logits, predictor_logits, labels: as in `limit.loss`.
      distribution: nearness is that of squares ("gaussian") or of absolute values ("laplace").
      settings: those of `limit.surrogate`.
    """
    classifier_logits, predictor_logits, targets = checked_pair(classifier_logits, predictor_logits, labels)
    probabilities = lax.stop_gradient(jax.nn.softmax(classifier_logits))

    def gradient(labels: Array) -> Array:
        return (probabilities * labels).sum(-1, keepdims=True) * (probabilities - labels)

    predicted = gradient(jax.nn.softmax(predictor_logits))
    distances = _distances(predicted - gradient(targets), distribution)
    return surrogate(classifier_logits, targets, predicted, distances, distribution=distribution, **settings)


@edge
def head(num_classes: int) -> networks.MLP:
    """The network that makes gradients of what `free_form` and `use_label` give it, with 128 hidden units."""
    return networks.MLP((128,), num_classes)


@edge
def free_form(
    classifier_logits: Float[AnyArray, "examples classes"],
    predictor_logits: Float[AnyArray, "examples classes"],
    head_variables: Params,
    labels: Labels,
    *,
    distribution: Noise = "gaussian",
    **settings: Unpack[SurrogateSettings],
) -> tuple[Float[Array, ""], Metrics]:
    """LIMIT whose prediction has no form given to it: G is the `head` of (s, q), to be near s - y.

    Args:
      classifier_logits, predictor_logits, labels: as in `limit.loss`.
      head_variables: of `head`, for inputs of 2 classes entries.
      distribution: nearness is that of squares ("gaussian") or of absolute values ("laplace").
      settings: those of `limit.surrogate`.
    """
    classifier_logits, predictor_logits, targets = checked_pair(classifier_logits, predictor_logits, labels)
    probabilities = lax.stop_gradient(jax.nn.softmax(classifier_logits))
    both = jnp.concatenate([probabilities, jax.nn.softmax(predictor_logits)], axis=-1)
    predicted = _gradients(head_variables, both, targets)
    distances = _distances(predicted - (probabilities - targets), distribution)
    return surrogate(classifier_logits, targets, predicted, distances, distribution=distribution, **settings)


@edge
def confusion(
    classifier_logits: Float[AnyArray, "examples classes"],
    predictor_logits: Float[AnyArray, "examples classes"],
    confusion_logits: Float[AnyArray, "classes classes"],
    labels: Labels,
    *,
    weight: Scalar = 1.0,
    entropy_weight: Scalar = 0.01,
    **settings: Unpack[SurrogateSettings],
) -> tuple[Float[Array, ""], Metrics]:
    """LIMIT whose predictor speaks of clean labels: G = s - q, with -weight log (q Q)_y + entropy_weight H(q).

    The penalties train the classifier too.

    Args:
      classifier_logits, predictor_logits, labels: as in `limit.loss`.
      confusion_logits: Q is their softmax, row by row, the transition from clean to noisy labels; at first the
        identity matrix.
      weight: of the labels.
      entropy_weight: of the entropy of q, which is to be small.
      settings: those of `limit.surrogate`.
    """
    require_not_negative(weight=weight, entropy_weight=entropy_weight)
    classifier_logits, predictor_logits, targets = checked_pair(classifier_logits, predictor_logits, labels)
    predicted = jax.nn.softmax(classifier_logits) - jax.nn.softmax(predictor_logits)
    noisy = losses.forward_correction(predictor_logits, targets, jax.nn.softmax(jnp.asarray(confusion_logits)))
    entropies = losses.cross_entropy(predictor_logits, jax.nn.softmax(predictor_logits))
    return surrogate(classifier_logits, targets, predicted, noisy * weight + entropies * entropy_weight, **settings)


@edge
def use_label(
    classifier_logits: Float[AnyArray, "examples classes"],
    features: Float[AnyArray, "examples features"],
    head_variables: Params,
    labels: Labels,
    *,
    weight: Scalar = 1.0,
    **settings: Unpack[SurrogateSettings],
) -> tuple[Float[Array, ""], Metrics]:
    """Predicted gradients that know the label: G is the `head` of (features, classifier logits, y).

    The predictor's loss, weight ‖s - y - G‖², and the penalties train the classifier too, and tell it the labels.

    Args:
      classifier_logits, labels: as in `limit.loss`.
      features: outputs of the predictor, which here has no logits of its own.
      head_variables: of `head`, for inputs of features + 2 classes entries.
      weight: of the predictor's loss.
      settings: those of `limit.surrogate`.
    """
    require_not_negative(weight=weight)
    classifier_logits, targets = checked_rows(classifier_logits, labels, name="classifier_logits")
    require_finite(features=features)
    known = jnp.concatenate([jnp.asarray(features), classifier_logits, targets], axis=-1)
    predicted = _gradients(head_variables, known, targets)
    distances = _distances(jax.nn.softmax(classifier_logits) - targets - predicted, "gaussian")
    return surrogate(classifier_logits, targets, predicted, distances * weight, **settings)


@edge
def penalize(
    classifier_outputs: tuple[Float[AnyArray, "examples classes"], Float[AnyArray, "examples features"]],
    predictor_logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    weight: Scalar = 1.0,
    gradient_weight_decay: Scalar = 0.0,
    mask: Bool[AnyArray, " examples"] | None = None,
    key: Key | None = None,
) -> tuple[Float[Array, ""], Metrics]:
    """Soft regularization: cross-entropy, and penalties on the gradient of the last layer's weights.

    With the activation z before the last layer, which has no bias, the actual gradient is (s - y) zᵀ and the predicted
    one (s - q) zᵀ: added are weight ‖z‖² ‖y - q‖² + gradient_weight_decay ‖z‖² ‖s - q‖², which train both networks.

    Args:
      classifier_outputs: the logits, and the activation before the last layer; the classifier's `train` has to make
        them both.
      predictor_logits, labels: as in `limit.loss`.
      weight: of the distance of the predicted from the actual gradient.
      gradient_weight_decay: of the predicted gradient.
      mask: as in `limit.loss`.
      key: as `joint` gives it to every loss; nothing is drawn.

    Returns:
      The total and the metrics of `limit.loss`; `squared_norm` is that of the predicted gradient of the last layer.

    Raises:
      TypeError: if the classifier has only one output; and as in `limit.loss`.
    """
    if not isinstance(classifier_outputs, tuple) or len(classifier_outputs) != 2:
        raise TypeError(
            "the classifier must return its logits and the activation before the last layer,"
            f" got {type(classifier_outputs).__name__}"
        )
    require_not_negative(weight=weight, gradient_weight_decay=gradient_weight_decay)
    classifier_logits, predictor_logits, targets = checked_pair(classifier_outputs[0], predictor_logits, labels)
    mask = full_mask(mask, classifier_logits)
    size = jnp.square(jnp.asarray(classifier_outputs[1])).sum(-1)
    difference = jax.nn.softmax(classifier_logits) - jax.nn.softmax(predictor_logits)
    squared_norm = masked_mean(size * jnp.square(difference).sum(-1), mask)
    predictor_loss = weight * masked_mean(size * losses.mean_squared_error(predictor_logits, targets), mask)
    penalty = gradient_weight_decay * squared_norm
    metrics = classification_metrics(classifier_logits, targets, mask)
    return metrics["loss"] + predictor_loss + penalty, {
        **metrics,
        "predictor_loss": predictor_loss,
        "penalty": penalty,
        "squared_norm": squared_norm,
    }


@edge
def noisy_cross_entropy(
    logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    standard_deviation: Scalar,
    distribution: Noise = "gaussian",
    mask: Bool[AnyArray, " examples"] | None = None,
    key: Key | None = None,
    noise: Float[AnyArray, "examples classes"] | None = None,
) -> tuple[Float[Array, ""], Metrics]:
    """Mean cross-entropy whose gradient with respect to the logits of n examples is (s - y) / n + noise.

    The noise is not divided by n: beside the summed gradients of LIMIT the same noise is n times smaller.

    Args:
      logits, labels: as in `losses.cross_entropy`.
      standard_deviation: of the noise, in either distribution.
      distribution: "gaussian" or "laplace".
      mask, key, noise: as in `limit.loss`.

    Returns:
      The total, and the metrics `loss` and `accuracy`.
    """
    require_choice("distribution", distribution, ("gaussian", "laplace"))
    require_not_negative(standard_deviation=standard_deviation)
    logits, targets = checked_rows(logits, labels)
    mask = full_mask(mask, logits)
    spread = standard_deviation / math.sqrt(2) if distribution == "laplace" else standard_deviation
    draws = spread * standard_noise(key, distribution, logits, noise=noise)
    metrics = classification_metrics(logits, targets, mask)
    return metrics["loss"] + jnp.where(mask[:, None], draws * logits, 0).sum(), metrics


@edge
def gradient_noise(standard_deviation: Scalar) -> optax.GradientTransformationExtraArgs:
    """Adds Gaussian noise to the gradient of every parameter; `supervised` and `joint` give it the keys.

        optax.chain(gradient_noise(0.1), optax.adam(1e-3))

    Args:
      standard_deviation: of the noise; with `optax.inject_hyperparams` it can differ between models.

    Raises:
      ValueError: if it is negative or not finite.
    """
    require_not_negative(standard_deviation=standard_deviation)

    def init(params: Params) -> optax.EmptyState:
        return optax.EmptyState()

    def update(
        gradient: Params, state: optax.EmptyState, params: Params | None = None, *, key: Key, **others: Any
    ) -> tuple[Params, optax.EmptyState]:
        normals = optax.tree.random_like(key, gradient, jax.random.normal)
        noisy = jax.tree.map(
            lambda slope, normal: (slope + standard_deviation * normal).astype(slope.dtype), gradient, normals
        )
        return noisy, state

    return optax.GradientTransformationExtraArgs(init, update)


def _gradients(head_variables: Params, inputs: Array, targets: Array) -> Float[Array, "examples classes"]:
    return jnp.asarray(head(targets.shape[-1]).apply(head_variables, inputs))


def _distances(differences: Float[Array, "examples classes"], distribution: Noise) -> Float[Array, " examples"]:
    require_choice("distribution", distribution, ("gaussian", "laplace"))
    return (jnp.abs(differences) if distribution == "laplace" else jnp.square(differences)).sum(-1)
