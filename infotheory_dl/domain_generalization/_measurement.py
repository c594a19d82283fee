"""What probes and a model get right, and what resamples of the same examples would make of it."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import linear_models
from infotheory_dl.domain_generalization._plan import Probes, Test
from infotheory_dl.domain_generalization.results import Estimate
from infotheory_dl.linear_models import LogisticRegression
from infotheory_dl.metrics.resampling import resampled
from infotheory_dl.types import AnyArray, Key

_TAILS = (0.025, 0.975)


class Seen(NamedTuple):
    """What the probes make of the rows that are held out.

    Attributes:
      rows: their places among all.
      counted: 1 where a row measures a probe, else 0.
      right: 1 where it does and the probe is right, else 0.
      losses: cross-entropy of the probe where it does, else 0.
      majority: the share of the most frequent target among the rows that measure a probe.
      entropy: of the targets of these rows, nats.
    """

    rows: Int[np.ndarray, " held"]
    counted: Float[np.ndarray, "held columns"]
    right: Float[np.ndarray, "held columns"]
    losses: Float[np.ndarray, "held columns"]
    majority: Float[np.ndarray, " columns"]
    entropy: Float[np.ndarray, " columns"]


class Sample(NamedTuple):
    """Rows that measure the model and the probes in one unseen domain.

    Attributes:
      further: of the source domains: whether the model is right, and the joint probe.
      held_sources: of the source domains, held out: `counted`, `right` and `losses` of all probes.
      held_unseen: of the unseen domain, held out: the same, and whether the model is right.
      others: of the unseen domain, not held out: whether the model is right.
    """

    further: Float[AnyArray, "further 2"]
    held_sources: Float[AnyArray, "sources 3 columns"]
    held_unseen: tuple[Float[AnyArray, "unseen 3 columns"], Float[AnyArray, " unseen"]]
    others: Float[AnyArray, " others"]

    def sizes(self) -> tuple[int, int, int, int]:
        """Of the four lists that are drawn from."""
        return len(self.further), len(self.held_sources), len(self.held_unseen[1]), len(self.others)

    def measured(self, *counts: AnyArray) -> dict[str, Any]:
        """What is measured of the model, of the joint probe, of all probes, on rows that count so often each."""
        further, sources, unseen, others = counts
        of_probes, of_model = self.held_unseen
        counted, right, losses = _summed(sources, self.held_sources) + _summed(unseen, of_probes)
        own_on_sources, joint_on_sources = further @ self.further / len(self.further)
        return {
            "own_on_sources": own_on_sources,
            "joint_on_sources": joint_on_sources,
            "own_on_unseen": (unseen @ of_model + others @ self.others) / (len(of_model) + len(self.others)),
            "accuracies": right / counted,
            "losses": losses / counted,
        }


class Drawn(NamedTuple):
    """One number as measured, and in resamples."""

    value: Float[np.ndarray, "..."]
    resamples: Float[np.ndarray, "resamples ..."]

    def estimate(self) -> Estimate:
        """The number and how far chance carries it."""
        interval = np.quantile(self.resamples, _TAILS, axis=0)
        return Estimate(np.asarray(self.value), np.asarray(self.resamples.std(0, ddof=1)), interval)

    def __sub__(self, other: "Drawn") -> "Drawn":
        return Drawn(self.value - other.value, self.resamples - other.resamples)

    def mean(self, test: Test, shares: Float[np.ndarray, " probes"]) -> "Drawn":
        """The mean over the probes of a test."""
        return Drawn(self.value[test.probes] @ shares, self.resamples[:, test.probes] @ shares)


def observe(fitted: LogisticRegression, probes: Probes, x: Float[AnyArray, "rows features"]) -> Seen:
    """Lets every probe tell the rows that it is measured on."""
    held = np.flatnonzero(probes.measured_on.any(0))
    num_columns = int(probes.columns.max()) + 1
    counted, right, losses = np.zeros((3, len(held), num_columns))
    targets, measured_on = probes.targets[:, held], probes.measured_on[:, held]
    outputs = np.asarray(_log_probabilities(fitted, x[held]), float)
    told = np.take_along_axis(outputs, np.where(measured_on, targets, 0)[..., None], axis=-1)[..., 0]
    is_right = outputs.argmax(-1) == targets
    shares: list[np.ndarray] = []
    for column in range(num_columns):
        counts = np.zeros(outputs.shape[-1])
        for probe in np.flatnonzero(probes.columns == column):
            own = measured_on[probe]
            counted[own, column], right[own, column] = 1, is_right[probe, own]
            losses[own, column] = -told[probe, own]
            counts += np.bincount(targets[probe, own], minlength=len(counts))
        shares.append(counts[counts > 0] / counts.sum())
    majority, entropy = (np.array([measure(share) for share in shares]) for measure in (np.max, _entropy))
    return Seen(held, counted, right, losses, majority, entropy)


def draw(key: Key, sample: Sample, num_resamples: int) -> dict[str, Drawn]:
    """Measures the sample, and resamples of it."""
    with np.errstate(invalid="ignore"):  # of the probes of another unseen domain nothing is measured
        values = sample.measured(*map(np.ones, sample.sizes()))
    redrawn = _redrawn(key, jax.tree.map(jnp.asarray, sample), num_resamples)
    drawn = {}
    for name, value in values.items():
        again = np.asarray(redrawn[name], float)
        # a resample may have none of the rows of a small probe
        drawn[name] = Drawn(value, np.where(np.isnan(again), value, again))
    return drawn


@functools.partial(jax.jit, static_argnames="num_resamples")
def _redrawn(key: Key, sample: Sample, num_resamples: int) -> dict[str, Any]:
    sizes = sample.sizes()

    def measured(*rows: Any) -> dict[str, Any]:
        # sums by counts are products; rows that are gathered for every resample take several times as long
        drawn = zip(rows, sizes, strict=True)
        return sample.measured(*(jnp.bincount(own, length=size).astype(sample.further.dtype) for own, size in drawn))

    return resampled(key, measured, sizes, num_resamples)


def _summed(counts: AnyArray, columns: AnyArray) -> Any:
    """Over the rows."""
    return (counts @ columns.reshape(len(columns), -1)).reshape(columns.shape[1:])


@jax.jit
def _log_probabilities(fitted: LogisticRegression, x: AnyArray) -> Any:
    outputs = linear_models.logits(fitted, x)
    if outputs.shape[-1] == 1:
        outputs = jnp.concatenate([jnp.zeros_like(outputs), outputs], axis=-1)
    return jax.nn.log_softmax(outputs)


def _entropy(shares: np.ndarray) -> float:
    return float(-(shares * np.log(shares)).sum())
