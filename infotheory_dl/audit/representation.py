"""By what an audit compares examples: the exact kernel of few, explicit features of many."""

import functools
import math

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import networks
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.results import Representation
from infotheory_dl.audit.scores import example_shape
from infotheory_dl.audit.settings import Settings
from infotheory_dl.audit.stages import MakeStream, Work
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization import feature_moments, mean_kernel
from infotheory_dl.linearization.eigen import eigen_of
from infotheory_dl.linearization.ridge import least_error
from infotheory_dl.linearization.streams import FeatureStream
from infotheory_dl.networks.feature_maps import FeatureMap
from infotheory_dl.types import Key

EXACT_AT_MOST = 2000
"""Of more examples the features take less time than the kernel, and find as many wrong labels."""

LEARNED_BEYOND = 10_000
"""Of fewer images networks learn too little: their features add noise."""

_NUM_FEATURES = 4096
_SCALED_BY = 512
PATCHES = "patches of the images"
_NAMES = ("random convolution", "random layer", "linear", PATCHES)
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
        return (PATCHES,) if in_colour else ("random convolution",)
    return "linear", "random layer"


def learns(settings: Settings, examples: Examples) -> bool:
    """Whether features are learned too: of many photographs, whose shapes do not say what they mean."""
    enough = len(examples.labels) > LEARNED_BEYOND and not is_exact(settings, examples)
    return settings.learn and enough and candidates(settings, examples) == (PATCHES,)


def features_of(name: str, settings: Settings, examples: Examples) -> int:
    """How many features there are of that name."""
    return math.prod(example_shape(settings.network, examples.inputs)) if name == "linear" else _NUM_FEATURES


def streams(key: Key, settings: Settings, examples: Examples) -> MakeStream:
    """The features by their names, of the audited examples or of those held out, with learned ones beside them."""
    shape = example_shape(settings.network, examples.inputs)

    def make(name: str, learned: int) -> FeatureMap:
        own = jax.random.fold_in(key, _NAMES.index(name))
        if name == PATCHES:
            # both signs of each, on a grid of four parts
            return networks.image_dictionary(own, examples.inputs, num_patches=max(1, (_NUM_FEATURES - learned) // 8))
        if name == "random convolution":
            return networks.random_convolution(own, shape, num_maps=_NUM_FEATURES // 16)
        width = math.prod(shape)
        return (
            networks.linear_features()
            if name == "linear"
            else networks.random_layer(own, width, num_features=_NUM_FEATURES)
        )

    made: dict[tuple[str, bool, bool], FeatureStream] = {}

    @functools.cache
    def deviation(name: str, learned: int) -> float:
        """Of the features of that name, root mean square, by which learned ones are brought to their scale."""
        rows = np.unique(np.linspace(0, len(examples.inputs) - 1, _SCALED_BY).astype(int))
        inputs = np.asarray(examples.inputs[rows], np.float32)
        apply_fn, params, batch_size = make(name, learned)
        stream = FeatureStream(inputs, apply_fn, params, batch_size=batch_size)
        return float(np.sqrt(stream.take(np.arange(len(rows))).var(0, dtype=float).mean()))

    def stream(name: str, held_out: bool, beside: Float[np.ndarray, "examples columns"] | None = None) -> FeatureStream:
        place = name, held_out, beside is None
        if place not in made:
            learned = 0 if beside is None else beside.shape[1]
            apply_fn, params, batch_size = make(name, learned)
            if beside is not None:
                beside = beside * np.float32(deviation(name, learned))
            inputs = np.asarray(examples.held_out_inputs if held_out else examples.inputs, np.float32)
            build = functools.partial(FeatureStream, inputs, apply_fn, params, beside=beside, batch_size=batch_size)
            stream = build()
            size = 4 * len(inputs) * stream.num_features
            made[place] = build(hold=True) if size <= _HELD_SHARE * settings.memory_bytes else stream
        return made[place]

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
            error = least_error(work.stream(name, False), moments, targets, settings.weight_decay, work.families)
        found[name] = error, moments
    best = min(found, key=lambda name: found[name][0])
    return Representation(best, moments=found[best][1])


def kernel_between(
    work: Work, rows: Int[np.ndarray, " rows"], columns: Int[np.ndarray, " columns"], *, learned: bool = True
) -> Float[np.ndarray, "rows columns"]:
    """The kernel between some of the audited examples, in double precision; with or without learned features."""
    found = work.representation
    if found.kernel is not None:
        return found.kernel[np.ix_(rows, columns)]
    assert found.moments is not None
    mean, stream = found.moments.mean, work.stream(found.name, False)
    kept = len(mean) if learned else len(mean) - work.num_learned
    features = lambda places: stream.take(places)[:, :kept].astype(float) - mean[:kept]
    left = features(rows)
    return left @ (left if columns is rows else features(columns)).T


def _exact(work: Work) -> Representation:
    settings, examples = work.settings, work.examples
    linearized = networks.wide_layer(example_shape(settings.network, examples.inputs))
    kernel_of = functools.partial(mean_kernel, work.key, linearized, num_networks=settings.num_networks)
    computed = kernel_of(examples.inputs)
    kernel = np.asarray(computed, float)
    if len(examples.measured):
        held_out = kernel[examples.measured]
    else:
        held_out = np.asarray(kernel_of(examples.held_out_inputs, examples.inputs), float)
    with jax.enable_x64(True):
        return Representation(KERNEL, kernel, held_out, eigen_of(kernel, made_in=computed.dtype))
