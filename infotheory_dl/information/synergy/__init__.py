"""Synergy: what sources tell of a target together, and no longer when any of them is hidden.

The measure is S_CI: what a reader loses who takes the sources to be independent given the target.
"""

from infotheory_dl.information.synergy._discrete import DiscreteSynergy, discrete, independent_decoder
from infotheory_dl.information.synergy._gates import gates
from infotheory_dl.information.synergy._gaussian import GaussianSynergy, gaussian
from infotheory_dl.information.synergy._pairs import PairSynergy, discrete_pairs, gaussian_pairs
from infotheory_dl.information.synergy._partial_information import (
    PARTIAL_MEASURES,
    PartialInformation,
    PartialMeasure,
    partial_information,
)
from infotheory_dl.information.synergy._samples import (
    CORRECTIONS,
    Correction,
    SampledSynergy,
    discrete_from_samples,
    gaussian_from_samples,
)

__all__ = [
    "CORRECTIONS",
    "PARTIAL_MEASURES",
    "Correction",
    "DiscreteSynergy",
    "GaussianSynergy",
    "PairSynergy",
    "PartialInformation",
    "PartialMeasure",
    "SampledSynergy",
    "discrete",
    "discrete_from_samples",
    "discrete_pairs",
    "gates",
    "gaussian",
    "gaussian_from_samples",
    "gaussian_pairs",
    "independent_decoder",
    "partial_information",
]
