"""Named data sets, subsets of them, and label noise. Everything here is NumPy, in memory."""

from infotheory_dl.data.datasets import DataNotFoundError, ImageSet, load
from infotheory_dl.data.label_noise import NoisyLabels, corrupt_labels, pairwise_transition, uniform_transition
from infotheory_dl.data.preprocessing import Moments, one_hot, pixel_moments, standardize, targets
from infotheory_dl.data.subsets import Subset, first, random_subset, select_classes, train_validation_split

__all__ = [
    "DataNotFoundError",
    "ImageSet",
    "Moments",
    "NoisyLabels",
    "Subset",
    "corrupt_labels",
    "first",
    "load",
    "one_hot",
    "pairwise_transition",
    "pixel_moments",
    "random_subset",
    "select_classes",
    "standardize",
    "targets",
    "train_validation_split",
    "uniform_transition",
]
