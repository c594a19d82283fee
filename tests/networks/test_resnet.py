"""Residual networks against PyTorch, layer by layer."""

import jax
import numpy as np
import pytest

from infotheory_dl.networks import ResNet, resnet50, train_fn, variables_from_torch

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(3, 37, 34, 3))
NETWORK = ResNet((1, 2), outputs=4, width=2)
LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


@pytest.fixture(scope="module")
def variables():
    """Drawn, with scales and moments that are not those of the beginning."""
    drawn = jax.jit(NETWORK.init)(jax.random.key(0), IMAGES[:1])
    return jax.tree.map(lambda leaf: leaf + 0.3 * RANDOM.random(leaf.shape) if leaf.ndim == 1 else leaf, drawn)


def state_dict(variables):
    """The same weights as torchvision names and lays them out."""
    arrays = {"bn1.num_batches_tracked": np.array(7)}
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        *layers, last = [part.key for part in path[1:]]
        torch_layout = np.asarray(leaf).transpose(3, 2, 0, 1) if leaf.ndim == 4 else np.asarray(leaf).T
        arrays[".".join([*layers, ""]).replace("_", ".") + LEAVES.get(last, last)] = torch_layout
    return arrays


def in_torch(arrays, images, *, train):
    """Outputs of the network, and its moments after them, by PyTorch's functions."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    arrays = {name: torch.tensor(array) for name, array in arrays.items()}

    def conv_norm(maps, conv, norm, stride=1, padding=0):
        maps = functional.conv2d(maps, arrays[f"{conv}.weight"], stride=stride, padding=padding)
        moments = (arrays[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(maps, *moments, training=train)

    maps = conv_norm(torch.tensor(images).permute(0, 3, 1, 2), "conv1", "bn1", 2, 3).relu()
    maps = functional.max_pool2d(maps, 3, 2, 1)
    for block, stride in (("layer1.0", 1), ("layer2.0", 2), ("layer2.1", 1)):
        hidden = conv_norm(maps, f"{block}.conv1", f"{block}.bn1").relu()
        hidden = conv_norm(hidden, f"{block}.conv2", f"{block}.bn2", stride, 1).relu()
        hidden = conv_norm(hidden, f"{block}.conv3", f"{block}.bn3")
        if f"{block}.downsample.0.weight" in arrays:
            maps = conv_norm(maps, f"{block}.downsample.0", f"{block}.downsample.1", stride)
        maps = (hidden + maps).relu()
    outputs = functional.linear(maps.mean((2, 3)), arrays["fc.weight"], arrays["fc.bias"])
    return outputs.numpy(), {name: array.numpy() for name, array in arrays.items()}


def test_resnet50_has_the_parameters_of_torchvision():
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    shapes = jax.eval_shape(resnet50(1000).init, jax.random.key(0), images)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 25_557_032


def test_evaluation_is_that_of_torch(variables):
    expected, _ = in_torch(state_dict(variables), IMAGES, train=False)
    np.testing.assert_allclose(jax.jit(NETWORK.apply)(variables, IMAGES), expected, rtol=1e-10, atol=1e-12)


def test_training_moves_outputs_and_moments_as_in_torch(variables):
    expected, moved = in_torch(state_dict(variables), IMAGES, train=True)
    outputs, changed = jax.jit(train_fn(NETWORK))(variables, IMAGES, None, jax.random.key(0))
    np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-11)
    moments = state_dict({"batch_stats": changed["batch_stats"]})
    for name in moments.keys() - {"bn1.num_batches_tracked"}:
        np.testing.assert_allclose(moments[name], moved[name], rtol=1e-10, atol=1e-12)


def test_weights_come_back_from_a_state_dict(variables):
    zeros = jax.tree.map(np.zeros_like, variables)
    jax.tree.map(np.testing.assert_array_equal, variables_from_torch(state_dict(variables), zeros), variables)
    single = jax.tree.map(np.float32, zeros)
    found = variables_from_torch(state_dict(variables), single)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(np.float32)}


def test_a_head_of_another_size_stays_as_drawn(variables):
    arrays = state_dict(variables)
    arrays |= {"fc.weight": np.ones((1000, 16)), "fc.bias": np.ones(1000)}
    found = variables_from_torch(arrays, variables)
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_a_state_dict_of_another_network_is_told(variables):
    arrays = state_dict(variables)
    with pytest.raises(ValueError, match=r"has layer3.0.conv1.weight, which this network lacks"):
        variables_from_torch({**arrays, "layer3.0.conv1.weight": np.ones(1)}, variables)
    with pytest.raises(ValueError, match=r"conv1.weight must fit a parameter of shape \(7, 7, 3, 2\), got"):
        variables_from_torch({**arrays, "conv1.weight": np.ones((2, 3, 3, 3))}, variables)
    del arrays["layer2.1.bn3.running_var"]
    with pytest.raises(ValueError, match=r"lacks layer2.1.bn3.running_var: it is not one of this network"):
        variables_from_torch(arrays, variables)
