"""Named data sets, subsets of them, label noise, and draws from latent factors. Everything here is NumPy, in memory."""

from infotheory_dl.data.datasets import DataNotFoundError, ImageSet, load
from infotheory_dl.data.label_noise import NoisyLabels, corrupt_labels, pairwise_transition, uniform_transition
from infotheory_dl.data.latent_factors import (
    LatentFactors,
    approximately_modular_factors,
    latent_factor_covariance,
    modular_factors,
    sample_latent_factors,
    smoothly_changing_factors,
    suddenly_changing_factors,
)
from infotheory_dl.data.preprocessing import Moments, one_hot, pixel_moments, standardize, targets
from infotheory_dl.data.subsets import Subset, first, random_subset, select_classes, train_validation_split

__all__ = [
    "DataNotFoundError",
    "ImageSet",
    "LatentFactors",
    "Moments",
    "NoisyLabels",
    "Subset",
    "approximately_modular_factors",
    "corrupt_labels",
    "first",
    "latent_factor_covariance",
    "load",
    "modular_factors",
    "one_hot",
    "pairwise_transition",
    "pixel_moments",
    "random_subset",
    "sample_latent_factors",
    "select_classes",
    "smoothly_changing_factors",
    "standardize",
    "suddenly_changing_factors",
    "targets",
    "train_validation_split",
    "uniform_transition",
]
