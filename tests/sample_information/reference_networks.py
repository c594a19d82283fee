"""The two networks of the published reference cases, written by hand, with the arrays made by the original."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl.types import ApplyFn
from tests.conftest import reference


class Layer(NamedTuple):
    """One layer in the layout of the references: kernels OIHW or (out, in), then the bias."""

    weight: jax.Array
    bias: jax.Array


class Case(NamedTuple):
    """A reference case.

    Attributes:
      apply_fn: the network; inputs as in the arrays, outputs (examples, outputs).
      params: its initial parameters; the leaves of the tree stand in the order of `arrays["param_order"]`.
      arrays: everything in the file of the case.
    """

    apply_fn: ApplyFn
    params: dict[str, Layer]
    arrays: dict[str, np.ndarray]


def dense(layer, x):
    return x @ layer.weight.T + layer.bias


def conv(layer, x, *, stride, padding):
    """A convolution of images NCHW, as shifted copies and one contraction: it is as fast inside a loop as outside."""
    height, width = layer.weight.shape[2:]
    x = jnp.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows = (x.shape[2] - height) // stride * stride + 1
    columns = (x.shape[3] - width) // stride * stride + 1
    patches = jnp.stack(
        [x[:, :, i : i + rows : stride, j : j + columns : stride] for i in range(height) for j in range(width)], axis=2
    )
    kernel = layer.weight.reshape(*layer.weight.shape[:2], height * width)
    return jnp.einsum("ncphw,ocp->nohw", patches, kernel) + layer.bias[:, None, None]


def mlp(params, x):
    return dense(params["layer1"], jax.nn.relu(dense(params["layer0"], x)))


def cnn(params, x):
    x = jax.nn.relu(conv(params["layer0"], x, stride=2, padding=1))
    x = jax.nn.relu(conv(params["layer1"], x, stride=2, padding=0))
    return dense(params["layer2"], x.reshape(len(x), -1))


def mlp_case() -> Case:
    """12 training and 5 test examples, two outputs: 6 -> 8 -> 2, ReLU."""
    return _case(mlp, "sample_information_mlp")


def cnn_case() -> Case:
    """10 training and 4 test images 1x9x9, one output: two convolutions of stride 2, ReLU, one dense layer."""
    return _case(cnn, "sample_information_cnn")


def _case(apply_fn, name):
    arrays = reference(name)
    tensors = {parameter: jnp.asarray(arrays[f"param_{parameter}"]) for parameter in arrays["param_order"]}
    layers = sorted({parameter.partition("_")[0] for parameter in tensors})
    params = {layer: Layer(tensors[f"{layer}_weight"], tensors[f"{layer}_bias"]) for layer in layers}
    return Case(apply_fn, params, arrays)


def flatten(tree, *, leading=0):
    """One vector of a tree like the parameters; with `leading` axes kept before it, as for a Jacobian or many trees."""
    return jnp.concatenate([leaf.reshape(*leaf.shape[:leading], -1) for leaf in jax.tree.leaves(tree)], axis=-1)
