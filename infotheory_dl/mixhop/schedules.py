"""How a network of nodes is trained, by name, and the learning rates that this comes to."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_count, require_positive, require_within

PresetName: TypeAlias = Literal["released", "paper"]


class Preset(NamedTuple):
    """Settings of a training.

    Attributes:
      learning_rate: of the first step.
      decay_every: steps after which the rate falls, each time by the same amount.
      decay: that amount, as a share of the first rate; the training ends where nothing is left.
      num_steps: the most steps.
      patience: steps without a better validation accuracy that are waited for another one.
      l2: factor of the sum of the squared kernels.
      lasso: factor of the sum of the norms of the kernels' columns.
    """

    learning_rate: float
    decay_every: int
    decay: float
    num_steps: int
    patience: int
    l2: float
    lasso: float


PRESETS: dict[str, Preset] = {
    # the scripts that were released with the paper, as for Cora; their lasso is as large as their L2
    "released": Preset(1.0, 40, 0.01, 400, 200, 5e-3, 5e-3),
    # the paper's text
    "paper": Preset(0.05, 40, 0.01, 2000, 40, 5e-4, 0.0),
}


@edge
def learning_rates(
    learning_rate: float = 1.0, *, num_steps: int = 400, decay_every: int = 40, decay: float = 0.01
) -> Float[np.ndarray, " steps"]:
    """Computes the rate of every step that is made: η₀ (1 - decay ⌊(i - 1) / decay_every⌋), for step 0 η₀.

    Args:
      learning_rate: η₀.
      num_steps: the most steps; there are fewer where the rate would not be positive.
      decay_every: steps after which the rate falls.
      decay: by how much it falls, as a share of the first rate.

    Raises:
      ValueError: if a setting is out of its range.

    Source: the published code of Abu-El-Haija et al., 2019.
    """
    require_positive(learning_rate=learning_rate)
    require_count(1, num_steps=num_steps, decay_every=decay_every)
    require_within("[0, 1]", decay=decay)
    steps = np.arange(num_steps)
    falls = np.maximum(steps - 1, 0) // decay_every
    rates = learning_rate * (1 - decay * falls)
    # decimal fractions such as .01 add up to 1 with a rounding
    return rates[: np.argmax(1 - decay * falls < 1e-9)] if (1 - decay * falls < 1e-9).any() else rates


def schedule(preset: Preset) -> Callable[[Array], Array]:
    """The rates as optax takes them, by the number of steps made."""

    def rate(count: Array) -> Array:
        falls = jnp.maximum(count - 1, 0) // preset.decay_every
        return preset.learning_rate * (1 - preset.decay * falls)

    return rate
