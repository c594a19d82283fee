"""The audit of a data set: what each example tells a network, which labels are wrong, what can be left out."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np

import infotheory_dl
from infotheory_dl import data, networks
from infotheory_dl._validation import edge
from infotheory_dl.audit import retraining
from infotheory_dl.audit.checks import Checks, check_data
from infotheory_dl.audit.columns import all_groups
from infotheory_dl.audit.decisions import Decisions, apply_decisions, settle
from infotheory_dl.audit.detection import OWN_SCORES, Detection, cross_validated_suspicion, rate_detection
from infotheory_dl.audit.domains import UnseenDomain, diagnose_domains
from infotheory_dl.audit.examples import Examples, draw_examples
from infotheory_dl.audit.generalization import Generalization, bound_generalization
from infotheory_dl.audit.learned import Learned, halves, learn
from infotheory_dl.audit.leaving_out import Repair, Summarization, train_on_parts
from infotheory_dl.audit.plan import plan
from infotheory_dl.audit.predictions import GivenPredictions, as_probabilities, compare_predictions, of_audited
from infotheory_dl.audit.representation import is_exact, kernel_between, learns, represent, streams
from infotheory_dl.audit.results import Solution
from infotheory_dl.audit.robustness import Robustness, compare_robust
from infotheory_dl.audit.scores import Scores, example_shape
from infotheory_dl.audit.settings import Settings, SettingsByName, checked_settings
from infotheory_dl.audit.solution import solver
from infotheory_dl.audit.stages import LEARNED, Kept, Stage, Work, digest_of, forget, run_stages
from infotheory_dl.audit.sweep import Sweep, sweep_times
from infotheory_dl.audit.trained import Trained, score_trained
from infotheory_dl.audit.unseen_sources import UnseenSources, leave_sources_out
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization import LinearizationQuality
from infotheory_dl.linearization.families import families_of
from infotheory_dl.metrics.labels import margins
from infotheory_dl.results import concise
from infotheory_dl.sample_information import LabelErrors
from infotheory_dl.sample_information.label_errors import estimated_errors
from infotheory_dl.types import Key

_CLASSIFIED_AT_MOST = 5000


@concise
class AuditResult(NamedTuple):
    """All that an audit found; the report shows the same.

    Attributes:
      examples: what was audited.
      scores: of every example.
      solution: of the linear problem that the scores are of, with the leverage of every example.
      representation: by what examples were compared: "tangent kernel", or the name of the features.
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
      checks: what is found besides wrong labels: copies, outlying examples, order, sources.
      domains: what goes wrong in each domain when it is not trained on; None where no column of the data is called
        domain.
      unseen_sources: what each source is worth to the others, and they to it; None where no column is called source or
        domain.
      given_predictions: what predictions of the user's say, and how far the audit agrees; None if none were given.
      trained: what each example tells a network that is really trained; None if not asked for.
    """

    examples: Examples
    scores: Scores
    solution: Solution
    representation: str
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
    checks: Checks
    domains: tuple[UnseenDomain, ...] | None = None
    unseen_sources: UnseenSources | None = None
    given_predictions: GivenPredictions | None = None
    trained: Trained | None = None


@edge
def run(
    key: Key,
    x: Any,
    y: Any = None,
    held_out: tuple[Any, Any] | None = None,
    *,
    feature_names: tuple[str, ...] | None = None,
    decisions: Sequence[Decisions] = (),
    probabilities: Any = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_plan: Callable[[str], None] = lambda plan: None,
    on_progress: Callable[[float], None] = lambda share: None,
    keep: str | Path | None = None,
    restart: bool = False,
    **settings: Unpack[SettingsByName],
) -> AuditResult:
    """Audits a data set: the information and the label of every example, by networks linearized before training.

    Args:
      key: source of randomness: the choice of the examples, the flips, the networks.
      x: images (examples, height, width[, channels]) or rows (examples, features): an array, a DataFrame, whatever
        `data.as_table` takes; or a `data.Table`, of `data.read_table`, which has the labels and all else.
      y: class labels: integers, strings or booleans.
      held_out: examples and labels to measure on; by default those of x and y that are not audited, or a fifth of all.
      feature_names: of the columns of an array.
      decisions: of `read_decisions`: what a person decided on suspects of audits before, the oldest first.
      probabilities: of the classes for every example of the data, by models of yours that were not trained on it: an
        array in the order of the sorted classes, a DataFrame whose columns are called by them, or what
        `read_probabilities` returns. They are scored like the audit's own, and compared with these.
      on_stage: is told what is being done.
      on_plan: is told how long it takes and what memory it needs, before it begins.
      on_progress: is told which share of it is done.
      keep: a folder in which finished stages are kept: the same audit, if it was cut short, goes on after them.
      restart: whether to forget what is kept.
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
    chosen = checked_settings(Settings(**settings))
    table = x
    if not isinstance(x, data.Table):
        table = data.as_table(x, y, held_out, feature_names=feature_names, missing="refuse")
    elif not all(given is None for given in (y, held_out, feature_names)):
        raise ValueError("a data.Table has its labels, held-out examples and names; give no others beside it")
    if probabilities is not None and chosen.flip:
        raise ValueError(
            "probabilities know nothing of labels that are flipped here: leave out flip, or flip labels before you make"
            " them"
        )
    draw_key, features_key, stages_key = jax.random.split(key, 3)
    examples = draw_examples(
        draw_key,
        table,
        train_size=chosen.train_size,
        flip=chosen.flip,
        keep_apart=chosen.robust,
        one_scale=chosen.embeddings,
    )
    for made in decisions:
        examples = apply_decisions(examples, made)
    example_shape(chosen.network, examples.inputs)
    given = None if probabilities is None else of_audited(as_probabilities(probabilities), examples)
    on_plan(str(plan(chosen, examples)))
    kept = Kept(None, "")
    if keep is not None:
        everything = [examples.inputs, examples.labels, examples.held_out_inputs, examples.held_out_labels]
        everything += [] if examples.confirmed is None else [examples.confirmed]
        from_where = {name: groups.tolist() for name, groups in all_groups(table).items()}
        about = np.asarray(jax.random.key_data(key)).tolist(), asdict(chosen), infotheory_dl.__version__
        kept = Kept(Path(keep), digest_of(*everything, from_where, *about))
        if restart:
            forget(Path(keep) / kept.digest)
    work = Work(
        key=stages_key,
        settings=chosen,
        table=table,
        examples=examples,
        memory=chosen.memory_bytes,
        make_stream=streams(features_key, chosen, examples),
        families=families_of(examples.inputs),
    )
    found = run_stages(STAGES, work, kept, on_stage, on_progress)
    compared = None
    if given is not None:
        on_stage("your own predictions")
        compared = compare_predictions(given, examples.labels, found["scores"], found["label_errors"], chosen.precision)
    solution, parts = found["solution"], found.get("parts")
    return AuditResult(
        examples=examples,
        scores=found["scores"],
        solution=solution,
        representation=found["representation"].name,
        label_errors=found["label_errors"],
        learning_rate=solution.learning_rate,
        weight_decay=solution.weight_decay,
        sweep=found.get("sweep"),
        generalization=found.get("generalization"),
        detection=found.get("detection"),
        repair=None if parts is None else parts.repair,
        summarization=None if parts is None else parts.summarization,
        linearization=found.get("linearization"),
        robustness=found.get("robustness"),
        settings=chosen,
        checks=found["checks"],
        domains=found.get("domains"),
        unseen_sources=found["unseen_sources"],
        given_predictions=compared,
        trained=found.get("trained"),
    )


