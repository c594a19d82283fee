"""What an algorithm trains and carries: a featurizer with a linear head, an optimizer, settings that are leaves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl import networks
from infotheory_dl._validation import edge, require_not_negative, require_rank, require_within
from infotheory_dl.results import concise
from infotheory_dl.training import (
    AnyNetwork,
    Batch,
    Metrics,
    Network,
    NetworkState,
    Step,
    as_network,
    predicted_classes,
)
from infotheory_dl.types import AnyArray, Key, Params, Scalar

Settings = dict[str, Array]
Optimizer = Callable[..., optax.GradientTransformation]
"""`optimizer(learning_rate, weight_decay)`, such as `adam` and `sgd`: both may be traced."""


@concise
class DomainState(NamedTuple):
    """A model under training by an algorithm.

    Attributes:
      network: the featurizer and its head, and their optimizer.
      settings: of the algorithm; they are leaves and can differ between models.
      steps: those made so far.
      memory: what the algorithm carries beside them: weights of the domains, an average, a discriminator; or nothing.
    """

    network: NetworkState
    settings: Settings
    steps: Int[Array, ""]
    memory: Any

    @property
    def variables(self) -> Params:
        """What featurizer and classifier are applied with."""
        return self.network.variables


class RowsOfStep(NamedTuple):
    """The rows of a step.

    Attributes:
      inputs: of every domain.
      labels: their classes.
      domains: the numbers of the domains, which need not be all.
      mask: which rows count.
    """

    inputs: Any
    labels: Int[Array, "domains rows"]
    domains: Int[Array, " domains"]
    mask: Bool[Array, "domains rows"]


class Setup(NamedTuple):
    """What an algorithm is made of.

    Attributes:
      network: of representations and logits, see `with_head`.
      num_domains: those to train on.
      num_classes: of the labels.
      optimizer: of the network.
      discriminator: of the domains.
      update_before_loss: of group_dro, see `make_algorithm`.
      draw: `draw(key, steps)` instead of the draws of the algorithm; None for these.
    """

    network: Network
    num_domains: int
    num_classes: int
    optimizer: Optimizer
    discriminator: AnyNetwork
    update_before_loss: bool
    draw: Callable[[Key, Array], Any] | None


class Parts(NamedTuple):
    """What makes an algorithm.

    Attributes:
      begin: `begin(key, params, representations)`, its memory before the first step.
      step: of a `DomainState`.
    """

    begin: Callable[[Key, Params, Array], Any]
    step: Step


@edge
def adam(
    learning_rate: Scalar, weight_decay: Scalar, *, momentum: Scalar = 0.9, second_decay: Scalar = 0.999
) -> optax.GradientTransformation:
    """Adam with the decay of weights in the gradient of all parameters, as PyTorch has it.

    Args:
      learning_rate: of the steps.
      weight_decay: times the parameters, it is added to the gradient.
      momentum: decay of the mean of the gradients.
      second_decay: decay of the mean of their squares.

    Raises:
      ValueError: if a rate is negative, or a decay outside [0, 1).
    """
    require_not_negative(learning_rate=learning_rate, weight_decay=weight_decay)
    require_within("[0, 1)", momentum=momentum, second_decay=second_decay)
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, b1=momentum, b2=second_decay))


@edge
def sgd(learning_rate: Scalar, weight_decay: Scalar, *, momentum: Scalar = 0.9) -> optax.GradientTransformation:
    """Gradient descent with momentum and the decay of weights in the gradient of all parameters: that of WILDS.

    Args:
      learning_rate: of the steps.
      weight_decay: times the parameters, it is added to the gradient.
      momentum: decay of the sum of the gradients.

    Raises:
      ValueError: as `adam`.
    """
    require_not_negative(learning_rate=learning_rate, weight_decay=weight_decay)
    require_within("[0, 1)", momentum=momentum)
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum=momentum))


def with_head(featurizer: AnyNetwork, num_classes: int) -> Network:
    """The network whose outputs are representations and logits: a featurizer, and a linear head after it.

    Its parameters are those of the "featurizer" and of the "classifier", under "params".
    """
    inner, head = as_network(featurizer), networks.Dense(num_classes)

    def init(key: Key, inputs: Any) -> Params:
        featurizer_key, head_key = jax.random.split(key)
        variables = inner.init(featurizer_key, inputs)
        representations = inner.apply(variables, inputs)
        require_rank("the outputs of the featurizer", representations, 2, "(rows, features)")
        params, collections = (variables, {}) if inner.train is None else _parted(variables)
        classifier = head.init(head_key, representations)["params"]
        return {**collections, "params": {"featurizer": params, "classifier": classifier}}

    def inside(variables: Params) -> tuple[Params, Params]:
        params, collections = _parted(variables)
        of_inner = params["featurizer"] if inner.train is None else {**collections, "params": params["featurizer"]}
        return of_inner, {"params": params["classifier"]}

    def apply(variables: Params, inputs: Any) -> Any:
        of_inner, of_head = inside(variables)
        representations = inner.apply(of_inner, inputs)
        return representations, head.apply(of_head, representations)

    def train(variables: Params, inputs: Any, mask: Any, key: Any) -> tuple[Any, dict[str, Any]]:
        if inner.train is None:
            return apply(variables, inputs), {}
        of_inner, of_head = inside(variables)
        representations, changed = inner.train(of_inner, inputs, mask, key)
        return (representations, head.apply(of_head, representations)), changed

    return Network(init, apply, train)


def rows_of(state: DomainState, batch: Batch) -> RowsOfStep:
    """The rows of a step, of data `(inputs, labels, domains)`: as many of each domain as the settings say."""
    inputs, labels, domains = batch.data
    mask = batch.mask & (jnp.arange(labels.shape[1]) < state.settings["batch_size"])
    return RowsOfStep(inputs, labels, domains[:, 0], mask)


def flat_rows(tree: Any) -> Any:
    """Arrays with axes of domains and rows, with one of both."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree)


def by_domain(tree: Any, like: AnyArray) -> Any:
    """Arrays with one axis of rows, with those of domains and rows that `like` has."""
    return jax.tree.map(lambda leaf: leaf.reshape(*like.shape[:2], *leaf.shape[1:]), tree)


def reported(
    total: Array, penalty: Array | float, risks: Float[Array, " domains"], logits: Array, rows: RowsOfStep
) -> Metrics:
    """What every step reports: what it minimizes, the mean risk, the penalty at weight one, and the accuracy."""
    right = (predicted_classes(logits) == rows.labels) & rows.mask
    return {
        "loss": total,
        "risk": risks.mean(),
        "penalty": jnp.asarray(penalty, total.dtype),
        "accuracy": right.sum() / rows.mask.sum().astype(total.dtype),
    }


def _parted(variables: Params) -> tuple[Params, dict[str, Any]]:
    collections = dict(variables)
    return collections.pop("params"), collections
