"""Networks that are really trained: what every estimate of leaving examples out is worth there, and what it finds."""

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from experiments.harness import Results, Row
from experiments.sample_information.tasks import (
    NetworkName,
    Settings,
    Task,
    Units,
    draw_task,
    kernels,
    learning_rate,
    make_network,
)
from infotheory_dl import data, metrics, training
from infotheory_dl.sample_information import (
    agreement,
    influence,
    leave_one_out,
    retrain_without,
    seed_shares,
    trained_information,
)
from infotheory_dl.types import ApplyFn, Params

_MOMENTUM = 0.9
# of the Gauss-Newton matrix of the mean loss; the best one is told
_DAMPINGS = (1e-3, 1e-2, 0.1, 1.0)
_SCORES = ("weight_change", "output_change")
_REMOVED = (0.25, 0.5, 0.75)


class Training(NamedTuple):
    """A network before its training, and what it is trained on.

    Attributes:
      learning_rate: of the steps without their momentum.
      apply_fn, params: the network.
      system: that trains it.
      task: where the examples are from.
      targets: of the training, one column.
    """

    learning_rate: float
    apply_fn: ApplyFn
    params: Params
    system: training.System
    task: Task
    targets: np.ndarray


def trained(settings: Settings, results: Results) -> None:
    """Agreement with retraining, shares of examples and seeds, wrong labels and summarization, by each score."""
    _agreement(settings, results)
    _uses(settings, results)


def _agreement(settings: Settings, results: Results) -> None:
    rows: list[Row] = []
    shares: list[Row] = []
    drawn: dict[str, Row] = {}
    for name, units in itertools.product(settings.networks, settings.trained_units):
        runs = [
            results.once(
                f"trained {name} {units} seed={seed}", functools.partial(_agreement_of, settings, name, units, seed)
            )
            for seed in range(settings.seeds)
        ]
        drawn[f"{name}, {units}"] = runs[0]
        for estimate in runs[0]["agreement"]:
            row: Row = {"network": f"{name}, {units}", "estimate": estimate}
            for score in _SCORES:
                found = np.array([run["agreement"][estimate][score] for run in runs])
                row[f"{score}, Pearson"], row[f"{score}, Spearman"] = (f"{value:.3f}" for value in found.mean(0))
            row["CPU seconds"] = np.mean([run["seconds"][estimate] for run in runs])
            rows.append(row)
        if len(runs) > 1:
            for score in _SCORES:
                of_scores = seed_shares(np.log([run["scores"][score] for run in runs]))
                names = ("of_examples", "of_seeds", "of_both")
                shares.append(
                    {"network": f"{name}, {units}", "score": score}
                    | {part: float(getattr(of_scores, part)) for part in names}
                )
    notes = [
        f"{settings.left_out} examples left out, {settings.seeds} seeds of weights and orders, one draw of examples.",
        f"Influence functions at the best of the dampings {_DAMPINGS} for each column.",
    ]
    results.table("Agreement with really training without each example", rows, notes=notes)
    if shares:
        results.table("Shares of the variance of the logarithm of the midpoint scores", shares)
    caption = (
        "The change of the outputs without an example, by the derivative at the midpoint, over that of a network really"
        " trained without it, of one seed; where the derivative tells all, the points lie on the line."
    )
    with results.figure("trained", caption=caption) as axes:
        for label, run in drawn.items():
            real = run["real"]["output_change"]
            axes.plot(real, run["scores"]["output_change"], ".", label=label)
            axes.plot([min(real), max(real)], [min(real), max(real)], color="C4", linewidth=0.8)
        axes.set(xscale="log", yscale="log", xlabel="real change", ylabel="derivative")


