"""How an audit is made."""

import math
from dataclasses import dataclass
from typing import TypedDict

from infotheory_dl._files import machine_memory
from infotheory_dl._validation import require_count, require_not_negative, require_positive, require_within
from infotheory_dl.audit.scores import NetworkName


@dataclass(frozen=True)
class Settings:
    """How an audit is made.

    Attributes:
      train_size: how many examples to audit; default all.
      flip: share of the labels to flip on purpose, to see whether the audit finds them.
      embeddings: whether the columns are the features of a pretrained network: they are taken as they are, on one
        scale, and a linear kernel is tried beside the other.
      network: "cnn" for images, "mlp" for rows or images, "auto" for the one that fits.
      learn: whether features of more than 10,000 colour images are learned too, by a small network on either half for
        the other.
      num_networks: how many random networks the exact kernel is the mean of, where the examples are few.
      time: steps of training at which examples are scored; infinity is the end of training.
      weight_decay: penalty on the mean loss; default the one with the least leave-one-out error.
      precision: share of the label repairs that shall be right.
      sweep: how many times before the end of training are scored too; 0 for none.
      runs: how many runs of the linearized network bound its generalization gap on some 500 examples; 0 for none.
      seeds: how many trainings each accuracy is the mean of; 0 trains no network.
      robust: whether to train classifiers that ignore wrong labels too, beside a plain one.
      trained: whether to score a small network that is really trained too, by derivatives of its training.
      memory: GiB that the audit may take; default half of the machine's.
    """

    train_size: int | None = None
    flip: float = 0.0
    embeddings: bool = False
    network: NetworkName = "auto"
    learn: bool = True
    num_networks: int = 5
    time: float = float("inf")
    weight_decay: float | None = None
    precision: float = 0.95
    sweep: int = 9
    runs: int = 1000
    seeds: int = 3
    robust: bool = False
    trained: bool = False
    memory: float | None = None

    @property
    def memory_bytes(self) -> float:
        """The bytes that the audit may take."""
        if self.memory is not None:
            return self.memory * 2**30
        machine = machine_memory()
        return math.inf if math.isinf(machine) else machine / 2


class SettingsByName(TypedDict, total=False):
    """Those of `Settings`, which see, as arguments of a function."""

    train_size: int | None
    flip: float
    embeddings: bool
    network: NetworkName
    learn: bool
    num_networks: int
    time: float
    weight_decay: float | None
    precision: float
    sweep: int
    runs: int
    seeds: int
    robust: bool
    trained: bool
    memory: float | None


def checked_settings(settings: Settings) -> Settings:
    """The settings, each in its range."""
    require_count(1, num_networks=settings.num_networks)
    require_count(0, sweep=settings.sweep, seeds=settings.seeds)
    if settings.runs < 0 or settings.runs % 2:
        raise ValueError(f"runs must be an even number, as they come in opposite pairs, or 0, got {settings.runs}")
    require_within("(0, inf]", "a number of steps", time=settings.time)
    require_not_negative(weight_decay=settings.weight_decay)
    require_within("(0, 1)", precision=settings.precision)
    if settings.memory is not None:
        require_positive(memory=settings.memory)
    return settings
