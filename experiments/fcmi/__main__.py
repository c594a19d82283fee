"""f-CMI: the tables and figures of Harutyunyan et al., 2021 (NeurIPS), bounds on the gap from predictions.

    python -m experiments.fcmi --preset smoke|laptop|paper|sgld|resnet50 [--n 75 250 ...]

For every training size: networks are trained on many selections of several supersamples, and every bound that their
predictions allow is evaluated. `linearized` adds the same bound for the linearized network on thousands of selections,
without training. The paper's numbers are those of its notebooks, its spreads are read off its figures.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax

from experiments.fcmi.networks import Name, make_network, pretrained
from experiments.harness import Results, Row, console, open_results, parse, print_table
from infotheory_dl import data, fcmi, networks, training
from infotheory_dl.fcmi import bounds, sgld
from infotheory_dl.fcmi.linearized import linearized_runs
from infotheory_dl.fcmi.run import Runs, run_networks
from infotheory_dl.linearization import empirical_kernel

mpl.use("Agg")
import matplotlib.pyplot as plt

Mode = Literal["standard", "deterministic"]
Rows: TypeAlias = dict[tuple[Name, Mode, int], Row]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment; those of the paper for MNIST 4 against 9 by default."""

    dataset: str = "mnist"
    classes: tuple[int, ...] | None = (4, 9)
    """Classes to tell apart; None is all."""
    original_order: Path | None = None
    """An .npz file with the array DATASET_train, the place of every example in the original file: with it the
    supersamples and selections are the published ones."""
    networks: tuple[Name, ...] = ("cnn", "wide")
    modes: tuple[Mode, ...] = ("deterministic", "standard")
    """Whether the models of different selections share their initial parameters and the order of their rows."""
    n: tuple[int, ...] = (75, 250, 1000, 4000)
    """Training sizes: rows of the supersample."""
    num_supersamples: int = 5
    num_runs: int = 30
    """Selections of each supersample."""
    num_epochs: int = 200
    evaluate_every: int = 20
    """Epochs between two evaluations of the bounds."""
    batch_size: int = 128
    optimizer: Literal["adam", "momentum", "langevin"] = "adam"
    learning_rate: float = 1e-3
    noise: sgld.Noise = "paper"
    """Of Langevin dynamics; "original" is the published code's, for which its bound does not hold."""
    tracked_runs: int = 0
    """Selections whose gradient variances are tracked, for the bound of Langevin dynamics."""
    gradient_variance_every: int = 1
    """Updates between two of these."""
    first_epoch_in_order: bool = False
    """Whether the examples of the first epoch come as they lie, the paper's study of the early peak."""
    augment: bool = False
    """Whether training images are flipped and cropped at random."""
    resize: int | None = None
    """Pixels a side that images are scaled to inside the network."""
    pretrained: Path | None = None
    """An .npz file with the arrays of a torchvision state dict, for the ResNet."""
    linearized: int = 10_000
    """Selections for the linearized network; 0 leaves it out."""
    seed: int = 0
    output: Path = Path("results/fcmi/paper")


PRESETS = {
    "smoke": Settings(
        dataset="digits",
        networks=("mlp",),
        n=(40,),
        num_supersamples=2,
        num_runs=10,
        num_epochs=40,
        evaluate_every=20,
        linearized=500,
        output=Path("results/fcmi/smoke"),
    ),
    "laptop": Settings(
        networks=("cnn",),
        modes=("deterministic",),
        n=(75, 250),
        num_supersamples=2,
        num_epochs=40,
        evaluate_every=10,
        output=Path("results/fcmi/laptop"),
    ),
    "paper": Settings(),
    "sgld": Settings(
        networks=("cnn",),
        modes=("standard",),
        n=(4000,),
        num_epochs=40,
        evaluate_every=4,
        batch_size=100,
        optimizer="langevin",
        learning_rate=0.004,
        tracked_runs=4,
        linearized=0,
        output=Path("results/fcmi/sgld"),
    ),
    "resnet50": Settings(
        dataset="cifar10",
        classes=None,
        networks=("resnet50",),
        modes=("standard",),
        n=(1000, 5000, 20_000),
        num_supersamples=1,
        num_runs=40,
        num_epochs=40,
        evaluate_every=40,
        batch_size=64,
        optimizer="momentum",
        learning_rate=0.01,
        augment=True,
        resize=224,
        linearized=0,
        output=Path("results/fcmi/resnet50"),
    ),
}


class Published(NamedTuple):
    """The paper's gap and bound at the last epoch, and their spreads over supersamples where its figures show them."""

    gap: float
    bound: float
    gap_spread: float | None = None
    bound_spread: float | None = None


PAPER: dict[tuple[Name, Mode], dict[int, Published]] = {
    ("cnn", "deterministic"): {
        75: Published(0.08347, 0.22257, 0.020, 0.041),
        250: Published(0.03451, 0.09499, 0.005, 0.0137),
        1000: Published(0.01411, 0.04081, 0.0028, 0.0061),
        4000: Published(0.00814, 0.02655, 0.001, 0.002),
    },
    ("cnn", "standard"): {
        75: Published(0.08924, 0.24268, 0.023, 0.052),
        250: Published(0.03627, 0.10733, 0.006, 0.0149),
        1000: Published(0.01553, 0.04673, 0.002, 0.006),
        4000: Published(0.00806, 0.02571, 0.001, 0.001),
    },
    ("wide", "deterministic"): {
        75: Published(0.09253, 0.23986, 0.020, 0.046),
        250: Published(0.03739, 0.11018, 0.004, 0.0149),
        1000: Published(0.01335, 0.03949, 0.001, 0.002),
        4000: Published(0.00789, 0.02541, 0.001, 0.002),
    },
    ("resnet50", "standard"): {
        1000: Published(0.13248, 0.34686),
        5000: Published(0.09543, 0.28067),
        20_000: Published(0.04994, 0.15908),
    },
}


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


