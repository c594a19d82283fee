"""The recurrent networks of the benchmark as data, with what the authors chose for each task."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from infotheory_dl._validation import (
    edge,
    require_choice,
    require_count,
    require_not_negative,
    require_positive,
    require_within,
)
from infotheory_dl.clinical._tasks import EPSILON, MORTALITY_HOURS, TASKS, Task

Supervision: TypeAlias = Literal["last", "replicated", "deep"]

_SUPERVISIONS = ("last", "replicated", "deep")
NUM_LENGTH_CLASSES = 10
NUM_PHENOTYPES = 25
# the order of the loss weights, and of the heads in the published networks
SINGLE_TASKS = ("mortality", "decompensation", "length_of_stay", "phenotyping")
HOURLY_TASKS = ("decompensation", "length_of_stay")


class Configuration(NamedTuple):
    """A recurrent network, what it is trained on, and how.

    Attributes:
      task: as in `read`; "multitask" has a head for each of the others.
      channel_wise: whether each channel has layers of its own, before those that read them all.
      size: outputs of a layer, of each channel where these have layers.
      depth: number of layers; of the layers of channels and, again, of those after them.
      size_coefficient: outputs of a layer after those of channels, as a multiple of `size`.
      dropout: share of the inputs of each layer that are dropped.
      supervision: "last" learns from the state at the end of a sample; "replicated" from that of every bin too, with
        the same label; "deep" from the labels of all hours of a stay.
      replication: the part of the loss that "replicated" gives to all bins.
      loss_weights: in the loss of "multitask", of mortality, decompensation, length of stay and phenotypes.
      length_in_classes: whether the length of stay is one of ten classes; else it is a number of hours.
      short_stays_replicated: whether stays that end before 48 hours have the replicated label "survived" in the
        multitask loss, as published; else none.
      timestep: hours of a bin.
      batch_size: stays, or samples, of a step.
      num_epochs: of training.
      learning_rate: of Adam.
      best_epoch: which the authors found, from 0; of hourly tasks without deep supervision and with it, of chunks.
      validation_loss: at that epoch.
    """

    task: Task
    channel_wise: bool
    size: int
    depth: int = 1
    size_coefficient: int = 4
    dropout: float = 0.0
    supervision: Supervision = "last"
    replication: float = 0.5
    loss_weights: tuple[float, float, float, float] = (0.2, 1.0, 1.5, 1.0)
    length_in_classes: bool = True
    short_stays_replicated: bool = True
    timestep: float = 1.0
    batch_size: int = 8
    num_epochs: int = 100
    learning_rate: float = 1e-3
    best_epoch: int | None = None
    validation_loss: float | None = None

    @property
    def is_causal(self) -> bool:
        """Whether all layers read forwards, so that what a whole stay gives at an hour is what its prefix gives."""
        return self.task == "multitask" or self.supervision == "deep" or (not self.channel_wise and self.depth == 1)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The heads."""
        return SINGLE_TASKS if self.task == "multitask" else (self.task,)

    @property
    def mortality_bin(self) -> int:
        """The bin that ends at 48 hours."""
        return int(MORTALITY_HOURS / self.timestep - EPSILON)

    def num_outputs(self, task: str) -> int:
        """The outputs of a head."""
        if task == "phenotyping":
            return NUM_PHENOTYPES
        return NUM_LENGTH_CLASSES if task == "length_of_stay" and self.length_in_classes else 1

    def at_every_bin(self, task: str) -> bool:
        """Whether a head has outputs at every bin, not at one alone."""
        return self.supervision != "last" or (self.task == "multitask" and task in HOURLY_TASKS)


def _standard(task: Task, size: int, **settings: object) -> Configuration:
    return Configuration(task, False, size, **settings)  # type: ignore[arg-type]


def _channel_wise(task: Task, size: int, size_coefficient: int, **settings: object) -> Configuration:
    return Configuration(task, True, size, size_coefficient=size_coefficient, **settings)  # type: ignore[arg-type]


_FOR_PHENOTYPES = (0.1, 0.1, 0.5, 1.0)

