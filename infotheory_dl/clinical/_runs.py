"""A training of networks that outlives its process, with a table of its epochs that is there while it runs."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Key as Keys

from infotheory_dl._files import csv_table, write_text
from infotheory_dl.clinical._configurations import Configuration
from infotheory_dl.clinical._training import TrainedNetwork, train_network
from infotheory_dl.training import Checkpoint, TrainingState


class Run:
    """A training in a folder of its own, which is there until the training is finished.

    Args:
      folder: of the checkpoints.
      table: the file of the losses and scores of each epoch, written anew after each.
      progress: is given the epochs that are done.
    """

    def __init__(self, folder: Path, table: Path, progress: Callable[[int], None]) -> None:
        self.folder, self.table, self.progress = folder, table, progress

    def train(
        self, keys: Keys[Array, " seeds"], store: Path, configuration: Configuration, **settings: Any
    ) -> TrainedNetwork:
        """Trains as `train_network` does, or goes on where a training of the same settings was interrupted."""
        return train_network(
            keys,
            store,
            configuration,
            checkpoint=Checkpoint(self.folder),
            callback=self._tell,
            callback_every=1,
            **settings,
        )

    def finish(self, trained: TrainedNetwork) -> None:
        """Writes the whole table, and removes the checkpoints, once what was learned is written."""
        write_text(self.table, epochs_csv(trained.losses, trained.evaluations, trained.losses.shape[-1]))
        shutil.rmtree(self.folder)

    def _tell(self, training: TrainingState) -> None:
        epochs = int(training.epoch)
        write_text(self.table, epochs_csv(jnp.mean(training.metrics["loss"], -1), training.evaluations, epochs))
        self.progress(epochs)


def epochs_csv(
    losses: Float[Array, "seeds epochs"], evaluations: Mapping[str, Float[Array, "seeds epochs"]], num_epochs: int
) -> str:
    """The losses of each seed and epoch, and what was measured on the validation part.

    Args:
      losses: of `TrainedNetwork`.
      evaluations: likewise.
      num_epochs: how many of them are done.
    """
    measured = {"loss": losses, **{f"validation_{name}": values for name, values in evaluations.items()}}
    columns = {name: np.asarray(values)[:, :num_epochs] for name, values in measured.items()}
    seed, epoch = np.indices(columns["loss"].shape)
    places = {"seed": seed.ravel(), "epoch": epoch.ravel() + 1}
    return csv_table({**places, **{name: values.ravel() for name, values in columns.items()}})
