"""The runs of the f-CMI experiment: supersamples, trainings on their selections, and every bound."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.fcmi.networks import Name, make_network, pretrained
from experiments.fcmi.settings import Mode, Settings
from experiments.harness import Results, Row
from infotheory_dl import data, fcmi, networks, training
from infotheory_dl.fcmi import Runs, bounds, run_networks, sgld
from infotheory_dl.fcmi.linearized import linearized_runs
from infotheory_dl.linearization import empirical_kernel


class Task(NamedTuple):
    """Supersamples of one size, and the selections that all of them share.

    Attributes:
      supersamples: images as they are stored, classes from 0.
      selection: (runs, rows).
      num_classes: number of classes.
      largest: value of a pixel.
    """

    supersamples: list[fcmi.Supersample]
    selection: np.ndarray
    num_classes: int
    largest: float


def draw_task(settings: Settings, n: int) -> Task:
    """The published draws where the original order of the set is given, others elsewhere."""
    images = data.load(settings.dataset)
    num_classes = images.num_classes if settings.classes is None else len(settings.classes)
    draws = range(settings.num_supersamples)
    if settings.original_order is not None:
        with np.load(settings.original_order) as places:
            order = np.argsort(places[f"{settings.dataset}_train"])
        legacy = functools.partial(fcmi.make_supersample_legacy, classes=settings.classes)
        supersamples = [legacy(settings.seed + z, images.x[order], images.y[order], n) for z in draws]
        selection = fcmi.draw_selection_legacy(range(settings.num_runs), n)
    else:
        key, selection_key = jax.random.split(jax.random.key(settings.seed))
        supersamples = [
            fcmi.make_supersample(jax.random.fold_in(key, z), images.x, images.y, n, classes=settings.classes)
            for z in draws
        ]
        selection = np.asarray(fcmi.draw_selection(selection_key, settings.num_runs, n))
    return Task(supersamples, selection, num_classes, float(images.x.max()))


def make_optimizer(settings: Settings) -> tuple[optax.GradientTransformation, sgld.Annealing]:
    """The optimizer, and the schedule that Langevin dynamics has."""
    small = settings.dataset != "cifar10"
    schedule = sgld.annealing(settings.learning_rate, period=100 if small else 300, coldest=4e3 if small else 16e3)
    optimizers = {
        "adam": optax.adam(settings.learning_rate),
        "momentum": optax.sgd(settings.learning_rate, momentum=0.9),
        "langevin": sgld.langevin(schedule, noise=settings.noise),
    }
    return optimizers[settings.optimizer], schedule


def first_epoch_in_order(n: int, batch_size: int) -> training.Schedule:
    """The examples as they lie in the first epoch, shuffled from then on."""
    ordered, shuffled = (training.minibatches(n, batch_size, shuffle=shuffle) for shuffle in (False, True))

    def schedule(key, epoch):
        return jax.tree.map(functools.partial(jnp.where, epoch == 0), ordered(key, epoch), shuffled(key, epoch))

    return schedule


def train(settings: Settings, name: Name, mode: Mode, n: int, results: Results) -> Row:
    """Trains all models of one training size, and evaluates every bound after every so many epochs."""
    task = draw_task(settings, n)
    module = make_network(name, task.num_classes, largest=task.largest, resize=settings.resize)
    network = training.as_network(module)
    if settings.augment and name != "mlp":
        network = network._replace(train=networks.augmented(networks.train_fn(module)))
    if settings.pretrained is not None:
        network = pretrained(network, dict(np.load(settings.pretrained)))
    optimizer, schedule = make_optimizer(settings)
    epochs = range(settings.evaluate_every, settings.num_epochs + 1, settings.evaluate_every)
    tracked = task.selection[: settings.tracked_runs]
    untracked = task.selection[settings.tracked_runs :]

    def runs(selection: np.ndarray, gradient_variance_every: int | None) -> Runs:
        key = jax.random.fold_in(jax.random.key(settings.seed), int(gradient_variance_every is None))
        part = "untracked" if gradient_variance_every is None else "tracked"
        folder = results.folder / "checkpoints" / f"{name} {mode} n={n} {part}"
        with training.progress(settings.num_epochs) as show:
            return run_networks(
                key,
                network,
                task.supersamples,
                selection,
                num_epochs=settings.num_epochs,
                epochs=tuple(epochs),
                batch_size=first_epoch_in_order(n, settings.batch_size)
                if settings.first_epoch_in_order
                else settings.batch_size,
                optimizer=optimizer,
                deterministic=mode == "deterministic",
                gradient_variance_every=gradient_variance_every,
                callback=show,
                callback_every=settings.evaluate_every,
                checkpoint=training.Checkpoint(folder, {"network": str(module), "optimizer": settings.optimizer}),
            )

    parts = [runs(untracked, None)]
    if settings.tracked_runs:
        parts.append(runs(tracked, settings.gradient_variance_every))
    joined = parts[0]._replace(
        predictions=np.concatenate([part.predictions for part in parts], axis=2),
        selection=np.concatenate([part.selection for part in parts], axis=1),
        valid=np.concatenate([part.valid for part in parts], axis=1),
    )
    row = evaluate(joined, task)
    if settings.tracked_runs:
        row["sgld"] = sgld_bounds(parts[1], schedule, n, settings).tolist()
    return row


def evaluate(runs: Runs, task: Task) -> Row:
    """Every bound and the gap: at the last epoch all of them, at the others f-CMI."""
    options: dict[str, Any] = {"valid": runs.valid}
    last = bounds.evaluate_all(
        runs.selection, predictions=runs.predictions[-1], labels=runs.labels, num_classes=task.num_classes, **options
    )
    row: Row = {"epochs": runs.epochs.tolist(), "bound": [], "gap": [], "diverged": int((~runs.valid).sum())}
    for predictions in runs.predictions:
        bound = bounds.fcmi(predictions, runs.selection, num_classes=task.num_classes, **options)
        gap = bounds.generalization_gap(bounds.zero_one_losses(predictions, runs.labels), runs.selection, **options)
        row["bound"].append(np.asarray(bound.per_supersample).tolist())
        row["gap"].append(np.asarray(gap.per_supersample).tolist())
    row["ghost_loss"] = float(gap.ghost_loss.mean())
    return row | {"last": {name: [bound.kind, float(bound.value)] for name, bound in last.items()}}


def sgld_bounds(runs: Runs, schedule: sgld.Annealing, n: int, settings: Settings) -> np.ndarray:
    """The bound of Langevin dynamics at every evaluation, mean over the tracked models."""
    assert runs.gradient_variances is not None
    variances = runs.gradient_variances.reshape(-1, runs.gradient_variances.shape[-1])
    steps = variances.shape[1] // settings.num_epochs
    rates, inverse_temperatures = sgld.histories(schedule, variances.shape[1])

    def bound(updates: int, of_model: np.ndarray) -> float:
        known = slice(None, updates + 1)
        return float(
            bounds.sgld(
                rates[known],
                inverse_temperatures[known],
                of_model[:updates],
                num_examples=n,
                batch_size=settings.batch_size,
            )
        )

    return np.array([np.mean([bound(steps * epoch, model) for model in variances]) for epoch in runs.epochs])


def linearized(settings: Settings, n: int) -> Row:
    """The same bound for the linearized CNN, trained to convergence in closed form on thousands of selections."""
    task = draw_task(settings, n)
    key = jax.random.key(settings.seed)
    selection = fcmi.draw_selection(key, settings.linearized, n, design="antithetic")
    rows: Row = {"runs": settings.linearized, "bound": [], "few": [], "gap": []}
    for z, supersample in enumerate(task.supersamples):
        images = data.standardize(supersample.inputs, 0.456, 0.224, scale=task.largest)
        network = networks.MLP((1024,), 1) if settings.dataset == "digits" else networks.four_layer_cnn()
        params = network.init(jax.random.fold_in(key, z), images[:1])
        targets = data.targets(supersample.labels, 2)
        kernel = empirical_kernel(network.apply, params, images)
        initial = jnp.asarray(network.apply(params, images))
        # as much weight decay as single precision needs
        decay = 1e-4 * float(jnp.trace(kernel)) / kernel.shape[0] / n
        outputs = functools.partial(linearized_runs, kernel, initial, targets, time=np.inf, weight_decay=decay)
        many, few = (training.predicted_classes(outputs(chosen)) for chosen in (selection, task.selection))
        gap = bounds.generalization_gap(bounds.zero_one_losses(many, supersample.labels), selection)
        rows["gap"].append(float(gap.value))
        rows["bound"].append(float(bounds.fcmi(many, selection, num_classes=2).value))
        rows["few"].append(float(bounds.fcmi(few, task.selection, num_classes=2).value))
    return rows
