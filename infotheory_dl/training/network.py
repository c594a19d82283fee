"""One type for a network that trains, whatever the framework it comes from, and one step of its optimizer."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Num

from infotheory_dl._blocks import map_blocks
from infotheory_dl._validation import edge
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params, Scalar, TrainFn

InitFn: TypeAlias = Callable[[Key, Any], Params]
"""`init(key, inputs) -> variables`, for inputs like those that are given."""


class Network(NamedTuple):
    """A network as pure functions.

    Attributes:
      init: draws the variables.
      apply: the network as it predicts.
      train: the network while it trains, whose variables are then flax's: those that the optimizer moves under "params"
        and other collections beside them. None where it trains as it predicts; then all variables are moved.
    """

    init: InitFn
    apply: ApplyFn
    train: TrainFn | None = None


@runtime_checkable
class Module(Protocol):
    """A flax module, or anything else with these two functions."""

    def init(self, key: Key, inputs: Any, /) -> Params:
        """Draws the variables."""

    def apply(self, variables: Params, inputs: Any, /) -> Any:
        """Outputs for the inputs."""


AnyNetwork: TypeAlias = Network | Module | tuple[InitFn, ApplyFn] | ApplyFn
"""What `as_network` takes."""


@concise
class NetworkState(NamedTuple):
    """A network under training, and its optimizer.

    Attributes:
      params: what the optimizer moves.
      optimizer: state of the optimizer; with `optax.inject_hyperparams` its settings are leaves and can differ.
      collections: what the network keeps beside its parameters, such as the moments of batch norm; None for a network
        that trains as it predicts.
    """

    params: Params
    optimizer: optax.OptState
    collections: dict[str, Any] | None = None

    @property
    def variables(self) -> Params:
        """What the network is applied with."""
        return self.params if self.collections is None else {**self.collections, "params": self.params}


def as_network(network: AnyNetwork) -> Network:
    """Makes a `Network` of whatever is one; equal ones give the same functions, for which nothing is compiled anew.

    Args:
      network: a flax module, which trains with the moments of the batch and dropout if it can be called with `train`;
        a pair `(init, apply)`, such as that of haiku; anything else with the functions `init` and `apply`; or
        `apply_fn(params, inputs)` alone, where no variables have to be drawn.

    Raises:
      TypeError: if it is none of these.
    """
    if isinstance(network, Network):
        return network
    if isinstance(network, tuple) and len(network) == 2 and all(map(callable, network)):
        return Network(*network)
    if not isinstance(network, Module):
        if callable(network):
            return Network(_cannot_draw, network)
        raise TypeError(
            "a network must be a flax module, a pair (init, apply), an object with both or a function"
            f" apply_fn(params, inputs), got {type(network).__name__}"
        )
    return _of_module(network)


def begin(network: Network, optimizer: optax.GradientTransformation, variables: Params) -> NetworkState:
    """The state before the first step, from variables as the network takes them.

    Raises:
      ValueError: if the network has a `train` and no variables under "params".
    """
    if network.train is None:
        return NetworkState(variables, optimizer.init(variables))
    if not isinstance(variables, Mapping) or "params" not in variables:
        raise ValueError('a network that trains otherwise than it predicts has its parameters under "params"')
    collections = dict(variables)
    params = collections.pop("params")
    return NetworkState(params, optimizer.init(params), collections)


@edge
def forward(
    key: Key, network: Network, state: NetworkState, inputs: Any, mask: Array
) -> tuple[Any, dict[str, Any] | None]:
    """The outputs for a batch while the network trains, and its collections after it.

    Args:
      key: for dropout.
      network: the network.
      state: its state; to differentiate, with other `params` in it.
      inputs: of the batch.
      mask: of the batch, see `Batch`.
    """
    if network.train is None:
        return network.apply(state.params, inputs), state.collections
    outputs, changed = network.train(state.variables, inputs, mask, key)
    return outputs, {**(state.collections or {}), **changed}


@edge
def descend(
    key: Key,
    optimizer: optax.GradientTransformation,
    state: NetworkState,
    gradient: Params,
    collections: dict[str, Any] | None,
) -> NetworkState:
    """The state after one step of the optimizer.

    Args:
      key: for the optimizer.
      optimizer: of optax; one with noise of its own is given the argument `key`.
      state: before the step.
      gradient: with respect to `state.params`.
      collections: after the batch, as `forward` gives them.
    """
    optimizer = optax.with_extra_args_support(optimizer)
    updates, moved = optimizer.update(gradient, state.optimizer, state.params, key=key)
    return NetworkState(optax.apply_updates(state.params, updates), moved, collections)


@edge
def predict(
    apply_fn: ApplyFn, params: Params, inputs: Num[AnyArray, "examples ..."], *, batch_size: int | None = None
) -> Num[Array, "examples ..."]:
    """The outputs of a network for any number of inputs.

    Args:
      apply_fn, params: the network.
      inputs: for it.
      batch_size: how many of them at a time, to bound the memory; default all.
    """
    return map_blocks(functools.partial(apply_fn, params), (jnp.asarray(inputs),), batch_size)


@edge
def predicted_classes(
    outputs: Num[AnyArray, "*examples outputs"], *, threshold: Scalar = 0.5
) -> Int[Array, "*examples"]:
    """The class of each example: that of the largest output, the first of equal ones.

    Args:
      outputs: one for each class; or a single one, which means class 1 above the threshold.
      threshold: 0.5 for outputs trained on 0 and 1, 0 for logits.
    """
    outputs = jnp.asarray(outputs)
    return (outputs[..., 0] > threshold).astype(int) if outputs.shape[-1] == 1 else outputs.argmax(-1)


def _cannot_draw(key, inputs):
    raise TypeError(
        "a function apply_fn(params, inputs) cannot draw its variables: give a flax module, or a pair (init, apply)"
    )


def _of_module(module: Any) -> Network:
    try:
        hash(module)
    except TypeError:  # such as a flax module with a list in it, whose equals cannot be looked up
        return _of_unknown_module(module)
    return _of_known_module(module)


def _of_unknown_module(module: Any) -> Network:
    # flax takes long to import, and a network need not be of it
    import flax.linen as nn

    from infotheory_dl.networks import train_fn

    is_told = isinstance(module, nn.Module) and "train" in inspect.signature(type(module).__call__).parameters
    return Network(module.init, module.apply, train_fn(module) if is_told else None)


_of_known_module = functools.lru_cache(maxsize=64)(_of_unknown_module)
