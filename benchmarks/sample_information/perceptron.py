"""The training that methods of attribution are compared on: a perceptron on digits, by SGD with momentum."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from infotheory_dl import data, training
from infotheory_dl.types import Params

MOMENTUM = 0.9
BLOCK = 100
"""Examples at once, where gradients of single ones are taken."""


@dataclass(frozen=True)
class Perceptron:
    """The network and its training."""

    references: int = 100
    width: int = 128
    batch: int = 50
    learning_rate: float = 0.05
    seed: int = 0


class Problem(NamedTuple):
    """A network before its training, and what it is trained and looked at on.

    Attributes:
      system: that trains it.
      state: before the training.
      examples, references: inputs and labels.
      schedule: of the training.
      key: of the training.
    """

    system: training.System
    state: training.NetworkState
    examples: tuple[Float[np.ndarray, "examples pixels"], Int[np.ndarray, " examples"]]
    references: tuple[Float[np.ndarray, "references pixels"], Int[np.ndarray, " references"]]
    schedule: dict[str, Any]
    key: Array

    @property
    def arguments(self) -> tuple[Any, Any, Any, Any, Any]:
        """Those of `datamodels`."""
        return self.key, self.system, self.state, self.examples, self.references

    def trained(self, epochs: int | None = None) -> Params:
        """The parameters after so many epochs, by default at the end."""
        schedule = self.schedule | ({} if epochs is None else {"num_epochs": epochs})
        return training.train(self.key, self.system.step, self.state, self.examples, **schedule).state.params


def make_problem(settings: Perceptron, num_examples: int, epochs: int) -> Problem:
    """A perceptron with one hidden layer on a sample of the digits."""
    images = data.load("digits")
    sample = data.random_subset(jax.random.key(settings.seed), images.x, images.y, num_examples + settings.references)
    rows = data.standardize(sample.x, *data.pixel_moments(sample.x)).reshape(len(sample.x), -1)
    labels = np.asarray(sample.y)
    optimizer = optax.sgd(settings.learning_rate, momentum=MOMENTUM)
    system = training.supervised(
        perceptron, optimizer, optax.softmax_cross_entropy_with_integer_labels, weighting="fixed"
    )
    inner, outer = jax.random.split(jax.random.key(settings.seed + 1))
    params = {
        "inner": jax.random.normal(inner, (rows.shape[1], settings.width)) / np.sqrt(rows.shape[1]),
        "inner_bias": jnp.zeros(settings.width),
        "outer": jax.random.normal(outer, (settings.width, 10)) / np.sqrt(settings.width),
        "outer_bias": jnp.zeros(10),
    }
    return Problem(
        system,
        system.init(params),
        (rows[:num_examples], labels[:num_examples]),
        (rows[num_examples:], labels[num_examples:]),
        {"num_epochs": epochs, "batch_size": settings.batch},
        jax.random.key(settings.seed + 2),
    )


def perceptron(params: Params, inputs: Any) -> Array:
    """One hidden layer of gelu units."""
    return jax.nn.gelu(inputs @ params["inner"] + params["inner_bias"]) @ params["outer"] + params["outer_bias"]


def losses(state: training.NetworkState, references: Any) -> Float[Array, " references"]:
    """The cross-entropies, with all digits where they are next to zero, where many trainings would be equal."""
    inputs, labels = references
    return jax.vmap(loss)(perceptron(state.params, inputs), labels)


def loss(outputs: Array, label: Array) -> Array:
    """The cross-entropy of one example."""
    is_other = jnp.arange(len(outputs)) != label
    return jax.nn.softplus(jax.nn.logsumexp(jnp.where(is_other, outputs, -jnp.inf)) - outputs[label])
