"""What DomainBed calls the algorithms and their settings, for hyper-parameters that were found or drawn there."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from infotheory_dl._validation import edge, require_choice
from infotheory_dl.domain_generalization.algorithms import AlgorithmName
from infotheory_dl.domain_generalization.hyperparameters import SearchedAlgorithm


class DomainBedNames(NamedTuple):
    """The names of an algorithm there.

    Attributes:
      algorithm: its own.
      settings: those of its settings, by ours.
    """

    algorithm: SearchedAlgorithm
    settings: Mapping[str, str]


def _names(algorithm: SearchedAlgorithm, **own: str) -> DomainBedNames:
    of_all = {"learning_rate": "lr", "weight_decay": "weight_decay", "batch_size": "batch_size"}
    return DomainBedNames(algorithm, MappingProxyType({**of_all, **own}))


def _adversarial(algorithm: SearchedAlgorithm) -> DomainBedNames:
    return _names(
        algorithm,
        learning_rate="lr_g",
        weight_decay="weight_decay_g",
        penalty_weight="lambda",
        gradient_penalty="grad_penalty",
        discriminator_steps="d_steps_per_g_step",
        discriminator_learning_rate="lr_d",
        discriminator_weight_decay="weight_decay_d",
        momentum="beta1",
    )


_IRM = {"penalty_weight": "irm_lambda", "anneal_steps": "irm_penalty_anneal_iters"}
_CONTRAST = {"penalty_weight": "lmbda", "temperature": "temperature"}
DOMAINBED: Mapping[AlgorithmName, DomainBedNames] = MappingProxyType(
    {
        "erm": _names("ERM"),
        "irm": _names("IRM", **_IRM),
        "vrex": _names("VREx", penalty_weight="vrex_lambda", anneal_steps="vrex_penalty_anneal_iters"),
        "group_dro": _names("GroupDRO", step_size="groupdro_eta"),
        "coral": _names("CORAL", penalty_weight="mmd_gamma"),
        "mmd": _names("MMD", penalty_weight="mmd_gamma"),
        "sd": _names("SD", penalty_weight="sd_reg"),
        "mixup": _names("Mixup", concentration="mixup_alpha"),
        "mldg": _names("MLDG", test_weight="mldg_beta", num_test_domains="n_meta_test"),
        "dann": _adversarial("DANN"),
        "cdann": _adversarial("CDANN"),
        "fishr": _names("Fishr", penalty_weight="lambda", anneal_steps="penalty_anneal_iters", average_decay="ema"),
        "ib_erm": _names("IB_ERM", penalty_weight="ib_lambda", anneal_steps="ib_penalty_anneal_iters"),
        "ib_irm": _names(
            "IB_IRM", **_IRM, bottleneck_weight="ib_lambda", bottleneck_anneal_steps="ib_penalty_anneal_iters"
        ),
        "iga": _names("IGA", penalty_weight="penalty"),
        "and_mask": _names("ANDMask", threshold="tau"),
        "sand_mask": _names("SANDMask", threshold="tau", sharpness="k"),
        "rsc": _names("RSC", feature_share="rsc_f_drop_factor", row_share="rsc_b_drop_factor"),
        "fish": _names("Fish", meta_rate="meta_lr"),
        "cad": _names("CAD", **_CONTRAST),
        "cond_cad": _names("CondCAD", **_CONTRAST),
        "causirl_coral": _names("CausIRL_CORAL", penalty_weight="mmd_gamma"),
        "causirl_mmd": _names("CausIRL_MMD", penalty_weight="mmd_gamma"),
        "eqrm": _names(
            "EQRM", anneal_steps="eqrm_burnin_iters", quantile="eqrm_quantile", quantile_learning_rate="eqrm_lr"
        ),
    }
)
"""The names of every algorithm and setting there, by ours."""


@edge
def settings_of_domainbed(name: AlgorithmName, hyperparameters: Mapping[str, float | int]) -> dict[str, float]:
    """Gives DomainBed's hyper-parameters the names of this room, and leaves out those of networks.

    Args:
      name: of the algorithm.
      hyperparameters: by their names there, such as those of `draw_hyperparameters(DOMAINBED[name].algorithm, seed)`.

    Returns:
      The settings of the algorithm that are among them.

    Raises:
      ValueError: if the name is unknown.
    """
    require_choice("algorithm", name, tuple(DOMAINBED))
    settings = DOMAINBED[name].settings
    return {ours: float(hyperparameters[theirs]) for ours, theirs in settings.items() if theirs in hyperparameters}