def _begin(
    settings: Settings, name: NetworkName, units: Units, seed: int, *, flipped: bool = False
) -> tuple[Training, Any]:
    """The training of one seed, with a tenth of the labels wrong or without, and which are."""
    task = draw_task(settings, 0, settings.num_examples)
    apply_fn, params = make_network(settings, name, seed, task.x, units)
    wrong = None
    if flipped:
        transition = data.uniform_transition(2, settings.flip)
        noisy = data.corrupt_labels(jax.random.key(seed), task.labels, transition, exact=True)
        task, wrong = task._replace(labels=noisy.labels), noisy.flipped
    # momentum multiplies the steps by as much in the end
    rate = learning_rate(settings, name) * (1 - _MOMENTUM)
    optimizer = optax.sgd(rate, momentum=_MOMENTUM)
    system = training.supervised(apply_fn, optimizer, training.half_squared_error)
    return Training(learning_rate(settings, name), apply_fn, params, system, task, data.targets(task.labels, 2)), wrong


def _arguments(settings: Settings, begun: Training, seed: int) -> tuple[tuple[Any, Any, Any, Any, Any], dict[str, Any]]:
    state = begun.system.init(begun.params)
    schedule = {"num_epochs": settings.trained_epochs, "batch_size": settings.trained_batch}
    examples = begun.task.x, begun.targets
    return (jax.random.key(seed), begun.system, state, examples, begun.task.reference_x), schedule


def _agreement_of(settings: Settings, name: NetworkName, units: Units, seed: int) -> Row:
    """Of one network and seed: every estimate, beside really training without examples spread over the data."""
    begun, _ = _begin(settings, name, units, seed)
    arguments, schedule = _arguments(settings, begun, seed)
    chosen = np.linspace(0, len(begun.task.x) - 1, settings.left_out).astype(int)
    seconds: dict[str, float] = {}

    def timed(estimate: str, compute: Callable[[], Any]) -> Any:
        start = time.process_time()
        found = jax.block_until_ready(compute())
        seconds[estimate] = time.process_time() - start
        return found

    truth = timed("retraining", lambda: retrain_without(*arguments, groups=chosen[:, None], **schedule))
    information = functools.partial(trained_information, *arguments, num_retrained=0, **schedule)
    of_chosen = functools.partial(information, examples=chosen, method="forward")
    computed: dict[str, Callable[[], Any]] = {
        "derivative at the midpoint": of_chosen,
        "derivative at one": functools.partial(of_chosen, at="full"),
        "projections, all examples": functools.partial(
            information, at="full", method="projections", num_projections=settings.projections
        ),
        "linearized": functools.partial(_linearized, settings, begun),
    }
    estimates = {estimate: timed(estimate, compute) for estimate, compute in computed.items()}
    dampings = [
        timed("influence, best damping", functools.partial(_influence, begun, truth.params, damping))
        for damping in _DAMPINGS
    ]

    def against(found: Any, score: str) -> list[float]:
        estimate = getattr(found, score)
        estimate = estimate if len(estimate) == len(chosen) else estimate[chosen]
        return [float(part) for part in agreement(estimate, getattr(truth, score))]

    found = {name: {score: against(values, score) for score in _SCORES} for name, values in estimates.items()}
    found["influence, best damping"] = {
        score: max((against(values, score) for values in dampings), key=lambda pair: pair[1]) for score in _SCORES
    }
    midpoint = estimates["derivative at the midpoint"]
    scores, real = ({score: getattr(values, score) for score in _SCORES} for values in (midpoint, truth))
    return {"agreement": found, "seconds": seconds, "scores": scores, "real": real}