def tables(settings: Settings, rows: Rows, linear: dict[int, Row]) -> None:
    """Prints the gap and the bound beside the paper's, every other bound, and the runs without training."""
    summary = []
    for (name, mode, n), row in rows.items():
        published = PAPER.get((name, mode), {}).get(n) if settings.dataset in ("mnist", "cifar10") else None
        gap, bound = np.array(row["gap"][-1]), np.array(row["bound"][-1])
        summary.append(
            {
                "network": name,
                "mode": mode,
                "n": n,
                "gap": f"{gap.mean():.4f} ± {gap.std():.4f}",
                "paper's": "" if published is None else f"{published.gap:.4f}",
                "f-CMI bound": f"{bound.mean():.4f} ± {bound.std():.4f}",
                "paper's ": "" if published is None else f"{published.bound:.4f}",
                "bound / gap": float(bound.mean() / gap.mean()),
                "diverged": row["diverged"],
            }
        )
    print_table(f"{settings.dataset}: gap and bound after {settings.num_epochs} epochs, ± over supersamples", summary)
    names = dict.fromkeys(name for row in rows.values() for name in row["last"])
    others = []
    for bound in names:
        kinds = [row["last"][bound][0] for row in rows.values() if bound in row["last"]]
        values = {f"{name} {mode} {n}": row["last"].get(bound, ["", ""])[1] for (name, mode, n), row in rows.items()}
        others.append({"bound": bound, "on": kinds[0]} | values)
    print_table("Every bound at the last epoch, on the gap or on the population loss", others)
    if linear:
        print_table(
            "The linearized network, without training",
            [
                {
                    "n": n,
                    "gap": float(np.mean(row["gap"])),
                    f"bound, {row['runs']} runs": float(np.mean(row["bound"])),
                    f"bound, {settings.num_runs} runs": float(np.mean(row["few"])),
                }
                for n, row in linear.items()
            ],
        )
    for (name, mode, n), row in rows.items():
        if "sgld" in row:
            columns = zip(row["epochs"], np.mean(row["bound"], 1), np.mean(row["gap"], 1), row["sgld"], strict=True)
            heads = ("epoch", "f-CMI bound", "gap", "SGLD bound")
            print_table(f"{name} {mode} n={n}", [dict(zip(heads, map(float, row), strict=True)) for row in columns])


def figures(settings: Settings, rows: Rows, results: Results) -> None:
    """Draws the bound and the gap over training sizes and over epochs, with bands over supersamples."""
    for name, mode in dict.fromkeys((name, mode) for name, mode, _ in rows):
        sizes = [n for n in settings.n if (name, mode, n) in rows]
        figure, axes = plt.subplots(figsize=(5, 3.6))
        for quantity, color in (("bound", "C0"), ("gap", "C1")):
            last = np.array([rows[name, mode, n][quantity][-1] for n in sizes])
            band(axes, sizes, last, label=quantity if quantity == "gap" else "f-CMI bound", color=color)
            known = PAPER.get((name, mode), {}) if settings.dataset in ("mnist", "cifar10") else {}
            points = [(n, getattr(known[n], quantity)) for n in sizes if n in known]
            if points:
                axes.plot(*zip(*points, strict=True), "x", color=color, label="the paper's")
        axes.set(xscale="log", xlabel="training examples", ylabel="error", title=f"{name}, {mode}", ylim=(0, None))
        axes.set_xticks(sizes, map(str, sizes))
        axes.minorticks_off()
        axes.legend(frameon=False)
        save(figure, results, f"{name}_{mode}_by_n")
        for n in sizes:
            row = rows[name, mode, n]
            figure, axes = plt.subplots(figsize=(5, 3.6))
            band(axes, row["epochs"], np.array(row["bound"]), label="f-CMI bound", color="C0")
            band(axes, row["epochs"], np.array(row["gap"]), label="gap", color="C1")
            if "sgld" in row:
                axes.plot(row["epochs"], row["sgld"], color="C2", label="SGLD bound")
            axes.set(xlabel="epochs", ylabel="error", title=f"{name}, {mode}, n = {n}", ylim=(0, None))
            axes.legend(frameon=False)
            save(figure, results, f"{name}_{mode}_{n}_by_epoch")


def band(axes: Any, x: Any, values: np.ndarray, **style: Any) -> None:
    """Draws the mean over supersamples, the last axis, in a band of one standard deviation."""
    mean, spread = values.mean(1), values.std(1)
    axes.plot(x, mean, "o-", **style)
    axes.fill_between(x, mean - spread, mean + spread, color=style["color"], alpha=0.2, linewidth=0)


def save(figure: Any, results: Results, name: str) -> None:
    """Writes a figure into the folder of results."""
    figure.savefig(results.folder / f"{name}.png", dpi=150, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    """Runs every network, mode and size; a killed run resumes where it stopped."""
    settings = parse(__doc__, PRESETS)
    results = open_results(settings.output, settings)
    rows = {
        (name, mode, n): results.once(
            f"{name} {mode} n={n}", functools.partial(train, settings, name, mode, n, results)
        )
        for name in settings.networks
        for mode in settings.modes
        for n in settings.n
    }
    binary = settings.classes is not None and len(settings.classes) == 2
    linear = {
        n: results.once(f"linearized n={n}", functools.partial(linearized, settings, n))
        for n in settings.n
        if settings.linearized and binary and n <= 250
    }
    tables(settings, rows, linear)
    figures(settings, rows, results)
    console.print(f"Figures and metrics: {results.folder}")


if __name__ == "__main__":
    main()
