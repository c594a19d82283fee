"""The audit of a data set: what each example tells a network, which labels are wrong, what can be left out."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict, Unpack

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float
from jaxtyping import Key as Keys

from infotheory_dl import data, networks
from infotheory_dl._validation import edge, require_count, require_not_negative, require_within
from infotheory_dl.audit import retraining
from infotheory_dl.audit.decisions import Decisions, apply_decisions, settle
from infotheory_dl.audit.detection import OWN_SCORES, Detection, cross_validated_suspicion, rate_detection
from infotheory_dl.audit.domains import UnseenDomain, diagnose_domains
from infotheory_dl.audit.examples import Examples, draw_examples
from infotheory_dl.audit.generalization import Generalization, bound_generalization
from infotheory_dl.audit.retraining import TrainingSet
from infotheory_dl.audit.robustness import Robustness, compare_robust
from infotheory_dl.audit.scores import NetworkName, Scores, example_shape
from infotheory_dl.audit.solved import Solved, removal_orders, solve
from infotheory_dl.linearization import LinearizationQuality, mean_kernel
from infotheory_dl.metrics import average_precision, spearman_correlation
from infotheory_dl.results import concise
from infotheory_dl.sample_information import LabelErrors
from infotheory_dl.sample_information.label_errors import estimated_errors
from infotheory_dl.types import Key

_KEPT_FRACTIONS = (0.8, 0.6, 0.4, 0.2, 0.1)


@dataclass(frozen=True)
class Settings:
    """How an audit is made.

    Attributes:
      train_size: how many examples to audit; default all but a fifth, at most 1000.
      flip: share of the labels to flip on purpose, to see whether the audit finds them.
      network: "cnn" for images, "mlp" for rows or images, "auto" for the one that fits.
      num_networks: how many random networks the kernel is the mean of.
      time: steps of training at which examples are scored; infinity is the end of training.
      weight_decay: penalty on the mean loss; default the one with the least leave-one-out error.
      precision: share of the label repairs that shall be right.
      sweep: how many times before the end of training are scored too; 0 for none.
      runs: how many runs of the linearized network bound its generalization gap on some 500 examples; 0 for none.
      seeds: how many trainings each accuracy is the mean of; 0 trains no network.
      robust: whether to train classifiers that ignore wrong labels too, beside a plain one.
    """

    train_size: int | None = None
    flip: float = 0.0
    network: NetworkName = "auto"
    num_networks: int = 5
    time: float = float("inf")
    weight_decay: float | None = None
    precision: float = 0.95
    sweep: int = 9
    runs: int = 1000
    seeds: int = 3
    robust: bool = False


class SettingsByName(TypedDict, total=False):
    """Those of `Settings`, which see, as arguments of a function."""

    train_size: int | None
    flip: float
    network: NetworkName
    num_networks: int
    time: float
    weight_decay: float | None
    precision: float
    sweep: int
    runs: int
    seeds: int
    robust: bool


@concise
class Sweep(NamedTuple):
    """The scores of earlier times.

    Attributes:
      times: numbers of steps of gradient descent with the learning rate of the audit.
      average_precision: of the margin, the output change and the weight change in finding the flips; None without any.
      agreement: rank correlation of these scores with those of the audit's time.
    """

    times: Float[np.ndarray, " times"]
    average_precision: Float[np.ndarray, "times scores"] | None
    agreement: Float[np.ndarray, "times scores"]


@concise
class Repair(NamedTuple):
    """Accuracy on the held-out examples of networks that were trained on all audited ones, seed by seed.

    Attributes:
      given: with the labels as they are.
      repaired: with the repairs.
      dropped: without the examples whose labels are to be repaired.
      true: with the labels before the flips; None if there are none.
    """

    given: Float[np.ndarray, " seeds"]
    repaired: Float[np.ndarray, " seeds"]
    dropped: Float[np.ndarray, " seeds"]
    true: Float[np.ndarray, " seeds"] | None


@concise
class Summarization(NamedTuple):
    """Accuracy on the held-out examples of networks that were trained on parts of the audited ones.

    Attributes:
      fractions: kept shares of the examples, descending.
      most: after keeping the most informative, found in rounds.
      random: after keeping a random part.
      least: after keeping the least informative, that is, dropping the top.
    """

    fractions: Float[np.ndarray, " fractions"]
    most: Float[np.ndarray, "fractions seeds"]
    random: Float[np.ndarray, "fractions seeds"]
    least: Float[np.ndarray, "fractions seeds"]


@concise
class AuditResult(NamedTuple):
    """All that an audit found; the report shows the same.

    Attributes:
      examples: what was audited.
      scores: of every example.
      label_errors: which labels are wrong, and the repairs.
      learning_rate: step size on the mean loss, which gives times their unit.
      weight_decay: penalty on the mean loss.
      sweep: scores of earlier times, None if not asked for.
      generalization: a bound on the gap between the errors on examples that are trained on and on others; None if not
        asked for.
      detection: how well the flips are found, beside what others do; None if there are none.
      repair: what repairs do for the accuracy; None without training.
      summarization: what can be left out; None without training.
      linearization: how far the linear network speaks for the trained one; None without training.
      robustness: what classifiers that ignore wrong labels say; None if not asked for.
      settings: how the audit was made.
      domains: what goes wrong in each domain when it is not trained on; None where no column of the data is called
        domain.
    """

    examples: Examples
    scores: Scores
    label_errors: LabelErrors
    learning_rate: float
    weight_decay: float
    sweep: Sweep | None
    generalization: Generalization | None
    detection: tuple[Detection, ...] | None
    repair: Repair | None
    summarization: Summarization | None
    linearization: LinearizationQuality | None
    robustness: Robustness | None
    settings: Settings
    domains: tuple[UnseenDomain, ...] | None = None


@edge
def run(
    key: Key,
    x: Any,
    y: Any = None,
    held_out: tuple[Any, Any] | None = None,
    *,
    feature_names: tuple[str, ...] | None = None,
    decisions: Decisions | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    **settings: Unpack[SettingsByName],
) -> AuditResult:
    """Audits a data set: the information and the label of every example, by networks linearized before training.

    Args:
      key: source of randomness: the choice of the examples, the flips, the networks.
      x: images (examples, height, width[, channels]) or rows (examples, features): an array, a DataFrame, whatever
        `data.as_table` takes; or a `data.Table`, of `data.read_table`, which has the labels and all else.
      y: class labels: integers, strings or booleans.
      held_out: examples and labels to measure on; by default those of x and y that are not audited.
      feature_names: of the columns of an array.
      decisions: of `read_decisions`: what a person decided on suspects of an audit before, to be applied first.
      on_stage: is told what is being done.
      **settings: of `Settings`, which see.

    Returns:
      What was found. The algebra is in double precision, the networks in the precision of x.

    Raises:
      ValueError: if the data do not fit, have missing or infinite values (a `data.Table` has none) or one class only,
        or a setting is out of its range.
      TypeError: if a setting is unknown.

    Source: Harutyunyan et al., 2021; the margins and their weight decay by Allen, 1974; the label noise see
      `find_label_errors`.
    """
    chosen = _checked_settings(Settings(**settings))
    draw_key, kernel_key, check_key, training_key, runs_key, robust_key, folds_key = jax.random.split(key, 7)
    table = x
    if not isinstance(x, data.Table):
        table = data.as_table(x, y, held_out, feature_names=feature_names, missing="refuse")
    elif not all(given is None for given in (y, held_out, feature_names)):
        raise ValueError("a data.Table has its labels, held-out examples and names; give no others beside it")
    examples = draw_examples(draw_key, table, train_size=chosen.train_size, flip=chosen.flip)
    if decisions is not None:
        examples = apply_decisions(examples, decisions)
    shape = example_shape(chosen.network, examples.inputs)
    linearized = networks.wide_layer(shape)
    labels, flipped = examples.labels, examples.flipped

    on_stage(f"tangent kernels of {chosen.num_networks} random networks")
    kernel_of = functools.partial(mean_kernel, kernel_key, linearized, num_networks=chosen.num_networks)
    kernel = np.asarray(kernel_of(examples.inputs), float)
    held_out_kernel = np.asarray(kernel_of(examples.held_out_inputs, examples.inputs), float)
    # the scores are small differences of large numbers
    with jax.enable_x64(True):
        on_stage("scores, from one eigendecomposition")
        solved = solve(kernel, held_out_kernel, labels, len(examples.class_names), chosen.weight_decay)
        scores = Scores(*(values[0] for values in solved.score(labels, [chosen.time])))
        label_errors = settle(estimated_errors(scores.predictions, labels, chosen.precision), examples.confirmed)
        sweep = None
        if chosen.sweep:
            on_stage("scores of earlier times")
            sweep = _sweep(solved, labels, scores, flipped, chosen.sweep)

        generalization = None
        if chosen.runs:
            on_stage("a bound on the generalization gap, from runs without training")
            generalization = bound_generalization(
                runs_key,
                kernel,
                labels,
                solved.num_classes,
                runs=chosen.runs,
                time=chosen.time,
                learning_rate=solved.learning_rate,
                weight_decay=solved.weight_decay,
            )

        repaired = np.where(label_errors.repaired, label_errors.suggested, labels)
        if chosen.seeds:
            on_stage("what can be left out")
            orders = removal_orders(solved, repaired, chosen.time)

    found, repair, summarization, quality, robustness = None, None, None, None, None
    classifier = networks.small_classifier(shape, len(examples.class_names))
    suspicion = dict(zip(OWN_SCORES, (-scores.margins, scores.weight_change, scores.output_change), strict=True))
    if chosen.seeds:
        margins_key, training_key = jax.random.split(training_key)
        keys = jax.random.split(training_key, chosen.seeds)
        on_stage("networks trained on repaired labels and on parts of the data")
        repair, summarization = _train(keys, classifier, examples, label_errors.repaired, repaired, *orders)
        on_stage("a trained network beside its linearization")
        quality = retraining.compare_linearization(check_key, linearized, examples)
        if flipped.any():
            on_stage("the margins of a network in training")
            suspicion["area under the margin"] = -retraining.area_under_training_margin(
                margins_key, classifier, examples
            )
    if chosen.robust:
        on_stage("classifiers that ignore wrong labels")
        robustness = compare_robust(robust_key, classifier, linearized, examples, scores.margins, label_errors)
    if flipped.any():
        on_stage("cross-validated classifiers")
        suspicion |= cross_validated_suspicion(folds_key, examples.inputs, labels)
        found = rate_detection(suspicion, flipped)
    domains = diagnose_domains(jax.random.fold_in(folds_key, 1), table)
    return AuditResult(
        examples=examples,
        scores=scores,
        label_errors=label_errors,
        learning_rate=solved.learning_rate,
        weight_decay=solved.weight_decay,
        sweep=sweep,
        generalization=generalization,
        detection=found,
        repair=repair,
        summarization=summarization,
        linearization=quality,
        robustness=robustness,
        settings=chosen,
        domains=domains,
    )


def _checked_settings(settings: Settings) -> Settings:
    require_count(1, num_networks=settings.num_networks)
    require_count(0, sweep=settings.sweep, seeds=settings.seeds)
    if settings.runs < 0 or settings.runs % 2:
        raise ValueError(f"runs must be an even number, as they come in opposite pairs, or 0, got {settings.runs}")
    require_within("(0, inf]", "a number of steps", time=settings.time)
    require_not_negative(weight_decay=settings.weight_decay)
    require_within("(0, 1)", precision=settings.precision)
    return settings


def _sweep(solved: Solved, labels: np.ndarray, late: Scores, flipped: np.ndarray, count: int) -> Sweep:
    slowest = max(solved.weight_decay, 1e-6 / solved.learning_rate)
    times = np.logspace(0, np.log10(10 / (solved.learning_rate * slowest)), count)
    early = solved.score(labels, list(times))
    suspicion = lambda scores: np.stack([-scores.margins, scores.output_change, scores.weight_change], axis=-2)
    agreement = [
        [float(spearman_correlation(*pair)) for pair in zip(values, suspicion(late), strict=True)]
        for values in suspicion(early)
    ]
    precision = None
    if flipped.any():
        precision = np.array(
            [[float(average_precision(value, flipped)) for value in values] for values in suspicion(early)]
        )
    return Sweep(times, precision, np.array(agreement))


def _train(
    keys: Keys[jax.Array, " seeds"],
    classifier: nn.Module,
    examples: Examples,
    is_repaired: np.ndarray,
    repaired: np.ndarray,
    least_first: np.ndarray,
    most_first: np.ndarray,
) -> tuple[Repair, Summarization]:
    n, seeds = len(repaired), len(keys)
    everything = np.arange(n)
    order_keys, keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    random_orders = [np.asarray(jax.random.permutation(key, n)) for key in order_keys]
    sets = [
        [TrainingSet(everything, examples.labels)],
        [TrainingSet(everything, repaired)],
        [TrainingSet(everything[~is_repaired], examples.labels)],
        [TrainingSet(everything, examples.true_labels)],
    ]
    for fraction in _KEPT_FRACTIONS:
        removed = n - round(fraction * n)
        for orders in ([least_first], random_orders, [most_first]):
            sets.append([TrainingSet(order[removed:], repaired) for order in orders])
    accuracies = retraining.held_out_accuracy(keys, classifier, examples, sets)
    given, mended, dropped, true = accuracies[:4]
    parts = accuracies[4:].reshape(len(_KEPT_FRACTIONS), 3, seeds)
    # of all examples every part is the same
    parts = np.concatenate([np.broadcast_to(mended, (1, 3, seeds)), parts])
    return (
        Repair(given, mended, dropped, true if examples.flipped.any() else None),
        Summarization(np.array([1.0, *_KEPT_FRACTIONS]), parts[:, 0], parts[:, 1], parts[:, 2]),
    )
