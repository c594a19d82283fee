"""Settings that DomainBed searches: its defaults, and its draws, bit for bit."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from infotheory_dl._validation import edge, require_choice, require_count

Images = Literal["small", "large"]
SearchedAlgorithm = Literal[
    "ERM",
    "IRM",
    "VREx",
    "GroupDRO",
    "CORAL",
    "MMD",
    "SD",
    "Mixup",
    "MLDG",
    "DANN",
    "CDANN",
    "Fishr",
    "IB_ERM",
    "IB_IRM",
    "IGA",
    "ANDMask",
    "SANDMask",
    "RSC",
    "Fish",
    "CAD",
    "CondCAD",
    "CausIRL_CORAL",
    "CausIRL_MMD",
    "EQRM",
    "MTL",
    "SagNet",
]
_Number: TypeAlias = float | int
_Draw: TypeAlias = Callable[[np.random.RandomState], _Number]


class Searched(NamedTuple):
    """A setting of a search.

    Attributes:
      default: where nothing is searched.
      draw: `draw(random)`, a value.
    """

    default: _Number
    draw: _Draw


@edge
def default_hyperparameters(algorithm: SearchedAlgorithm, *, images: Images = "small") -> dict[str, float | int]:
    """Returns the settings that DomainBed trains an algorithm with where none are searched.

    Args:
      algorithm: by DomainBed's name.
      images: "small", as of Colored and Rotated MNIST, or "large", as of Camelyon.

    Returns:
      A number for every setting, by DomainBed's names.

    Raises:
      ValueError: if the algorithm is unknown.

    Source: Gulrajani and Lopez-Paz, 2021 (DomainBed, `hparams_registry`).
    """
    return {name: searched.default for name, searched in _settings(algorithm, images).items()}


@edge
def draw_hyperparameters(
    algorithm: SearchedAlgorithm, seed: int, *, images: Images = "small"
) -> dict[str, float | int]:
    """Draws the settings of DomainBed's random search, bit for bit.

    Every setting has a source of randomness of its own, made of the seed and its name, so that algorithms which share a
    setting have it alike.

    Args:
      algorithm: by DomainBed's name.
      seed: of the draw, from 1; DomainBed's search has 1 to 19, and 0 for the defaults.
      images: as of `default_hyperparameters`.

    Returns:
      A number for every setting, by DomainBed's names.

    Raises:
      ValueError: if the algorithm is unknown, or the seed is not positive.

    Source: Gulrajani and Lopez-Paz, 2021 (DomainBed, `hparams_registry`).
    """
    require_count(1, seed=seed)
    return {
        name: searched.draw(_randomness(int(seed), name)) for name, searched in _settings(algorithm, images).items()
    }


def _settings(algorithm: SearchedAlgorithm, images: Images) -> Mapping[str, Searched]:
    require_choice("algorithm", algorithm, get_args(SearchedAlgorithm))
    require_choice("images", images, get_args(Images))
    adversarial = _ADVERSARIAL_OF_IMAGES[images] if algorithm in ("DANN", "CDANN") else {}
    return {**_OF_NETWORKS, **_OF_ALGORITHMS.get(algorithm, {}), **_OF_IMAGES[images], **adversarial}


def _randomness(seed: int, name: str) -> np.random.RandomState:
    digest = hashlib.md5(str((seed, name)).encode(), usedforsecurity=False).hexdigest()
    return np.random.RandomState(int(digest, 16) % 2**31)


def _always(value: _Number) -> _Draw:
    return lambda random: value


def _between(low: _Number, high: _Number) -> _Draw:
    return lambda random: random.uniform(low, high)


def _power(base: int, low: _Number, high: _Number) -> _Draw:
    return lambda random: float(base ** random.uniform(low, high))


def _one_of(*values: _Number) -> _Draw:
    return lambda random: random.choice(values).item()


def _whole(draw: _Draw) -> _Draw:
    return lambda random: int(draw(random))


def _annealed(weight: str, default: _Number, steps: str) -> dict[str, Searched]:
    """A penalty, and the steps that it is not yet weighed for."""
    return {
        weight: Searched(default, _power(10, -1, 5)),
        steps: Searched(500, _whole(_power(10, 0, 4))),
    }


def _same(names: Sequence[str], settings: Mapping[str, Searched]) -> dict[str, Mapping[str, Searched]]:
    return dict.fromkeys(names, settings)


_THIRD = Searched(1 / 3, _between(0, 0.5))
_DROPOUT = Searched(0.0, _one_of(0.0, 0.1, 0.5))
_SMALL_RATE, _LARGE_RATE = Searched(1e-3, _power(10, -4.5, -2.5)), Searched(5e-5, _power(10, -5, -3.5))
_NO_DECAY, _DECAY = Searched(0.0, _always(0.0)), Searched(0.0, _power(10, -6, -2))
_IRM = _annealed("irm_lambda", 1e2, "irm_penalty_anneal_iters")
_BOTTLENECK = _annealed("ib_lambda", 1e2, "ib_penalty_anneal_iters")

_OF_NETWORKS = {
    "linear_steps": Searched(500, _always(500)),
    "resnet_dropout": _DROPOUT,
    "vit_dropout": _DROPOUT,
}
_OF_IMAGES: Mapping[Images, Mapping[str, Searched]] = {
    "small": {"lr": _SMALL_RATE, "weight_decay": _NO_DECAY, "batch_size": Searched(64, _whole(_power(2, 3, 9)))},
    "large": {"lr": _LARGE_RATE, "weight_decay": _DECAY, "batch_size": Searched(32, _whole(_power(2, 3, 5.5)))},
}
_ADVERSARIAL_OF_IMAGES: Mapping[Images, Mapping[str, Searched]] = {
    "small": {"lr_g": _SMALL_RATE, "lr_d": _SMALL_RATE, "weight_decay_g": _NO_DECAY},
    "large": {"lr_g": _LARGE_RATE, "lr_d": _LARGE_RATE, "weight_decay_g": _DECAY},
}
_OF_ALGORITHMS: Mapping[str, Mapping[str, Searched]] = MappingProxyType(
    {
        "IRM": _IRM,
        "VREx": _annealed("vrex_lambda", 1e1, "vrex_penalty_anneal_iters"),
        "GroupDRO": {"groupdro_eta": Searched(1e-2, _power(10, -3, -1))},
        **_same(("CORAL", "MMD", "CausIRL_CORAL", "CausIRL_MMD"), {"mmd_gamma": Searched(1.0, _power(10, -1, 1))}),
        "SD": {"sd_reg": Searched(0.1, _power(10, -5, -1))},
        "Mixup": {"mixup_alpha": Searched(0.2, _power(10, -1, 1))},
        "MLDG": {"mldg_beta": Searched(1.0, _power(10, -1, 1)), "n_meta_test": Searched(2, _one_of(1, 2))},
        **_same(
            ("DANN", "CDANN"),
            {
                "lambda": Searched(1.0, _power(10, -2, 2)),
                "weight_decay_d": Searched(0.0, _power(10, -6, -2)),
                "d_steps_per_g_step": Searched(1, _whole(_power(2, 0, 3))),
                "grad_penalty": Searched(0.0, _power(10, -2, 1)),
                "beta1": Searched(0.5, _one_of(0.0, 0.5)),
                "mlp_width": Searched(256, _whole(_power(2, 6, 10))),
                "mlp_depth": Searched(3, _one_of(3, 4, 5)),
                "mlp_dropout": _DROPOUT,
            },
        ),
        "Fishr": {
            "lambda": Searched(1e3, _power(10, 1, 4)),
            "penalty_anneal_iters": Searched(1500, _whole(_between(0, 5000))),
            "ema": Searched(0.95, _between(0.90, 0.99)),
        },
        "IB_ERM": _BOTTLENECK,
        "IB_IRM": _IRM | _BOTTLENECK,
        "IGA": {"penalty": Searched(1e3, _power(10, 1, 5))},
        "ANDMask": {"tau": Searched(1.0, _between(0.5, 1))},
        "SANDMask": {"tau": Searched(1.0, _between(0, 1)), "k": Searched(10.0, _power(10, -3, 5))},
        "RSC": {"rsc_f_drop_factor": _THIRD, "rsc_b_drop_factor": _THIRD},
        "Fish": {"meta_lr": Searched(0.5, _one_of(0.05, 0.1, 0.5))},
        **_same(
            ("CAD", "CondCAD"),
            {
                "lmbda": Searched(0.1, _one_of(1e-4, 1e-3, 1e-2, 1e-1, 1, 1e1, 1e2)),
                "temperature": Searched(0.1, _one_of(0.05, 0.1)),
            },
        ),
        "EQRM": {
            "eqrm_quantile": Searched(0.75, _between(0.5, 0.99)),
            "eqrm_burnin_iters": Searched(2500, _power(10, 2.5, 3.5)),
            "eqrm_lr": Searched(1e-6, _power(10, -7, -5)),
        },
        "MTL": {"mtl_ema": Searched(0.99, _one_of(0.5, 0.9, 0.99, 1.0))},
        "SagNet": {"sag_w_adv": Searched(0.1, _power(10, -2, 1))},
    }
)
