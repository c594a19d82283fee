"""Domain generalization: which error dominates, of failures that are made, and of models that are trained.

    python -m experiments.domain_generalization --preset smoke|laptop|paper [--parts failures heads colored ...]

Of the paper's tables no number is known here, and none of these is one of them. Numbers beside ours are of DomainBed's
published table, or of one small run of its losses.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np

from experiments.domain_generalization import trainings
from experiments.domain_generalization.diagnoses import TERMS, mean_row, shown, stacked
from experiments.domain_generalization.settings import PRESETS, Part, Settings
from experiments.harness import Results, Row, in_parts, log_scale, main
from infotheory_dl import data, domain_generalization
from infotheory_dl.data import GaussianDomains
from infotheory_dl.domain_generalization import AlgorithmName, Term

# a run of DomainBed's losses, one seed, in the smaller setting of `colored`
ONE_RUN = {
    "erm": {"G0": 0.804, "G1": 0.780, "G2": 0.373, "G3": 0.287, "I0": 0.520, "I1": 0.502, "I2": 0.820},
    "irm": {"G0": 0.534, "G1": 0.892, "G2": 0.575, "G3": 0.539, "I0": 0.515, "I1": 0.614, "I2": 0.849},
    "vrex": {"G0": 0.709, "G1": 0.891, "G2": 0.601, "G3": 0.515, "I0": 0.508, "I1": 0.610, "I2": 0.846},
    "group_dro": {"G0": 0.817, "G1": 0.818, "G2": 0.352, "G3": 0.233, "I0": 0.513, "I1": 0.499, "I2": 0.840},
    "coral": {"G0": 0.816, "G1": 0.780, "G2": 0.330, "G3": 0.256, "I0": 0.514, "I1": 0.496, "I2": 0.827},
}
# DomainBed's table of Colored MNIST: percent right in +90%, +80% and -90%, chosen by source domains, and by the last
PUBLISHED: dict[str, tuple[float, float, float, float]] = {
    "erm": (71.7, 72.9, 10.0, 28.7),
    "irm": (72.5, 73.3, 10.2, 58.5),
    "group_dro": (73.1, 73.2, 10.0, 36.8),
    "vrex": (72.4, 72.9, 10.2, 55.2),
    "coral": (71.6, 73.1, 9.9, 31.1),
    "mmd": (71.4, 73.1, 9.9, 50.6),
    "dann": (71.4, 73.1, 10.0, 24.9),
    "cdann": (72.0, 73.0, 10.2, 33.8),
}

CAPTION = (
    "The error in the unseen domain of {}, {}, in its four terms; terms below zero are drawn downwards. Numbers of the"
    " paper are not known."
)
NOTES = (
    "G0 to G3: accuracies, whose steps down from 1 are the errors: underfitting (e0), inseparability (e1),",
    "misalignment (e2), non-invariance (e3). I0 to I2: domains that a probe tells right.",
)


def draw(settings: Settings, failure: Term, num_examples: int, number: int) -> GaussianDomains:
    """One model and its domains."""
    return data.gaussian_domains(
        jax.random.fold_in(jax.random.key(settings.seed), number),
        failure=failure,
        num_examples=num_examples,
        num_classes=settings.num_classes,
        num_features=settings.num_features,
        separation=settings.separation,
    )


def failures(settings: Settings, results: Results) -> None:
    """How often each failure is named, by how many examples there are."""
    rows: list[Row] = []
    for num_examples in settings.num_examples:
        for failure in TERMS:
            found = results.once(
                f"{failure}, {num_examples} examples", functools.partial(named, settings, failure, num_examples)
            )
            rows.append({"failure": failure, "examples of a domain": num_examples} | found)
    results.table(f"What is said to dominate the error, of {settings.draws} draws; the terms are means", rows)


def named(settings: Settings, failure: Term, num_examples: int) -> Row:
    """What the diagnosis says of draws of one failure."""
    found = [
        domain_generalization.diagnose(jax.random.key(number), *draw(settings, failure, num_examples, number))
        for number in range(settings.draws)
    ]
    right = sum(diagnosis.dominant == failure for diagnosis in found)
    silent = sum(diagnosis.dominant is None for diagnosis in found)
    terms = {term: float(np.mean([getattr(diagnosis.errors, term).value for diagnosis in found])) for term in TERMS}
    return {"right": right, "none named": silent, "wrong": len(found) - right - silent} | terms


def heads(settings: Settings, results: Results) -> None:
    """What heads that are fitted to some labels of the unseen domain do, under each failure."""
    rows: list[Row] = []
    for failure in TERMS:
        curves = results.once(f"heads, {failure}", functools.partial(heads_of, settings, failure))
        for number, unseen, joint in zip(settings.num_labels, curves["unseen"], curves["joint"], strict=True):
            rows.append(
                {
                    "failure": failure,
                    "labels": number,
                    "unseen alone": unseen,
                    "with the sources": joint,
                    "sources alone": curves["sources"],
                    "the model": curves["own"],
                }
            )
        caption = (
            "Heads fitted to some labels of the unseen domain, on representations that fail by"
            f" {failure.replace('_', '-')}; the analysis is ours, with no number of the paper."
        )
        with results.figure(f"heads_{failure}", caption=caption) as axes:
            axes.plot(settings.num_labels, curves["unseen"], "o-", label="labels of the unseen domain alone")
            axes.plot(settings.num_labels, curves["joint"], "s-", label="with those of the sources")
            axes.axhline(curves["own"], color="black", linestyle="--", label="the model")
            log_scale(axes, settings.num_labels)
            axes.set(xlabel="labels of the unseen domain", ylabel="accuracy there", ylim=(0, 1.02))
    results.table("Accuracy in the unseen domain of heads on the same representations", rows)


def heads_of(settings: Settings, failure: Term) -> Row:
    """The curves of one draw of the most examples."""
    features = draw(settings, failure, max(400, *settings.num_examples), 0)
    curves = domain_generalization.head_curves(
        jax.random.key(settings.seed), features.train, features.unseen, num_labels=settings.num_labels
    )
    return {
        "unseen": curves.unseen.mean(1).tolist(),
        "joint": curves.joint.mean(1).tolist(),
        "sources": curves.sources,
        "own": curves.own,
    }


def colored(settings: Settings, results: Results) -> None:
    """Colored digits of IRM's size: which error dominates after the training, and along it."""
    images = trainings.colored(settings, half_size=True, sizes=settings.sizes)
    task = trainings.make_task(jax.random.key(settings.seed), images, settings.tracked)
    found = {
        name: trained(settings, results, task, f"colored, {name}", name, along=True) for name in settings.algorithms
    }
    rows: list[Row] = []
    for name, ends in found.items():
        rows.append({"algorithm": name, "from": f"mean of {settings.seeds}"} | shown(mean_row(ends["end"])))
        if settings.digits == "mnist" and name in ONE_RUN:
            rows.append({"algorithm": "", "from": "DomainBed's losses, one run"} | shown(with_errors(ONE_RUN[name])))
    results.table(f"Colored digits, {settings.steps} steps: errors in {images.names[-1]}", rows, notes=NOTES)
    size, caption = (3.4 * len(found), 3.6), CAPTION.format(f"colored {settings.digits}", "along the training")
    with results.figure(
        "along_training", 1, len(found), caption=caption, size=size, sharey=True, legend_above=True
    ) as axes:
        for place, (name, ends) in zip(np.atleast_1d(axes), found.items(), strict=True):
            means = [mean_row(of_step) for of_step in zip(*ends["along"], strict=True)]
            stacked(place, ends["steps"], means, bars=False, title=name, legend=name == settings.algorithms[0])
            place.set_xlabel("steps")