CONFIGURATIONS: Mapping[str, Configuration] = MappingProxyType(
    {
        "ihm/S": _standard("mortality", 16, depth=2, dropout=0.3, best_epoch=27, validation_loss=0.2788),
        "decomp/S": _standard("decompensation", 128, best_epoch=35, validation_loss=0.0745),
        "los/S": _standard("length_of_stay", 64, dropout=0.3, best_epoch=18, validation_loss=1.832),
        "pheno/S": _standard("phenotyping", 256, dropout=0.3, best_epoch=19, validation_loss=0.3466),
        "ihm/S+DS": _standard("mortality", 32, dropout=0.3, supervision="replicated", best_epoch=25),
        "decomp/S+DS": _standard("decompensation", 128, dropout=0.3, supervision="deep", best_epoch=49),
        "los/S+DS": _standard("length_of_stay", 128, dropout=0.3, supervision="deep", best_epoch=17),
        "pheno/S+DS": _standard("phenotyping", 256, dropout=0.3, supervision="replicated", best_epoch=18),
        "ihm/C": _channel_wise("mortality", 8, 4, dropout=0.3, best_epoch=32, validation_loss=0.2799),
        "decomp/C": _channel_wise("decompensation", 16, 4, batch_size=64, best_epoch=10, validation_loss=0.0675),
        "los/C": _channel_wise("length_of_stay", 16, 8, batch_size=64, best_epoch=1, validation_loss=1.814),
        "pheno/C": _channel_wise(
            "phenotyping", 16, 8, dropout=0.3, batch_size=64, best_epoch=49, validation_loss=0.3482
        ),
        "ihm/C+DS": _channel_wise("mortality", 16, 4, dropout=0.3, supervision="replicated", best_epoch=12),
        "decomp/C+DS": _channel_wise("decompensation", 16, 8, supervision="deep", batch_size=32, best_epoch=6),
        "los/C+DS": _channel_wise("length_of_stay", 16, 8, supervision="deep", batch_size=32, best_epoch=6),
        "pheno/C+DS": _channel_wise("phenotyping", 16, 8, supervision="replicated", best_epoch=12),
        "ihm/MS": _standard("multitask", 512, dropout=0.3, supervision="replicated", batch_size=16, best_epoch=21),
        "decomp/MS": _standard("multitask", 512, dropout=0.5, supervision="replicated", batch_size=16, best_epoch=26),
        "los/MS": _standard("multitask", 256, batch_size=16, best_epoch=5),
        "pheno/MS": _standard(
            "multitask", 256, dropout=0.5, supervision="replicated", loss_weights=_FOR_PHENOTYPES, best_epoch=31
        ),
        "ihm/MC": _channel_wise("multitask", 16, 8, dropout=0.3, batch_size=64, best_epoch=27),
        "decomp/MC": _channel_wise(
            "multitask", 16, 8, dropout=0.3, supervision="replicated", batch_size=64, best_epoch=25
        ),
        "los/MC": _channel_wise(
            "multitask", 16, 8, dropout=0.3, supervision="replicated", batch_size=64, best_epoch=29
        ),
        "pheno/MC": _channel_wise("multitask", 16, 8, loss_weights=_FOR_PHENOTYPES, best_epoch=7),
    }
)
"""What the authors chose, by the benchmark's names: task, then S (standard), C (channel-wise), S+DS and C+DS (deep
supervision, or replicated labels), MS and MC (multitask)."""

_PUBLISHED_NAMES = {
    "mortality": "ihm",
    "decompensation": "decomp",
    "length_of_stay": "los",
    "phenotyping": "pheno",
}


@edge
def configuration(name: str) -> Configuration:
    """The configuration that the authors chose for a task and a network.

    Args:
      name: of `CONFIGURATIONS`, such as "ihm/C"; the task may have the name that it has in `read` as well.

    Raises:
      ValueError: if there is none of that name.

    Source: Harutyunyan et al., 2019; the scripts of the benchmark's repository.
    """
    task, _, kind = str(name).partition("/")
    published = f"{_PUBLISHED_NAMES.get(task, task)}/{kind}"
    require_choice("name", published, tuple(CONFIGURATIONS))
    return CONFIGURATIONS[published]


def require_configuration(configuration: Configuration) -> None:
    """Raises a ValueError that names the setting of a configuration that is out of range."""
    require_choice("task", configuration.task, TASKS)
    require_choice("supervision", configuration.supervision, _SUPERVISIONS)
    require_count(
        1,
        size=configuration.size,
        depth=configuration.depth,
        size_coefficient=configuration.size_coefficient,
        batch_size=configuration.batch_size,
        num_epochs=configuration.num_epochs,
    )
    require_within("[0, 1)", dropout=configuration.dropout)
    require_within("[0, 1]", replication=configuration.replication)
    require_not_negative(loss_weights=configuration.loss_weights)
    require_positive(timestep=configuration.timestep, learning_rate=configuration.learning_rate)
    if configuration.size % 2 and not configuration.is_causal:
        raise ValueError(f"size must be even where layers read both ways, got {configuration.size}")
    if configuration.supervision == "deep" and configuration.task not in HOURLY_TASKS:
        raise ValueError(
            f"deep supervision needs labels of all hours, which {configuration.task} has not: choose 'replicated'"
        )
    if configuration.supervision == "replicated" and configuration.task in HOURLY_TASKS:
        raise ValueError(f"{configuration.task} has a label at every hour: choose 'deep' supervision, not 'replicated'")
