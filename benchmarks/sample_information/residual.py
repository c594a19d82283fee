"""What passes through the training of a residual network cost, and what they are worth there: work for accelerators."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.harness import Report, Row, announce, measure, timed
from benchmarks.sample_information.perceptron import MOMENTUM
from infotheory_dl import data, metrics, networks, training
from infotheory_dl.sample_information import StepSizeError, retrain_without, trained_information

Units: TypeAlias = Literal["relu", "gelu"]


@dataclass(frozen=True)
class Residual:
    """A ResNet on images in colour: seconds of passes through its training, and agreement with really retraining."""

    set: str = "cifar10"
    examples: int = 5000
    references: int = 1000
    depths: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks of each stage; the default is ResNet-18."""
    width: int = 64
    units: tuple[Units, ...] = ("gelu", "relu")
    epochs: int = 3
    batch: int = 100
    learning_rate: float = 0.002
    left_out: int = 16
    """Examples that it is really trained without."""
    projections: int = 8
    """Of the weights, and as many of the outputs."""
    seed: int = 0


def residual(settings: Residual) -> Report:
    """Part (h): a residual network, its passes in trainings, and what they tell of leaving examples out."""
    images = data.load(settings.set)
    drawn = data.random_subset(
        jax.random.key(settings.seed), images.x, images.y, settings.examples + settings.references
    )
    x, n = data.standardize(drawn.x, *data.pixel_moments(drawn.x)), settings.examples
    chosen = np.linspace(0, n - 1, settings.left_out).astype(int)

    def rows(units: Units) -> Iterator[Row]:
        network = networks.ResNet(
            settings.depths,
            images.num_classes,
            width=settings.width,
            block=networks.basic_block,
            stem="cifar",
            activation=getattr(jax.nn, units),
        )
        optimizer = optax.sgd(settings.learning_rate, momentum=MOMENTUM)
        system = training.supervised(network, optimizer, optax.softmax_cross_entropy_with_integer_labels)
        state = system.init(jax.jit(network.init)(jax.random.key(settings.seed + 1), x[:1]))
        arguments = jax.random.key(settings.seed + 2), system, state, (x[:n], np.asarray(drawn.y[:n])), x[n:]
        schedule: dict[str, Any] = {"num_epochs": settings.epochs, "batch_size": settings.batch}
        announce(f"{units}: trainings without examples")
        retrained = functools.partial(retrain_without, *arguments, groups=chosen[:, None], models_at_once=1, **schedule)
        before = retrained()
        truth, seconds = timed(retrained)
        one = seconds / (1 + settings.left_out)
        noise = sum(
            jnp.square(a - b).sum() for a, b in zip(*map(jax.tree.leaves, (before.params, truth.params)), strict=True)
        )
        common: Row = {
            "steps": settings.epochs * -(-n // settings.batch),
            "training": one,
            "rounding": float(noise / jnp.median(truth.weight_change)),
        }
        # no two passes side by side: one fills the device
        information = functools.partial(trained_information, *arguments, num_retrained=0, passes_at_once=1, **schedule)
        of_all = {"at": "full", "method": "projections", "num_projections": settings.projections}
        estimates: dict[str, tuple[int, Callable[[], Any]]] = {
            "derivative at the midpoint": (len(chosen), functools.partial(information, examples=chosen)),
            "projections, all examples": (2 * settings.projections, functools.partial(information, **of_all)),
        }
        for name, (passes, compute) in estimates.items():
            announce(f"{units}: {name}")
            row: Row = {"network": units, "estimate": name} | common
            try:
                found, timing = measure(compute, repeats=1)
            except StepSizeError:
                yield row | {"note": "refused: the derivatives explode"}
                continue
            for score in ("weight_change", "output_change"):
                estimate = np.asarray(getattr(found, score))
                estimate = estimate if len(estimate) == len(chosen) else estimate[chosen]
                row[score] = float(metrics.spearman_correlation(estimate, np.asarray(getattr(truth, score))))
            yield row | {"a pass, in trainings": timing.median / passes / one, "device GiB": _device_memory()}

    return Report(
        f"{n:,} images of {settings.set}, {settings.left_out} of them really left out: seconds, rank correlations",
        (row for units in settings.units for row in rows(units)),
        notes=["Rounding: squared distance of two equal trainings, over the median change without an example."],
    )


def _device_memory() -> float | None:
    """GiB that the device has held at most since the process began, where it tells."""
    stats = jax.devices()[0].memory_stats()
    return stats["peak_bytes_in_use"] / 2**30 if stats else None
