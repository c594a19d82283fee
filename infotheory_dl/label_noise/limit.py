"""LIMIT: a classifier that is trained only with gradients that a second network predicts from the inputs.

The labels reach the classifier's weights through the predictor alone. In what follows s = softmax(classifier logits),
q = softmax(predictor logits), y is the label as a distribution, s - y the gradient of the cross-entropy with respect to
the classifier's logits and G = s - q its prediction.

Without sampling the classifier is a student of the predictor: its gradient is that of the cross-entropy with q for
labels. The predictor is trained on the noisy labels, and drawn to the classifier by the penalty on G.
"""

import functools
from typing import Literal, TypedDict

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float

from infotheory_dl._validation import (
    edge,
    require_choice,
    require_finite,
    require_not_negative,
    require_positive,
    require_shape,
)
from infotheory_dl.label_noise import losses
from infotheory_dl.label_noise._joint import JointState, classification_metrics, joint
from infotheory_dl.label_noise._labels import Labels, checked_pair
from infotheory_dl.training import AnyNetwork, Metrics, System, masked_mean
from infotheory_dl.types import AnyArray, Key, Params, Scalar

__all__ = [
    "Distribution",
    "Noise",
    "Scale",
    "SurrogateSettings",
    "full_mask",
    "limit",
    "loss",
    "standard_noise",
    "surrogate",
]

Distribution = Literal["gaussian", "laplace", "cross_entropy", "dot"]
Noise = Literal["gaussian", "laplace"]
Scale = Literal["sum", "mean"]


class SurrogateSettings(TypedDict, total=False):
    """What a loss that predicts gradients in its own way hands on to `surrogate`, which see."""

    gradient_weight_decay: Scalar
    gradient_l1_penalty: Scalar
    sample: bool
    noise_scale: Scalar
    scale: Scale
    mask: Bool[AnyArray, " examples"] | None
    key: Key | None
    noise: Float[AnyArray, "examples classes"] | None


_PREDICTOR_LOSSES = {
    # s cancels out of the distance of s - q from s - y
    "gaussian": losses.mean_squared_error,
    "laplace": losses.mean_absolute_error,
    "cross_entropy": losses.cross_entropy,
}


@edge
def loss(
    classifier_logits: Float[AnyArray, "examples classes"],
    predictor_logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    distribution: Distribution = "gaussian",
    gradient_weight_decay: Scalar = 0.0,
    gradient_l1_penalty: Scalar = 0.0,
    sample: bool = False,
    noise_scale: Scalar = 1.0,
    detach: bool = True,
    scale: Scale = "sum",
    mask: Bool[AnyArray, " examples"] | None = None,
    key: Key | None = None,
    noise: Float[AnyArray, "examples classes"] | None = None,
) -> tuple[Float[Array, ""], Metrics]:
    """The loss of a batch whose gradient trains the classifier on predicted gradients, and the predictor.

    Args:
      classifier_logits: of at least two classes.
      predictor_logits: likewise.
      labels: noisy classes in [0, classes), or distributions over them; only the predictor sees them.
      distribution: that of the gradient around its prediction, whose cross-entropy trains the predictor: "gaussian" is
        ‖q - y‖², "laplace" ‖q - y‖₁, "cross_entropy" -y · log q, "dot" -G · (s - y); means over the examples.
      gradient_weight_decay: weight of the mean of ‖G‖². It bounds what the labels can tell the weights in a step.
      gradient_l1_penalty: weight of the mean of ‖G‖₁.
      sample: whether the classifier is trained with a draw around G instead of G; the penalties never are.
      noise_scale: precision of the draw, positive: its variance is 1 / (2 noise_scale) in the Gaussian case, in the
        Laplacian one its mean absolute value is 1 / noise_scale. It matters to a draw alone.
      detach: whether the penalties leave the classifier alone, so that only the predictor is drawn to it.
      scale: "sum" adds the predicted gradients of the examples up, as in the published experiments; "mean" divides by
        their number, as the gradient of a mean loss is.
      mask: False where a row only fills up a short batch and does not count.
      key: source of the draw.
      noise: instead of it, standard normal or standard Laplacian draws.

    Returns:
      The total, whose gradient counts and whose value does not, for a part of it is linear in the logits; and metrics,
      means over the examples:
        `loss`, the cross-entropy of the classifier with the given labels, which is not what is minimized;
        `accuracy`, of the classifier on the given labels;
        `predictor_loss`, by the distribution;
        `penalty`, both penalties with their weights;
        `squared_norm`, ‖G‖². Where Gaussian draws are used, a step on n examples tells the weights at most
        n `channel_capacity(squared_norm, variance=1 / (2 noise_scale), dimension=classes)` nats about the labels.

    Raises:
      ValueError: if the shapes do not fit, a number is NaN or infinite, a label is neither a class nor a distribution,
        naming the first, a penalty is negative, the noise_scale of a draw is not positive, or a draw has no source or
        is asked of a distribution that is not one of gradients.

    Source: Harutyunyan et al., 2020 (section 4); "dot", the penalty by ‖G‖₁ and `detach=False` are of their code alone.
    """
    require_choice("distribution", distribution, ("gaussian", "laplace", "cross_entropy", "dot"))
    classifier_logits, predictor_logits, targets = checked_pair(classifier_logits, predictor_logits, labels)
    probabilities, guess = jax.nn.softmax(classifier_logits), jax.nn.softmax(predictor_logits)
    constant = lax.stop_gradient(probabilities)
    if distribution == "dot":
        predictor_losses = -((constant - guess) * (constant - targets)).sum(-1)
    else:
        predictor_losses = _PREDICTOR_LOSSES[distribution](predictor_logits, targets)
    return surrogate(
        classifier_logits,
        targets,
        (constant if detach else probabilities) - guess,
        predictor_losses,
        distribution=distribution,
        gradient_weight_decay=gradient_weight_decay,
        gradient_l1_penalty=gradient_l1_penalty,
        sample=sample,
        noise_scale=noise_scale,
        scale=scale,
        mask=mask,
        key=key,
        noise=noise,
    )


