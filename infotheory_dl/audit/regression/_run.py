"""The audit of a data set whose labels are numbers, by leave-one-out residuals in closed form."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import jax
import numpy as np
from jaxtyping import Bool, Float

import infotheory_dl
from infotheory_dl import data
from infotheory_dl._validation import edge
from infotheory_dl.audit.checks.copies import Copies, find_copies, find_leaks
from infotheory_dl.audit.checks.order import OrderEffect, within_groups
from infotheory_dl.audit.checks.outlying import Outlying, find_outlying
from infotheory_dl.audit.checks.sources import Sources, compare_sources
from infotheory_dl.audit.columns import all_groups
from infotheory_dl.audit.decisions import Decisions, apply_to_targets
from infotheory_dl.audit.detection import Detection, rate_detection
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.plan import plan
from infotheory_dl.audit.regression.targets import draw_rows
from infotheory_dl.audit.representation import is_exact, represent, streams
from infotheory_dl.audit.results import Solution
from infotheory_dl.audit.scores import example_shape
from infotheory_dl.audit.settings import Settings, SettingsByName, checked_settings
from infotheory_dl.audit.solution import solver
from infotheory_dl.audit.stages import Kept, Stage, Work, digest_of, forget, run_stages
from infotheory_dl.linearization.families import families_of, left_open
from infotheory_dl.metrics.tails import outliers_of
from infotheory_dl.results import concise
from infotheory_dl.types import Key

RATE = 0.05
_REFITS = 2
_EVIDENCE = 5.0  # nats, as for classes
_CROWDED = 0.5  # share of one value from which on the median tells nothing of what the others vary by


@concise
class Residuals(NamedTuple):
    """What networks trained without an example say of its target.

    Attributes:
      predictions: of every target by a network trained without it.
      standardized: target minus prediction, in units of what it varies by: the noise, and what the others leave open of
        this example.
      p_value: probability that a target is so far out where the tails of the others go on exponentially.
      is_outlying: which targets are, at an expected share of 5 % false ones among them.
      error: root mean square of the deviations of the targets from these predictions.
      noise: standard deviation of the noise by the median of the deviations, less what the others leave open; no less
        than that of rounding where targets are given in steps. Where they are crowded by the mean square.
      explained: share of the variance of the targets that is predicted, by the mean squares; below zero where the mean
        of the others predicts better.
      gain: log-likelihood of the targets by these predictions above that by their mean, in nats, for normal noise.
      told: whether that is five nats or more. If not, the predictions are worth no more than the mean.
      in_line: whether `error`, `explained` and `gain` are of the targets in line alone; if not, of all: where the gain
        is greater.
      crowded: whether half of the targets or more have one value. Then the median tells nothing of what the others vary
        by: all p-values are 1 and no target is out of line.
    """

    predictions: Float[np.ndarray, " examples"]
    standardized: Float[np.ndarray, " examples"]
    p_value: Float[np.ndarray, " examples"]
    is_outlying: Bool[np.ndarray, " examples"]
    error: float
    noise: float
    explained: float
    gain: float
    told: bool
    in_line: bool
    crowded: bool


@concise
class RegressionChecks(NamedTuple):
    """What was found besides outlying targets.

    Attributes:
      copies: pairs of audited examples that are the same, or nearly.
      leaks: held-out examples that are; None where the user held none out.
      outlying: examples whose inputs are unlike all others.
      inputs, residuals: how much those of successive examples have in common.
      sources: by their mean absolute standardized residuals; None where no column is called source or domain.
    """

    copies: Copies
    leaks: Copies | None
    outlying: Outlying
    inputs: OrderEffect
    residuals: OrderEffect
    sources: Sources | None


@concise
class RegressionAudit(NamedTuple):
    """All that an audit of numbers found.

    Attributes:
      examples: what was audited; their labels mean nothing.
      targets: of the examples, as given.
      true_targets: before some were exchanged on purpose.
      residuals: which targets are out of line.
      information: of each example, in nats: the functional sample information, half the mean squared change of the
        outputs without it over the variance of the noise.
      solution: of the linear problem.
      representation: by what examples were compared.
      checks: what is found besides.
      detection: how well the exchanged targets are found; None if there are none.
      settings: how the audit was made.
    """

    examples: Examples
    targets: Float[np.ndarray, " examples"]
    true_targets: Float[np.ndarray, " examples"]
    residuals: Residuals
    information: Float[np.ndarray, " examples"]
    solution: Solution
    representation: str
    checks: RegressionChecks
    detection: tuple[Detection, ...] | None
    settings: Settings

    @property
    def exchanged(self) -> Bool[np.ndarray, " examples"]:
        """Which targets were exchanged on purpose."""
        return self.targets != self.true_targets


@edge
def run_regression(
    key: Key,
    x: Any,
    y: Any = None,
    held_out: tuple[Any, Any] | None = None,
    *,
    feature_names: tuple[str, ...] | None = None,
    decisions: Sequence[Decisions] = (),
    on_stage: Callable[[str], None] = lambda stage: None,
    on_plan: Callable[[str], None] = lambda plan: None,
    on_progress: Callable[[float], None] = lambda share: None,
    keep: str | Path | None = None,
    restart: bool = False,
    **settings: Unpack[SettingsByName],
) -> RegressionAudit:
    """Audits a data set whose labels are numbers to be predicted.

    The linearized network of `run` learns the targets, less their mean, and predicts each without its example, in
    closed form. Targets that are out of line by `metrics.outliers` are replaced by these predictions and all is
    predicted anew, twice, so that they do not bend the fit by which they are told.

    Args:
      key: source of randomness.
      x, held_out, feature_names, on_stage, on_plan, on_progress, keep, restart: as in `run`.
      y: the targets.
      decisions: of `read_decisions`: what a person decided on targets of audits before, the oldest first. Targets that
        were kept or given anew are not out of line.
      **settings: of `Settings`; those of repairs, of bounds, of earlier times and of learned features are
        not used. `flip` is the share of the targets to exchange among one another, to see whether the audit finds them.

    Returns:
      What was found.

    Raises:
      ValueError: if the targets are no numbers or all the same, networks are to be trained, or as in `run`.

    Source: Allen, 1974, for the residuals; Harutyunyan et al., 2021, for the information.
    """
    chosen = checked_settings(Settings(**settings))
    if np.isfinite(chosen.time):
        raise ValueError(f"an audit of numbers is of the end of training: leave out time, got {chosen.time:g}")
    for name in ("robust", "trained"):
        if getattr(chosen, name):
            raise ValueError(f"{name} trains classifiers: leave it out of an audit of numbers, --{name} in commands")
    table = x
    if not isinstance(x, data.Table):
        table = data.as_table(x, y, held_out, feature_names=feature_names, missing="refuse")
    elif not all(given is None for given in (y, held_out, feature_names)):
        raise ValueError("a data.Table has its labels, held-out examples and names; give no others beside it")
    draw_key, features_key, stages_key = jax.random.split(key, 3)
    examples, targets, true = draw_rows(
        draw_key, table, train_size=chosen.train_size, flip=chosen.flip, one_scale=chosen.embeddings
    )
    for made in decisions:
        examples, targets, left = apply_to_targets(examples, targets, made)
        true = true[left] if chosen.flip else targets
    example_shape(chosen.network, examples.inputs)
    # without what only an audit of classes does
    on_plan(str(plan(replace(chosen, sweep=0, runs=0, seeds=0), examples)))
    kept = Kept(None, "")
    if keep is not None:
        about = "regression", np.asarray(jax.random.key_data(key)).tolist(), asdict(chosen), infotheory_dl.__version__
        confirmed = [] if examples.confirmed is None else [examples.confirmed]
        from_where = {name: groups.tolist() for name, groups in all_groups(table).items()}
        everything = [examples.inputs, targets, examples.held_out_inputs, *confirmed]
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
    found = run_stages(_stages(targets), work, kept, on_stage, on_progress)
    solution, residuals = found["fit"].solution, found["fit"].residuals
    detection = None
    if (targets != true).any():
        suspicion = {"standardized residual": np.abs(residuals.standardized)}
        detection = rate_detection(suspicion, targets != true)
    return RegressionAudit(
        examples=examples,
        targets=targets,
        true_targets=true,
        residuals=residuals,
        information=solution.output_change / (2 * residuals.noise**2),
        solution=solution,
        representation=found["representation"].name,
        checks=found["checks"],
        detection=detection,
        settings=chosen,
    )


class _Fit(NamedTuple):
    """The solution for the targets without those out of line, and the residuals of all."""

    solution: Solution
    residuals: Residuals


def _stages(targets: Float[np.ndarray, " examples"]) -> tuple[Stage, ...]:
    near = _drawn_in(targets)
    column = (near - near.mean())[:, None]

    def represented_by(work: Work) -> str:
        if is_exact(work.settings, work.examples):
            return f"tangent kernels of {work.settings.num_networks} random networks"
        return "moments of explicit features"

    return (
        Stage("representation", represented_by, lambda work: represent(work, column)),
        Stage("fit", lambda work: "every target by a network trained without it", lambda work: _fit(work, targets)),
        Stage(
            "checks", lambda work: "copies, outlying examples, order and sources", lambda work: _check(work, targets)
        ),
    )


def _fit(work: Work, targets: Float[np.ndarray, " examples"]) -> _Fit:
    most_common, step = _ties(targets)
    crowded = most_common >= _CROWDED
    near = _drawn_in(targets)
    # in units of their own: what is compared with rounding must not depend on the user's
    centre, scale = near.mean(), near.std()
    column, fitted = (targets - centre) / scale, (near - centre) / scale
    least = step / scale / np.sqrt(12)  # what is rounded to steps varies by that
    confirmed = work.examples.confirmed
    if confirmed is None:
        confirmed = np.zeros(len(targets), bool)
    solve = solver(work)
    for _ in range(1 + _REFITS):
        solution = solve(fitted[:, None] - fitted.mean())
        predictions = fitted - solution.residuals[:, 0]
        open_share = np.clip(left_open(solution.leverage, work.families), np.finfo(float).eps, 1)
        standardized = (column - predictions) * np.sqrt(open_share)
        if crowded:
            p_values, is_beyond = np.ones(len(targets)), np.zeros(len(targets), bool)
            noise = float(standardized.std())
        else:
            found = outliers_of(standardized, "both", RATE, least=least)
            p_values, is_beyond = found.p_values, found.is_outlier
            noise = max(least, _robust_deviation(standardized))
        is_outlying = is_beyond & ~confirmed
        cleaned = np.where(is_outlying, predictions, column)
        if np.array_equal(cleaned, fitted):
            break
        fitted = cleaned
    of_all, of_usual = (_compared(column[rows], predictions[rows]) for rows in (slice(None), ~is_beyond))
    error, variance, gain = max(of_all, of_usual, key=lambda compared: compared.gain)
    residuals = Residuals(
        predictions=centre + scale * predictions,
        standardized=standardized / noise,
        p_value=p_values,
        is_outlying=is_outlying,
        error=scale * float(np.sqrt(error)),
        noise=scale * noise,
        explained=1 - error / variance,
        gain=gain,
        told=gain >= _EVIDENCE,
        in_line=of_usual.gain > of_all.gain,
        crowded=crowded,
    )
    return _Fit(_in_units(solution, scale), residuals)


def _drawn_in(targets: Float[np.ndarray, " examples"]) -> Float[np.ndarray, " examples"]:
    """The targets, those out of line of their own distribution moved to the next that is not.

    So a number with zeros too many hides the others neither from the choice of a representation nor from the first fit.
    """
    if _ties(targets)[0] >= _CROWDED:
        return targets
    usual = targets[~outliers_of(targets, "both", RATE).is_outlier]
    return np.clip(targets, usual.min(), usual.max())


class _Compared(NamedTuple):
    """Mean squared error of predictions, variance of what they are of, and what they tell in nats."""

    error: float
    variance: float
    gain: float


def _compared(values: Float[np.ndarray, " examples"], predictions: Float[np.ndarray, " examples"]) -> _Compared:
    error, variance = float(np.square(values - predictions).mean()), float(values.var())
    return _Compared(error, variance, float(len(values) / 2 * np.log(variance / error)))


def _ties(values: Float[np.ndarray, " examples"]) -> tuple[float, float]:
    """Share of the most common value; and the step between values, zero where most are had once."""
    different, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    gaps = np.concatenate([[np.inf], np.diff(different), [np.inf]])
    nearest = np.where(counts > 1, np.minimum(gaps[1:], gaps[:-1]), 0.0)
    return float(counts.max() / len(values)), float(np.median(nearest[place]))


def _in_units(solution: Solution, scale: float) -> Solution:
    """The solution for targets in units of the user's."""
    return solution._replace(
        residuals=solution.residuals * scale,
        weight_change=solution.weight_change * scale**2,
        output_change=solution.output_change * scale**2,
        loss=solution.loss * scale**2,
    )


def _robust_deviation(values: Float[np.ndarray, " examples"]) -> float:
    """The standard deviation of normal values with this median absolute deviation; of others where it is zero."""
    deviation = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return deviation or float(values.std()) or 1.0


def _check(work: Work, targets: Float[np.ndarray, " examples"]) -> RegressionChecks:
    copies_key, inputs_key, residuals_key, sources_key = jax.random.split(work.key, 4)
    examples, fit = work.examples, work.found["fit"]
    standardized = fit.residuals.standardized
    ranks = np.argsort(np.argsort(standardized))[:, None].astype(np.float32)
    copies = find_copies(copies_key, examples, work.table)
    return RegressionChecks(
        copies._replace(across=targets[copies.first] != targets[copies.second]),
        None if work.table.held_out is None else find_leaks(examples),
        find_outlying(fit.solution.leverage),
        within_groups(inputs_key, fit.solution.coordinates, examples.labels),
        within_groups(residuals_key, ranks, examples.labels),
        compare_sources(sources_key, examples, work.table, np.abs(standardized)),
    )