def trained(
    settings: Settings,
    results: Results,
    task: trainings.Task,
    label: str,
    name: AlgorithmName,
    *,
    along: bool,
    seeds: int | None = None,
    **points: list[float],
) -> Row:
    """The diagnoses of an algorithm at some points of its settings, computed once."""
    own = {setting: [value] for setting, value in trainings.settings_of(settings, name).items()}
    number = max([1, *map(len, points.values())])
    own = {setting: value * number for setting, value in own.items()} | points
    compute = functools.partial(
        trainings.diagnosed_trainings,
        settings,
        task,
        name,
        own,
        num_trials=settings.seeds if seeds is None else seeds,
        along=along,
        checkpoint=results.folder / "checkpoints" / label,
    )
    return results.once(label, compute)


def with_errors(row: Row) -> Row:
    """A row with the terms between its accuracies."""
    right = [1.0, *(row[f"G{place}"] for place in range(4))]
    errors = {term: before - after for term, before, after in zip(TERMS, right[:-1], right[1:], strict=True)}
    return row | errors | {"largest": max(errors, key=lambda term: errors[term])}


def penalties(settings: Settings, results: Results) -> None:
    """Colored digits: the errors along the weight of the penalty."""
    images = trainings.colored(settings, half_size=True, sizes=settings.sizes)
    task = trainings.make_task(jax.random.key(settings.seed), images, settings.tracked)
    names: tuple[AlgorithmName, ...] = ("irm", "vrex")
    rows: list[Row] = []
    size, caption = (
        (4.2 * len(names), 3.6),
        CAPTION.format(f"colored {settings.digits}", "by the weight of the penalty"),
    )
    with results.figure(
        "along_penalty", 1, len(names), caption=caption, size=size, sharey=True, legend_above=True
    ) as axes:
        for place, name in zip(axes, names, strict=True):
            label = f"penalties, {name}"
            weights = list(settings.penalties)
            found = trained(settings, results, task, label, name, along=False, seeds=1, penalty_weight=weights)
            for weight, diverged, end in zip(weights, found["diverged"], found["end"], strict=True):
                rows.append({"algorithm": name, "weight": weight, "diverged": any(diverged)} | shown(end))
            stacked(place, weights, found["end"], bars=True, title=name, legend=name == names[0])
            place.set_xlabel("weight of the penalty")
    results.table("Colored digits: errors by the weight of the penalty, one model each", rows, notes=NOTES)


