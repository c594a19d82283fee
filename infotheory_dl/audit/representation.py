"""By what an audit compares examples: the exact kernel of few, explicit features of many."""

import functools
import math
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import networks
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.results import Representation
from infotheory_dl.audit.scores import example_shape
from infotheory_dl.audit.settings import Settings
from infotheory_dl.audit.stages import Work
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization import feature_moments, kernel_eigen, mean_kernel
from infotheory_dl.linearization.ridge import least_error
from infotheory_dl.linearization.streams import FeatureStream
from infotheory_dl.networks.feature_maps import FeatureMap
from infotheory_dl.types import Key

EXACT_AT_MOST = 2000
"""Of more examples the features take less time than the kernel, and find as many wrong labels."""

_NUM_FEATURES = 4096
_NAMES = ("random convolution", "random layer", "linear", "patches of the images")
_SMALLEST_PHOTOGRAPH = 12
_HELD_SHARE = 0.5
KERNEL = "tangent kernel"


def is_exact(settings: Settings, examples: Examples) -> bool:
    """Whether the kernel itself is made."""
    return len(examples.labels) <= EXACT_AT_MOST and not settings.embeddings


def candidates(settings: Settings, examples: Examples) -> tuple[str, ...]:
    """The names of the explicit features that are tried."""
    shape = example_shape(settings.network, examples.inputs)
    if len(shape) == 3:
        in_colour = shape[2] == 3 and min(shape[:2]) >= _SMALLEST_PHOTOGRAPH
        return ("patches of the images",) if in_colour else ("random convolution",)
    return "linear", "random layer"


def features_of(name: str, settings: Settings, examples: Examples) -> int:
    """How many features there are of that name."""
    return math.prod(example_shape(settings.network, examples.inputs)) if name == "linear" else _NUM_FEATURES


def streams(key: Key, settings: Settings, examples: Examples) -> Callable[[str, bool], FeatureStream]:
    """The features by their names, of the audited examples or of those held out."""
    shape = example_shape(settings.network, examples.inputs)

    def make(name: str) -> FeatureMap:
        own = jax.random.fold_in(key, _NAMES.index(name))
        if name == "patches of the images":
            # both signs of each, on a grid of four parts
            return networks.image_dictionary(own, examples.inputs, num_patches=_NUM_FEATURES // 8)
        if name == "random convolution":
            return networks.random_convolution(own, shape, num_maps=_NUM_FEATURES // 16)
        width = math.prod(shape)
        return (
            networks.linear_features()
            if name == "linear"
            else networks.random_layer(own, width, num_features=_NUM_FEATURES)
        )

    @functools.cache
    def stream(name: str, held_out: bool) -> FeatureStream:
        apply_fn, params, batch_size = make(name)
        inputs = examples.held_out_inputs if held_out else examples.inputs
        inputs = np.asarray(inputs, np.float32)
        made = FeatureStream(inputs, apply_fn, params, batch_size=batch_size)
        size = 4 * len(inputs) * made.num_features
        if size <= _HELD_SHARE * settings.memory_bytes:
            made = FeatureStream(inputs, apply_fn, params, batch_size=batch_size, hold=True)
        return made

    return stream


def represent(work: Work, targets: Float[np.ndarray, "examples outputs"] | None = None) -> Representation:
    """Makes the kernel or the moments of the features; of several features those of least leave-one-out error.

    Args:
      work: of the first stage.
      targets: that the error is of; by default those of the classes.
    """
    settings, examples = work.settings, work.examples
    if is_exact(settings, examples):
        return _exact(work)
    if targets is None:
        targets = centred_targets(examples.labels, len(examples.class_names), dtype=np.float32)
    names = candidates(settings, examples)
    found = {}
    for place, name in enumerate(names):
        progress = lambda share, place=place: work.progress((place + 0.9 * share) / len(names))
        moments = feature_moments(work.stream(name, False), progress=progress)
        error = 0.0
        if len(names) > 1:
            error = least_error(work.stream(name, False), moments, targets, settings.weight_decay)
        found[name] = error, moments
    best = min(found, key=lambda name: found[name][0])
    return Representation(best, moments=found[best][1])


def kernel_between(
    work: Work, rows: Int[np.ndarray, " rows"], columns: Int[np.ndarray, " columns"]
) -> Float[np.ndarray, "rows columns"]:
    """The kernel between some of the audited examples, in double precision."""
    found = work.representation
    if found.kernel is not None:
        return found.kernel[np.ix_(rows, columns)]
    assert found.moments is not None
    features = lambda places: work.stream(found.name, False).take(places).astype(float) - found.moments.mean
    left = features(rows)
    return left @ (left if columns is rows else features(columns)).T


def _exact(work: Work) -> Representation:
    settings, examples = work.settings, work.examples
    linearized = networks.wide_layer(example_shape(settings.network, examples.inputs))
    kernel_of = functools.partial(mean_kernel, work.key, linearized, num_networks=settings.num_networks)
    kernel = np.asarray(kernel_of(examples.inputs), float)
    if len(examples.measured):
        held_out = kernel[examples.measured]
    else:
        held_out = np.asarray(kernel_of(examples.held_out_inputs, examples.inputs), float)
    with jax.enable_x64(True):
        return Representation(KERNEL, kernel, held_out, kernel_eigen(kernel))
