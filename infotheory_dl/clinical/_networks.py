"""The recurrent networks of the benchmark: layers of channels, layers of all, and a head for each task."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl._validation import edge, is_concrete, require_rank
from infotheory_dl.clinical._configurations import Configuration, require_configuration
from infotheory_dl.clinical.channels import NUM_CHANNELS, layout
from infotheory_dl.networks import GLOROT, LSTM, Dense
from infotheory_dl.types import AnyArray, Scalar


class Recurrent(nn.Module):
    """The network of a configuration; `network` makes it.

    Attributes:
      configuration: all settings.
    """

    configuration: Configuration

    @nn.compact
    def __call__(
        self, inputs: Float[AnyArray, "stays bins columns"], *, train: bool = False
    ) -> dict[str, Float[Array, "stays *bins outputs"]]:
        """Logits of each task, or hours where the length of stay is a number.

        Args:
          inputs: normalised bins, see `normalize`. A bin of zeros alone is skipped: those after the end of a stay, so
            that the last bin holds what its last hour gave.
          train: whether inputs are dropped.

        Returns:
          By task, (stays, bins, outputs) where it has outputs at every bin, else (stays, outputs) at the last bin; of
          mortality among several tasks, at the bin that ends at 48 hours.

        Raises:
          ValueError: if the columns are not those of `layout`, or several tasks have less than 48 hours.
        """
        settings = self.configuration
        columns = len(layout().columns)
        require_rank("inputs", inputs, 3, "(stays, bins, columns)")
        if inputs.shape[-1] != columns:
            raise ValueError(f"inputs must have the {columns} columns of discretize, got {inputs.shape[-1]}")
        if settings.task == "multitask" and inputs.shape[1] <= settings.mortality_bin:
            raise ValueError(
                f"several tasks need {settings.mortality_bin + 1} bins at least, to 48 hours, got {inputs.shape[1]}:"
                " fill up with zeros"
            )
        steps = observed_bins(inputs)
        hidden, size = inputs, settings.size

        def layer(hidden, size, name, groups=None, is_last=False):
            bidirectional = not (is_last or settings.is_causal)
            lstm = LSTM(size, bidirectional, groups, settings.dropout, name=name)
            return lstm(hidden, train=train, steps=steps)

        if settings.channel_wise:
            for place in range(settings.depth):
                groups = channel_columns() if place == 0 else _side_by_side(size)
                hidden = layer(hidden, size, f"channels_{place + 1}", groups)
            size *= settings.size_coefficient
        for place in range(settings.depth):
            hidden = layer(hidden, size, f"layer_{place + 1}", is_last=place + 1 == settings.depth)
        hidden = Dropout(settings.dropout)(jnp.asarray(hidden), train=train)
        return {task: self._head(task, hidden) for task in settings.tasks}

    def _head(self, task: str, hidden: Array) -> Array:
        settings = self.configuration
        if not settings.at_every_bin(task):
            place = settings.mortality_bin if (settings.task, task) == ("multitask", "mortality") else -1
            hidden = hidden[:, place]
        outputs = Dense(settings.num_outputs(task), GLOROT, name=task)(hidden)
        return nn.relu(outputs) if task == "length_of_stay" and not settings.length_in_classes else outputs


class Dropout(nn.Module):
    """That of flax, whose share may be traced as well: a setting of one of many models.

    Attributes:
      share: of the inputs that are dropped.
    """

    share: Scalar

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """The inputs; while it trains some of them zero, the others larger."""
        if not train or (is_concrete(self.share) and self.share == 0):
            return inputs
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.share, inputs.shape)
        return jnp.where(kept, inputs / (1 - self.share), 0)


@edge
def network(configuration: Configuration) -> Recurrent:
    """The recurrent network of a configuration, a flax module.

    Args:
      configuration: such as `configuration("ihm/C")`; others by `_replace`.

    Returns:
      `apply(variables, inputs)` gives logits by task, see `Recurrent`.

    Raises:
      ValueError: if a setting is out of range or does not fit the task.

    Source: Harutyunyan et al., 2019 (LSTM-based models).
    """
    require_configuration(configuration)
    return Recurrent(configuration)


def observed_bins(inputs: Float[AnyArray, "stays bins columns"]) -> Bool[Array, "stays bins"]:
    """Bins that are not zeros alone."""
    return jnp.any(inputs != 0, axis=-1)


def channel_columns() -> tuple[tuple[int, ...], ...]:
    """The columns of each channel: its values, then its mask."""
    of = layout()
    return tuple(
        (*range(first, first + width), of.num_values + channel)
        for channel, (first, width) in enumerate(zip(of.first.tolist(), of.width.tolist(), strict=True))
    )


def _side_by_side(size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(range(channel * size, (channel + 1) * size)) for channel in range(NUM_CHANNELS))
