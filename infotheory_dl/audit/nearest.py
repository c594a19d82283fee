"""The nearest example of a class to another example: what a suspect is looked at beside."""

import numpy as np
from jaxtyping import Bool, Float, Int

_DISTANCES_AT_ONCE = 2**24


def nearest_of_classes(
    inputs: Float[np.ndarray, "examples *features"],
    labels: Int[np.ndarray, " examples"],
    trusted: Bool[np.ndarray, " examples"],
    members: Int[np.ndarray, " members"],
    classes: Int[np.ndarray, " members"],
) -> Int[np.ndarray, " members"]:
    """For each member the place of the example of a class that is nearest to it, by the inputs as networks see them.

    In NumPy, as every class has a number of examples of its own, which would be a program of its own.

    Args:
      inputs: of all examples.
      labels: of all.
      trusted: examples whose label is not in doubt; where a class has none, any of its examples will do.
      members: places of the examples in question.
      classes: a class for each.

    Returns:
      A place for each member, never its own; -1 where the class has no other example.
    """
    rows = inputs.reshape(len(inputs), -1)
    found = np.full(len(members), -1)
    for label in np.unique(classes).tolist():
        of_class = labels == label
        candidates = np.flatnonzero(of_class & trusted)
        if not len(candidates):
            candidates = np.flatnonzero(of_class)
        if not len(candidates):
            continue
        points = rows[candidates]
        squares = np.einsum("ij,ij->i", points, points)
        asked = np.flatnonzero(classes == label)
        step = max(1, _DISTANCES_AT_ONCE // len(candidates))
        for block in np.split(asked, range(step, len(asked), step)):
            # the square of the member itself is the same for all candidates
            distances = squares - 2 * rows[members[block]] @ points.T
            distances[members[block][:, None] == candidates] = np.inf
            least = distances.argmin(1)
            known = np.isfinite(distances[np.arange(len(block)), least])
            found[block] = np.where(known, candidates[least], -1)
    return found
