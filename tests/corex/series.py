"""Short series with a change of regime, for the tests of T-CorEx."""

import numpy as np

SHORT = {"warm_start": False, "noises": (0.36, 0.0), "max_iterations": 200}


def modular(seed, num_samples, parents):
    """Samples of variables that share a factor with those of the same parent."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_samples, 3))[:, parents] + 0.5 * rng.normal(size=(num_samples, len(parents)))


BEFORE, AFTER = np.repeat([0, 1, 2], 4), np.tile([0, 1, 2], 4)
SERIES = [modular(t, n, BEFORE if t < 2 else AFTER) for t, n in enumerate([30, 24, 40, 36])]
