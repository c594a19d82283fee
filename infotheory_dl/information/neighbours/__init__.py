"""Entropy and mutual information of continuous and of mixed variables, in nats, from distances to nearest neighbours.

Distances are Chebyshev's, of columns that are each in units of their own spread: the answers do not depend on the units
that a column comes in. The estimates are consistent but not bounds: they may be negative, and too low or too high.

Arrays that can be looked at are centred and scaled in double precision, whatever their dtype, and on a CPU their
neighbours are found by a tree. Under `jit`, `vmap` or `grad`, and on accelerators, they are found by comparing all
pairs, with the same result.

`near_copies` tells by Euclidean distances which points are there twice, the same or nearly.
"""

from infotheory_dl.information.neighbours.continuous import (
    ContinuousEstimator,
    conditional_mutual_information,
    entropy,
    mutual_information,
)
from infotheory_dl.information.neighbours.copies import NearCopies, near_copies
from infotheory_dl.information.neighbours.mixed import MixedEstimator, mixed_mutual_information

__all__ = [
    "ContinuousEstimator",
    "MixedEstimator",
    "NearCopies",
    "conditional_mutual_information",
    "entropy",
    "mixed_mutual_information",
    "mutual_information",
    "near_copies",
]
