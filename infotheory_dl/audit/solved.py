"""The audit's one linear problem, which all scores are solutions of."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.audit.scores import Scores, score
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization import KernelEigen, kernel_eigen, select_weight_decay
from infotheory_dl.sample_information.removal import Problem, Training
from infotheory_dl.sample_information.summarization import summarized


class Solved(NamedTuple):
    """The linear problem of an audit.

    Attributes:
      kernel: between the audited examples.
      held_out_kernel: between the held-out ones and these.
      num_classes: of the labels.
      learning_rate: step size on the mean loss.
      weight_decay: penalty on it.
    """

    kernel: KernelEigen
    held_out_kernel: Float[np.ndarray, "held_out examples"]
    num_classes: int
    learning_rate: float
    weight_decay: float

    def problem(self, labels: Int[np.ndarray, " examples"]) -> Problem:
        """To learn these labels; outputs start at zero."""
        targets = jnp.asarray(centred_targets(labels, self.num_classes))
        return Problem(self.kernel, -targets, jnp.asarray(self.held_out_kernel), len(targets))

    def training(self, time: float) -> Training:
        return Training(time, self.learning_rate, self.weight_decay)

    def score(self, labels: Int[np.ndarray, " examples"], times: Sequence[float]) -> Scores:
        return score(self.problem(labels), labels, map(self.training, times))


def solve(
    kernel: Float[np.ndarray, "examples examples"],
    held_out_kernel: Float[np.ndarray, "held_out examples"],
    labels: Int[np.ndarray, " examples"],
    num_classes: int,
    weight_decay: float | None,
) -> Solved:
    """Decomposes the kernel, and chooses the weight decay, if it is None, and the learning rate."""
    n = len(labels)
    eigen = kernel_eigen(kernel)
    if weight_decay is None:
        weight_decay = float(select_weight_decay(eigen, centred_targets(labels, num_classes)))
    # one step brings the fastest direction to its end
    learning_rate = n / (float(eigen.eigenvalues.max()) + n * weight_decay)
    return Solved(eigen, held_out_kernel, num_classes, learning_rate, weight_decay)


def removal_orders(solved: Solved, labels: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
    """In which order to remove examples: the least informative first, in rounds, and the most informative first."""
    problem, training = solved.problem(labels), solved.training(time)
    least_first, most_first = (summarized(problem, training, strategy) for strategy in ("iterative", "top"))
    return np.asarray(least_first.order), np.asarray(most_first.order)
