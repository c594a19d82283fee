"""What information a neural network stores about its training data, in JAX.

Every room is imported when it is first used, so that `import infotheory_dl` costs little more than `import jax`.
"""

import importlib
from types import ModuleType

__version__ = "0.2.0"

__all__ = [
    "audit",
    "clinical",
    "corex",
    "data",
    "domain_generalization",
    "fcmi",
    "information",
    "label_noise",
    "linear_models",
    "linearization",
    "metrics",
    "minsyn",
    "mixhop",
    "networks",
    "report",
    "results",
    "sample_information",
    "training",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
