"""What is said of a source by networks that have learned from all other sources, in closed form."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.audit.checks.sources import sources_of
from infotheory_dl.audit.stages import Work
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization.ridge_groups import (
    RidgeLeaveGroupsOut,
    without_groups,
    without_groups_of_features,
)
from infotheory_dl.results import concise


@concise
class UnseenSources(NamedTuple):
    """Sources of examples, each left out as a whole.

    Attributes:
      column: that they are named in.
      names: of the sources.
      sizes: examples of each.
      right: share of the examples of each whose label is predicted where each alone is left out.
      unseen: the same where their whole source is: what is less is known from the source alone.
      output_change: squared norm of the change of the outputs without the source, mean over all other examples.
      weight_change: squared norm of the change of the weights.
    """

    column: str
    names: tuple[str, ...]
    sizes: Int[np.ndarray, " sources"]
    right: Float[np.ndarray, " sources"]
    unseen: Float[np.ndarray, " sources"]
    output_change: Float[np.ndarray, " sources"]
    weight_change: Float[np.ndarray, " sources"]


def leave_sources_out(work: Work) -> UnseenSources | None:
    """Leaves out each source; None where there is none to compare, or training ends at an earlier time."""
    found = sources_of(work.examples, work.table)
    if found is None or np.isfinite(work.settings.time):
        return None
    column, names, codes = found
    labels = work.examples.labels
    targets = centred_targets(labels, len(work.examples.class_names))
    left = _without(work, targets, codes)
    sizes = np.bincount(codes)
    share_right = lambda residuals: np.bincount(codes, (targets - residuals).argmax(1) == labels) / sizes
    return UnseenSources(
        column,
        names,
        sizes,
        share_right(work.solution.residuals),
        share_right(left.residuals),
        left.output_change,
        left.weight_change,
    )


def _without(
    work: Work, targets: Float[np.ndarray, "examples classes"], codes: Int[np.ndarray, " examples"]
) -> RidgeLeaveGroupsOut:
    found, weight_decay = work.representation, work.solution.weight_decay
    if found.moments is not None:
        return without_groups_of_features(work.stream(found.name, False), found.moments, targets, codes, weight_decay)
    assert found.eigen is not None
    with jax.enable_x64(True):
        spectrum = np.maximum(np.asarray(found.eigen.eigenvalues, float), 0)
        coordinates = np.asarray(found.eigen.eigenvectors, float) * np.sqrt(spectrum)
    penalty = np.full(len(spectrum), len(targets) * weight_decay)
    weights = coordinates.T @ targets / (spectrum + penalty)[:, None]
    return without_groups(coordinates.__getitem__, spectrum, penalty, weights, targets, codes, has_intercept=False)
