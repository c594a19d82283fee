"""The scores of an audit: what each example tells networks that are linearized before any training."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from infotheory_dl import data, networks
from infotheory_dl._validation import require_choice
from infotheory_dl.audit.examples import Examples
from infotheory_dl.linearization import KernelEigen, empirical_kernel
from infotheory_dl.networks.layers import Initialization, Initializer, zeros
from infotheory_dl.sample_information import label_margins, leave_one_out
from infotheory_dl.types import Key, Scalar

NetworkName = Literal["auto", "mlp", "cnn"]


class Kernels(NamedTuple):
    """Tangent kernels of one network, or their mean over several.

    Attributes:
      audited: between the audited examples.
      held_out: between the held-out examples and the audited ones.
    """

    audited: Float[np.ndarray, "examples examples"]
    held_out: Float[np.ndarray, "held_out examples"]


class Scores(NamedTuple):
    """What an audit says of every example.

    Attributes:
      function: mean squared change of the outputs on the held-out examples when the example is left out, the
        functional sample information.
      weights: squared change of the weights, the sample information.
      margins: prediction for the given label minus the largest other, by the network trained without the example: the
        lower, the more suspect the label.
      predictions: the predictions themselves, close to 1 for a class that is certain and to 0 for the others.
    """

    function: Float[np.ndarray, "*times examples"]
    weights: Float[np.ndarray, "*times examples"]
    margins: Float[np.ndarray, "*times examples"]
    predictions: Float[np.ndarray, "*times examples classes"]


def linearized_network(name: NetworkName, inputs: Float[np.ndarray, "examples *features"]) -> nn.Module:
    """The network of one output whose kernel is taken, untrained: one wide layer tells wrong labels best.

    For images it is a convolution with windows of a quarter of the image, averaged over a 4x4 grid.
    """
    if not sees_images(name, inputs):
        return networks.MLP((1024,), 1, initialization=networks.HE)
    quarter = max(1, min(inputs.shape[1:3]) // 4)
    convolution = networks.Convolution(128, kernel_size=min(max(3, quarter | 1), 9), padding="SAME")
    # a large head gives the convolution as large a part in the kernel as the head has
    head = networks.MLP((), 1, initialization=Initialization(_standard_normal, zeros))
    return networks.CNN((convolution,), head, pooling=quarter, initialization=networks.HE)


def trained_network(name: NetworkName, inputs: Float[np.ndarray, "examples *features"], outputs: int) -> nn.Module:
    """The network that is really trained, with one output for each class: small and quick."""
    if not sees_images(name, inputs):
        return networks.MLP((256,), outputs, initialization=networks.HE)
    first = networks.Convolution(16, kernel_size=5, strides=2, padding="SAME")
    second = networks.Convolution(32, kernel_size=3, strides=2, padding="SAME")
    return networks.CNN((first, second), networks.MLP((), outputs))


def sees_images(name: NetworkName, inputs: Float[np.ndarray, "examples *features"]) -> bool:
    """Whether the network of that name is a CNN on these inputs; "auto" is one on images.

    Raises:
      ValueError: if the name is unknown, or a CNN is asked for where there are no images.
    """
    require_choice("network", name, ("auto", "mlp", "cnn"))
    if name == "cnn" and inputs.ndim != 4:
        raise ValueError(f"network='cnn' needs images (examples, height, width[, channels]), got shape {inputs.shape}")
    return name != "mlp" and inputs.ndim == 4


def mean_kernels(key: Key, network: nn.Module, examples: Examples, num_networks: int) -> Kernels:
    """The mean of the tangent kernels of several networks of one output, each at its own random weights."""
    inputs, held_out = examples.inputs, examples.held_out_inputs
    total = Kernels(np.zeros(()), np.zeros(()))
    for network_key in jax.random.split(key, num_networks):
        params = network.init(network_key, inputs[:1])
        audited = empirical_kernel(network.apply, params, inputs)
        across = empirical_kernel(network.apply, params, held_out, inputs)
        total = Kernels(total.audited + np.asarray(audited), total.held_out + np.asarray(across))
    return Kernels(total.audited / num_networks, total.held_out / num_networks)


def centred_targets(labels: np.ndarray, num_classes: int) -> Float[np.ndarray, "examples classes"]:
    """One-hot rows whose mean over balanced classes is zero, as the outputs of the centred networks are."""
    return data.one_hot(labels, num_classes, dtype=np.float64) - 1 / num_classes


def score(
    eigen: KernelEigen,
    held_out_kernel: Float[np.ndarray, "held_out examples"],
    labels: np.ndarray,
    num_classes: int,
    *,
    times: Sequence[Scalar],
    learning_rate: Scalar,
    weight_decay: Scalar,
) -> Scores:
    """Scores every example at each time, from one eigendecomposition shared by all classes; outputs start at zero."""
    targets = jnp.asarray(centred_targets(labels, num_classes))
    by_time = []
    for time in times:
        result = leave_one_out(
            eigen,
            jnp.zeros_like(targets),
            targets,
            held_out_kernel,
            time=time,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
        )
        predictions = targets - result.residuals + 1 / num_classes
        margins = label_margins(predictions, labels)
        by_time.append((result.predictions, result.weights, margins, predictions))
    return Scores(*(np.stack([np.asarray(value) for value in values]) for values in zip(*by_time, strict=True)))


def _standard_normal(fan_in: int) -> Initializer:
    return nn.initializers.normal(1.0)
