"""Sample information: the tables and figures of Harutyunyan et al., 2021.

    python -m experiments.sample_information --preset smoke|laptop|paper|cifar10_laptop [--parts mislabel ...]

Part of it: `correlation` with really retraining (table 1), `mislabel` detection, `summarization`, the most and least
informative `examples`, a rare `subclass`, and networks that are really `trained`, by every estimate of leaving examples
out. The paper's numbers are recalled, to ±0.02.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import Results, Row, in_parts, log_scale, main
from experiments.sample_information.tasks import (
    PRESETS,
    NetworkName,
    Part,
    Settings,
    Task,
    draw_task,
    kernels,
    learning_rate,
    load,
    make_network,
)
from experiments.sample_information.trained import trained
from infotheory_dl import data, metrics, training
from infotheory_dl.report import count
from infotheory_dl.sample_information import (
    LeaveOneOut,
    agreement,
    influence,
    leave_one_out,
    retrain_leave_one_out,
    summarize,
)
from infotheory_dl.types import ApplyFn, Params

# Table 1 of the paper, recalled: linearization and influence functions, without and with weight decay.
PAPER = {
    ("mlp", False): {"weight_change": (0.987, 0.935), "output_change": (0.993, 0.920)},
    ("mlp", True): {"weight_change": (0.977, 0.978), "output_change": (0.993, 0.990)},
    ("cnn", False): {"weight_change": (0.193, 0.319), "output_change": (0.033, 0.647)},
    ("cnn", True): {"weight_change": (-0.012, 0.069), "output_change": (0.070, 0.407)},
}
_EPOCHS = 20
WEIGHT_DECAY: dict[NetworkName, float] = {"mlp": 1.0, "cnn": 0.1}


def late(settings: Settings, apply_fn: ApplyFn, params: Params, task: Task) -> LeaveOneOut:
    """Leave-one-out at a late time."""
    return leave_one_out(
        **kernels(apply_fn, params, task),
        targets=data.targets(task.labels, 2),
        time=settings.steps,
        learning_rate=settings.late_learning_rate,
    )


def correlation(settings: Settings, results: Results) -> None:
    """Table 1: Pearson's correlation of both scores with really retraining without each example."""
    rows = []
    for name in settings.networks:
        for decay in (0.0, WEIGHT_DECAY[name]):
            # fewer examples are fitted in less time: with this rate training comes as far as on all of them
            rate = learning_rate(settings, name) * settings.retrained_examples / settings.num_examples

            def compute(name: NetworkName = name, decay: float = decay, rate: float = rate) -> Row:
                task = draw_task(settings, 0, settings.retrained_examples)
                apply_fn, params = make_network(settings, name, 0, task.x)
                targets = data.targets(task.labels, 2)
                arguments = (apply_fn, params, task.x, targets, task.reference_x)
                truth = retrain_leave_one_out(
                    *arguments, num_steps=settings.steps, learning_rate=rate, weight_decay=decay
                )
                linear = leave_one_out(
                    **kernels(apply_fn, params, task),
                    targets=targets,
                    time=settings.steps,
                    learning_rate=rate,
                    weight_decay=decay,
                    dynamics="discrete",
                )
                influences = influence(
                    apply_fn,
                    truth.params,
                    task.x,
                    targets,
                    task.reference_x,
                    method="gauss_newton",
                    weight_decay=decay,
                    # the published recursion damps by 0.01 at a scale of 1000
                    damping=0.0 if decay else 10.0,
                    initial_params=params,
                )
                return {
                    f"{score} {estimate}": float(agreement(getattr(values, score), getattr(truth, score)).pearson)
                    for score in ("weight_change", "output_change")
                    for estimate, values in (("linearized", linear), ("influence", influences))
                }

            found = results.once(f"correlation {name} weight_decay={decay}", compute)
            row: Row = {"network": name, "weight decay": decay}
            for score, recalled in PAPER[name, decay > 0].items():
                row[score] = f"{found[f'{score} linearized']:.3f} / {found[f'{score} influence']:.3f}"
                row[f"{score}, paper"] = f"{recalled[0]:.3f} / {recalled[1]:.3f}"
            rows.append(row)
    results.table("Correlation with retraining, linearized / influence (paper: recalled)", rows)


