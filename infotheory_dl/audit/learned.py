"""Features that a small network learns on one half of the examples, for the other half.

A network for each half: none of its features has seen the label of an example that it is used for. The linear problem
of the audit has them beside its other features, in columns of their own for either half, and leaves each example out in
closed form.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from infotheory_dl import data, networks, training
from infotheory_dl.linearization.streams import Progress
from infotheory_dl.networks.feature_maps import shrinkage, shrunk
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key, Params

_BATCH_SIZE, _APPLIED_AT_ONCE, _MARGIN = 128, 500, 3
# so many examples, each as often as it comes, but for the most and the fewest epochs
_SEEN, _MOST_EPOCHS, _FEWEST_EPOCHS = 500_000, 30, 5
_RATE, _SMOOTHING = 3e-3, 0.1


@concise
class Learned(NamedTuple):
    """What a network that was trained on one half says of the other.

    Attributes:
      half: which examples it was trained on.
      features: of the others, in their order, of mean zero and variance one.
      held_out: of the examples held out, on the same scale; none where those are audited too.
    """

    half: Bool[np.ndarray, " examples"]
    features: Float[np.ndarray, "others features"]
    held_out: Float[np.ndarray, "held_out features"]


def num_epochs(num_examples: int) -> int:
    """For how many epochs a network is trained on one half of so many examples."""
    return min(max(round(_SEEN / num_examples), _FEWEST_EPOCHS), _MOST_EPOCHS)


def learn(
    key: Key,
    half: Bool[np.ndarray, " examples"],
    inputs: Float[np.ndarray, "examples height width channels"],
    labels: AnyArray,
    num_classes: int,
    held_out: Float[np.ndarray, "held_out height width channels"],
    progress: Progress,
) -> Learned:
    """Trains a network on one half, by the cross-entropy of labels that are smoothed, on images flipped and cropped.

    Args:
      key: of the dictionary, the initial weights and the batches.
      half: which examples to train on.
      inputs: of all examples.
      labels: of all.
      num_classes: number of classes.
      held_out: further examples.
      progress: is told which share of the training is done.
    """
    dictionary_key, init_key, train_key = jax.random.split(key, 3)
    inputs, held_out = _small(inputs), _small(held_out)
    network = networks.PatchNetwork(num_classes)
    patches = networks.image_dictionary(
        dictionary_key, inputs, num_patches=network.body.num_patches, window=network.body.window
    )
    variables = networks.with_dictionary(network.init(init_key, inputs[:1]), patches.params)
    epochs = num_epochs(len(inputs))
    steps = epochs * -(-int(half.sum()) // _BATCH_SIZE)
    rate = optax.warmup_cosine_decay_schedule(_RATE / 10, _RATE, steps // 5, steps, _RATE / 100)
    trained = training.Network(
        network.init, network.apply, networks.augmented(networks.train_fn(network), margin=_MARGIN)
    )
    system = training.supervised(trained, optax.adamw(rate, b2=0.99), _smoothed)
    fitted = training.train(
        train_key,
        system.step,
        system.init(variables),
        (inputs, labels),
        num_epochs=epochs,
        batch_size=_BATCH_SIZE,
        subset=np.flatnonzero(half),
        callback=lambda state: progress(int(state.epoch) / epochs),
        callback_every=1,
    )
    apply_fn = functools.partial(_of_either_side, network)
    of = functools.partial(training.predict, apply_fn, fitted.state.variables, batch_size=_APPLIED_AT_ONCE)
    features = np.asarray(of(inputs[~half]))
    mean, deviation = features.mean(0), features.std(0)
    scale = 1 / np.where(deviation > 0, deviation, 1)
    beside = (np.asarray(of(held_out)) - mean) * scale if len(held_out) else np.zeros((0, features.shape[1]))
    return Learned(half, (features - mean) * scale, beside.astype(features.dtype))


def halves(key: Key, labels: AnyArray) -> Bool[np.ndarray, " examples"]:
    """Draws the first half, with its share of every class."""
    return data.stratified_folds(key, labels, 2) == 0


def columns_of(parts: tuple[Learned, ...], *, held_out: bool) -> Float[np.ndarray, "examples columns"]:
    """Columns of either network: zero where it was trained on the example; of examples held out the mean of both."""
    if held_out:
        return np.concatenate([part.held_out for part in parts], axis=1) / len(parts)
    columns = []
    for part in parts:
        column = np.zeros((len(part.half), part.features.shape[1]), part.features.dtype)
        column[~part.half] = part.features
        columns.append(column)
    return np.concatenate(columns, axis=1)


def _small(images: Float[np.ndarray, "examples height width channels"]) -> Float[np.ndarray, "examples ..."]:
    """Averaged down to some 32 pixels a side, in single precision."""
    images = np.asarray(images, np.float32)
    shrink = shrinkage(images.shape[1:3])
    return images if shrink == 1 or not len(images) else np.asarray(shrunk(jnp.asarray(images), shrink))


def _smoothed(outputs: Array, labels: Array) -> Array:
    targets = optax.smooth_labels(jax.nn.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype), _SMOOTHING)
    return optax.softmax_cross_entropy(outputs, targets)


def _of_either_side(network: networks.PatchNetwork, variables: Params, images: Any) -> Array:
    """Features of images and their mirror images, in the mean."""
    of = lambda values: jnp.asarray(network.apply(variables, values, method="features"))
    return (of(images) + of(images[:, :, ::-1])) / 2
