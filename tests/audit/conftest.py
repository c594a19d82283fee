"""One small audit that the tests of the room share."""

import jax
import numpy as np
import pytest

from infotheory_dl import audit, data

SETTINGS = {"train_size": 100, "flip": 0.1, "num_networks": 2, "sweep": 3, "runs": 100, "seeds": 2, "network": "mlp"}


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    images = data.load("digits", "train[:160]")
    return images.x.astype(float), images.y


@pytest.fixture(scope="session")
def result(digits) -> audit.AuditResult:
    return audit.run(jax.random.key(0), *digits, **SETTINGS)
