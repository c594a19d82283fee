"""What the published code of LIMIT does, plainly, to be timed beside ours: a step, an epoch, Fano's bound.

Written from the description of what it computes and in which order; the networks need PyTorch.

Source: Harutyunyan et al., 2020.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from benchmarks.peers.pytorch import network

Method = Literal["cross-entropy", "LIMIT"]

GRADIENT_WEIGHT_DECAY = 10.0
"""Weight of the penalty on the predicted gradients, here and beside it."""


class Protocol(NamedTuple):
    """The two halves of an epoch, each with its networks and their optimizer inside.

    Attributes:
      train: one pass over the training set.
      validate: one over the validation images, by all networks; returns the accuracy of the classifier.
    """

    train: Callable[[], None]
    validate: Callable[[], float]


def training_steps(method: Method, size: int, number: int) -> Callable[[], None]:
    """Steps of Adam on a batch of random images, the gradient distribution being Laplacian."""
    import torch

    step, _ = _system(method)
    images = torch.randn(size, 1, 28, 28, device=_device())
    labels = torch.randint(0, 10, (size,), device=_device())

    def steps() -> None:
        for _ in range(number):
            step(images, labels)
        _wait()

    return steps


def protocol(
    method: Method,
    training: tuple[Float[np.ndarray, "examples 28 28 1"], Int[np.ndarray, " examples"]],
    validation: tuple[Float[np.ndarray, "others 28 28 1"], Int[np.ndarray, " others"]],
    *,
    batch_size: int,
) -> Protocol:
    """The published epochs: loaders that put every batch together from single examples."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    def loader(data: tuple[np.ndarray, np.ndarray], *, shuffle: bool) -> Iterable[tuple[Any, Any]]:
        images, labels = data
        tensors = torch.tensor(images).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels, dtype=torch.long)
        return DataLoader(TensorDataset(*tensors), batch_size, shuffle=shuffle)

    step, networks = _system(method)
    training_loader, validation_loader = loader(training, shuffle=True), loader(validation, shuffle=False)

    def train() -> None:
        for images, labels in training_loader:
            step(images.to(_device()), labels.to(_device()))
        _wait()

    def validate() -> float:
        networks.eval()
        accuracies = []
        with torch.no_grad():
            for images, labels in validation_loader:
                classifier_logits, *_ = [network(images.to(_device())) for network in networks]
                accuracies.append((classifier_logits.argmax(1).cpu() == labels).float().mean().item())
        networks.train()
        return float(np.mean(accuracies))

    return Protocol(train, validate)


def fano_error(
    noise_distribution: Float[np.ndarray, " classes"], information: Float[np.ndarray, " curve"]
) -> Float[np.ndarray, " curve"]:
    """Fano's bound on the training error, in nats: the first of a thousand error rates that is large enough."""
    entropy = -sum(p * math.log(p) for p in noise_distribution if p > 0)
    others = math.log(len(noise_distribution) - 1)

    def is_enough(rate: float, known: float) -> bool:
        binary_entropy = -rate * math.log(rate) - (1 - rate) * math.log(1 - rate)
        return rate * others + binary_entropy >= entropy - known

    grid = np.linspace(0.001, 0.999, 1000)
    return np.array([next(rate for rate in grid if is_enough(rate, known)) for known in information])


def _device() -> str:
    """Where JAX computes too."""
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def _wait() -> None:
    """Until the device is done."""
    import torch

    if _device() == "cuda":
        torch.cuda.synchronize()


def _system(method: Method) -> tuple[Callable[[Any, Any], None], Any]:
    """A step on a batch, and the networks that it trains, the classifier first."""
    import torch
    from torch.nn import functional

    classifier, predictor = network(10).to(_device()), network(10, norm_in_head=True).to(_device())
    networks = torch.nn.ModuleList([classifier] if method == "cross-entropy" else [classifier, predictor])
    optimizer = torch.optim.Adam(networks.parameters(), 1e-3)

    def loss(images: Any, labels: Any) -> Any:
        logits = classifier(images)
        if method == "cross-entropy":
            return functional.cross_entropy(logits, labels)
        guess = predictor(images).softmax(1)
        predicted = logits.detach().softmax(1) - guess
        predictor_loss = (guess - functional.one_hot(labels, 10)).abs().sum(1).mean()
        penalty = GRADIENT_WEIGHT_DECAY * predicted.square().sum(1).mean()
        return (predicted.detach() * logits).sum() + predictor_loss + penalty

    def step(images: Any, labels: Any) -> None:
        optimizer.zero_grad()
        loss(images, labels).backward()
        optimizer.step()

    return step, networks