def mislabel(settings: Settings, results: Results) -> None:
    """Detection of flipped labels by both scores, over learning rates and times."""
    rows = []
    for name in settings.networks:
        trainings: dict[str, dict[str, Any]] = {
            "the paper's": {"time": settings.steps, "learning_rate": learning_rate(settings, name)},
            "late": {"time": settings.steps, "learning_rate": settings.late_learning_rate},
            "weight decay 0.1, converged": {"time": np.inf, "learning_rate": 1.0, "weight_decay": 0.1},
        }

        def compute(seed: int, name: NetworkName = name, trainings: Any = trainings) -> Row:
            task = draw_task(settings, seed, settings.num_examples)
            apply_fn, params = make_network(settings, name, seed, task.x)
            noisy = data.corrupt_labels(
                jax.random.key(seed), task.labels, data.uniform_transition(2, settings.flip), exact=True
            )
            arguments = kernels(apply_fn, params, task) | {"targets": data.targets(noisy.labels, 2)}
            row: Row = {}
            for label, training_settings in trainings.items():
                scores = leave_one_out(**arguments, **training_settings)
                for score in ("weight_change", "output_change"):
                    row[f"{label} {score}"] = float(metrics.area_under_roc(getattr(scores, score), noisy.flipped))
            return row

        drawn = [
            results.once(f"mislabel {name} seed={s}", functools.partial(compute, s)) for s in range(settings.seeds)
        ]
        for label in trainings:
            row = {"network": name, "training": label}
            for score in ("weight_change", "output_change"):
                values = [one[f"{label} {score}"] for one in drawn]
                row[f"AUROC {score}"] = f"{np.mean(values):.3f} ± {np.std(values):.3f}"
            rows.append(row)
    results.table("Detection of flipped labels", rows)


def summarization(settings: Settings, results: Results) -> None:
    """Accuracy on the reference set after removing more and more examples, each network really trained."""
    ratios = np.arange(0, 1, 0.05)
    name = settings.networks[-1]
    curves: dict[str, np.ndarray] = {}
    for strategy in ("iterative", "bottom", "top", "random"):
        runs = []
        for seed in range(settings.seeds):

            def compute(seed: int = seed, strategy: Any = strategy) -> Row:
                task = draw_task(settings, seed, settings.num_examples)
                apply_fn, params = make_network(settings, name, seed, task.x)
                targets = data.targets(task.labels, 2)
                summary = summarize(
                    **kernels(apply_fn, params, task),
                    targets=targets,
                    strategy=strategy,
                    key=jax.random.key(seed),
                    time=settings.steps,
                    learning_rate=settings.late_learning_rate,
                )
                order = np.asarray(summary.order)
                kept = [order[int(ratio * len(order)) :] for ratio in ratios]
                return {"accuracies": accuracies(apply_fn, params, task, kept)}

            runs.append(results.once(f"summarization {name} {strategy} seed={seed}", compute)["accuracies"])
        curves[strategy] = np.mean(runs, axis=0)

    caption = (
        f"{settings.dataset}, {name}: networks trained anew without the least informative examples (iterative: scored"
        f" anew after each twentieth), the most, or any; mean of {count(settings.seeds, 'draw', 'draws')}. In the paper"
        " (recalled) the iterative order keeps the accuracy longest, and removing the top loses it first."
    )
    with results.figure("summarization", caption=caption, size=(6, 4)) as axes:
        for strategy, curve in curves.items():
            axes.plot(ratios, curve, label=strategy)
        axes.set(xlabel="fraction removed", ylabel="accuracy")
    rows = [
        {"removed": float(ratio)} | {strategy: float(curve[i]) for strategy, curve in curves.items()}
        for i, ratio in enumerate(ratios)
        if i % 3 == 0
    ]
    results.table("Accuracy after removing examples", rows)


def accuracies(apply_fn: ApplyFn, params: Params, task: Task, training_sets: list[np.ndarray]) -> list[float]:
    """Trains the network by Adam on each of several sets of rows, and returns the accuracies on the reference set."""
    system = training.supervised(apply_fn, optax.adam(1e-3), training.half_squared_error)
    count = len(training_sets)
    trained = training.train_many(
        jax.random.split(jax.random.key(0), count),
        system.step,
        jax.tree.map(lambda leaf: jnp.stack([leaf] * count), system.init(params)),
        (task.x, data.targets(task.labels, 2)),
        num_epochs=_EPOCHS,
        batch_size=100,
        # a smaller set is repeated, so that all take the same number of steps
        subsets=np.stack([np.resize(rows, len(task.x)) for rows in training_sets]),
        evaluation=training.Evaluation(
            system.evaluate, (task.reference_x, data.targets(task.reference_labels, 2)), epochs=(_EPOCHS,)
        ),
    )
    return np.asarray(trained.evaluations["accuracy"])[:, 0].tolist()


