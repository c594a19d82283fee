"""Co-teaching: two classifiers, each of which learns from the examples that are easy for the other."""

from collections.abc import Sequence

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from infotheory_dl._validation import edge, require_count, require_within
from infotheory_dl.label_noise._joint import JointState, classification_metrics, joint
from infotheory_dl.label_noise._labels import Labels, checked_pair
from infotheory_dl.label_noise.limit import full_mask
from infotheory_dl.label_noise.losses import cross_entropy
from infotheory_dl.training import AnyNetwork, Batch, Metrics, System
from infotheory_dl.types import AnyArray, Key, Params, Scalar

__all__ = ["co_teaching", "loss"]


@edge
def loss(
    classifier_logits: Float[AnyArray, "examples classes"],
    peer_logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    forget_rate: Scalar,
    mask: Bool[AnyArray, " examples"] | None = None,
    key: Key | None = None,
) -> tuple[Float[Array, ""], Metrics]:
    """Cross-entropy of both classifiers, of each over the examples whose labels surprise the other least.

    Args:
      classifier_logits: of the first classifier.
      peer_logits: of the second.
      labels: classes (examples,), or one distribution over the classes for each example.
      forget_rate: share of the examples that are left out, in [0, 1); the paper's is that of wrong labels.
      mask: the examples that count; default all.
      key: not needed: nothing is drawn.

    Returns:
      The sum of the two means, in nats; the `loss` and the `accuracy` of the first classifier on all examples.

    Raises:
      ValueError: if the shapes do not fit, a label is no class, naming the first, or the share does not lie in [0, 1).
    """
    require_within("[0, 1)", forget_rate=forget_rate)
    classifier_logits, peer_logits, targets = checked_pair(classifier_logits, peer_logits, labels, other="peer_logits")
    mask = full_mask(mask, targets)
    kept = jnp.round((1 - forget_rate) * mask.sum())
    losses = [cross_entropy(logits, targets) for logits in (classifier_logits, peer_logits)]
    easy = [jnp.where(mask, values, jnp.inf).argsort().argsort() < kept for values in losses]
    total = sum(
        jnp.where(chosen & mask, values, 0).sum() for values, chosen in zip(losses, reversed(easy), strict=True)
    ) / jnp.maximum(kept, 1)
    return total, classification_metrics(classifier_logits, targets, mask)


@edge
def co_teaching(
    networks: Sequence[AnyNetwork],
    optimizer: optax.GradientTransformation,
    *,
    growth_steps: int = 0,
    evaluation_batch_size: int | None = None,
) -> System:
    """The system that trains two classifiers on `loss`, from data `(inputs, labels)`.

    A step reports what `joint` reports, an evaluation the cross-entropy (`loss`) and the `accuracy` of the first alone.

    Args:
      networks: both classifiers, see `training.as_network`.
      optimizer: of optax; each network has a state of its own of it.
      growth_steps: over how many steps the share that is left out grows from none to the `forget_rate`.
      evaluation_batch_size: examples per call of the classifier in an evaluation; default all.

    Returns:
      The functions of the system. `init(*variables, forget_rate=0.2)` takes the variables of both networks, which have
      to differ for the two to learn from each other, and the share, which can differ between models.

    Raises:
      ValueError: if the steps are negative; from `init`, if there are not the variables of two networks or the share
        does not lie in [0, 1).

    Source: Han et al., 2018 (NeurIPS), Algorithm 1, its share by steps instead of epochs.
    """
    require_count(0, growth_steps=growth_steps)
    system = joint(loss, networks, optimizer, evaluation_batch_size=evaluation_batch_size)

    def init(*variables: Params, forget_rate: Scalar = 0.2) -> JointState:
        require_within("[0, 1)", forget_rate=forget_rate)
        return system.init(*variables, forget_rate=forget_rate)

    def step(state: JointState, batch: Batch, key: Key) -> tuple[JointState, Metrics]:
        grown = jnp.minimum(state.steps / growth_steps, 1) if growth_steps else 1
        share = {"forget_rate": state.settings["forget_rate"] * grown}
        moved, metrics = system.step(state._replace(settings=share), batch, key)
        return moved._replace(settings=state.settings), metrics

    return System(init, step, system.evaluate)