@edge
def limit(
    classifier: AnyNetwork,
    predictor: AnyNetwork,
    optimizer: optax.GradientTransformation,
    *,
    distribution: Distribution = "gaussian",
    sample: bool = False,
    detach: bool = True,
    scale: Scale = "sum",
    warm_up_steps: int = 0,
    evaluation_batch_size: int | None = None,
) -> System:
    """The system that trains a classifier on predicted gradients, from data `(inputs, labels)`.

    A step reports the metrics of `loss` before the update, and its `total`; an evaluation the cross-entropy (`loss`)
    and the `accuracy` of the classifier alone.

    Args:
      classifier: see `training.as_network`; its outputs are logits.
      predictor: likewise; it may be the same.
      optimizer, warm_up_steps, evaluation_batch_size: as in `joint`.
      distribution, sample, detach, scale: as in `loss`.

    Returns:
      The functions of the system. `init(classifier_variables, predictor_variables, gradient_weight_decay=0.0,
      gradient_l1_penalty=0.0, noise_scale=1.0)` makes these settings leaves of the state, a `JointState`, which can
      differ between models. A predictor that is to start from a trained classifier is given its variables, the moments
      of batch norm among them.

    Raises:
      ValueError: if a setting is impossible, see `loss` and `joint`.
    """
    require_choice("distribution", distribution, ("gaussian", "laplace", "cross_entropy", "dot"))
    require_choice("scale", scale, ("sum", "mean"))
    _require_sampling(sample, distribution)
    system = joint(
        functools.partial(loss, distribution=distribution, sample=sample, detach=detach, scale=scale),
        (classifier, predictor),
        optimizer,
        warm_up_steps=warm_up_steps,
        evaluation_batch_size=evaluation_batch_size,
    )

    def init(
        classifier_variables: Params,
        predictor_variables: Params,
        *,
        gradient_weight_decay: Scalar = 0.0,
        gradient_l1_penalty: Scalar = 0.0,
        noise_scale: Scalar = 1.0,
    ) -> JointState:
        _require_sampling(sample, distribution, noise_scale)
        return system.init(
            classifier_variables,
            predictor_variables,
            gradient_weight_decay=gradient_weight_decay,
            gradient_l1_penalty=gradient_l1_penalty,
            noise_scale=noise_scale,
        )

    return system._replace(init=init)