def examples(settings: Settings, results: Results) -> None:
    """A figure of the most and the least informative images of each class."""
    task = draw_task(settings, 0, settings.num_examples)
    apply_fn, params = make_network(settings, settings.networks[-1], 0, task.x)
    information = np.asarray(late(settings, apply_fn, params, task).output_change)
    # from standardised to the range of the colours
    low, high = task.x.min((0, 1, 2)), task.x.max((0, 1, 2))
    images = (task.x - low) / (high - low)
    if images.shape[-1] == 1:
        images = 1 - np.repeat(images, 3, axis=-1)
    caption = (
        f"{settings.dataset}, {settings.num_examples} examples, {settings.networks[-1]}, by functional sample"
        " information late in training. In the paper (recalled) the most informative are atypical or ambiguous, the"
        " least typical and nearly alike."
    )
    with results.figure("examples", 4, 10, caption=caption, size=(10, 4.4)) as grid:
        for axes_row, (most, label) in zip(grid, [(True, 0), (True, 1), (False, 0), (False, 1)], strict=True):
            members = np.flatnonzero(task.labels == label)
            ranked = members[np.argsort(-information[members] if most else information[members])]
            for axes, i in zip(axes_row, ranked[:10], strict=True):
                axes.imshow(images[i])
                axes.axis("off")
            name = class_name(settings, settings.classes[label])
            axes_row[0].set_title(f"{'most' if most else 'least'} informative, {name}", loc="left")


def class_name(settings: Settings, label: int) -> str:
    """A digit, or the word for what is on a picture."""
    return load(settings.dataset).class_names[label]


def subclass(settings: Settings, results: Results) -> None:
    """A rare sub-class tells more per example, and less as it grows: one class joins another, more and more of it."""
    first, _ = settings.classes
    runs = [
        [
            results.once(
                f"subclass {fraction} seed={seed}", functools.partial(_ratio_of_subclass, settings, fraction, seed)
            )
            for seed in range(settings.seeds)
        ]
        for fraction in (0.02, 0.1, 0.5, 1.0)
    ]
    rare, common = class_name(settings, settings.rare), class_name(settings, first)
    rows = [
        {"examples": round(np.mean([run["rare"] for run in of_fraction]))}
        | dict(zip(("ratio", "deviation"), _moments([run["ratio"] for run in of_fraction]), strict=True))
        for of_fraction in runs
    ]
    results.table(
        f"Mean information of a {rare} over that of a {common}, both in one class, mean of {settings.seeds} draws", rows
    )
    caption = (
        f"{settings.dataset}: what one {rare} tells that joins the class of the {common}s, over what one {common}"
        f" tells, by how many join; bars are one deviation over {count(settings.seeds, 'draw', 'draws')}. In the paper"
        " (recalled), cats or dogs against deer, they tell more while they are rare."
    )
    with results.figure("subclass", caption=caption) as axes:
        places, ratios, deviations = ([row[column] for row in rows] for column in ("examples", "ratio", "deviation"))
        axes.errorbar(places, ratios, deviations, fmt="o-")
        axes.axhline(1, color="C4", linewidth=0.8)
        log_scale(axes, places)
        axes.set(xlabel=f"{rare}s", ylabel=f"information over a {common}'s", ylim=(0, None))


def _moments(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))


def _ratio_of_subclass(settings: Settings, fraction: float, seed: int) -> Row:
    """The mean information of the examples that join a class over that of those it had, with some of them alone."""
    first, _ = settings.classes
    task = draw_task(settings, seed, settings.num_examples, group=(first, settings.rare))
    is_rare = task.origin == settings.rare
    rare = np.flatnonzero(is_rare)[: max(2, int(fraction * is_rare.sum()))]
    kept = np.sort(np.concatenate([np.flatnonzero(~is_rare), rare]))
    part = task._replace(x=task.x[kept], labels=task.labels[kept], origin=task.origin[kept])
    apply_fn, params = make_network(settings, settings.networks[-1], seed, task.x)
    information = np.asarray(late(settings, apply_fn, params, part).output_change)
    of_rare, of_common = (information[part.origin == origin].mean() for origin in (settings.rare, first))
    return {"rare": len(rare), "ratio": float(of_rare / of_common)}


PARTS: dict[Part, Callable[[Settings, Results], None]] = {
    "correlation": correlation,
    "mislabel": mislabel,
    "summarization": summarization,
    "examples": examples,
    "subclass": subclass,
    "trained": trained,
}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
