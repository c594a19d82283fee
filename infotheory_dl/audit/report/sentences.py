"""What an audit found, in sentences."""

from typing import NamedTuple

import numpy as np

from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.detection import OWN_SCORES, of_audit
from infotheory_dl.audit.report import checks, predictions
from infotheory_dl.audit.representation import KERNEL, PATCHES, learns
from infotheory_dl.linearization.calibration import EVIDENCE, expected_doubtful
from infotheory_dl.report import count, percent
from infotheory_dl.sample_information import LabelErrors

_TOLERATED_LOSS = 0.01
_NOTABLE = 0.01
_FEWEST_OF_A_CLASS = 5


class Sufficient(NamedTuple):
    """The smallest part of the examples on which a network is about as good as on all.

    Attributes:
      chosen: whether it is of the most informative, and random ones of as many are plainly worse.
      fraction: of the examples that networks were trained on.
      number: of them.
      most: accuracy after as many of the most informative.
      random: after as many random ones.
      whole: after all.
    """

    chosen: bool
    fraction: float
    number: int
    most: float
    random: float
    whole: float


def findings(result: AuditResult) -> list[str]:
    """What the audit found, in sentences."""
    examples, errors = result.examples, result.label_errors
    n, flips = len(examples.labels), int(examples.flipped.sum())
    sentences = [rate_of_errors(result)]
    if flips:
        sentences[0] += f" In truth {flips} of {n} ({percent(flips / n)}) were flipped on purpose, unknown to it."
    contradicted, repairs = int((result.scores.margins < 0).sum()), int(errors.repaired.sum())
    if not errors.told:
        sentences.append(
            "No label is called wrong and none is repaired. Usual causes: x and y are not in the same order, features"
            " are on scales of their own, the axis of the channels is not where it is expected, the labels are ids or"
            " measurements and no classes; or the inputs tell little of these classes."
        )
    elif repairs:
        # the cautious estimate is of this model; what is promised is what was asked for
        promised = min(errors.expected_precision, result.settings.precision)
        sentence = (
            f"{count(contradicted, 'label is', 'labels are')} contradicted by the network trained without the example,"
            f" {repairs} clearly enough for a repair. Of the repairs {percent(promised)} or more are"
            " expected to be right"
        )
        if flips:
            right = errors.suggested == examples.true_labels
            sentence += (
                f"; {percent(right[errors.repaired].mean())} are, and"
                f" {percent((errors.repaired & right)[examples.flipped].mean())} of the flipped labels come right"
            )
        sentences.append(sentence + ".")
    else:
        sentences.append(
            f"{count(contradicted, 'label is', 'labels are')} contradicted by the network trained without the example,"
            f" none clearly enough for a repair that is right in {percent(result.settings.precision)} of the cases."
            f"{_of_hard_examples(result, contradicted)}"
        )
    sentences += predictions.sentences(result) + checks.sentences(result)
    if result.detection:
        ours = of_audit(result.detection)
        others = [found for found in result.detection if found.method not in OWN_SCORES]
        text = (
            f"The margin ranks the flipped labels first with an average precision of {ours.average_precision:.3f}"
            f" (AUROC {ours.area_under_roc:.4f})"
        )
        if others:
            best = max(others, key=lambda found: found.average_precision)
            text += (
                f"; the best of the others, {best.method}, with {best.average_precision:.3f}"
                f" ({best.area_under_roc:.4f})"
            )
        sentences.append(f"{text}.")
    if result.repair and repairs:
        sentences.append(
            f"A network trained with the repaired labels is right on {percent(result.repair.repaired.mean())} of the"
            f" {len(examples.held_out_labels)} held-out examples, against {percent(result.repair.given.mean())} with"
            " the labels as given."
        )
    if result.summarization:
        sentences.append(_what_suffices(result))
    if result.robustness:
        robust = result.robustness
        counts = (found.sum(1).tolist() for found in (robust.candidates, robust.candidates & robust.suspected))
        plain, limit, _ = zip(map(percent, robust.accuracy), *counts, strict=True)
        sentences.append(
            f"With the labels as given, a network trained by LIMIT is right on {limit[0]} of the held-out examples, one"
            f" trained plainly on {plain[0]}. The one takes {count(limit[1], 'label', 'labels')} to be wrong,"
            f" {limit[2]} of them with the audit; the other {plain[1]}, {plain[2]} with it."
        )
    if result.generalization:
        found = result.generalization
        shares = found.training_error, found.ghost_error, found.gap, found.bound
        training, ghost, gap, bound = (percent(share.mean()) for share in shares)
        sentences.append(
            f"Trained on {found.train_size} of the examples, the linearized network errs on {training} of them and on"
            f" {ghost} of others, by the labels as given: a gap of {gap}. The information in its predictions bounds the"
            f" gap by {bound}, by an estimate from {found.runs} runs without training."
        )
    return sentences