def hospitals(settings: Settings, results: Results) -> None:
    """Stained tissue: the errors in an unseen hospital, by how much hospitals differ."""
    rows: list[Row] = []
    found: dict[AlgorithmName, list[Row]] = {name: [] for name in settings.algorithms}
    settings = dataclasses.replace(settings, batch=settings.patches_batch)
    for shift in settings.shifts:
        images = trainings.hospitals(settings, shift)
        task = trainings.make_task(jax.random.key(settings.seed), images, settings.tracked)
        for name in settings.algorithms:
            label = f"hospitals, {shift}, {name}"
            (end,) = trained(settings, results, task, label, name, along=False, seeds=1)["end"]
            found[name].append(end)
            rows.append({"shift": shift, "algorithm": name} | shown(end))
    title = "Stained tissue: errors in the unseen hospital, by the shift between hospitals, one model each"
    results.table(title, rows, notes=NOTES)
    size, caption = (3.4 * len(found), 3.6), CAPTION.format("stained tissue", "by how much hospitals differ")
    with results.figure("hospitals", 1, len(found), caption=caption, size=size, sharey=True, legend_above=True) as axes:
        for place, (name, ends) in zip(np.atleast_1d(axes), found.items(), strict=True):
            stacked(place, settings.shifts, ends, bars=True, title=name, legend=name == settings.algorithms[0])
            place.set_xlabel("shift between hospitals")


def domainbed(settings: Settings, results: Results) -> None:
    """DomainBed's Colored MNIST with its network and its search, beside its table."""
    images = trainings.colored(settings, half_size=False, sizes=None)
    rows: list[Row] = []
    for name in settings.searched:
        label = f"DomainBed, {name}"
        compute = functools.partial(trainings.searched, settings, images, name, results.folder / "checkpoints" / label)
        rows.append({"algorithm": name} | results.once(label, compute))
        if settings.digits == "mnist":
            *by_sources, by_test = PUBLISHED[name]
            published = {f"iid {domain}": share / 100 for domain, share in zip(images.names, by_sources, strict=True)}
            published[f"oracle {images.names[-1]}"] = by_test / 100
            rows.append({"algorithm": "DomainBed's table"} | published)
    results.table("Accuracy in each domain of Colored MNIST, where it was held out", rows)


PARTS: dict[Part, Callable[[Settings, Results], None]] = {
    "failures": failures,
    "heads": heads,
    "colored": colored,
    "penalties": penalties,
    "hospitals": hospitals,
    "domainbed": domainbed,
}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
