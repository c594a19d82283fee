"""Discrete states of columns, and what columns tell of each other."""

import numpy as np
from jaxtyping import Float, Int, Real

from infotheory_dl.information import discrete


def states(columns: Real[np.ndarray, "samples columns"], bins: int) -> Int[np.ndarray, "samples columns"]:
    """Numbers from zero for the values of each column, of more than `bins` for as many parts, equally frequent."""
    found = np.empty(columns.shape, int)
    for place, column in enumerate(columns.T):
        distinct, found[:, place] = np.unique(column, return_inverse=True)
        if len(distinct) > bins:
            edges = np.quantile(column, np.arange(1, bins) / bins)
            found[:, place] = np.unique(np.searchsorted(edges, column, side="left"), return_inverse=True)[1]
    return found


def informations(
    codes: Int[np.ndarray, "samples codes"], factors: Int[np.ndarray, "samples factors"]
) -> tuple[Float[np.ndarray, "codes factors"], Float[np.ndarray, " codes"], Float[np.ndarray, " factors"]]:
    """I of all pairs of a code and a factor, and the entropies of both, nats."""
    ranked = [np.stack([np.unique(c, return_inverse=True)[1] for c in table.T], 1) for table in (codes, factors)]
    sizes = [int(np.max(table)) + 1 for table in ranked]
    pairs = np.repeat(ranked[0], factors.shape[1], axis=1), np.tile(ranked[1], (1, codes.shape[1]))
    found = discrete.mutual_information(*pairs, num_codes=sizes[0], num_selections=sizes[1])
    entropies = [
        np.asarray(discrete.entropy(np.stack([np.bincount(c, minlength=size) for c in table.T])), float)
        for table, size in zip(ranked, sizes, strict=True)
    ]
    return np.asarray(found, float).reshape(codes.shape[1], factors.shape[1]), entropies[0], entropies[1]


def normalised(
    informations: Float[np.ndarray, "codes factors"],
    code_entropies: Float[np.ndarray, " codes"],
    entropies: Float[np.ndarray, " factors"],
) -> Float[np.ndarray, "codes factors"]:
    """Informations over the mean of both entropies; zero where neither varies."""
    scale = (code_entropies[:, None] + entropies) / 2
    return np.divide(informations, scale, out=np.zeros_like(informations), where=scale > 0).clip(0, 1)
