"""Whole sweeps of an algorithm: settings, trials and domains that are held out, as one program of the engine."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Unpack, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from infotheory_dl._blocks import map_blocks
from infotheory_dl._validation import (
    class_labels,
    edge,
    require_count,
    require_finite,
    require_shape,
    require_within,
    warn,
)
from infotheory_dl.data import train_validation_split
from infotheory_dl.domain_generalization.algorithms import Algorithm
from infotheory_dl.domain_generalization.batches import domain_minibatches, rows_of_each
from infotheory_dl.results import concise
from infotheory_dl.training import (
    Best,
    Data,
    EngineOptions,
    Evaluation,
    Metrics,
    State,
    System,
    gather,
    of_variants,
    predicted_classes,
    train_many,
)
from infotheory_dl.types import AnyArray, AnyLabels, Key, Params


@concise
class Tracked(NamedTuple):
    """What the models made of some examples after each evaluation.

    Attributes:
      representations: of these examples.
      logits: likewise.
    """

    representations: Float[np.ndarray, "points folds trials evaluations examples features"]
    logits: Float[np.ndarray, "points folds trials evaluations examples classes"]


@concise
class Sweep(NamedTuple):
    """Trained models, for each point of the settings, fold of domains that are held out, and trial.

    The accuracies and risks are those of all domains, of the source domains on the examples that are trained on and on
    those that are kept to validate with, of the others on parts of the same sizes.

    Attributes:
      settings: by name, the value at each point.
      held_out: the numbers of the domains that a model is not trained on, for each fold.
      steps: after which the models were evaluated.
      accuracy: on the examples of each domain that are trained on where it is a source.
      validation_accuracy: on the other examples of each domain.
      risk: the mean cross-entropy, in nats, on the first ones.
      validation_risk: on the others.
      metrics: what the steps reported, mean over those since the last evaluation: `loss`, what is minimised, `risk`,
        `penalty` at weight one and `accuracy`.
      best_step: the first of those with the greatest mean validation accuracy over the source domains.
      best: variables of the model after it.
      last: variables after the last step.
      diverged: whether a model became infinite: what is told of it from then on is of the last evaluation before.
      tracked: of the examples that were to be tracked; None without any.
    """

    settings: dict[str, Float[np.ndarray, " points"]]
    held_out: Int[np.ndarray, "folds domains"]
    steps: Int[np.ndarray, " evaluations"]
    accuracy: Float[np.ndarray, "points folds trials evaluations domains"]
    validation_accuracy: Float[np.ndarray, "points folds trials evaluations domains"]
    risk: Float[np.ndarray, "points folds trials evaluations domains"]
    validation_risk: Float[np.ndarray, "points folds trials evaluations domains"]
    metrics: dict[str, Float[np.ndarray, "points folds trials evaluations"]]
    best_step: Int[np.ndarray, "points folds trials"]
    best: Params
    last: Params
    diverged: Bool[np.ndarray, "points folds trials"]
    tracked: Tracked | None


@edge
def train_sweep(
    key: Key,
    algorithm: Algorithm,
    inputs: Num[AnyArray, "examples ..."],
    labels: AnyLabels,
    domains: AnyLabels,
    *,
    settings: Mapping[str, Sequence[float]] | None = None,
    held_out: Sequence[int | Sequence[int]] | None = None,
    num_trials: int = 1,
    validation_share: float = 0.2,
    validation: Bool[AnyArray, "examples trials"] | None = None,
    num_steps: int = 5000,
    batch_size: int = 64,
    domains_per_batch: int | None = None,
    evaluate_every: int = 100,
    tracked: Num[AnyArray, "tracked ..."] | None = None,
    evaluation_batch_size: int = 1000,
    **options: Unpack[EngineOptions],
) -> Sweep:
    """Trains an algorithm at every point of the settings, with every fold of domains held out, in several trials.

    Models that differ in their settings alone begin with the same weights and see the examples in the same order. All
    are one program; with a `checkpoint` an interrupted sweep goes on. An epoch of the engine, which `callback_every`
    counts, is `evaluate_every` steps.

    Args:
      key: whence the weights, the orders and the splits derive.
      algorithm: of `make_algorithm`, for as many domains as a model is trained on.
      inputs: of all examples of all domains.
      labels: their classes; numbers are codes.
      domains: where each example is from. Domains are numbered in ascending order.
      settings: for each name the value at each point, as many for every name: points are taken as they stand, not all
        combinations. With "batch_size" among them the others of a batch do not count. Default one point, the defaults.
      held_out: for each fold the number of the domain that is not trained on, or several, as many in each fold, such
        as every pair for leave-one-domain-out cross-validation; default each domain in turn.
      num_trials: trainings with splits, weights and orders of their own.
      validation_share: of the examples of every domain, drawn anew in each trial, that are kept to validate with.
      validation: which these are, instead of drawing them.
      num_steps: of each model; a multiple of `evaluate_every`.
      batch_size: examples of each domain in a step, or the greatest number of them where the settings have one.
      domains_per_batch: how many of the source domains, drawn anew, are in a step; default all.
      evaluate_every: steps between two evaluations.
      tracked: inputs of examples whose representations and logits are kept after every evaluation.
      evaluation_batch_size: examples that are predicted at once.
      options: see `training.EngineOptions`.

    Returns:
      The trained models.

    Raises:
      ValueError: if shapes do not fit, inputs are not finite, a label is no class, a setting is unknown or impossible,
        or the algorithm is for another number of domains.

    Warns:
      UserWarning: if models diverged, how many.
    """
    codes, names = class_labels(domains, name="domains", num_examples=len(inputs))
    folds = _folds(held_out, len(names), algorithm.num_domains)
    example = jax.ShapeDtypeStruct((1, *inputs.shape[1:]), jnp.result_type(inputs))
    variables = jax.eval_shape(algorithm.system.init, jax.random.key(0)).variables
    num_classes = jax.eval_shape(algorithm.classifier, variables, example).shape[-1]
    classes = class_labels(labels, num_classes=num_classes, num_examples=len(inputs)).codes
    require_finite(inputs=inputs)
    require_count(1, num_trials=num_trials, num_steps=num_steps, batch_size=batch_size, evaluate_every=evaluate_every)
    if num_steps % evaluate_every:
        raise ValueError(f"num_steps must be a multiple of evaluate_every, {evaluate_every}, got {num_steps}")
    points, batch_size = _points(algorithm, settings or {}, batch_size)
    split_key, model_key = jax.random.split(key)
    if validation is None:
        require_within("(0, 1)", validation_share=validation_share)
        validation = _split(split_key, codes, num_trials, validation_share)
    _require_split(validation, codes, names, num_trials)

    num_folds, num_points = len(folds), len(next(iter(points.values())))
    shape = num_points, num_folds, num_trials
    point, fold, trial = (axis.ravel() for axis in np.indices(shape))
    places = np.stack([_places(held, len(names))[codes] for held in folds], axis=1).astype(np.int32)
    rows = _training_rows(codes, folds, np.asarray(validation))
    system = _system(algorithm, num_trials, len(names), evaluation_batch_size)
    variant = fold * num_trials + trial
    keys = jax.vmap(lambda number: jax.random.split(jax.random.fold_in(model_key, number)))(variant)
    states = _begin(system, keys[:, 0], {name: values[point] for name, values in points.items()}, variant)
    checkpoint = options.get("checkpoint")
    if checkpoint is not None:
        own = {"algorithm": algorithm.name, **checkpoint.configuration}
        options["checkpoint"] = checkpoint._replace(configuration=own)
    examples = jnp.asarray(inputs), jnp.asarray(classes)
    training = train_many(
        keys[:, 1],
        system.step,
        states,
        (*examples, jnp.asarray(places)),
        num_epochs=num_steps // evaluate_every,
        batch_size=domain_minibatches(
            algorithm.num_domains,
            rows.shape[-1],
            batch_size=batch_size,
            num_steps=evaluate_every,
            domains_per_batch=domains_per_batch,
        ),
        subsets=rows.reshape(num_folds * num_trials, -1)[variant],
        evaluation=Evaluation(
            system.evaluate,
            (*examples, jnp.asarray(places), jnp.asarray(codes), jnp.asarray(validation), tracked),
            maximize="validation",
        ),
        **options,
    )
    shaped = lambda tree: jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), gather(tree))
    diverged = shaped(training.diverged)
    if diverged.any():
        warn(f"{diverged.sum()} of {diverged.size} models diverged: try smaller learning rates or penalties")
    evaluations, best = shaped(training.evaluations), cast(Best, training.best)
    return Sweep(
        settings={name: np.asarray(values, float) for name, values in points.items()},
        held_out=folds,
        steps=np.arange(1, num_steps // evaluate_every + 1) * evaluate_every,
        accuracy=evaluations["accuracy"][..., 0],
        validation_accuracy=evaluations["accuracy"][..., 1],
        risk=evaluations["risk"][..., 0],
        validation_risk=evaluations["risk"][..., 1],
        metrics={name: values.mean(-1) for name, values in shaped(training.metrics).items()},
        best_step=shaped(best.epoch) * evaluate_every,
        best=shaped(best.state.state.variables),
        last=shaped(training.state.state.variables),
        diverged=diverged,
        tracked=None if tracked is None else Tracked(*evaluations["tracked"]),
    )


@edge
def sweep_outputs(
    algorithm: Algorithm, variables: Params, inputs: Num[AnyArray, "examples ..."], *, batch_size: int = 1000
) -> tuple[Float[Array, "points folds trials examples features"], Float[Array, "points folds trials examples classes"]]:
    """The representations and the logits of the models of a sweep, one model after the other.

    Args:
      algorithm: that of the sweep.
      variables: such as `Sweep.best` or `Sweep.last`.
      inputs: the same for all.
      batch_size: inputs at once.
    """
    shape = jax.tree.leaves(variables)[0].shape[:3]
    models = jax.tree.map(lambda leaf: jnp.asarray(leaf).reshape(-1, *leaf.shape[3:]), variables)
    found = _outputs(algorithm.network, models, jnp.asarray(inputs), batch_size)
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), found)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _outputs(network, models, inputs, batch_size):
    return lax.map(lambda variables: _outputs_of(network, variables, inputs, batch_size), models)


def _outputs_of(network, variables, inputs, batch_size):
    return map_blocks(functools.partial(network, variables), (inputs,), batch_size)


@functools.lru_cache(maxsize=32)  # with the same functions the engine finds its program compiled
def _system(algorithm: Algorithm, num_trials: int, num_domains: int, batch_size: int) -> System:
    def evaluate(state: State, data: Data) -> Metrics:
        inputs, labels, places, domains, held_out, tracked = data
        outputs = lambda inputs: _outputs_of(algorithm.network, state.variables, inputs, batch_size)
        logits = outputs(inputs)[1]
        found = jnp.stack(
            [
                predicted_classes(logits) == labels,
                optax.softmax_cross_entropy_with_integer_labels(logits, labels),
            ]
        )
        cells = jax.nn.one_hot(2 * domains + held_out, 2 * num_domains, dtype=logits.dtype)
        accuracy, risk = (found @ cells / cells.sum(0)).reshape(2, num_domains, 2)
        # a domain is a source where its examples have a place in the batches
        is_source = (places[:, None] >= 0) & (domains[:, None] == jnp.arange(num_domains))
        told = {"accuracy": accuracy, "risk": risk, "validation": accuracy[:, 1].mean(where=is_source.any(0))}
        return told if tracked is None else {**told, "tracked": outputs(tracked)}

    def own_places(data: Data, variant: Int[Array, ""]) -> Data:
        inputs, labels, places = data
        return inputs, labels, places[..., variant // num_trials]

    def own_split(data: Data, variant: Int[Array, ""]) -> Data:
        inputs, labels, places, domains, validation, tracked = data
        of_trial = validation[:, variant % num_trials]
        return inputs, labels, places[:, variant // num_trials], domains, of_trial, tracked

    return of_variants(algorithm.system._replace(evaluate=evaluate), step=own_places, evaluation=own_split)


@functools.partial(jax.jit, static_argnums=0)
def _begin(system, keys, settings, variants):
    def begin(model):
        key, settings, variant = model
        return system.init(key, variant=variant, **settings)

    return lax.map(begin, (keys, settings, variants))


def _folds(
    held_out: Sequence[int | Sequence[int]] | None, num_domains: int, num_sources: int
) -> Int[np.ndarray, "folds domains"]:
    given = range(num_domains) if held_out is None else held_out
    folds = [np.atleast_1d(np.asarray(fold)) for fold in given]
    if any(fold.dtype.kind not in "iu" for fold in folds):
        raise TypeError(f"held_out must be numbers of domains, which are numbered in ascending order, got {held_out!r}")
    if not folds or len({len(fold) for fold in folds}) > 1:
        raise ValueError(f"held_out must be domains, or as many domains in each fold, got {held_out!r}")
    stacked = np.stack(folds)
    require_within(f"[0, {num_domains - 1}]", f"the numbers of the {num_domains} domains", held_out=stacked)
    if any(len(set(fold.tolist())) < len(fold) for fold in folds):
        raise ValueError(f"a fold of held_out names a domain twice: {held_out!r}")
    left = num_domains - stacked.shape[1]
    if left != num_sources:
        raise ValueError(
            f"of {num_domains} domains {left} are left to train on, but the algorithm is made for {num_sources}:"
            f" make it with num_domains={left}"
        )
    return stacked


def _points(
    algorithm: Algorithm, settings: Mapping[str, Sequence[float]], batch_size: int
) -> tuple[dict[str, np.ndarray], int]:
    """The values at the points, all of them checked, and the rows of a batch."""
    points = {name: np.atleast_1d(np.asarray(values, float)) for name, values in settings.items()}
    sizes = {name: len(values) for name, values in points.items()}
    if len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise ValueError(f"settings must have a value for each point, as many for every name, got {sizes}")
    for values in zip(*points.values(), strict=True):
        algorithm.prepare(dict(zip(points, map(float, values), strict=True)))
    if not points:
        points = {"learning_rate": np.array([float(algorithm.prepare({})["learning_rate"])])}
    if "batch_size" in points:
        batch_size = int(points["batch_size"].max())
    else:
        algorithm.prepare({"batch_size": batch_size})
    return points, batch_size


def _split(
    key: Key, codes: Int[np.ndarray, " examples"], num_trials: int, share: float
) -> Bool[np.ndarray, "examples trials"]:
    """The share of every domain that is kept to validate with, in each trial."""
    validation = np.zeros((len(codes), num_trials), bool)
    for trial in range(num_trials):
        drawn_key = jax.random.fold_in(key, trial)
        _, kept = train_validation_split(
            drawn_key, np.arange(len(codes)), codes, validation_fraction=share, stratified=True
        )
        validation[kept.indices, trial] = True
    return validation


def _require_split(validation: AnyArray, codes: np.ndarray, names: np.ndarray, num_trials: int) -> None:
    require_shape("validation", validation, (len(codes), num_trials), "(examples, trials)")
    counts = np.stack([np.bincount(codes, of_trial, len(names)) for of_trial in np.asarray(validation).T])
    whole = (counts == 0) | (counts == np.bincount(codes))
    if whole.any():
        name = names[np.argwhere(whole)[0, 1]]
        raise ValueError(
            f"every domain must have examples to train on and others to validate with, but {name!r} has not"
        )


def _places(held: Int[np.ndarray, " held"], num_domains: int) -> Int[np.ndarray, " domains"]:
    """The place of each domain among the sources; -1 where it is held out."""
    is_source = ~np.isin(np.arange(num_domains), held)
    return np.where(is_source, np.cumsum(is_source) - 1, -1)


def _training_rows(
    codes: Int[np.ndarray, " examples"],
    folds: Int[np.ndarray, "folds held"],
    validation: Bool[np.ndarray, "examples trials"],
) -> Int[np.ndarray, "folds trials sources longest"]:
    """The rows of every source domain to train on, of all folds and trials as many."""
    among = [[~of_trial & ~np.isin(codes, held) for of_trial in validation.T] for held in folds]
    longest = max(int(np.bincount(codes[chosen]).max()) for of_fold in among for chosen in of_fold)
    return np.stack([[rows_of_each(codes, chosen, longest) for chosen in of_fold] for of_fold in among])
