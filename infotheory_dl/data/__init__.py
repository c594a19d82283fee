"""Named data sets, subsets of them, label noise, and draws from known factors. Everything here is NumPy, in memory."""

from infotheory_dl.data import graphs
from infotheory_dl.data.binary_factors import GrueBleen, grue_bleen
from infotheory_dl.data.datasets import DataNotFoundError, ImageSet, load
from infotheory_dl.data.domains import (
    Features,
    GaussianDomains,
    ImageDomains,
    colored_digits,
    gaussian_domains,
    rotated_digits,
)
from infotheory_dl.data.folds import stratified_folds
from infotheory_dl.data.label_noise import (
    CIFAR10_PAIRS,
    InstanceNoise,
    NoisyLabels,
    cifar10_transition,
    corrupt_by_instance,
    corrupt_labels,
    pairwise_transition,
    per_class_transition,
    uniform_transition,
)
from infotheory_dl.data.latent_factors import (
    LatentFactors,
    approximately_modular_factors,
    correlated_groups,
    latent_factor_covariance,
    modular_factors,
    sample_latent_factors,
    smoothly_changing_factors,
    suddenly_changing_factors,
)
from infotheory_dl.data.preprocessing import Moments, one_hot, pixel_moments, standardize, targets, unstandardize
from infotheory_dl.data.published_noise import NoisySplit, corrupt_split_legacy, read_noisy_labels, save_noisy_labels
from infotheory_dl.data.subsets import Subset, first, random_subset, select_classes, train_validation_split
from infotheory_dl.data.tables import ColumnEncoding, Source, Table, TableEncoding, as_table, read_table
from infotheory_dl.data.word_images import MONOSPACE_FONTS, WORD_LETTERS, WordGrid, WordImages, word_grid, words

__all__ = [
    "CIFAR10_PAIRS",
    "MONOSPACE_FONTS",
    "WORD_LETTERS",
    "ColumnEncoding",
    "DataNotFoundError",
    "Features",
    "GaussianDomains",
    "GrueBleen",
    "ImageDomains",
    "ImageSet",
    "InstanceNoise",
    "LatentFactors",
    "Moments",
    "NoisyLabels",
    "NoisySplit",
    "Source",
    "Subset",
    "Table",
    "TableEncoding",
    "WordGrid",
    "WordImages",
    "approximately_modular_factors",
    "as_table",
    "cifar10_transition",
    "colored_digits",
    "correlated_groups",
    "corrupt_by_instance",
    "corrupt_labels",
    "corrupt_split_legacy",
    "first",
    "gaussian_domains",
    "graphs",
    "grue_bleen",
    "latent_factor_covariance",
    "load",
    "modular_factors",
    "one_hot",
    "pairwise_transition",
    "per_class_transition",
    "pixel_moments",
    "random_subset",
    "read_noisy_labels",
    "read_table",
    "rotated_digits",
    "sample_latent_factors",
    "save_noisy_labels",
    "select_classes",
    "smoothly_changing_factors",
    "standardize",
    "stratified_folds",
    "suddenly_changing_factors",
    "targets",
    "train_validation_split",
    "uniform_transition",
    "unstandardize",
    "word_grid",
    "words",
]
