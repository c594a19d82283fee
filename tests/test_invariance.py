"""Units, orders of examples and of classes, and what holds the numbers leave every answer as it is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl import fcmi, label_noise, linearization, metrics
from infotheory_dl import sample_information as si
from infotheory_dl.label_noise import detection, losses

NUM_EXAMPLES, NUM_CLASSES, NUM_REFERENCES, NUM_RUNS = 18, 3, 4, 20
TRAINING = {"learning_rate": 0.5, "regularization": "rescaled"}

Given = dict[str, np.ndarray]


class Case(NamedTuple):
    """A function of named arrays.

    Attributes:
      of: the function.
      names: of the arrays that it takes.
      in_units: `in_units(given, scale, shift)`: the arrays in other units, and the factor of every result.
      rows: whether the examples of the arrays, `ROWS`, are those of its results; otherwise the results have none.
      classes: whether its results stay as they are in another order of the classes.
      tolerance: in single precision.
      rounding: in double precision.
    """

    of: Callable[..., Any]
    names: tuple[str, ...]
    in_units: Callable[[Given, float, float], tuple[Given, Any]] | None = None
    rows: bool = True
    classes: bool = True
    tolerance: float = 1e-4
    rounding: float = 1e-7


# the axes of examples, and of classes, of every array; labels are in both by their values
ROWS = {
    "kernel": (0, 1),
    "reference_kernel": (1,),
    "initial": (0,),
    "targets": (0,),
    "features": (0,),
    "logits": (0,),
    "outputs": (0,),
    "history": (1,),
    "probabilities": (0,),
    "labels": (0,),
    "scores": (0,),
    "others": (0,),
    "positives": (0,),
    "correct": (1,),
}
CLASSES = {"initial": 1, "targets": 1, "logits": 1, "outputs": 1, "history": 2, "probabilities": 1}


def numbers(seed: int) -> Given:
    random = np.random.default_rng(seed)
    features, references = random.normal(size=(NUM_EXAMPLES, 30)), random.normal(size=(NUM_REFERENCES, 30))
    labels = random.permutation(np.arange(NUM_EXAMPLES) % NUM_CLASSES)
    return {
        "kernel": features @ features.T / 30,
        "reference_kernel": references @ features.T / 30,
        "initial": random.normal(size=(NUM_EXAMPLES, NUM_CLASSES)) / 10,
        "targets": np.eye(NUM_CLASSES)[labels],
        "features": features[:, :3],
        "reference_features": references[:, :3],
        "reference_labels": np.arange(NUM_REFERENCES) % NUM_CLASSES,
        "logits": random.normal(size=(NUM_EXAMPLES, NUM_CLASSES)),
        "history": random.normal(size=(5, NUM_EXAMPLES, NUM_CLASSES)),
        "probabilities": random.dirichlet(np.ones(NUM_CLASSES), NUM_EXAMPLES),
        "outputs": np.eye(NUM_CLASSES)[labels] + 0.4 * random.normal(size=(NUM_EXAMPLES, NUM_CLASSES)),
        "labels": labels,
        "scores": random.normal(size=NUM_EXAMPLES),
        "others": random.normal(size=NUM_EXAMPLES),
        "positives": random.permutation(np.arange(NUM_EXAMPLES) < 6),
        "correct": random.random((5, NUM_EXAMPLES)) < 0.5,
        "predictions": random.integers(0, NUM_CLASSES, (NUM_RUNS, 10)),
        "losses": random.integers(0, 2, (NUM_RUNS, 10)),
        "selection": random.permuted(np.tile([0, 1], (5, NUM_RUNS // 2)).T, axis=0),
    }


def scores_of(kernel, initial, targets, reference_kernel, time=20.0, weight_decay=0.01):
    training = TRAINING | {"time": time, "weight_decay": weight_decay}
    return si.leave_one_out(kernel, initial, targets, reference_kernel, **training)[:2]


def scaled(*names: str, factor: Callable[[float], Any] = lambda scale: 1.0):
    """Units of some arrays, and how results follow."""
    return lambda arrays, scale, _: ({**arrays, **{name: scale * arrays[name] for name in names}}, factor(scale))


def moved(*names: str, factor: Callable[[float], Any] = lambda scale: 1.0):
    """Units and offsets of some arrays, and how results follow."""
    return lambda arrays, scale, shift: (
        {**arrays, **{name: scale * arrays[name] + shift for name in names}},
        factor(scale),
    )


def shifted(*names: str):
    return lambda arrays, _, shift: ({**arrays, **{name: arrays[name] + shift for name in names}}, 1.0)


def of_kernel(factor: Callable[[float], Any]):
    """Units of the kernel; time and weight decay have units with it."""

    def in_units(arrays, scale, _):
        kernels = {name: scale * arrays[name] for name in ("kernel", "reference_kernel") if name in arrays}
        return {**arrays, **kernels, "time": 20.0 / scale, "weight_decay": 0.01 * scale}, factor(scale)

    return in_units


def leave_one_out_predictions(kernel, targets, weight_decay=0.01, **_):
    return linearization.leave_one_out_predictions(linearization.kernel_eigen(kernel), targets, weight_decay)


def shapley(features, labels, reference_features, reference_labels):
    return si.baselines.knn_shapley(features, labels, reference_features, reference_labels, num_neighbors=3)


PROBLEM = ("kernel", "initial", "targets", "reference_kernel")
SQUARED = lambda scale: (scale**2, scale**2)
CASES: dict[str, Case] = {
    "leave_one_out, units of the kernel": Case(scores_of, PROBLEM, of_kernel(lambda scale: (1 / scale, 1.0))),
    "leave_one_out, units of the outputs": Case(scores_of, PROBLEM, scaled("initial", "targets", factor=SQUARED)),
    "leave_one_out_predictions": Case(
        leave_one_out_predictions, ("kernel", "targets"), of_kernel(lambda scale: 1.0), classes=False
    ),
    "label_information": Case(
        lambda kernel, initial, targets: (
            si.label_information(
                kernel, initial, targets, np.zeros((1, NUM_CLASSES), kernel.dtype), time=20.0, learning_rate=0.5
            ).weight_change
        ),
        ("kernel", "initial", "targets"),
    ),
    "summarize": Case(
        lambda kernel, initial, targets: jnp.argsort(
            si.summarize(kernel, initial, targets, score="weight_change", fraction=0.4, time=20.0, learning_rate=0.5)[0]
        ),
        ("kernel", "initial", "targets"),
        scaled("initial", "targets"),
    ),
    "leverage": Case(
        lambda kernel, weight_decay=0.01, **_: si.baselines.leverage(kernel, weight_decay=weight_decay),
        ("kernel",),
        of_kernel(lambda scale: 1.0),
    ),
    "knn_shapley": Case(
        shapley,
        ("features", "labels", "reference_features", "reference_labels"),
        moved("features", "reference_features"),
        classes=False,
    ),
    "area_under_margin": Case(
        metrics.area_under_margin, ("history", "labels"), moved("history", factor=lambda scale: scale)
    ),
    "forgetting_events": Case(metrics.forgetting_events, ("correct",)),
    "label_margins": Case(metrics.label_margins, ("logits", "labels"), moved("logits", factor=lambda scale: scale)),
    "area_under_roc": Case(metrics.area_under_roc, ("scores", "positives"), moved("scores"), rows=False),
    "average_precision": Case(metrics.average_precision, ("scores", "positives"), moved("scores"), rows=False),
    "precision_at": Case(
        lambda scores, positives: metrics.precision_at(scores, positives, 5),
        ("scores", "positives"),
        moved("scores"),
        rows=False,
    ),
    "pearson_correlation": Case(metrics.pearson_correlation, ("scores", "others"), moved("scores"), rows=False),
    "spearman_correlation": Case(metrics.spearman_correlation, ("scores", "others"), moved("scores"), rows=False),
    **{
        name: Case(getattr(losses, name), ("logits", "labels"), shifted("logits"))
        for name in (
            "cross_entropy",
            "mean_squared_error",
            "mean_absolute_error",
            "generalized_cross_entropy",
            "symmetric_cross_entropy",
            "normalized_cross_entropy",
            "active_passive",
            "bootstrapping",
            "bi_tempered",
        )
    },
    "dmi": Case(losses.dmi, ("logits", "labels"), shifted("logits"), rows=False, tolerance=1e-3),
    "find_label_errors": Case(
        lambda outputs, labels: si.find_label_errors(outputs, labels).wrong,
        ("outputs", "labels"),
        moved("outputs"),
        tolerance=1e-3,
        rounding=1e-4,
    ),
    "gradient_distance": Case(detection.gradient_distance, ("probabilities", "labels")),
    "low_self_confidence": Case(detection.low_self_confidence, ("probabilities", "labels")),
    "low_margin": Case(detection.low_margin, ("probabilities", "labels")),
    "noisy_ids": Case(
        lambda probabilities, labels: np.isin(np.arange(NUM_EXAMPLES), detection.noisy_ids(probabilities, labels)),
        ("probabilities", "labels"),
    ),
    "estimate_noise": Case(
        lambda probabilities, labels: np.sort(np.ravel(label_noise.confident_joint(probabilities, labels))),
        ("probabilities", "labels"),
        rows=False,
    ),
}


def taken(case: Case, arrays: Given) -> Given:
    return {name: arrays[name] for name in case.names}


def answer(case: Case, arrays: Given) -> Any:
    settings = {name: value for name, value in arrays.items() if name not in case.names}
    return case.of(*(arrays[name] for name in case.names), **settings)


def assert_close(found: Any, expected: Any, tolerance: float = 1e-7) -> None:
    found, expected = (list(map(np.asarray, jax.tree.leaves(tree))) for tree in (found, expected))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def cases(*, having: Callable[[Case], Any] = lambda case: True) -> Any:
    return pytest.mark.parametrize("case", [pytest.param(c, id=name) for name, c in CASES.items() if having(c)])


few = settings(max_examples=4, derandomize=True)
seeds = st.integers(0, 3)


@cases(having=lambda case: case.in_units)
@few
@given(seeds, st.sampled_from([1e-3, 0.37, 1.0, 2e4]), st.sampled_from([0.0, -3.0, 50.0]))
def test_units_and_offsets(case, seed, scale, shift):
    arrays = taken(case, numbers(seed))
    changed, factors = case.in_units(arrays, scale, shift)
    expected = answer(case, arrays)
    factors = factors if isinstance(factors, tuple) else (factors,) * len(jax.tree.leaves(expected))
    expected = [factor * np.asarray(leaf) for factor, leaf in zip(factors, jax.tree.leaves(expected), strict=True)]
    assert_close(answer(case, changed), expected, case.rounding)


@cases()
@few
@given(seeds, st.permutations(range(NUM_EXAMPLES)))
def test_order_of_the_examples(case, seed, order):
    arrays = taken(case, numbers(seed))
    changed = dict(arrays)
    for name in set(arrays) & set(ROWS):
        for axis in ROWS[name]:
            changed[name] = np.take(changed[name], order, axis)
    expected = answer(case, arrays)
    if case.rows:
        expected = jax.tree.map(lambda leaf: np.asarray(leaf)[np.asarray(order)], expected)
    assert_close(answer(case, changed), expected, case.rounding)


@cases(having=lambda case: case.classes)
@few
@given(seeds, st.permutations(range(NUM_CLASSES)))
def test_order_of_the_classes(case, seed, order):
    arrays = taken(case, numbers(seed))
    changed = {name: np.take(a, order, CLASSES[name]) if name in CLASSES else a for name, a in arrays.items()}
    if "labels" in arrays:
        changed["labels"] = np.argsort(order)[arrays["labels"]]
    assert_close(answer(case, changed), answer(case, arrays), case.rounding)


@cases()
@few
@given(seeds, st.sampled_from([np.float32, np.float64]), st.sampled_from([np.int8, np.uint16, np.int64, float, list]))
def test_precision_and_containers(case, seed, dtype, kind):
    arrays = taken(case, numbers(seed))
    changed = {name: jnp.asarray(a, dtype) if a.dtype == float else a for name, a in arrays.items()}
    for name in set(arrays) & {"labels", "reference_labels"}:
        changed[name] = arrays[name].tolist() if kind is list else arrays[name].astype(kind)
    assert_close(answer(case, changed), answer(case, arrays), 1e-9 if dtype == np.float64 else case.tolerance)


BOUNDS = {
    "fcmi": (
        lambda outputs, selection: fcmi.bounds.fcmi(outputs, selection, num_classes=NUM_CLASSES),
        "predictions",
    ),
    "ecmi": (fcmi.bounds.ecmi, "losses"),
    "ldcmi": (fcmi.bounds.ldcmi, "losses"),
}


@pytest.mark.parametrize("bound", BOUNDS)
@few
@given(seeds, st.permutations(range(NUM_RUNS)), st.permutations(range(5)), st.integers(0, 31))
def test_bounds_by_runs_rows_columns_and_classes(bound, seed, runs, rows, swapped):
    evaluate, name = BOUNDS[bound]
    arrays = numbers(seed)
    outputs, selection = arrays[name], arrays["selection"]
    expected = evaluate(outputs, selection)
    columns = outputs.reshape(NUM_RUNS, 5, 2)[np.ix_(runs, rows)]
    swap = ((swapped >> np.arange(5)) & 1).astype(bool)
    columns = np.where(swap[:, None], columns[..., ::-1], columns).reshape(NUM_RUNS, 10)
    changed = np.where(swap, 1 - selection[np.ix_(runs, rows)], selection[np.ix_(runs, rows)])
    if name == "predictions":
        columns = np.roll(np.arange(NUM_CLASSES), 1)[columns]
    found = evaluate(columns.astype(np.int8), changed.astype(bool))
    assert_close((found.value, found.per_example), (expected.value, np.asarray(expected.per_example)[list(rows)]))


@few
@given(seeds, st.sampled_from([0.01, 1.0, 300.0]), st.sampled_from([0.0, -7.0]))
def test_bounds_in_units_of_the_loss(seed, scale, shift):
    arrays = numbers(seed)
    real = np.random.default_rng(seed).random(arrays["losses"].shape)
    options = {"bins": 4}
    expected = fcmi.bounds.ecmi(real, arrays["selection"], **options)
    loss_range = (shift, shift + scale)
    found = fcmi.bounds.ecmi(scale * real + shift, arrays["selection"], loss_range=loss_range, **options)
    assert_close((found.value, found.per_example), (scale * expected.value, expected.per_example))
