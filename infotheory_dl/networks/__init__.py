"""The networks of the papers: flax.linen modules with PyTorch's initialisation and batch norm, in the inputs' dtype."""

from infotheory_dl.networks.augmentation import augmented, flip_and_crop
from infotheory_dl.networks.classifiers import (
    CNN,
    MLP,
    Convolution,
    GroupNormCNN,
    Standardized,
    domain_cnn,
    features_train_fn,
    four_layer_cnn,
    pooled_cnn,
    train_fn,
)
from infotheory_dl.networks.defaults import small_classifier, wide_layer
from infotheory_dl.networks.feature_maps import (
    FeatureMap,
    image_dictionary,
    linear_features,
    random_convolution,
    random_layer,
)
from infotheory_dl.networks.layers import (
    GLOROT,
    HE,
    TORCH,
    BatchNorm,
    Conv,
    Dense,
    Initialization,
    average_pool,
    batch_moments,
    image_patches,
)
from infotheory_dl.networks.patch_network import PatchFeatures, PatchNetwork, with_dictionary
from infotheory_dl.networks.recurrent import LSTM
from infotheory_dl.networks.resnet import (
    ResNet,
    basic_block,
    bottleneck,
    resnet18,
    resnet34,
    resnet50,
    variables_from_torch,
)

__all__ = [
    "CNN",
    "GLOROT",
    "HE",
    "LSTM",
    "MLP",
    "TORCH",
    "BatchNorm",
    "Conv",
    "Convolution",
    "Dense",
    "FeatureMap",
    "GroupNormCNN",
    "Initialization",
    "PatchFeatures",
    "PatchNetwork",
    "ResNet",
    "Standardized",
    "augmented",
    "average_pool",
    "basic_block",
    "batch_moments",
    "bottleneck",
    "domain_cnn",
    "features_train_fn",
    "flip_and_crop",
    "four_layer_cnn",
    "image_dictionary",
    "image_patches",
    "linear_features",
    "pooled_cnn",
    "random_convolution",
    "random_layer",
    "resnet18",
    "resnet34",
    "resnet50",
    "small_classifier",
    "train_fn",
    "variables_from_torch",
    "wide_layer",
    "with_dictionary",
]
