"""The audit's one linear problem: what the network trained without an example says of it, for any targets."""

import functools
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from infotheory_dl.audit.results import Representation, Solution
from infotheory_dl.audit.scores import change_of_others
from infotheory_dl.audit.stages import Work
from infotheory_dl.linearization import select_weight_decay
from infotheory_dl.linearization.dynamics import candidate_weight_decays
from infotheory_dl.linearization.families import select_weight_decay_of_families, without_families
from infotheory_dl.linearization.ridge import Fit, Rows, fitted, left_out_rows, refitted
from infotheory_dl.sample_information import online
from infotheory_dl.sample_information._core import shared_leave_one_out
from infotheory_dl.sample_information._leave_one_out import left_out
from infotheory_dl.sample_information.problem import Problem
from infotheory_dl.sample_information.removal import Training, checked_solver

_LEADING = 128
_REFERENCES = 1024


Targets: TypeAlias = Float[np.ndarray, "examples outputs"]


def solver(work: Work) -> Callable[[Targets], Solution]:
    """Learns any targets: what leaving out each example changes, and what is then predicted for it.

    Args:
      work: of a stage after that of the representation.

    Returns:
      Makes residuals, changes and leverages of targets of the audited examples, in double precision. With a kernel
      outputs start at zero; with features there is an intercept. Of several targets what the features alone determine
      is computed once for each weight decay.
    """
    found = work.representation
    if found.moments is None:
        return functools.partial(_by_kernel, work, found)
    return functools.partial(_by_features, work, found, {})


def training_of(work: Work, time: float) -> Training:
    """The audit's training up to a time."""
    return Training(time, work.solution.learning_rate, work.solution.weight_decay)


def _by_kernel(work: Work, found: Representation, targets: Targets) -> Solution:
    eigen, n, settings, families = found.eigen, len(targets), work.settings, work.families
    assert eigen is not None
    # the scores are small differences of large numbers
    with jax.enable_x64(True):
        weight_decay = settings.weight_decay
        converges = not np.isfinite(settings.time)
        if weight_decay is None and families is not None and converges:
            candidates = np.asarray(candidate_weight_decays(eigen, n))
            weight_decay = select_weight_decay_of_families(eigen, targets, candidates, families)
        elif weight_decay is None:
            weight_decay = float(select_weight_decay(eigen, targets))
        # one step brings the fastest direction to its end
        learning_rate = n / (float(eigen.eigenvalues.max()) + n * weight_decay)
        training = Training(settings.time, learning_rate, weight_decay)
        measured = work.examples.measured
        # where all examples are audited each changes the outputs for all others
        references = found.kernel if converges and len(measured) else found.held_out_kernel
        problem = Problem(eigen, -jnp.asarray(targets), jnp.asarray(references), n)
        checked_solver(eigen, n, 1, training)
        state = online.trained(problem, weight_decay)
        leverage = 1 - n * weight_decay * jnp.diagonal(state.inverse)
        if converges:
            residuals, weight_change, output_change = shared_leave_one_out(state)
            if len(measured):
                output_change = _of_others(output_change, leverage, residuals)
            residuals = without_families(np.asarray(residuals), np.asarray(leverage), families)
        else:
            result = left_out(problem, training)
            assert result.output_changes is not None
            residuals, weight_change = result.residuals, result.weight_change
            output_change = change_of_others(result.output_changes, measured)
        eigenvalues, vectors = np.asarray(eigen.eigenvalues), np.asarray(eigen.eigenvectors)
        coordinates = (vectors * np.sqrt(eigenvalues))[:, ::-1][:, :_LEADING]
    return _solution(
        targets, residuals, weight_change, output_change, leverage, coordinates, weight_decay, learning_rate
    )


def _by_features(work: Work, found: Representation, known: dict[float, Rows], targets: Targets) -> Solution:
    moments, settings = found.moments, work.settings
    assert moments is not None
    if np.isfinite(settings.time):
        raise ValueError(
            f"time={settings.time:g} needs the exact kernel, which is made of few examples: give train_size as well"
        )
    stream, n, families = work.stream(found.name, False), len(targets), work.families
    fit = fitted(stream, moments, targets, settings.weight_decay, families)
    if fit.weight_decay in known:
        left = refitted(known[fit.weight_decay], stream, moments, fit, targets)
    else:
        left = known[fit.weight_decay] = _left_out(work, found, fit, targets)
    squares = np.square(left.residuals).sum(1)
    if left.on_references is None:
        output_change = _of_others((left.sums[:, 1] + 1 / n**2) * squares, left.leverage, left.residuals)
    else:
        output_change = left.on_references * squares
    learning_rate = n / (float(moments.eigenvalues[-1]) + n * fit.weight_decay)
    return _solution(
        targets,
        without_families(left.residuals, left.leverage, families),
        left.sums[:, 0] * squares,
        output_change,
        left.leverage,
        left.coordinates,
        fit.weight_decay,
        learning_rate,
    )


def _left_out(work: Work, found: Representation, fit: Fit, targets: Targets) -> Rows:
    moments, stream, n = found.moments, work.stream(found.name, False), len(targets)
    assert moments is not None
    inverse = 1 / (moments.eigenvalues + n * fit.weight_decay)
    weightings, references = [inverse**2], None
    if len(work.examples.measured):
        # those that it is measured on are a part of the audited examples: all of them serve
        weightings.append(moments.eigenvalues * inverse**2 / n)
    else:
        held_out = work.stream(found.name, True)
        rows = np.unique(np.linspace(0, len(held_out) - 1, min(_REFERENCES, len(held_out))).astype(int))
        references = held_out.take(rows)
    return left_out_rows(
        stream,
        moments,
        fit,
        targets,
        weightings=np.stack(weightings, axis=1),
        references=references,
        leading=min(_LEADING, len(inverse)),
        progress=work.progress,
    )


def _of_others(output_change, leverage, residuals):
    """The mean change of the outputs for the other examples, from the mean for all."""
    n = len(leverage)
    return (n * output_change - leverage**2 * (residuals**2).sum(1)) / (n - 1)


def _solution(targets, residuals, weight_change, output_change, leverage, coordinates, weight_decay, learning_rate):
    as_double = lambda values: np.asarray(values, float)
    return Solution(
        as_double(residuals),
        as_double(weight_change),
        as_double(output_change),
        as_double(leverage),
        np.asarray(coordinates, np.float32),
        float(weight_decay),
        float(learning_rate),
        float(np.square(np.asarray(residuals)).mean()),
    )