def _learn(place: int, work: Work) -> Learned:
    examples = work.examples
    half = ~work.learned[0].half if place else halves(work.key, examples.labels)
    if work.families is not None:
        # a network that has seen the label of the twin knows it
        half = half[work.families.firsts]
    return learn(
        work.key,
        half,
        examples.inputs,
        examples.labels,
        len(examples.class_names),
        # those that are audited too have features of their own
        examples.held_out_inputs[: 0 if len(examples.measured) else None],
        work.progress,
    )


def _score(work: Work) -> Scores:
    labels, num_classes = work.examples.labels, len(work.examples.class_names)
    solution = work.solution
    # in place: of many classes this is the largest array of all
    predictions = centred_targets(labels, num_classes)
    predictions += 1 / num_classes
    predictions -= solution.residuals
    is_given = labels[:, None] == np.arange(num_classes)
    with jax.enable_x64(True):
        own = np.asarray(margins(jnp.asarray(predictions), jnp.asarray(is_given)))
    return Scores(solution.output_change, solution.weight_change, own, predictions)


def _solve(work: Work) -> Solution:
    return solver(work)(centred_targets(work.examples.labels, len(work.examples.class_names)))


def _find_errors(work: Work) -> LabelErrors:
    examples = work.examples
    return settle(
        estimated_errors(work.scores.predictions, examples.labels, work.settings.precision), examples.confirmed
    )


