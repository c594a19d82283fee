"""Why a trained model fails in a domain that it has not seen, from arrays alone."""

import itertools
from typing import Literal

import jax
import numpy as np

from infotheory_dl import linear_models
from infotheory_dl._validation import edge, require_choice, require_count, warn
from infotheory_dl.data import Features
from infotheory_dl.domain_generalization._early_stopping import early_stopped_probes
from infotheory_dl.domain_generalization._measurement import Drawn, Sample, Seen, draw, observe
from infotheory_dl.domain_generalization._plan import ProbePlan, plan
from infotheory_dl.domain_generalization._rows import (
    FEWEST,
    NUM_TENTHS,
    Rows,
    in_order,
    joined,
    require_same_features,
    source_rows,
    standardized,
    tenths,
    tenths_by_place,
    unseen_rows,
)
from infotheory_dl.domain_generalization.probes import ProbeName, converged_probes
from infotheory_dl.domain_generalization.results import Accuracies, Diagnosis, Errors, Invariance
from infotheory_dl.linear_models import LogisticRegression
from infotheory_dl.types import Key

Holdout = Literal["stratified", "stride10"]

# rows of an unseen domain that probes of its classes are measured on, if it has as many
_MEASURED = 1000


@edge
def diagnose(
    key: Key,
    train: Features,
    validation: Features,
    unseen: Features,
    *,
    test: Features | None = None,
    probe: ProbeName = "converged",
    holdout: Holdout = "stratified",
    resamples: int = 200,
) -> Diagnosis:
    """Splits the error of a model in an unseen domain into four terms, and measures what else tells the domains apart.

    A tenth of the examples is held out from every linear probe, and measures it. Of an unseen domain with fewer than
    10,000 examples more tenths are, in turn, from the probes of its classes, until 1000 examples have measured them.
    Standard errors and intervals are over resamples of the examples that are measured on. They do not say what other
    examples to fit to would change.

    Args:
      key: source of randomness: of what is held out, and of the resamples.
      train: examples of two source domains or more. Their predictions are not needed.
      validation: further examples of the same domains, with predictions.
      unseen: examples of one domain that is not among them, with predictions.
      test: examples of a second such domain.
      probe: "converged", logistic regressions on standardised features with the penalty of scikit-learn's default; or
        "sgd_early_stop", the original's, which stops before it has converged: gradient descent on the features as they
        are, until the accuracy on the tenth has not increased for ten epochs.
      holdout: "stratified", a tenth of each class in each domain. It depends on the key and on what the rows are, but
        not on their order; neither does the rest. Or "stride10", the original's, every tenth row of each argument.
      resamples: of the bootstrap.

    Returns:
      The diagnosis.

    Raises:
      ValueError: if arrays do not fit together or are not finite, a class is absent from `train`, there are fewer than
        two source domains, the unseen domain is among them or is of fewer than 20 examples, or no class or too few
        domains have 10.

    Warns:
      UserWarning: if classes or domains are left out for having fewer than 10 examples, or a probe has not converged.

    Source: Galstyan et al., 2022, and its published code. Ours: probes that converge, intervals, information, and the
    mean over the source domains whose place the unseen one takes.
    """
    require_choice("probe", probe, ("converged", "sgd_early_stop"))
    require_choice("holdout", holdout, ("stratified", "stride10"))
    require_count(2, resamples=resamples)
    sources, names = source_rows("train", train)
    further, _ = source_rows("validation", validation, names)
    unknown, domain = unseen_rows("unseen", unseen, names)
    parts = [sources, unknown]
    if test is not None:
        parts.append(unseen_rows("test", test, names, (domain,))[0])
    named = dict(zip(("train", "validation", "unseen", "test"), (sources, further, *parts[1:]), strict=False))
    require_same_features(**named)
    for name, rows in named.items():
        if name != "train" and rows.right is None:
            raise ValueError(f"{name}.predictions are needed: what the model itself says of these examples")
    if holdout == "stratified":
        parts, further = [in_order(rows) for rows in parts], in_order(further)
        tenth = [tenths(jax.random.fold_in(key, place), rows) for place, rows in enumerate(parts)]
    else:
        tenth = [tenths_by_place(rows) for rows in parts]
    ours = probe == "converged"
    if ours:
        *parts, further = standardized(parts, further)
    rows = joined(parts)
    fewest = min(len(part.x) for part in parts[1:])
    planned = plan(
        rows,
        np.concatenate(tenth),
        names,
        num_unseen=len(parts) - 1,
        num_turns=min(NUM_TENTHS, -(-_MEASURED * NUM_TENTHS // fewest)) if ours and holdout == "stratified" else 1,
        every_source=ours,
    )
    _tell_skipped(planned)
    fitted = _fitted(jax.random.fold_in(key, len(parts)), rows, planned, probe)
    seen = observe(fitted, planned.probes, rows.x)
    first, *second = (
        _of_domain(jax.random.fold_in(key, len(parts) + place), fitted, seen, planned, place, rows, further, resamples)
        for place in range(1, len(parts))
    )
    return first._replace(test=second[0] if second else None)


def _tell_skipped(planned: ProbePlan) -> None:
    for kind, names in (("classes", planned.skipped_classes), ("source domains", planned.skipped_domains)):
        if names:
            warn(
                f"too few examples of the {kind} {', '.join(names)} to tell domains apart by them, fewer than {FEWEST}:"
                " they are left out there"
            )


def _fitted(key: Key, rows: Rows, planned: ProbePlan, probe: ProbeName) -> LogisticRegression:
    probes = planned.probes
    if probe == "converged":
        return converged_probes(rows.x, probes.targets, probes.fitted_to)
    fitted_to, stopped_by = probes.fitted_to.copy(), probes.measured_on.copy()
    for place, questions in enumerate(planned.questions):
        # the joint probe must not stop by the rows that it is measured on
        own = np.flatnonzero(fitted_to[questions.joint])
        is_stop = tenths(jax.random.fold_in(key, place), rows.taken(own)) == 0
        fitted_to[questions.joint, own[is_stop]] = False
        stopped_by[questions.joint] = False
        stopped_by[questions.joint, own[is_stop]] = True
    return early_stopped_probes(
        jax.random.fold_in(key, len(planned.questions)), rows.x, probes.targets, fitted_to, stopped_by
    )


def _of_domain(
    key: Key,
    fitted: LogisticRegression,
    seen: Seen,
    planned: ProbePlan,
    place: int,
    rows: Rows,
    further: Rows,
    resamples: int,
) -> Diagnosis:
    """The diagnosis of the unseen domain that is given as the `place`-th part."""
    assert rows.right is not None
    assert further.right is not None
    questions = planned.questions[place - 1]
    num_sources = rows.domains.max() + 1 - len(planned.questions)
    is_unseen = rows.domains == num_sources + place - 1
    of_probes = np.stack([seen.counted, seen.right, seen.losses], axis=1)
    held_unseen = is_unseen[seen.rows]
    is_other = is_unseen.copy()
    is_other[seen.rows] = False
    joint = LogisticRegression(*(column[questions.joint] for column in fitted))
    told = np.asarray(linear_models.probabilities(joint, further.x)).argmax(-1) == further.classes
    sample = Sample(
        np.stack([further.right, told], axis=1).astype(float),
        of_probes[rows.domains[seen.rows] < num_sources],
        (of_probes[held_unseen], rows.right[seen.rows[held_unseen]].astype(float)),
        rows.right[is_other].astype(float),
    )
    drawn = draw(key, sample, resamples)
    of_probe = lambda probe: Drawn(drawn["accuracies"].value[probe], drawn["accuracies"].resamples[:, probe])
    right = [drawn["own_on_sources"], of_probe(questions.alone), of_probe(questions.joint), drawn["own_on_unseen"]]
    certain = Drawn(np.ones(()), np.ones(resamples))
    errors = [before - after for before, after in itertools.pairwise([certain, *right])]
    beyond = 1 - seen.majority
    scaled = Drawn(*((part - seen.majority) / np.where(beyond > 0, beyond, 1) for part in drawn["accuracies"]))
    told_nats = Drawn(*(seen.entropy - part for part in drawn["losses"]))
    return Diagnosis(
        Accuracies(*(number.estimate() for number in (*right, drawn["joint_on_sources"]))),
        Errors(*(error.estimate() for error in errors)),
        _lead(errors).estimate(),
        Invariance(*(drawn["accuracies"].mean(test, test.shares).estimate() for test in questions.tests)),
        Invariance(*(scaled.mean(test, test.shares).estimate() for test in questions.tests)),
        Invariance(*(told_nats.mean(test, test.row_shares).estimate() for test in questions.tests)),
        planned.skipped_classes,
        planned.skipped_domains,
    )


def _lead(errors: list[Drawn]) -> Drawn:
    """By how much the largest exceeds the next; in resamples, the one that was the largest exceeds the others."""
    values = np.stack([error.value for error in errors])
    resamples = np.stack([error.resamples for error in errors], axis=-1)
    largest = int(np.argmax(values))
    return Drawn(*(part[..., largest] - np.delete(part, largest, axis=-1).max(-1) for part in (values, resamples)))
