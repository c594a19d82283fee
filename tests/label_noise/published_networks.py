"""The networks of the published training steps: PyTorch's arrays as variables of ours, and four steps compared."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from infotheory_dl import networks
from infotheory_dl.label_noise import PARAMETERS
from infotheory_dl.training import Batch, Network, as_network
from tests.conftest import reference

STEPS = reference("label_noise_steps")
ADAM = optax.adam(1e-2)

# there the gradient with respect to the logits was recorded before it was replaced, which that of the parameters is not
RECORDED_BEFORE = {"ce_gradnoise_g", "ce_gradnoise_l", "confusion", "confusion_smallq"}


class Model(NamedTuple):
    """A network and where its arrays are found.

    Attributes:
      network: as `joint` takes it.
      params: makes its parameters of a function from the names of PyTorch to arrays.
      moments: likewise those of its batch norm.
    """

    network: Network
    params: Callable[[Callable[[str], np.ndarray]], Any]
    moments: Callable[[Callable[[str], np.ndarray]], Any] | None = None


def arrays(case):
    """The arrays of a case; images with their channel last."""
    of_case = {name.removeprefix(f"{case}/"): array for name, array in STEPS.items() if name.startswith(f"{case}/")}
    return {**of_case, "x": np.moveaxis(of_case["x"], 2, -1)}


def settings(case):
    """The published settings of a case."""
    return json.loads(str(STEPS[f"{case}/config"]))["kwargs"]


def mlp(*modules, widths=(7,)):
    """Dense layers with ReLU between them, five outputs."""
    network = networks.MLP(widths, 5)
    return Model(
        as_network(network),
        lambda get: {f"Dense_{i}": dense(get, module) for i, module in enumerate(modules)},
    )


def cnn(name):
    """Two convolutions and two dense layers, batch norm after all but the last."""
    convolutions = (networks.Convolution(4, 4, strides=2, padding=1), networks.Convolution(6, 3, strides=2))
    network = networks.CNN(convolutions, networks.MLP((8,), 5, batch_norm=True), batch_norm=True)

    def params(get):
        conv = lambda i: {"kernel": get(f"{name}.{i}.weight").transpose(2, 3, 1, 0), "bias": get(f"{name}.{i}.bias")}
        norm = lambda i: {"scale": get(f"{name}.{i}.weight"), "bias": get(f"{name}.{i}.bias")}
        head = {"Dense_0": dense(get, f"{name}.7"), "BatchNorm_0": norm(8), "Dense_1": dense(get, f"{name}.10")}
        return {"Conv_0": conv(0), "BatchNorm_0": norm(1), "Conv_1": conv(3), "BatchNorm_1": norm(4), "head": head}

    def moments(get):
        norm = lambda i: {"mean": get(f"{name}.{i}.running_mean"), "var": get(f"{name}.{i}.running_var")}
        return {"BatchNorm_0": norm(1), "BatchNorm_1": norm(4), "head": {"BatchNorm_0": norm(8)}}

    return Model(as_network(network), params, moments)


def parameters(make):
    """Parameters that are no network."""
    return Model(PARAMETERS, make)


def dense(get, module):
    return {"kernel": get(f"{module}.weight").T, "bias": get(f"{module}.bias")}


CLASSIFIER = mlp("classifier.1", "classifier.3")
PREDICTOR = mlp("q_network.1", "q_network.3")


def check_steps(case, models, loss, system, *, tolerance=1e-10, **state_settings):
    """Four steps of Adam: what reaches the outputs, all gradients, the losses, parameters and moments are published.

    Args:
      case: its name.
      models: the classifier first.
      loss: of the system.
      system: as `joint` makes it of them, with `ADAM`.
      tolerance: of parameters and moments.
      state_settings: for the system's `init`.
    """
    published = arrays(case)
    at = lambda prefix: lambda name: published[f"{prefix}/{name}"]
    labels = (published["y"], published["std_noise"]) if "std_noise" in published else published["y"]
    state = system.init(*(_variables(model, at("init")) for model in models), **state_settings)
    if "step0/dtotal_dlogits" in published and case not in RECORDED_BEFORE:
        _check_outputs(published, models, state, loss, jax.tree.map(lambda leaf: leaf[0], labels))

    def step(state, data):
        state, metrics = system.step(state, Batch(data, jnp.ones(12, bool), jnp.arange(12)), jax.random.key(0))
        return state, (state, metrics)

    _, history = jax.jit(lambda state, data: lax.scan(step, state, data))(state, (published["x"], labels))
    states, metrics = jax.device_get(history)
    for index, model in enumerate(models):
        after = {count: _at(states.networks[index], count - 1) for count in (1, 4)}
        if index > 0 or "step0/dtotal_dlogits" in published:  # in a warm-up nothing is published of the classifier
            # the first moment of Adam is a tenth of the first gradient
            gradient = jax.tree.map(lambda moment: 10 * moment, after[1].optimizer[0].mu)
            _assert_close(gradient, model.params(at("step0/grad")), 1e-12)
        for count, part in after.items():
            _assert_close(part.params, model.params(at(f"after{count}")), tolerance)
            if model.moments is not None:
                _assert_close(part.collections["batch_stats"], model.moments(at(f"after{count}")), tolerance)
    _check_losses(published, metrics, tolerance)


def _at(states, step):
    return jax.tree.map(lambda leaf: leaf[step], states)


def _variables(model, get):
    if model.network.train is None:
        return model.params(get)
    return {"params": model.params(get)} | ({} if model.moments is None else {"batch_stats": model.moments(get)})


def _check_outputs(published, models, state, loss, labels):
    """The gradients with respect to the outputs, at the published ones; what has no `train` is applied."""
    classifier = published["step0/logits"]
    outputs = [(classifier, published["step0/z"]) if "step0/z" in published else classifier]
    for model, part in zip(models[1:], state.networks[1:], strict=True):
        of_inputs = model.network.apply(part.params, published["x"][0]) if model.network.train is None else None
        outputs.append(published["step0/q_label_pred"] if of_inputs is None else of_inputs)
    total = lambda outputs: loss(*outputs, labels, mask=jnp.ones(12, bool), key=None, **state.settings)[0]
    gradients = jax.grad(total)(jax.tree.map(jnp.asarray, outputs))
    logits_gradient = gradients[0][0] if isinstance(gradients[0], tuple) else gradients[0]
    np.testing.assert_allclose(logits_gradient, published["step0/dtotal_dlogits"], rtol=0, atol=1e-12)
    if "step0/dtotal_dq_logits" in published:
        np.testing.assert_allclose(gradients[1], published["step0/dtotal_dq_logits"], rtol=0, atol=1e-12)


def _check_losses(published, metrics, tolerance):
    for step in range(4):
        names = [name for name in published if name.startswith(f"step{step}/loss/") and not name.endswith("total")]
        expected = {"loss": 0.0, "predictor_loss": 0.0, "penalty": 0.0}
        for name in names:
            ours = {"classifier": "loss", "info_penalty": "predictor_loss", "grad_diff": "predictor_loss"}
            expected[ours.get(name.rpartition("/")[2], "penalty")] += published[name]
        for name, value in expected.items():
            if name in metrics:
                np.testing.assert_allclose(metrics[name][step], value, rtol=0, atol=tolerance)


def _assert_close(ours, published, tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance), ours, published)
