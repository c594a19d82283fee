"""Training of networks of nodes: all seeds of a protocol in one program, each stopped and chosen by its validation."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import (
    edge,
    real_array,
    require_choice,
    require_count,
    require_finite,
    require_not_negative,
    require_shape,
    warn,
)
from infotheory_dl.mixhop.features import SparseRows, sparse_rows
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.mixhop.losses import column_norms, node_loss
from infotheory_dl.mixhop.schedules import PRESETS, Preset, PresetName, learning_rates, schedule
from infotheory_dl.results import concise
from infotheory_dl.training import (
    Batch,
    Data,
    EngineOptions,
    Evaluation,
    Metrics,
    Network,
    NetworkState,
    System,
    begin,
    descend,
    draw_states,
    gather,
    train_many,
)
from infotheory_dl.types import AnyArray, Key, Params, Scalar

Tie: TypeAlias = Literal["first", "latest"]

# above this share of entries that are not zero, products with the whole matrix are as fast
_SPARSE = 0.1


@concise
class NodeState(NamedTuple):
    """A network of nodes under training.

    Attributes:
      state: of the network and its optimizer.
      l2, lasso: factors of the penalties.
    """

    state: NetworkState
    l2: Float[Array, ""]
    lasso: Float[Array, ""]

    @property
    def variables(self) -> Params:
        """What the network is applied with."""
        return self.state.variables


@concise
class NodeRuns(NamedTuple):
    """Trainings that differ in their seeds, each at the step of its best validation accuracy.

    Attributes:
      variables: of the network, with a leading axis of seeds.
      best_step: steps that were made before it.
      last_step: steps that were made until the training stopped.
      validation_accuracy: at the best step.
      test_accuracy: at the best step; NaN without nodes to test on.
      diverged: whether a step made the parameters infinite or NaN; the best step is then one before it.
      losses: what each step minimised, before it; NaN after the last step.
      validation_accuracies, test_accuracies: after each step, likewise.
    """

    variables: Params
    best_step: Int[np.ndarray, " seeds"]
    last_step: Int[np.ndarray, " seeds"]
    validation_accuracy: Float[np.ndarray, " seeds"]
    test_accuracy: Float[np.ndarray, " seeds"]
    diverged: Bool[np.ndarray, " seeds"]
    losses: Float[np.ndarray, "seeds steps"]
    validation_accuracies: Float[np.ndarray, "seeds steps"]
    test_accuracies: Float[np.ndarray, "seeds steps"]

    @property
    def better_half(self) -> Int[np.ndarray, " half"]:
        """The seeds of the better half by validation accuracy, the best first; of equal ones those that come first."""
        order = np.argsort(-self.validation_accuracy, kind="stable")
        return order[: -(-len(order) // 2)]


@edge
def train_nodes(
    key: Key,
    network: Any,
    graph: Graph,
    features: Any,
    labels: Int[AnyArray, " nodes"],
    masks: Sequence[Any],
    *,
    preset: PresetName = "released",
    num_seeds: int = 1,
    tie: Tie = "first",
    proximal: bool = False,
    learning_rate: float | None = None,
    decay_every: int | None = None,
    decay: float | None = None,
    num_steps: int | None = None,
    patience: int | None = None,
    l2: Float[AnyArray, "*seeds"] | Scalar | None = None,
    lasso: Float[AnyArray, "*seeds"] | Scalar | None = None,
    **options: Unpack[EngineOptions],
) -> NodeRuns:
    """Trains a network on the labels of some nodes, from several seeds, by descent on the whole graph.

    After each step the network predicts all nodes. A seed stops when its validation accuracy has not become better for
    more steps than `patience`, and what is returned of it is its best step. The test nodes are looked at, and nothing
    depends on them. A seed has the same result whichever others are trained beside it, to rounding.

    Args:
      key: whence initial parameters and dropout derive.
      network: a flax module of this room.
      graph: of the nodes.
      features: one row for each node: dense, sparse of SciPy, or `SparseRows`. A dense matrix that is mostly zeros is
        made sparse.
      labels: class of each node in [0, classes), -1 where it is unknown.
      masks: the nodes to train on, to choose by, and to test on, three masks; None for the last where there are none.
      preset: the settings that the following ones are by default, see `PRESETS`.
      num_seeds: trainings.
      tie: which of equally good steps is the best, the "first" or the "latest". The published code takes the one that
        is best on the test nodes: it looks at what it reports.
      proximal: whether the lasso is a step of its own, which makes columns exactly zero, in place of a part of the
        gradient.
      learning_rate, decay_every, decay, num_steps: see `learning_rates`.
      patience: steps without a better validation accuracy that are waited for another one.
      l2, lasso: factors of the penalties, see `node_loss`; one for all seeds, or one for each.
      options: see `training.EngineOptions`.

    Returns:
      The trainings.

    Raises:
      ValueError: if something has not one row for each node, features are NaN or infinite, a mask is empty or holds a
        node whose class is unknown or more than there are outputs, or a setting is out of its range.

    Warns:
      UserWarning: if a training diverged.

    Source: Abu-El-Haija et al., 2019, and its published code.
    """
    require_choice("preset", preset, tuple(PRESETS))
    require_choice("tie", tie, ("first", "latest"))
    require_count(1, num_seeds=num_seeds)
    given: dict[str, Any] = {
        "learning_rate": learning_rate,
        "decay_every": decay_every,
        "decay": decay,
        "num_steps": num_steps,
        "patience": patience,
        "l2": l2,
        "lasso": lasso,
    }
    settings = PRESETS[preset]._replace(**{name: value for name, value in given.items() if value is not None})
    require_count(0, patience=settings.patience)
    require_not_negative(l2=settings.l2, lasso=settings.lasso)
    rates = learning_rates(
        settings.learning_rate,
        num_steps=settings.num_steps,
        decay_every=settings.decay_every,
        decay=settings.decay,
    )
    inputs = node_features(features, graph.num_nodes)
    data = _known_nodes(graph.num_nodes, labels, masks)

    network = _with_tuples(network)
    network_of_nodes = _as_network(network)
    system = node_system(network, settings._replace(l2=0.0, lasso=0.0), proximal)
    keys = jax.vmap(jax.random.split)(jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(num_seeds)))
    own = {name: _one_for_each(name, getattr(settings, name), num_seeds, inputs.dtype) for name in ("l2", "lasso")}
    states = draw_states(keys[:, 0], network_of_nodes, system, (graph, inputs), **own)
    _require_outputs(network_of_nodes, states.variables, (graph, inputs), data.labels)
    training = train_many(
        keys[:, 1],
        system.step,
        states,
        data,
        shared=(graph, inputs),
        num_epochs=len(rates),
        evaluation=Evaluation(system.evaluate, maximize="validation_accuracy", patience=settings.patience + 1, tie=tie),
        **options,
    )
    return _runs(training)


class KnownNodes(NamedTuple):
    """What is known of each node, and what it is for.

    Attributes:
      labels: the class of each node, -1 where it is unknown.
      train, validation, test: masks.
    """

    labels: Array
    train: Array
    validation: Array
    test: Array


def node_features(features: Any, num_nodes: int) -> Any:
    """Features in the form that is the faster one, checked."""
    if not isinstance(features, SparseRows):
        if not hasattr(features, "tocsr"):
            features = real_array("features", features)
            require_shape("features", features, (num_nodes, *np.shape(features)[1:]), "a row for each node")
            require_finite(features=features)
        if hasattr(features, "tocsr") or np.count_nonzero(features) <= _SPARSE * features.size:
            features = sparse_rows(features)
    require_shape("features", features, (num_nodes, *features.shape[1:]), "a row for each node")
    is_floating = jnp.issubdtype(features.dtype, jnp.floating)
    return features if is_floating else jnp.asarray(features, jax.dtypes.canonicalize_dtype(float))


def _known_nodes(num_nodes: int, labels: AnyArray, masks: Sequence[Any]) -> KnownNodes:
    require_shape("labels", labels, (num_nodes,), "a class for each node, -1 where it is unknown")
    if len(masks) != 3:
        raise ValueError(f"masks must be three: of training, validation and test nodes, got {len(masks)}")
    read = []
    for name, mask in zip(("training", "validation", "test"), masks, strict=True):
        if mask is None and name == "test":
            read.append(np.zeros(num_nodes, bool))
            continue
        mask = np.asarray(mask)
        require_shape(f"the {name} mask", mask, (num_nodes,), "a truth value for each node")
        if mask.dtype != bool:
            raise TypeError(f"the {name} mask must hold truth values, got {mask.dtype}")
        if not mask.any():
            raise ValueError(f"the {name} mask must hold at least one node, got none")
        unknown = np.flatnonzero(mask & (np.asarray(labels) < 0))
        if len(unknown):
            raise ValueError(f"the {name} mask holds {len(unknown)} nodes of unknown class, the first is {unknown[0]}")
        read.append(mask)
    return KnownNodes(np.asarray(labels), *read)  # type: ignore[arg-type]


def _one_for_each(name: str, value: Any, num_seeds: int, dtype: Any) -> np.ndarray:
    if np.ndim(value):
        require_shape(name, value, (num_seeds,), "one for each seed")
    return np.broadcast_to(np.asarray(value, dtype), num_seeds)


def _require_outputs(network: Network, variables: Params, given: Any, labels: AnyArray) -> None:
    one = jax.tree.map(lambda leaf: leaf[0], variables)
    num_classes = jax.eval_shape(network.apply, one, given).shape[-1]
    if labels.max() >= num_classes:
        node = int(np.argmax(labels))
        raise ValueError(
            f"labels must lie below the {num_classes} outputs of the network, got {labels[node]} at {node}"
        )


def _runs(training: Any) -> NodeRuns:
    diverged, best, metrics, evaluations = gather(
        (training.diverged, training.best, training.metrics, training.evaluations)
    )
    if diverged.any():
        warn(f"{diverged.sum()} of {len(diverged)} trainings diverged: take a lower learning_rate")
    losses = metrics["loss"][:, :, 0]
    validation, test = evaluations["validation_accuracy"], evaluations["test_accuracy"]
    # of what has been recorded, the first that is NaN follows the last step
    at_best = lambda values: np.take_along_axis(values, np.maximum(best.epoch - 1, 0)[:, None], axis=1)[:, 0]
    return NodeRuns(
        best.state.variables,
        best.epoch,
        np.isfinite(validation).sum(1),
        at_best(validation),
        at_best(test),
        diverged,
        losses,
        validation,
        test,
    )


def _with_tuples(network: Any) -> Any:
    """The network with tuples where it was given lists, which cannot be looked up."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value

    given = {field.name: getattr(network, field.name) for field in dataclasses.fields(network)}
    changed = {name: tuples(value) for name, value in given.items() if isinstance(value, list | tuple)}
    return network.clone(**changed) if changed else network


