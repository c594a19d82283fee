"""What predictions of a task are worth: measures with intervals over patients, calibration, subgroups, two models."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Real

from infotheory_dl import metrics
from infotheory_dl._validation import edge, require_choice, require_count, require_finite, require_shape, require_within
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._lengths import NUM_CLASSES, length_classes
from infotheory_dl.clinical._reading import Samples
from infotheory_dl.clinical._store import read_stays
from infotheory_dl.metrics import Calibration
from infotheory_dl.metrics.resampling import weighed_resamples
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key

_AGES = (45, 65, 80)
_SEXES = {1: "female", 2: "male"}
_ETHNICITIES = {1: "Asian", 2: "Black", 3: "Hispanic", 4: "White"}


@concise
class Interval(NamedTuple):
    """A measure, and how far chance in the patients carries it.

    Attributes:
      value: of all samples.
      standard_error: its standard deviation over resamples.
      low: lower end of the 95% interval.
      high: its upper end.
    """

    value: float
    standard_error: float
    low: float
    high: float


@concise
class Subgroup(NamedTuple):
    """The measures of some of the samples.

    Attributes:
      of: what distinguishes them: "sex", "age" or "ethnicity".
      name: of the group.
      samples: how many there are.
      patients: whose they are.
      measures: as of all samples; empty where they cannot be measured, as of one class only.
    """

    of: str
    name: str
    samples: int
    patients: int
    measures: dict[str, Interval]


@concise
class Evaluation(NamedTuple):
    """What predictions of a task are worth.

    Attributes:
      task: its name.
      samples: how many there are.
      patients: whose they are.
      measures: by name.
      per_label: of phenotyping the area of each label.
      calibration: of probabilities; of several labels that of all of them together; None for lengths.
      subgroups: the same measures of some patients.
      difference: how much more the measures are than those of the other predictions, if there are any.
    """

    task: str
    samples: int
    patients: int
    measures: dict[str, Interval]
    per_label: dict[str, Interval]
    calibration: Calibration | None
    subgroups: tuple[Subgroup, ...]
    difference: dict[str, Interval]


@edge
def evaluate(
    key: Key,
    samples: Samples,
    predictions: Real[AnyArray, "samples *labels"],
    *,
    against: Real[AnyArray, "samples *labels"] | None = None,
    by: str = "patient",
    every_class: bool = False,
    num_resamples: int = 1000,
) -> Evaluation:
    """Measures what predictions of a task are worth, with 95% intervals by a bootstrap.

    Args:
      key: source of randomness.
      samples: of `read`, of any task but the multitask.
      predictions: in the form of the labels of the samples: probabilities, or hours that are left.
      against: those of another model, for the difference of both on the same resamples.
      by: what is drawn: "patient", all samples of each; or "sample", each by itself, as the paper does, which makes
        intervals of hourly tasks far too narrow.
      every_class: whether the kappa of lengths counts all ten classes; the published one counts those that occur.
      num_resamples: of the bootstrap.

    Raises:
      ValueError: if the shapes differ, a prediction is not finite, a probability is not in [0, 1], one class only is
        there, or a setting is out of range.

    Warns:
      UserWarning: if resamples have one class only.

    Source: Harutyunyan et al., 2019 (metrics).
    """
    require_choice("task", samples.task, ("mortality", "decompensation", "length_of_stay", "phenotyping"))
    require_choice("by", by, ("patient", "sample"))
    require_count(1, num_resamples=num_resamples)
    models = {"predictions": predictions} | ({} if against is None else {"against": against})
    for name, model in models.items():
        require_shape(name, model, samples.labels.shape, "that of the labels")
        require_finite(**{name: model})
        if samples.task != "length_of_stay":
            require_within("[0, 1]", **{name: model})
    patients = np.array([int(name.split("_")[0]) for name in samples.names])[samples.stay]
    labels, shown = np.asarray(samples.labels), [np.asarray(model, float) for model in models.values()]
    varying = np.arange(len(_facts.phenotypes().names))
    if samples.task == "phenotyping":
        varying = np.flatnonzero(np.ptp(labels, axis=0))
        labels, shown = labels[:, varying], [model[:, varying] for model in shown]
    programs = [_programs(samples.task, labels, model, every_class) for model in shown]
    options: dict[str, Any] = {"groups": patients if by == "patient" else None, "num_resamples": num_resamples}
    values = [_named([measure(*given, **settings) for measure, given, settings in of_model]) for of_model in programs]
    drawn = [
        _named(
            [metrics.bootstrap(key, measure, *given, **options, **settings) for measure, given, settings in of_model]
        )
        for of_model in programs
    ]
    difference: dict[str, Interval] = {}
    if against is not None:
        less = lambda pair: {name: np.asarray(pair[0][name] - pair[1][name]) for name in pair[0]}
        difference = _intervals(less(values), less(drawn))
    found = _intervals(values[0], drawn[0])
    calibrated = None
    if samples.task != "length_of_stay":
        calibrated = metrics.calibration(labels.ravel().astype(int), shown[0].ravel())
    return Evaluation(
        samples.task,
        len(labels),
        len(np.unique(patients)),
        {name: interval for name, interval in found.items() if isinstance(name, str)},
        {_facts.phenotypes().names[varying[name]]: found[name] for name in found if isinstance(name, int)},
        calibrated,
        tuple(_subgroups(key, samples, patients, labels, shown[0], every_class, options)),
        {name: interval for name, interval in difference.items() if isinstance(name, str)},
    )


_Programs: TypeAlias = list[tuple[Callable[..., Any], tuple[np.ndarray, ...], dict[str, Any]]]
"""Measures, each with its columns and settings."""


def _programs(task: str, labels: np.ndarray, model: np.ndarray, every_class: bool) -> _Programs:
    if task != "length_of_stay":
        return [(metrics.multilabel if labels.ndim == 2 else metrics.binary, (labels.astype(int), model), {})]
    hours = np.maximum(model, 0)
    classes = length_classes(labels), length_classes(hours)
    return [
        (metrics.cohen_kappa, classes, {"num_classes": NUM_CLASSES if every_class else None}),
        (metrics.regression, (labels, hours), {}),
    ]


def _named(results: list[Any]) -> dict[str | int, np.ndarray]:
    """Measures by name, those of single labels by their number."""
    named: dict[str | int, Any] = {}
    for result in results:
        if isinstance(result, metrics.Binary):
            named |= {name: getattr(result, name) for name in ("auroc", "auprc", "minpse", "accuracy")}
        elif isinstance(result, metrics.Multilabel):
            named |= {name: getattr(result, name) for name in ("macro", "micro", "weighted")}
            named |= {label: result.per_label[..., label] for label in range(result.per_label.shape[-1])}
        elif isinstance(result, metrics.Regression):
            named |= {name: getattr(result, name) for name in result._fields}
        else:
            named["kappa"] = result
    return {name: np.asarray(value) for name, value in named.items()}


def _intervals(values: dict[str | int, np.ndarray], drawn: dict[str | int, np.ndarray]) -> dict[Any, Interval]:
    found = {}
    for name, value in values.items():
        kept = drawn[name][np.isfinite(drawn[name])]
        # of resamples that all have one class only there is no interval
        ends = np.quantile(kept, (0.025, 0.975)).tolist() if len(kept) else (np.nan, np.nan)
        found[name] = Interval(float(value), float(kept.std()) if len(kept) else np.nan, *ends)
    return found


def _subgroups(
    key: Key,
    samples: Samples,
    patients: np.ndarray,
    labels: np.ndarray,
    model: np.ndarray,
    every_class: bool,
    options: dict[str, Any],
) -> Iterator[Subgroup]:
    """By sex, age and ethnicity; of several labels that of all pairs of stay and label."""
    repeats = labels.shape[1] if labels.ndim == 2 else 1
    programs = _programs(samples.task, labels.ravel(), model.ravel(), every_class)
    groups = None if options["groups"] is None else np.repeat(patients, repeats)
    for of, name, members in _groups_of(samples):
        weights = np.repeat(members, repeats).astype(float)
        measures: dict[str, Interval] = {}
        if samples.task == "length_of_stay" or np.ptp(labels.ravel()[weights > 0]):
            values = _named([measure(*given, weights=weights, **settings) for measure, given, settings in programs])
            drawn = _named(
                [
                    weighed_resamples(
                        key, measure, *given, weights=weights, **{**options, "groups": groups}, **settings
                    )
                    for measure, given, settings in programs
                ]
            )
            measures = _intervals(values, drawn)
        if repeats > 1 and measures:
            measures = {"micro": measures["auroc"]}
        yield Subgroup(of, name, int(members.sum()), len(np.unique(patients[members])), measures)


def _groups_of(samples: Samples) -> Iterator[tuple[str, str, np.ndarray]]:
    """What distinguishes each group, its name, and which samples are of it."""
    stays = read_stays(samples.store)
    row_of = {stay: row for row, stay in enumerate(stays["ICUSTAY_ID"])}
    rows = np.array([row_of[stay] for stay in samples.stays.tolist()])[samples.stay]
    ages = np.searchsorted(_AGES, stays["AGE"].to_numpy(), side="right")
    edges = ("18", *map(str, _AGES))
    ends = (*(f" to {age - 1}" for age in _AGES), " and more")
    named = {
        "sex": [_SEXES.get(code, "other") for code in stays["GENDER"]],
        "age": [f"{edges[place]}{ends[place]}" for place in ages],
        "ethnicity": [_ETHNICITIES.get(code, "other or unknown") for code in stays["ETHNICITY"]],
    }
    for of, names in named.items():
        of_samples = np.array(names)[rows]
        for name in np.unique(of_samples).tolist():
            yield of, name, of_samples == name
