"""What predictions say of labels: the margin of the given one, now or over a training; how often it is forgotten."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import class_codes, edge, require_finite, require_not_empty, require_rank
from infotheory_dl.types import AnyArray, AnyLabels


@edge
def label_margins(predictions: Float[AnyArray, "examples classes"], labels: AnyLabels) -> Float[Array, " examples"]:
    """Computes how much the prediction for the given label exceeds the largest other.

    Args:
      predictions: outputs that never saw the label of their own example, such as `leave_one_out_predictions`; a single
        column speaks for label 1 above its middle ½.
      labels: given labels, in [0, classes).

    Returns:
      The margins: the lower, the more suspect the label.

    Raises:
      ValueError: if the shapes do not fit or a label is out of range.

    Source: Northcutt, Jiang and Chuang, 2021 (normalized margin, of probabilities).
    """
    require_rank("predictions", predictions, 2, "(examples, classes)")
    require_finite(predictions=predictions)
    predictions = jnp.asarray(predictions)
    if predictions.shape[1] == 1:
        predictions = jnp.concatenate([1 - predictions, predictions], axis=1)
    num_examples, num_classes = predictions.shape
    codes = class_codes(labels, num_classes=num_classes, num_examples=num_examples)
    return margins(predictions, jax.nn.one_hot(codes, num_classes, dtype=bool))


@edge
def area_under_margin(
    logits: Float[AnyArray, "epochs examples classes"], labels: AnyLabels
) -> Float[Array, " examples"]:
    """Averages over the epochs the logit of the label minus the largest other logit.

    Args:
      logits: logged in training, at least two classes.
      labels: the classes that were trained on, in [0, classes).

    Returns:
      The area under the margin: low or negative for wrong labels.

    Raises:
      ValueError: if the shapes do not fit, a label is out of range, or a logit is NaN or infinite.

    Source: Pleiss et al., 2020.
    """
    logits, codes = checked_log(logits, labels)
    return margins(logits, jax.nn.one_hot(codes, logits.shape[-1], dtype=bool)).mean(0)


@edge
def forgetting_events(correct: Bool[AnyArray, "epochs examples"]) -> Int[Array, " examples"]:
    """Counts how often each example turns from right to wrong between one epoch and the next.

    Args:
      correct: whether the label that was trained on was predicted, after every epoch.

    Returns:
      The counts: high for atypical examples and wrong labels. An example that is never right counts as many events as
      there are epochs, more than any other can.

    Raises:
      ValueError: if the history is empty.

    Source: Toneva et al., 2019 (section 3).
    """
    require_rank("correct", correct, 2, "(epochs, examples)")
    require_not_empty(correct=correct)
    return forgettings(jnp.asarray(correct))


def checked_log(logits: AnyArray, labels: AnyLabels) -> tuple[Array, Array]:
    """Checks logits of every epoch and the labels, and returns them as arrays of JAX."""
    require_rank("logits", logits, 3, "(epochs, examples, classes)")
    require_finite(logits=logits)
    epochs, num_examples, num_classes = jnp.shape(logits)
    if epochs < 1 or num_examples < 1 or num_classes < 2:
        raise ValueError(f"logits must be of an epoch, an example and two classes at least, got {jnp.shape(logits)}")
    codes = class_codes(labels, num_classes=num_classes, num_examples=num_examples)
    return jnp.asarray(logits), jnp.asarray(codes)


def margins(
    outputs: Float[Array, "*epochs examples classes"], given: Bool[Array, "examples classes"]
) -> Float[Array, "*epochs examples"]:
    """The output for the given class, of which there is a mask, minus the largest other."""
    largest = functools.partial(jnp.max, outputs, axis=-1, initial=-jnp.inf)
    return largest(where=given) - largest(where=~given)


def forgettings(correct: Bool[Array, "epochs examples"]) -> Int[Array, " examples"]:
    """The core of `forgetting_events`."""
    return jnp.where(correct.any(0), (correct[:-1] & ~correct[1:]).sum(0), len(correct))
