"""The papers' networks in PyTorch, for the published programs that train them."""

from typing import Any


def network(outputs: int = 2, *, norm_in_head: bool = False) -> Any:
    """The four-layer CNN in PyTorch; LIMIT's predictor has batch norm in its head as well."""
    from torch import nn

    def convolution(inputs: int, outputs: int, size: int, stride: int, padding: int) -> list[Any]:
        return [nn.Conv2d(inputs, outputs, size, stride, padding), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *convolution(1, 32, 4, 2, 1),
        *convolution(32, 32, 4, 2, 1),
        *convolution(32, 64, 3, 2, 0),
        *convolution(64, 256, 3, 1, 0),
        nn.Flatten(),
        nn.Linear(256, 128),
        *([nn.BatchNorm1d(128)] if norm_in_head else []),
        nn.ReLU(),
        nn.Linear(128, outputs),
    )