def _linearized(settings: Settings, begun: Training) -> Any:
    """The scores in closed form, after as much time as the steps of SGD with momentum take."""
    steps = settings.trained_epochs * -(-len(begun.task.x) // settings.trained_batch)
    return leave_one_out(
        **kernels(begun.apply_fn, begun.params, begun.task),
        targets=begun.targets,
        time=steps,
        learning_rate=begun.learning_rate,
        regularization="rescaled",
    )


def _influence(begun: Training, params: Params, damping: float) -> Any:
    return influence(
        begun.apply_fn,
        params,
        begun.task.x,
        begun.targets,
        begun.task.reference_x,
        method="gauss_newton",
        damping=damping,
    )


def _uses(settings: Settings, results: Results) -> None:
    """Wrong labels found by the scores of all examples, and accuracy without the least informative ones."""
    found: list[Row] = []
    kept: list[Row] = []
    units = settings.trained_units[0]
    for name in settings.networks:
        runs = [
            results.once(f"trained uses {name} seed={seed}", functools.partial(_uses_of, settings, name, units, seed))
            for seed in range(settings.seeds)
        ]
        for estimate in runs[0]["found"]:
            mean = lambda score, estimate=estimate, runs=runs: np.mean([run["found"][estimate][score] for run in runs])
            found.append(
                {"network": name, "scores": estimate} | {f"AUROC {score}": float(mean(score)) for score in _SCORES}
            )
        for estimate in runs[0]["kept"]:
            accuracy = np.mean([run["kept"][estimate] for run in runs], axis=0)
            columns = {f"without {share:.0%}": float(value) for share, value in zip(_REMOVED, accuracy, strict=True)}
            kept.append({"network": name, "least informative by": estimate} | columns)
    notes = [f"Influence functions at the best of the dampings {_DAMPINGS} for each column."]
    results.table(f"Detection of {settings.flip:.0%} wrong labels by scores of the trained network", found, notes=notes)
    notes = ["By the output change. Influence functions at the damping whose order is best for 50 %."]
    results.table("Accuracy of networks trained without the least informative examples", kept, notes=notes)


def _uses_of(settings: Settings, name: NetworkName, units: Units, seed: int) -> Row:
    scores, wrong = _all_scores(settings, name, units, seed, flipped=True)
    found = {
        estimate: {
            score: max(float(metrics.area_under_roc(getattr(values, score), wrong)) for values in candidates)
            for score in _SCORES
        }
        for estimate, candidates in scores.items()
    }
    scores, _ = _all_scores(settings, name, units, seed, flipped=False)
    begun, _ = _begin(settings, name, units, seed)
    accuracies = functools.partial(_accuracies, settings, begun, seed)
    half = _REMOVED.index(0.5)
    kept = {
        estimate: max(
            (accuracies(np.argsort(np.asarray(values.output_change))) for values in candidates),
            key=lambda accuracy: accuracy[half],
        )
        for estimate, candidates in scores.items()
    }
    kept["at random"] = accuracies(np.random.default_rng(seed).permutation(len(begun.task.x)))
    return {"found": found, "kept": kept}


def _all_scores(
    settings: Settings, name: NetworkName, units: Units, seed: int, *, flipped: bool
) -> tuple[dict[str, list[Any]], Any]:
    """The scores of all examples by each estimate, one or several to choose from, and which labels are wrong."""
    begun, wrong = _begin(settings, name, units, seed, flipped=flipped)
    arguments, schedule = _arguments(settings, begun, seed)
    key, system, state, examples, _ = arguments
    params = training.train(key, system.step, state, examples, **schedule).state.params
    information = functools.partial(trained_information, *arguments, num_retrained=0, **schedule)
    scores = {
        "derivative at one, projections": [
            information(at="full", method="projections", num_projections=settings.projections)
        ]
    }
    if name in settings.midpoint_of_all:
        scores["derivative at the midpoint"] = [information()]
    scores["linearized"] = [_linearized(settings, begun)]
    scores["influence, best damping"] = [_influence(begun, params, damping) for damping in _DAMPINGS]
    return scores, wrong


def _accuracies(settings: Settings, begun: Training, seed: int, order: np.ndarray) -> list[float]:
    """Accuracies on the reference set of networks that are trained without the first of the order."""
    weights = np.ones((len(_REMOVED), len(order)))
    for row, share in zip(weights, _REMOVED, strict=True):
        row[order[: int(share * len(order))]] = 0
    (key, system, state, examples, _), schedule = _arguments(settings, begun, seed)
    count = len(weights)
    evaluation = (begun.task.reference_x, data.targets(begun.task.reference_labels, 2))
    run = training.train_many(
        jax.random.split(key, count),
        system.step,
        jax.tree.map(lambda leaf: np.stack([leaf] * count), state),
        examples,
        weights=weights,
        evaluation=training.Evaluation(system.evaluate, evaluation, epochs=(settings.trained_epochs,)),
        **schedule,
    )
    return np.asarray(run.evaluations["accuracy"])[:, 0].tolist()