def _cached(function):
    """Equal networks give the same functions, for which nothing is compiled anew."""
    return functools.lru_cache(maxsize=64)(function)


@_cached
def _as_network(network: Any) -> Network:
    """The network of pairs of graph and features."""
    return Network(
        lambda key, given: network.init(key, *given),
        lambda variables, given: network.apply(variables, *given),
        lambda variables, given, mask, key: network.apply(  # whose parameters are under "params"
            variables, *given, train=True, rngs={"dropout": key}
        ),
    )


@_cached
def node_system(network: Any, settings: Preset, proximal: bool) -> System:
    """The system whose step descends on the loss of the training nodes, and whose state is a `NodeState`."""
    rates = schedule(settings)
    optimizer = optax.sgd(rates)

    def init(variables: Params, *, l2: Scalar, lasso: Scalar) -> NodeState:
        return NodeState(begin(_as_network(network), optimizer, variables), jnp.asarray(l2), jnp.asarray(lasso))

    def step(nodes: NodeState, batch: Batch, key: Key) -> tuple[NodeState, Metrics]:
        state, l2, lasso = nodes
        known: KnownNodes = batch.data
        network_key, optimizer_key = jax.random.split(key)
        graph, inputs = batch.shared

        def objective(params):
            variables = state._replace(params=params).variables
            losses, _, changed = node_loss(
                network,
                variables,
                graph,
                inputs,
                known.labels,
                known.train,
                l2=l2,
                lasso=0.0 if proximal else lasso,
                key=network_key,
            )
            return losses.total, changed

        (loss, changed), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        after = descend(optimizer_key, optimizer, state, gradient, {**(state.collections or {}), **changed})
        if proximal:
            rate = rates(optax.tree.get(state.optimizer, "count"))
            after = after._replace(params=_shrunk(network, after.params, rate * lasso))
        return NodeState(after, l2, lasso), {"loss": loss}

    def evaluate(nodes: NodeState, known: Data, shared: Any) -> Metrics:
        right = network.apply(nodes.variables, *shared).argmax(-1) == known.labels
        share = lambda mask: (right & mask).sum() / mask.sum()
        return {"validation_accuracy": share(known.validation), "test_accuracy": share(known.test)}

    return System(init, step, evaluate)


def _shrunk(network: Any, params: Params, amount: Array) -> Params:
    """The parameters, every column of the penalised kernels shorter by an amount, or zero."""
    penalized = {id(kernel) for kernel in network.penalized(params)}

    def shrink(leaf):
        if id(leaf) not in penalized:
            return leaf
        norms = column_norms(leaf)
        return leaf * jnp.maximum(0, 1 - amount / jnp.where(norms == 0, 1, norms))[..., None, :]

    return jax.tree.map(shrink, params)


@edge
def predict_nodes(network: Any, variables: Params, graph: Graph, features: Any) -> Float[Array, "seeds nodes classes"]:
    """Computes the logits of all nodes, of every seed.

    Args:
      network: a flax module of this room.
      variables: as `NodeRuns` has them.
      graph: of the nodes; it may be another than that of the training.
      features: as in `train_nodes`.

    Raises:
      ValueError: if the features have not one row for each node, or are NaN or infinite.
    """
    return _predict(
        _as_network(_with_tuples(network)).apply, variables, (graph, node_features(features, graph.num_nodes))
    )


@functools.partial(jax.jit, static_argnums=0)
def _predict(apply_fn, variables, given):
    return jax.lax.map(lambda of_seed: apply_fn(of_seed, given), variables)
