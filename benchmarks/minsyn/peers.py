"""Measures of synergy as one would write them plainly, a distribution or a target at a time; and dit."""

import itertools

import numpy as np


def discrete_measures(pmf: np.ndarray) -> tuple[float, list[float], float]:
    """I(X; Z), each I(X; Z_j) and S_CI, of a target along the first axis."""
    sources = range(1, pmf.ndim)
    marginal = lambda *kept: pmf.sum(axis=tuple(axis for axis in range(pmf.ndim) if axis not in kept), keepdims=True)
    target, together = marginal(0), marginal(*sources)
    decoder = target * np.prod([np.broadcast_to(marginal(0, one) / target, pmf.shape) for one in sources], axis=0)
    decoder = decoder / decoder.sum(0, keepdims=True)
    information = float((pmf * np.log(pmf / (target * together))).sum())
    informations = [
        float((marginal(0, one) * np.log(marginal(0, one) / (target * marginal(one)))).sum()) for one in sources
    ]
    return information, informations, float((pmf * np.log(pmf / together / decoder)).sum())


def dit_measures(pmf: np.ndarray) -> tuple[float, list[float], float]:
    """I(X; Z), each I(X; Z_j) and TC(Z), in bits; dit has no S_CI."""
    import dit

    outcomes = list(itertools.product(*(range(size) for size in pmf.shape)))
    joint = dit.Distribution(outcomes, pmf.ravel().tolist())
    sources = list(range(1, pmf.ndim))
    information = dit.shannon.mutual_information(joint, [0], sources)
    informations = [dit.shannon.mutual_information(joint, [0], [one]) for one in sources]
    return information, informations, dit.multivariate.total_correlation(joint, [[one] for one in sources])


def gaussian_measures(correlations: np.ndarray, among: np.ndarray) -> tuple[float, float, float]:
    """I(X; Z), S_CI and S_cal of one target from its correlations with the sources, and those among the sources."""
    information = -np.log1p(-correlations @ np.linalg.solve(among, correlations)) / 2
    evidence = correlations / (1 - correlations**2)
    gain, spread = correlations @ evidence, evidence @ among @ evidence
    independent = (np.log1p(gain) + (gain + gain**2 - spread) / (1 + gain)) / 2
    calibrated = np.log1p(gain) - np.log1p(spread - gain**2) / 2
    return float(information), float(information - independent), float(information - calibrated)
