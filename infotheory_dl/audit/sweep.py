"""The scores of earlier times of training: whether they find more, and how they agree with those of the end."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from infotheory_dl.audit.representation import kernel_between
from infotheory_dl.audit.scores import score
from infotheory_dl.audit.stages import Work
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization import kernel_eigen
from infotheory_dl.metrics import average_precision, spearman_correlation
from infotheory_dl.results import concise
from infotheory_dl.sample_information.problem import Problem
from infotheory_dl.sample_information.removal import Training

_EXAMPLES_AT_MOST = 1000
_CHANGES_AT_MOST = 2**24


@concise
class Sweep(NamedTuple):
    """The scores of earlier times.

    Attributes:
      times: numbers of steps of gradient descent with the learning rate of the audit.
      average_precision: of the margin, the output change and the weight change in finding the flips; None without any.
      agreement: rank correlation of these scores with those of the audit's time.
      num_examples: of how many examples, drawn from those that are audited, and trained on alone.
    """

    times: Float[np.ndarray, " times"]
    average_precision: Float[np.ndarray, "times scores"] | None
    agreement: Float[np.ndarray, "times scores"]
    num_examples: int


def sweep_times(work: Work) -> Sweep:
    """Scores earlier times, of at most 1000 of the examples and on few references where the classes are many."""
    examples, representation, settings = work.examples, work.representation, work.settings
    n, num_classes = len(examples.labels), len(examples.class_names)
    rows = np.arange(n)
    if n > _EXAMPLES_AT_MOST and representation.kernel is None:
        rows = np.sort(np.asarray(jax.random.choice(work.key, n, (_EXAMPLES_AT_MOST,), replace=False)))
    labels, flipped = examples.labels[rows], examples.flipped[rows]
    num_references = max(10, _CHANGES_AT_MOST // (len(rows) * num_classes))
    with jax.enable_x64(True):
        if representation.kernel is not None:
            eigen, references, measured = representation.eigen, representation.held_out_kernel, examples.measured
        else:
            kernel = kernel_between(work, rows, rows)
            eigen, references, measured = kernel_eigen(kernel), kernel, np.arange(len(rows))
        assert eigen is not None
        assert references is not None
        targets = jnp.asarray(centred_targets(labels, num_classes))
        problem = Problem(eigen, -targets, jnp.asarray(references[:num_references]), len(rows))
        weight_decay = work.solution.weight_decay
        learning_rate = len(rows) / (float(eigen.eigenvalues.max()) + len(rows) * weight_decay)
        slowest = max(weight_decay, 1e-6 / learning_rate)
        times = np.logspace(0, np.log10(10 / (learning_rate * slowest)), settings.sweep)
        trainings = [Training(time, learning_rate, weight_decay) for time in (*times, settings.time)]
        *early, late = _suspicions(score(problem, labels, trainings, measured[:num_references]))
        agreement = [[float(spearman_correlation(*pair)) for pair in zip(one, late, strict=True)] for one in early]
        precision = None
        if flipped.any():
            precision = np.array([[float(average_precision(values, flipped)) for values in one] for one in early])
    return Sweep(times, precision, np.array(agreement), len(rows))


def _suspicions(scores) -> Float[np.ndarray, "times scores examples"]:
    """Margin, output change and weight change, the larger the more suspect."""
    return np.stack([-scores.margins, scores.output_change, scores.weight_change], axis=-2)