def _of_hard_examples(result: AuditResult, contradicted: int) -> str:
    """What is said of contradicted labels where the estimate has no wrong one."""
    errors = result.label_errors
    if errors.interval[0] > 0 or not contradicted:
        return ""
    hard = expected_doubtful(result.scores.predictions, errors.sharpness, errors.bias)
    return (
        f" About {hard:.0f} are expected if every label is right, of examples that are hard to tell. Mistakes that were"
        " made with such examples are like these to the network, and not in the estimate: look at the most suspect."
    )


def scored_by(result: AuditResult) -> str:
    """By what the examples were compared."""
    networks = count(result.settings.num_networks, "random network", "random networks")
    learned = ", and features that a network learns on either half for the other"
    return {
        KERNEL: f"the kernel of {networks}",
        "random convolution": "the features of a random convolution",
        "random layer": "the features of a random layer",
        "linear": "a linear model of the columns",
        PATCHES: f"the features of patches of the images{learned * learns(result.settings, result.examples)}",
    }[result.representation]


def rate_of_errors(result: AuditResult) -> str:
    """How many labels are wrong, or that it cannot be told."""
    errors = result.label_errors
    if errors.told:
        low, high = map(percent, errors.interval)
        return (
            f"By the audit's own estimate {percent(errors.error_rate)} of the labels are wrong; with 95\u00a0%"
            f" confidence between {low} and {high}.{_how_errors_differ(result)}{_what_a_rule_hides(errors)}"
        )
    return (
        "Which labels are wrong cannot be told from these inputs: a network trained without an example predicts its"
        f" label hardly better than the class frequencies do, by {errors.gain:.1f} nats over all"
        f" {len(errors.suggested)} labels, where chance gives up to {EVIDENCE:.0f}."
    )


def _how_errors_differ(result: AuditResult) -> str:
    """What is said where errors that are all alike, and one sharpness, do not fit."""
    errors, names = result.label_errors, result.examples.class_names
    others = np.where(np.eye(len(names), dtype=bool), np.nan, errors.transition)
    if errors.fits:
        return ""
    if np.nanmax(others) <= 1.001 * np.nanmin(others):
        return " The classes differ in how sharply they are told; the interval allows for it."
    # of a class of few examples the shares are those of one or two
    others[np.bincount(result.examples.labels, minlength=len(names)) < _FEWEST_OF_A_CLASS] = np.nan
    if np.isnan(others).all():
        return " Errors are not all alike."
    true, label = np.unravel_index(np.nanargmax(others), others.shape)
    share = percent(errors.transition[true, label])
    return f" Errors are not all alike: most often {names[true]} is called {names[label]}, in {share} of its examples."


def _what_a_rule_hides(errors: LabelErrors) -> str:
    """What is said where mistakes of a rule could be more than the interval has."""
    if errors.systematic_rate < errors.interval[1] + _NOTABLE:
        return ""
    return (
        " If one class is taken for another as a rule, that looks like classes that overlap: some"
        f" {percent(errors.systematic_rate)} may be wrong then."
    )


def smallest_sufficient(result: AuditResult) -> Sufficient | None:
    """The smallest part that loses no more than a point of accuracy; None where none can be told.

    The most informative examples are said to suffice only where every training on them beats all those on as many
    random ones, and where fewer random ones do not suffice too.
    """
    assert result.summarization is not None
    fractions, most, random, _ = result.summarization
    trained = len(result.examples.labels) - len(result.examples.measured)
    suffices = lambda accuracies: accuracies.mean(1) >= most[0].mean() - _TOLERATED_LOSS
    worth_choosing = np.flatnonzero(suffices(most) & (most.min(1) > random.max(1)))
    any_do = int(np.flatnonzero(suffices(random))[-1])
    chosen = len(worth_choosing) > 0 and int(worth_choosing[-1]) >= any_do
    place = int(worth_choosing[-1]) if chosen else any_do
    if not place:
        return None
    fraction = float(fractions[place])
    accuracies = (float(found.mean()) for found in (most[place], random[place], most[0]))
    return Sufficient(chosen, fraction, round(fraction * trained), *accuracies)


def _what_suffices(result: AuditResult) -> str:
    """How many examples suffice, and whether they must be chosen."""
    found = smallest_sufficient(result)
    if found is None:
        return (
            "No part of the examples that was tried can be left out: at random the accuracy falls, and the most"
            " informative ones do not do plainly better, or not well enough."
        )
    most, random, whole = map(percent, (found.most, found.random, found.whole))
    if found.chosen:
        return (
            f"The {found.number} most informative examples ({percent(found.fraction)}) suffice: a network trained on"
            f" them is right on {most} of the held-out examples, on as many random ones on {random}, on all on {whole}."
        )
    return (
        f"{found.number} examples ({percent(found.fraction)}) suffice and need not be chosen: a network trained on"
        f" random ones is right on {random} of the held-out examples, on as many of the most informative on {most}, on"
        f" all on {whole}."
    )
