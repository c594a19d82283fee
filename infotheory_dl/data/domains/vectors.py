"""Gaussian classes in several domains, with one way to fail in a new domain at a time."""

from typing import Literal, NamedTuple

import jax
import numpy as np

from infotheory_dl._validation import edge, require_choice, require_count, require_not_negative, require_within
from infotheory_dl.data.domains.features import Features
from infotheory_dl.results import concise
from infotheory_dl.types import Key

Failure = Literal["none", "underfitting", "inseparability", "misalignment", "non_invariance"]
_FAILURES: tuple[Failure, ...] = ("none", "underfitting", "inseparability", "misalignment", "non_invariance")
_VALIDATION_SHARE = 4


@concise
class GaussianDomains(NamedTuple):
    """A model and what it makes of examples of its training domains and of one that it has not seen.

    Attributes:
      train: of the source domains 0, 1, ..., the same number of each.
      validation: further examples of them, a quarter as many.
      unseen: of one more domain, numbered after them.
    """

    train: Features
    validation: Features
    unseen: Features


@edge
def gaussian_domains(
    key: Key,
    *,
    failure: Failure = "none",
    num_sources: int = 3,
    num_examples: int = 1000,
    num_classes: int = 3,
    num_features: int = 10,
    separation: float = 10.0,
    shift: float = 1.0,
    wrong: float = 0.3,
) -> GaussianDomains:
    """Draws classes around means of their own, in domains that differ, and the predictions of a linear head.

    The means of the classes lie at the same distance from each other. Some features are of no class, and each domain
    has an offset along them. All features are rotated at random, the same for all domains. The head takes the class of
    the nearest mean, and what is wrong with it in the unseen domain is one thing alone:

    - "none": nothing.
    - "underfitting": labels are at random in all domains, so that no head can be right.
    - "inseparability": all classes of the unseen domain have one mean.
    - "misalignment": the classes of the unseen domain have the means of one another.
    - "non_invariance": the class is written twice. The head reads the copy which in the unseen domain is that of
      another class.

    Args:
      key: source of randomness.
      failure: what goes wrong.
      num_sources: domains to train on.
      num_examples: examples of each domain.
      num_classes: classes, equally many of each.
      num_features: length of a representation; more than twice the number of the classes.
      separation: distance of two means, in standard deviations within a class.
      shift: standard deviation of the offsets of the domains; 0 makes all domains the same.
      wrong: share of labels that are not those of the means, of "underfitting".

    Returns:
      The features.

    Raises:
      ValueError: if the failure is unknown, there are fewer than two sources or classes, or too few features.
    """
    require_choice("failure", failure, _FAILURES)
    require_count(2, num_sources=num_sources, num_classes=num_classes)
    require_count(_VALIDATION_SHARE * num_classes, num_examples=num_examples)
    require_count(2 * num_classes + 1, None, "of twice the classes and an offset", num_features=num_features)
    require_not_negative(separation=separation, shift=shift)
    require_within("[0, 1]", wrong=wrong)
    key_train, key_validation, key_offset, key_rotation = jax.random.split(key, 4)
    free = num_features - 2 * num_classes
    offsets = shift * np.asarray(jax.random.normal(key_offset, (num_sources + 1, free)))
    rotation = np.linalg.qr(np.asarray(jax.random.normal(key_rotation, (num_features, num_features)), float))[0]
    means = separation / np.sqrt(2) * np.eye(num_classes)

    def draw(key: Key, domain: int, size: int) -> Features:
        key_noise, key_wrong, key_other, key_order = jax.random.split(jax.random.fold_in(key, domain), 4)
        classes = np.asarray(jax.random.permutation(key_order, np.arange(size) % num_classes))
        another = (classes + 1) % num_classes
        is_unseen = domain == num_sources
        place = means[another if is_unseen and failure == "misalignment" else classes]
        if is_unseen and failure == "inseparability":
            place = np.zeros_like(place)
        copy = np.zeros_like(place)
        if failure == "non_invariance":
            copy = means[another if is_unseen else classes]
        noise = np.asarray(jax.random.normal(key_noise, (size, num_features)))
        centred = np.concatenate([place, copy, np.broadcast_to(offsets[domain], (size, free))], axis=1) + noise
        read = centred[:, num_classes : 2 * num_classes] if failure == "non_invariance" else centred[:, :num_classes]
        labels = classes
        if failure == "underfitting":
            steps = np.asarray(jax.random.randint(key_other, (size,), 1, num_classes))
            is_wrong = np.asarray(jax.random.uniform(key_wrong, (size,))) < wrong
            labels = np.where(is_wrong, (classes + steps) % num_classes, classes)
        return Features(centred @ rotation, labels, np.full(size, domain), read.argmax(1))

    def joined(key: Key, size: int) -> Features:
        parts = [draw(key, domain, size) for domain in range(num_sources)]
        return Features(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    return GaussianDomains(
        joined(key_train, num_examples),
        joined(key_validation, num_examples // _VALIDATION_SHARE),
        draw(key_train, num_sources, num_examples),
    )
