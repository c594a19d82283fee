"""Residual networks against PyTorch, layer by layer."""

import functools

import jax
import numpy as np
import pytest

from infotheory_dl.networks import (
    TORCH,
    ResNet,
    basic_block,
    resnet18,
    resnet34,
    resnet50,
    train_fn,
    variables_from_torch,
)

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(3, 37, 34, 3))
NETWORK = ResNet((1, 2), outputs=4, width=2)
LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def drawn(network):
    """Variables with scales and moments that are not those of the beginning."""
    variables = jax.jit(network.init)(jax.random.key(0), IMAGES[:1])
    return jax.tree.map(lambda leaf: leaf + 0.3 * RANDOM.random(leaf.shape) if leaf.ndim == 1 else leaf, variables)


@pytest.fixture(scope="module")
def variables():
    return drawn(NETWORK)


def state_dict(variables):
    """The same weights as torchvision names and lays them out."""
    arrays = {"bn1.num_batches_tracked": np.array(7)}
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        *layers, last = [part.key for part in path[1:]]
        torch_layout = np.asarray(leaf).transpose(3, 2, 0, 1) if leaf.ndim == 4 else np.asarray(leaf).T
        arrays[".".join([*layers, ""]).replace("_", ".") + LEAVES.get(last, last)] = torch_layout
    return arrays


def in_torch(arrays, images, *, train):
    """Outputs of the network, and its moments after them, by PyTorch's functions; the arrays tell stem and blocks."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    arrays = {name: torch.tensor(array) for name, array in arrays.items()}

    def conv_norm(maps, conv, norm, stride=1):
        kernel = arrays[f"{conv}.weight"]
        maps = functional.conv2d(maps, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        moments = (arrays[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(maps, *moments, training=train)

    is_large = arrays["conv1.weight"].shape[-1] == 7
    maps = conv_norm(torch.tensor(images).permute(0, 3, 1, 2), "conv1", "bn1", 2 if is_large else 1).relu()
    maps = functional.max_pool2d(maps, 3, 2, 1) if is_large else maps
    for block, stride in (("layer1.0", 1), ("layer2.0", 2), ("layer2.1", 1)):
        is_bottleneck = f"{block}.conv3.weight" in arrays
        first, second = (1, stride) if is_bottleneck else (stride, 1)
        hidden = conv_norm(maps, f"{block}.conv1", f"{block}.bn1", first).relu()
        hidden = conv_norm(hidden, f"{block}.conv2", f"{block}.bn2", second)
        if is_bottleneck:
            hidden = conv_norm(hidden.relu(), f"{block}.conv3", f"{block}.bn3")
        if f"{block}.downsample.0.weight" in arrays:
            maps = conv_norm(maps, f"{block}.downsample.0", f"{block}.downsample.1", stride)
        maps = (hidden + maps).relu()
    outputs = functional.linear(maps.mean((2, 3)), arrays["fc.weight"], arrays["fc.bias"])
    return outputs.numpy(), {name: array.numpy() for name, array in arrays.items()}


def test_resnet50_has_the_parameters_of_torchvision():
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    shapes = jax.eval_shape(resnet50(1000).init, jax.random.key(0), images)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 25_557_032


@pytest.mark.parametrize(
    ("network", "parameters"),
    [(resnet18(1000), 11_689_512), (resnet34(1000), 21_797_672), (resnet34(10, stem="cifar"), 21_282_122)],
)
def test_residual_networks_of_basic_blocks_have_the_parameters_of_torchvision(network, parameters):
    shapes = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == parameters


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


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("train", [False, True])
def test_basic_blocks_compute_what_those_of_torch_compute(stem, train):
    network = ResNet((1, 2), outputs=4, width=3, block=basic_block, stem=stem)
    variables = drawn(network)
    expected, moved = in_torch(state_dict(variables), IMAGES, train=train)
    if not train:
        outputs, changed = jax.jit(network.apply)(variables, IMAGES), variables
    else:
        outputs, changed = jax.jit(train_fn(network))(variables, IMAGES, None, jax.random.key(0))
    np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-11)
    moments = state_dict({"batch_stats": changed["batch_stats"]})
    for name in moments.keys() - {"bn1.num_batches_tracked"}:
        np.testing.assert_allclose(moments[name], moved[name], rtol=1e-10, atol=1e-12)


def test_a_block_adds_its_input_as_it_is_where_the_shapes_agree():
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    params = jax.eval_shape(resnet34(10, stem="cifar").init, jax.random.key(0), images)["params"]
    projected = {name for name, layers in params.items() if "downsample_0" in layers}
    assert projected == {"layer2_0", "layer3_0", "layer4_0"}


def test_examples_that_fill_up_a_batch_change_neither_outputs_nor_moments():
    network = ResNet((1, 1), outputs=4, width=2, block=basic_block, stem="cifar")
    variables, train = drawn(network), jax.jit(train_fn(network))
    filled = np.concatenate([IMAGES, 9 * IMAGES[:2]])
    outputs, changed = train(variables, filled, np.arange(5) < 3, jax.random.key(0))
    expected, expected_changed = train(variables, IMAGES, None, jax.random.key(0))
    np.testing.assert_allclose(outputs[:3], expected, rtol=1e-9)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), changed, expected_changed)


def test_convolutions_start_as_they_are_told():
    draw = lambda **settings: jax.jit(ResNet((1,), 2, width=16, **settings).init)(jax.random.key(0), IMAGES[:1])
    kernel = lambda variables: np.asarray(variables["params"]["layer1_0"]["conv2"]["kernel"])
    np.testing.assert_allclose(kernel(draw()).std(), np.sqrt(2 / (9 * 16)), rtol=0.05)
    drawn_as_torch_does = kernel(draw(initialization=TORCH))
    assert 0.99 / np.sqrt(9 * 16) < np.abs(drawn_as_torch_does).max() <= 1 / np.sqrt(9 * 16)


def test_an_unknown_stem_is_refused(as_a_user_sees):
    with pytest.raises(ValueError, match="unknown stem 'mnist'; choose one of 'imagenet', 'cifar'"):
        jax.eval_shape(resnet18(2, stem="mnist").init, jax.random.key(0), IMAGES)


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


def test_units_are_those_that_are_asked_for():
    network = ResNet((1, 1), outputs=4, width=2, block=basic_block, stem="cifar", activation=lambda maps: maps)
    apply_fn = functools.partial(jax.jit(network.apply), drawn(network))
    zero, sum_of_two = np.zeros_like(IMAGES[:1]), IMAGES[:1] + IMAGES[1:2]
    # without units a network is affine
    expected = apply_fn(IMAGES[:1]) + apply_fn(IMAGES[1:2]) - apply_fn(zero)
    np.testing.assert_allclose(apply_fn(sum_of_two), expected, rtol=1e-9, atol=1e-11)
