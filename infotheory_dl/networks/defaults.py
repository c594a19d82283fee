"""Networks for examples of a given shape, where nobody has chosen one."""

import flax.linen as nn

from infotheory_dl._validation import edge
from infotheory_dl.networks.classifiers import CNN, MLP, Convolution
from infotheory_dl.networks.layers import HE, Initialization, Initializer, zeros


def wide_layer(shape: tuple[int, ...]) -> nn.Module:
    """One wide layer with one output: of all untrained networks its tangent kernel tells wrong labels best.

    Args:
      shape: of an example. For an image (height, width, channels) the layer is a convolution with windows of a quarter
        of it, averaged over a 4x4 grid; for a row it is dense.

    Returns:
      The network.

    Raises:
      ValueError: if the shape is another one.
    """
    if not _is_image(shape):
        return MLP((1024,), 1, initialization=HE)
    quarter = max(1, min(shape[:2]) // 4)
    convolution = Convolution(128, kernel_size=min(max(3, quarter | 1), 9), padding="SAME")
    # a large head gives the convolution as large a part in the kernel as the head has
    head = MLP((), 1, initialization=Initialization(_standard_normal, zeros))
    return CNN((convolution,), head, pooling=quarter, initialization=HE)


@edge
def small_classifier(shape: tuple[int, ...], outputs: int, *, smooth: bool = False) -> nn.Module:
    """A network that is quick to train: two convolutions for an image, one hidden layer for a row; see `wide_layer`.

    Args:
      shape: of an example.
      outputs: number of them.
      smooth: whether its units are GELU, for derivatives of its training, and not ReLU.
    """
    activation = nn.gelu if smooth else nn.relu
    if not _is_image(shape):
        return MLP((256,), outputs, initialization=HE, activation=activation)
    first = Convolution(16, kernel_size=5, strides=2, padding="SAME")
    second = Convolution(32, kernel_size=3, strides=2, padding="SAME")
    return CNN((first, second), MLP((), outputs), activation=activation)


def _is_image(shape: tuple[int, ...]) -> bool:
    if len(shape) not in (1, 3) or 0 in shape:
        raise ValueError(f"an example must be a row or an image (height, width, channels), got shape {shape}")
    return len(shape) == 3


def _standard_normal(fan_in: int) -> Initializer:
    return nn.initializers.normal(1.0)
