"""What the recurrent networks learn: cross-entropies of each task, over samples, bins or hours that have a label."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Shaped

from infotheory_dl import metrics
from infotheory_dl._validation import edge
from infotheory_dl.clinical._configurations import HOURLY_TASKS, NUM_LENGTH_CLASSES, SINGLE_TASKS, Configuration
from infotheory_dl.clinical._lengths import classes_of_lengths
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

# Keras': probabilities are cut to [1e-7, 1 - 1e-7], so that nothing is learned beyond them
_LEAST = 1e-7
_LARGEST_LOGIT = float(np.log1p(-_LEAST) - np.log(_LEAST))


@concise
class Targets(NamedTuple):
    """The labels of one task.

    Attributes:
      labels: (stays,) of mortality, 0 or 1; (stays, 25) of phenotyping; (stays,), or (stays, bins) where hours have
        labels, of decompensation, 0 or 1, and of the length of stay: hours, or classes where these are integers.
      mask: which of them count; default all do. What does not may be any finite number.
    """

    labels: Shaped[AnyArray, "stays ..."]
    mask: Bool[AnyArray, "stays ..."] | None = None


@edge
def losses(
    configuration: Configuration,
    outputs: Mapping[str, Float[Array, "stays ..."]],
    targets: Mapping[str, Targets],
    *,
    steps: Bool[AnyArray, "stays bins"] | None = None,
    examples: Bool[AnyArray, " stays"] | None = None,
) -> dict[str, Float[Array, ""]]:
    """The loss of each task, and their sum with the weights of the configuration under "loss".

    Means over hours or bins are over those of the whole batch that count. The mean of mortality among several tasks is
    over all stays, those without a label among them.

    Args:
      configuration: of the network.
      outputs: of the network.
      targets: of each of its tasks.
      steps: bins that the network does not skip, over which a replicated label counts; default all.
      examples: False for stays that only fill up a short batch; default none do.

    Returns:
      By task; of replicated labels also their loss at the end, "mortality_last", and at all bins, "mortality_all".

    Source: Harutyunyan et al., 2019 (LSTM-based models).
    """
    stays = len(next(iter(outputs.values())))
    counted = jnp.ones(stays, bool) if examples is None else jnp.asarray(examples)
    found: dict[str, Array] = {}
    for task in configuration.tasks:
        labels, mask = targets[task]
        logits = outputs[task]
        if task in HOURLY_TASKS and configuration.at_every_bin(task):
            hours = jnp.broadcast_to(counted[:, None], labels.shape) & (True if mask is None else mask)
            found[task] = _mean(_loss(configuration, task, logits, labels), hours)
            continue
        labelled = jnp.ones(stays, bool) if mask is None else jnp.asarray(mask)
        at_end = _loss(configuration, task, end_of(configuration, task, logits), labels)
        found[task] = _mean(jnp.where(labelled, at_end, 0), counted)
        if configuration.supervision == "replicated":
            bins = jnp.broadcast_to(counted[:, None], logits.shape[:2])
            bins = bins if steps is None else bins & steps
            at_all = _loss(
                configuration, task, logits, jnp.broadcast_to(labels[:, None], (*bins.shape, *labels.shape[1:]))
            )
            if task == "mortality" and not configuration.short_stays_replicated:
                bins &= labelled[:, None]
            found[f"{task}_last"], found[f"{task}_all"] = found[task], _mean(at_all, bins)
            share = configuration.replication
            found[task] = (1 - share) * found[f"{task}_last"] + share * found[f"{task}_all"]
    weights = dict(zip(SINGLE_TASKS, configuration.loss_weights, strict=True))
    of_task = lambda task: weights[task] * found[task] if configuration.task == "multitask" else found[task]
    return {"loss": sum(map(of_task, configuration.tasks), start=jnp.zeros(())), **found}


@edge
def probabilities(
    configuration: Configuration, outputs: Mapping[str, Float[AnyArray, "stays ..."]]
) -> dict[str, Float[Array, "stays ..."]]:
    """What the outputs of a network say: probabilities, or hours where the length of stay is a number.

    Args:
      configuration: of the network.
      outputs: of the network.

    Returns:
      By task: (stays,) of mortality, (stays, 25) of phenotyping; of hourly tasks (stays,) or (stays, bins), and of the
      length of stay an axis of classes behind, if it is in classes.
    """
    found = {}
    for task in configuration.tasks:
        logits = jnp.asarray(outputs[task])
        if task not in HOURLY_TASKS:
            logits = end_of(configuration, task, logits)
        if task == "length_of_stay":
            found[task] = jax.nn.softmax(logits) if configuration.length_in_classes else logits[..., 0]
        else:
            shares = jax.nn.sigmoid(logits)
            found[task] = shares if task == "phenotyping" else shares[..., 0]
    return found


@edge
def scores(
    configuration: Configuration,
    outputs: Mapping[str, Float[Array, "stays ..."]],
    targets: Mapping[str, Targets],
) -> dict[str, Float[Array, ""]]:
    """The measures by which the authors chose the best epoch.

    Args:
      configuration: of the network.
      outputs: of the network.
      targets: of each of its tasks.

    Returns:
      By task: the area under the ROC of mortality and decompensation, the linear-weighted kappa of classes of lengths,
      the mean area of the phenotypes that some stay has and another has not. NaN where there is no such pair.

    Source: Harutyunyan et al., 2019; the scripts of the benchmark's repository.
    """
    found = {}
    for task, values in probabilities(configuration, outputs).items():
        labels, mask = targets[task]
        weights = jnp.ones(labels.shape[: labels.ndim - (task == "phenotyping")]) if mask is None else mask
        if task == "phenotyping":
            found[task] = jnp.nanmean(
                metrics.multilabel(_whole(labels), values, weights=weights.astype(float)).per_label
            )
            continue
        weights = weights.ravel().astype(float)
        if task == "length_of_stay":
            classes = values.argmax(-1) if configuration.length_in_classes else classes_of_lengths(values)
            truths = _classes_of(labels)
            found[task] = metrics.cohen_kappa(
                truths.ravel(), classes.ravel(), weights=weights, num_classes=NUM_LENGTH_CLASSES
            )
        else:
            found[task] = metrics.binary(_whole(labels).ravel(), values.ravel(), weights=weights).auroc
    return found


def end_of(configuration: Configuration, task: str, logits: Array) -> Array:
    """The outputs that a label of a whole stay is about: those of the last bin, or of the one that ends at 48 hours."""
    if not configuration.at_every_bin(task):
        return logits
    return logits[:, configuration.mortality_bin if (configuration.task, task) == ("multitask", "mortality") else -1]


def _loss(configuration: Configuration, task: str, logits: Array, labels: AnyArray) -> Array:
    """The loss of each label, or the mean over those of a sample."""
    if task == "length_of_stay":
        if not configuration.length_in_classes:
            return jnp.square(jnp.log1p(jnp.maximum(logits[..., 0], _LEAST)) - jnp.log1p(labels))
        shares = jnp.clip(jax.nn.log_softmax(logits), np.log(_LEAST), np.log1p(-_LEAST))
        return -(shares * jax.nn.one_hot(_classes_of(labels), NUM_LENGTH_CLASSES, dtype=shares.dtype)).sum(-1)
    of_labels = optax.sigmoid_binary_cross_entropy(
        jnp.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT), labels if task == "phenotyping" else labels[..., None]
    )
    return of_labels.mean(-1)


def _classes_of(labels: AnyArray) -> Array:
    is_class = jnp.issubdtype(jnp.result_type(labels), jnp.integer)
    return jnp.asarray(labels) if is_class else classes_of_lengths(jnp.asarray(labels))


def _whole(labels: AnyArray) -> Array:
    return jnp.asarray(labels).astype(int)


def _mean(values: Array, mask: Array) -> Array:
    """Over those that count; zero where none does."""
    return jnp.where(mask, values, 0).sum() / jnp.maximum(mask.sum(), 1)
