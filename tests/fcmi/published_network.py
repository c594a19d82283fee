"""The published CNN of the reference cases: PyTorch's arrays as variables of ours, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infotheory_dl import networks

CROSS_ENTROPY = optax.softmax_cross_entropy_with_integer_labels


def network(arrays, prefix="init"):
    """Our CNN with the widths of the arrays, for images of 8 bits."""
    features = tuple(len(arrays[f"{prefix}/conv{i}/bias"]) for i in range(4))
    cnn = networks.four_layer_cnn(2, features=features, width=len(arrays[f"{prefix}/fc0/bias"]), batch_norm=True)
    return networks.Standardized(cnn)


def variables(arrays, prefix="init"):
    """Variables of flax from arrays in the layouts of PyTorch."""
    get = lambda name: jnp.asarray(arrays[f"{prefix}/{name}"], float)
    params, moments = {}, {}
    for i in range(4):
        kernel = get(f"conv{i}/weight").transpose(2, 3, 1, 0)
        params[f"Conv_{i}"] = {"kernel": kernel, "bias": get(f"conv{i}/bias")}
        params[f"BatchNorm_{i}"] = {"scale": get(f"bn{i}/weight"), "bias": get(f"bn{i}/bias")}
        moments[f"BatchNorm_{i}"] = {"mean": get(f"bn{i}/running_mean"), "var": get(f"bn{i}/running_var")}
    params["head"] = {f"Dense_{i}": {"kernel": get(f"fc{i}/weight").T, "bias": get(f"fc{i}/bias")} for i in range(2)}
    return {"params": {"network": params}, "batch_stats": {"network": moments}}


def published_arrays(variables):
    """Arrays by PyTorch's names and in its layouts, from variables of flax."""
    params, moments = variables["params"]["network"], variables["batch_stats"]["network"]
    arrays = {}
    for i in range(4):
        convolution, norm, running = params[f"Conv_{i}"], params[f"BatchNorm_{i}"], moments[f"BatchNorm_{i}"]
        arrays |= {f"conv{i}/weight": convolution["kernel"].transpose(3, 2, 0, 1), f"conv{i}/bias": convolution["bias"]}
        arrays |= {f"bn{i}/weight": norm["scale"], f"bn{i}/bias": norm["bias"]}
        arrays |= {f"bn{i}/running_mean": running["mean"], f"bn{i}/running_var": running["var"]}
    for i in range(2):
        dense = params["head"][f"Dense_{i}"]
        arrays |= {f"fc{i}/weight": dense["kernel"].T, f"fc{i}/bias": dense["bias"]}
    return {name: np.asarray(array) for name, array in arrays.items()}


def pixels(images):
    """Images of one channel, in double precision so that all that follows is."""
    return np.asarray(images, float)[..., None]


def without_idle_biases(variables):
    """All but the biases before batch norm: they have no gradient, and an optimizer moves them by rounding alone."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.zeros(()) if "Conv_" in str(path) and "'bias'" in str(path) else leaf, variables
    )
