"""Weights of the published networks, out of Keras."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from infotheory_dl._validation import edge
from infotheory_dl.clinical._configurations import Configuration
from infotheory_dl.clinical._networks import channel_columns, network
from infotheory_dl.clinical.channels import NUM_CHANNELS, layout
from infotheory_dl.types import AnyArray, Params

_LSTM = ("kernel", "recurrent_kernel", "bias")


@edge
def variables_from_keras(configuration: Configuration, arrays: Mapping[str, Shaped[AnyArray, "..."]]) -> Params:
    """Puts the weights of one of the benchmark's Keras models into the variables of a network.

    Args:
      configuration: of the network.
      arrays: by name, in the order of `model.weights`, such as `np.load` of an .npz file that
        `np.savez(path, **{weight.name: value ...})` wrote. The names are told in errors alone.

    Returns:
      The variables, in the dtype of the arrays.

    Raises:
      ValueError: if there are more or fewer arrays than the network has, or one has another shape, naming it.
    """
    made = network(configuration)
    inputs = jnp.zeros((1, configuration.mortality_bin + 1, len(layout().columns)))
    shapes = jax.eval_shape(made.init, jax.random.key(0), inputs)["params"]
    given = iter(arrays.items())
    taken = 0

    def take(shape: tuple[int, ...], of: str) -> np.ndarray:
        nonlocal taken
        entry = next(given, None)
        if entry is None:
            raise ValueError(f"the arrays are {taken}, and end before {of}: they are not of this network")
        name, array = entry
        taken += 1
        if np.shape(array) != shape:
            raise ValueError(f"{name} must fit {of} of shape {shape}, got shape {np.shape(array)}")
        return np.asarray(array)

    def lstm(name: str, parameters: Mapping[str, jax.ShapeDtypeStruct], widths: list[int]) -> dict[str, Array]:
        """The layers of the groups one after the other, each with its directions."""
        directions = [key.removesuffix("_bias") for key in ("forward_bias", "backward_bias") if key in parameters]
        gates = parameters["forward_bias"].shape[1]
        found: dict[str, list[np.ndarray]] = {key: [] for key in parameters}
        for group, width in enumerate(widths):
            for direction in directions:
                of = f"{name}/{direction} of group {group}"
                for part, shape in zip(_LSTM, ((width, gates), (gates // 4, gates), (gates,)), strict=True):
                    found[f"{direction}_{part}"].append(take(shape, f"{of}, {part},"))
        joined = lambda key, parts: (
            np.concatenate(parts) if key.endswith("_kernel") and "recurrent" not in key else np.stack(parts)
        )
        return {key: jnp.asarray(joined(key, parts)) for key, parts in found.items()}

    params = {}
    for place in range(configuration.depth if configuration.channel_wise else 0):
        name = f"channels_{place + 1}"
        widths = [len(group) for group in channel_columns()] if place == 0 else [configuration.size] * NUM_CHANNELS
        params[name] = lstm(name, shapes[name], widths)
    for place in range(configuration.depth):
        name = f"layer_{place + 1}"
        params[name] = lstm(name, shapes[name], [shapes[name]["forward_kernel"].shape[0]])
    for task in configuration.tasks:
        params[task] = {
            part: jnp.asarray(take(shapes[task][part].shape, f"{task}, {part},")) for part in ("kernel", "bias")
        }
    if extra := next(given, None):
        raise ValueError(f"the arrays have {extra[0]}, which this network lacks")
    return {"params": params}