def _check(work: Work) -> Checks:
    return check_data(
        work.key,
        work.examples,
        work.table,
        work.solution.leverage,
        work.solution.coordinates,
        work.scores.margins,
        work.label_errors,
    )


def _classifier(work: Work) -> Any:
    shape = example_shape(work.settings.network, work.examples.inputs)
    return networks.small_classifier(shape, len(work.examples.class_names))


def _score_trained(work: Work) -> Trained | None:
    shape = example_shape(work.settings.network, work.examples.inputs)
    network, one_output = (
        networks.small_classifier(shape, outputs, smooth=True) for outputs in (len(work.examples.class_names), 1)
    )
    return score_trained(work.key, network, one_output, work.examples, work.scores)


def _linearized(work: Work) -> Any:
    return networks.wide_layer(example_shape(work.settings.network, work.examples.inputs))


def _bound(work: Work) -> Generalization:
    return bound_generalization(
        work.key,
        # what was learned knows labels of others: the bound is by features that know none
        functools.partial(kernel_between, work, learned=False),
        work.examples.labels,
        len(work.examples.class_names),
        runs=work.settings.runs,
        time=work.settings.time,
        learning_rate=work.solution.learning_rate,
        weight_decay=work.solution.weight_decay,
    )


def _detect(work: Work) -> tuple[Detection, ...]:
    scores, examples = work.scores, work.examples
    suspicion = dict(zip(OWN_SCORES, (-scores.margins, scores.weight_change, scores.output_change), strict=True))
    if "training_margins" in work.found:
        suspicion["area under the margin"] = -work.found["training_margins"]
    if len(examples.labels) <= _CLASSIFIED_AT_MOST:
        suspicion |= cross_validated_suspicion(work.key, examples.inputs, examples.labels)
    return rate_detection(suspicion, examples.flipped)


def _represented_by(work: Work) -> str:
    if is_exact(work.settings, work.examples):
        return f"tangent kernels of {work.settings.num_networks} random networks"
    return "moments of explicit features"


_trains = lambda work: bool(work.settings.seeds)
_is_flipped = lambda work: bool(work.examples.flipped.any())

STAGES = (
    *(
        Stage(
            name,
            lambda work: "features that a small network learns on one half of the images, for the other",
            functools.partial(_learn, place),
            lambda work: learns(work.settings, work.examples),
        )
        for place, name in enumerate(LEARNED)
    ),
    Stage("representation", _represented_by, represent),
    Stage("solution", lambda work: "scores, from one eigendecomposition", _solve),
    Stage("scores", lambda work: "margins", _score),
    Stage(
        "label_errors",
        lambda work: "which labels are wrong",
        _find_errors,
    ),
    Stage("checks", lambda work: "copies, outlying examples, order and sources", _check),
    Stage("unseen_sources", lambda work: "each source left out", leave_sources_out),
    Stage("sweep", lambda work: "scores of earlier times", sweep_times, lambda work: bool(work.settings.sweep)),
    Stage(
        "generalization",
        lambda work: "a bound on the generalization gap, from runs without training",
        _bound,
        lambda work: bool(work.settings.runs),
    ),
    Stage(
        "parts",
        lambda work: "what can be left out: networks trained on repaired labels and on parts of the data",
        lambda work: train_on_parts(work, _classifier(work)),
        _trains,
    ),
    Stage(
        "linearization",
        lambda work: "a trained network beside its linearization",
        lambda work: retraining.compare_linearization(work.key, _linearized(work), work.examples),
        _trains,
    ),
    Stage(
        "training_margins",
        lambda work: "the margins of a network in training",
        lambda work: retraining.area_under_training_margin(work.key, _classifier(work), work.examples),
        lambda work: _trains(work) and _is_flipped(work),
    ),
    Stage(
        "robustness",
        lambda work: "classifiers that ignore wrong labels",
        lambda work: compare_robust(
            work.key, _classifier(work), _linearized(work), work.examples, work.scores.margins, work.label_errors
        ),
        lambda work: work.settings.robust,
    ),
    Stage(
        "trained",
        lambda work: "the derivatives of the training of a small network",
        _score_trained,
        lambda work: work.settings.trained,
    ),
    Stage("detection", lambda work: "how well the flips are found", _detect, _is_flipped),
    Stage("domains", lambda work: "the domains", lambda work: diagnose_domains(work.key, work.table)),
)
"""What an audit does, in order. A finding of its own is a line here and a file of its own."""
