"""What algorithms add to the risk so that domains agree: pure functions of arrays with an axis of domains in front.

Each is the penalty of its paper at weight one. Masks let domains have batches of different sizes; rows that do not
count may hold anything.
"""

from infotheory_dl.domain_generalization.objectives.gradients import (
    and_mask,
    fishr_penalty,
    gradient_variances,
    iga_penalty,
    sand_mask,
)
from infotheory_dl.domain_generalization.objectives.representations import (
    MMD_GAMMAS,
    bottleneck_penalty,
    challenge_mask,
    contrast_penalty,
    coral_penalty,
    halves_penalty,
    mmd_penalty,
)
from infotheory_dl.domain_generalization.objectives.risks import (
    domain_risks,
    group_dro_weights,
    irm_penalty,
    logit_penalty,
    quantile_risk,
    vrex_penalty,
)

__all__ = [
    "MMD_GAMMAS",
    "and_mask",
    "bottleneck_penalty",
    "challenge_mask",
    "contrast_penalty",
    "coral_penalty",
    "domain_risks",
    "fishr_penalty",
    "gradient_variances",
    "group_dro_weights",
    "halves_penalty",
    "iga_penalty",
    "irm_penalty",
    "logit_penalty",
    "mmd_penalty",
    "quantile_risk",
    "sand_mask",
    "vrex_penalty",
]
