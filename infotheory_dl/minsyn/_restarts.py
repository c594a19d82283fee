"""Which of several restarts is kept."""

import numpy as np
from jaxtyping import Bool, Float

from infotheory_dl._validation import warn
from infotheory_dl.types import AnyArray


def best_restart(losses: Float[AnyArray, " restarts"], diverged: Bool[AnyArray, " restarts"]) -> int:
    """The one of the least loss among those that did not diverge.

    Warns:
      UserWarning: if one diverged.
    """
    if diverged.any():
        warn(f"{diverged.sum()} of {len(diverged)} restarts diverged: a smaller learning_rate may help")
    return int(np.argmin(np.where(diverged, np.inf, losses)))