@edge
def surrogate(
    classifier_logits: Float[Array, "examples classes"],
    targets: Float[Array, "examples classes"],
    predicted: Float[Array, "examples classes"],
    predictor_losses: Float[Array, " examples"],
    *,
    distribution: Distribution = "gaussian",
    gradient_weight_decay: Scalar = 0.0,
    gradient_l1_penalty: Scalar = 0.0,
    sample: bool = False,
    noise_scale: Scalar = 1.0,
    scale: Scale = "sum",
    mask: Bool[AnyArray, " examples"] | None = None,
    key: Key | None = None,
    noise: Float[AnyArray, "examples classes"] | None = None,
) -> tuple[Float[Array, ""], Metrics]:
    """The loss of a batch for gradients that are predicted in any way.

    Args:
      classifier_logits: what the gradients are those of.
      targets: labels as distributions.
      predicted: the gradients G; what their penalties shall not move has to be constant in them.
      predictor_losses: of each example; what trains the predictor.
      distribution, gradient_weight_decay, gradient_l1_penalty, sample, noise_scale, scale, mask, key, noise: as in
        `loss`, which see for the result and the errors too.
    """
    require_choice("scale", scale, ("sum", "mean"))
    require_not_negative(gradient_weight_decay=gradient_weight_decay, gradient_l1_penalty=gradient_l1_penalty)
    _require_sampling(sample, distribution, noise_scale)
    mask = full_mask(mask, classifier_logits)

    gradient = predicted
    if sample:
        spread = 1 / noise_scale if distribution == "laplace" else jnp.sqrt(1 / (2 * noise_scale))
        gradient = predicted + spread * standard_noise(key, distribution, classifier_logits, noise=noise)
    along_gradient = jnp.where(mask[:, None], lax.stop_gradient(gradient) * classifier_logits, 0).sum()
    if scale == "mean":
        along_gradient /= mask.sum()

    predictor_loss = masked_mean(predictor_losses, mask)
    squared_norm = masked_mean(jnp.square(predicted).sum(-1), mask)
    penalty = gradient_weight_decay * squared_norm
    penalty += gradient_l1_penalty * masked_mean(jnp.abs(predicted).sum(-1), mask)
    return along_gradient + predictor_loss + penalty, {
        **classification_metrics(classifier_logits, targets, mask),
        "predictor_loss": predictor_loss,
        "penalty": penalty,
        "squared_norm": squared_norm,
    }


@edge
def standard_noise(
    key: Key | None,
    distribution: Distribution,
    logits: Float[Array, "examples classes"],
    *,
    noise: Float[AnyArray, "examples classes"] | None,
) -> Float[Array, "examples classes"]:
    """Standard normal or standard Laplacian draws for the logits.

    Args:
      key: their source, where they are not given.
      distribution: Laplacian for "laplace", else normal.
      logits: whose shape and dtype they have.
      noise: the draws, if they are given.
    """
    if noise is not None:
        require_shape("noise", noise, logits.shape, "that of the logits")
        require_finite(noise=noise)
        return jnp.asarray(noise, logits.dtype)
    if key is None:
        raise ValueError("a draw needs a key, or the noise itself")
    draw = jax.random.laplace if distribution == "laplace" else jax.random.normal
    return draw(key, logits.shape, logits.dtype)


@edge
def full_mask(
    mask: Bool[AnyArray, " examples"] | None, logits: Float[Array, "examples classes"]
) -> Bool[Array, " examples"]:
    """The mask, by default of all examples."""
    if mask is None:
        return jnp.ones(len(logits), bool)
    require_shape("mask", mask, logits.shape[:1], "one for each example")
    return jnp.asarray(mask)


def _require_sampling(sample: bool, distribution: Distribution, noise_scale: Scalar = 1.0) -> None:
    if not sample:
        return
    if distribution not in ("gaussian", "laplace"):
        raise ValueError(f"gradients are drawn from 'gaussian' or 'laplace', {distribution!r} is not a distribution")
    require_positive(noise_scale=noise_scale)
