"""The noisy labels of the published experiments, number for number, and files that keep noisy labels."""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._files import read_arrays, whole_file, write_arrays
from infotheory_dl._validation import class_labels, edge, require_count, require_distinct, require_same_length
from infotheory_dl.data._draws import draw_by_inversion
from infotheory_dl.data.label_noise import NoisyLabels, require_transition
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels


@concise
class NoisySplit(NamedTuple):
    """Examples to train on and to validate with, and their noisy labels.

    Attributes:
      train: places of the training examples in the original file.
      validation: those of the validation examples.
      labels: of the whole file: noisy in the two parts, clean elsewhere.
      flipped: which labels differ from the clean ones.
    """

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    labels: Int[np.ndarray, " examples"]
    flipped: Bool[np.ndarray, " examples"]


@edge
def corrupt_split_legacy(
    seed: int,
    labels: AnyLabels,
    transition: Float[AnyArray, "classes classes"],
    *,
    size: int | None = None,
    fraction: float = 0.8,
    clean_validation: bool = False,
) -> NoisySplit:
    """Draws the split and the noisy labels that the published experiments drew with this seed.

    Args:
      seed: 42 to 46 there.
      labels: of the whole training file, in its original order, which other distributions of a data set may change.
      transition: T[i, j] = p(noisy j | clean i).
      size: of the training set; default the whole part that is not for validation.
      fraction: share of the file that is not for validation.
      clean_validation: whether the labels to validate with stay as they are.

    Returns:
      The split, in the order in which it was drawn, and the labels.

    Raises:
      ValueError: if the transition is not a matrix of distributions, a label is not one of its rows, a part would be
        empty, or there are fewer examples than `size`.

    Source: Harutyunyan et al., 2020, and their published code.
    """
    transition = np.asarray(require_transition(transition))
    clean = class_labels(labels, num_classes=len(transition)).codes
    available = int(fraction * len(clean))
    if not 0 < available < len(clean):
        raise ValueError(f"fraction must leave examples in both parts of {len(clean)}, got {fraction}")
    require_count(1, available, "the examples to train on", size=size)

    # all draws of an experiment are of this one generator, in this order
    generator = np.random.RandomState(seed)
    order = generator.permutation(len(clean))
    train, validation = order[:available], order[available:]
    if size is not None:
        train = generator.choice(train, size, replace=False)
    corrupted = train if clean_validation else np.concatenate([train, validation])
    cumulative = transition.cumsum(axis=1)[clean[corrupted]]
    noisy = clean.copy()
    noisy[corrupted] = draw_by_inversion(cumulative, generator.random_sample(len(corrupted)))
    return NoisySplit(train, validation, noisy, noisy != clean)


@edge
def save_noisy_labels(
    path: str | os.PathLike[str], labels: Int[AnyArray, " chosen"], indices: Int[AnyArray, " chosen"] | None = None
) -> None:
    """Keeps noisy labels in an .npz file, each with the place of its example, so that others train on the same.

    Args:
      path: of the file; it appears once it is complete, in the place of one before.
      labels: noisy labels.
      indices: places of their examples in the data set; default all of it, in order.

    Raises:
      ValueError: if there are not as many labels as places, or a place occurs twice.
    """
    labels = np.asarray(labels)
    indices = np.arange(len(labels)) if indices is None else np.asarray(indices)
    require_same_length(labels=labels, indices=indices)
    require_distinct(indices=indices)
    with whole_file(path) as stream:
        write_arrays(stream, {"index": indices, "label": labels})


@edge
def read_noisy_labels(path: str | os.PathLike[str], clean: Int[AnyArray, " examples"]) -> NoisyLabels:
    """Reads what `save_noisy_labels` has kept.

    Args:
      path: of the file.
      clean: labels of the whole data set.

    Returns:
      The labels of the data set, noisy where the file says, and which of them are flipped.

    Raises:
      ValueError: if the file is not one of noisy labels, or is one of a larger data set.
      OSError: if it cannot be opened.
    """
    remedy = "save_noisy_labels writes such a file"
    arrays = read_arrays(path, remedy=remedy)
    if not {"index", "label"} <= arrays.keys():
        raise ValueError(f"{path} holds {sorted(arrays)}, not 'index' and 'label'; {remedy}")
    indices = arrays["index"]
    if indices.size and not 0 <= indices.min() <= indices.max() < len(clean):
        raise ValueError(f"{path} has labels of examples up to {indices.max()}, but there are only {len(clean)}")
    noisy = np.array(clean)
    noisy[indices] = arrays["label"]
    return NoisyLabels(noisy, noisy != np.asarray(clean))
