"""The paper's problem: its CNN before training, 4 against 9, and what its kernels and scores take at least."""

import functools
import math
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from benchmarks.harness import machine
from infotheory_dl import data, networks
from infotheory_dl.linearization import KernelEigen, empirical_kernel
from infotheory_dl.sample_information import LeaveOneOut, leave_one_out
from infotheory_dl.types import ApplyFn, Key, Params

DatasetName: TypeAlias = Literal["mnist", "digits"]

# positions at which the layers of the paper's CNN are applied, on 28 pixels a side
_POSITIONS = (196, 49, 9, 1, 1, 1)


class Problem(NamedTuple):
    """The paper's CNN before training, a training set, and inputs to compare functions on."""

    apply_fn: ApplyFn
    params: Params
    inputs: Float[np.ndarray, "examples height width channels"]
    targets: Float[np.ndarray, "examples outputs"]
    reference_inputs: Float[np.ndarray, "references height width channels"]
    initial_outputs: Float[Array, "examples outputs"]

    def kernels(self) -> tuple[Float[Array, "rows rows"], Float[Array, "reference_rows rows"]]:
        """The kernel of the training inputs, and between the reference inputs and them."""
        kernel = functools.partial(empirical_kernel, self.apply_fn, self.params)
        return kernel(self.inputs), kernel(self.reference_inputs, self.inputs)

    def both_scores(self, kernels: tuple[Array | KernelEigen, Array], **training: Any) -> LeaveOneOut:
        """Leaves every example out, eigendecomposition included unless it is given."""
        kernel, reference_kernel = kernels
        return leave_one_out(kernel, self.initial_outputs, self.targets, reference_kernel, **training)


def paper_problem(
    key: Key, examples: int, references: int, *, outputs: int = 1, dataset: DatasetName = "mnist"
) -> Problem:
    """4 against 9, or the first classes one-hot, and the paper's CNN."""
    sample_key, network_key = jax.random.split(key)
    classes = (4, 9) if outputs == 1 else range(outputs)
    images = load(dataset)
    chosen = data.select_classes(images.x, images.y, classes)
    sample = data.random_subset(sample_key, chosen.x, chosen.y, examples + references)
    pixels = data.standardize(sample.x, 0.456, 0.224, scale=255)
    columns = data.one_hot(sample.y[:examples], len(classes))
    network = networks.four_layer_cnn(outputs)
    params = network.init(network_key, pixels[:1])
    inputs = pixels[:examples]
    return Problem(
        network.apply,
        params,
        inputs,
        columns[:, -outputs:],
        pixels[examples:],
        jnp.asarray(network.apply(params, inputs)),
    )


@functools.cache
def load(dataset: DatasetName) -> data.ImageSet:
    """The training split, digits at the size and in the greys of MNIST, for which the paper's CNN is made."""
    images = data.load(dataset)
    if dataset == "mnist":
        return images
    enlarged = np.kron(images.x, np.full((1, 3, 3, 1), 255 / 16, np.float32))
    return images._replace(x=np.pad(enlarged, ((0, 0), (2, 2), (2, 2), (0, 0))))


def kernel_operations(problem: Problem) -> float:
    """Operations that both kernels need: three passes through the network, and a contraction over the parameters.

    The contraction is the cheaper one for each layer, over its weights or over pairs of positions. One half of the
    training kernel is enough.
    """
    n, m, k = len(problem.inputs), len(problem.reference_inputs), problem.targets.shape[1]
    layers = [leaf.shape for leaf in jax.tree.leaves(problem.params) if leaf.ndim > 1]
    passes = contraction = 0
    for positions, shape in zip(_POSITIONS, layers, strict=True):
        fan_in, fan_out = math.prod(shape[:-1]), shape[-1]
        passes += 6 * positions * fan_in * fan_out
        contraction += min(fan_in * fan_out, positions**2 * (fan_in + fan_out)) + fan_out
    return (n + m) * k * passes + (n**2 + 2 * n * m) * k**2 * contraction


def leave_one_out_floor(rows: int, reference_rows: int) -> float:
    """Seconds for ten rows³ operations of an eigendecomposition and two products with the reference kernel."""
    moved = 4 * (rows**2 + 2 * rows * reference_rows)
    return machine().floor(10 * rows**3 + 4 * reference_rows * rows**2, moved)
