import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import networks
from infotheory_dl.networks import (
    CNN,
    MLP,
    Convolution,
    Standardized,
    average_pool,
    domain_cnn,
    features_train_fn,
    four_layer_cnn,
    pooled_cnn,
    train_fn,
)
from tests.conftest import reference


def images(size: int, channels: int = 1, examples: int = 2) -> jax.Array:
    return jax.random.uniform(jax.random.key(0), (examples, size, size, channels))


def count_parameters(network, inputs) -> int:
    shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def test_the_networks_have_as_many_parameters_as_the_papers_say():
    assert count_parameters(MLP((1024,), 1), images(28)) == 784 * 1024 + 1024 + 1024 + 1
    assert count_parameters(four_layer_cnn(), images(28)) == 249_217
    assert count_parameters(four_layer_cnn(2, width=128, batch_norm=True), images(28)) == 217_090
    assert count_parameters(four_layer_cnn(10, width=128, batch_norm=True), images(28)) == 218_122
    assert count_parameters(domain_cnn(), images(28, channels=2)) == 371_136


def test_batch_norm_after_the_hidden_layer_of_the_four_layer_cnn_adds_two_parameters_a_unit():
    network = four_layer_cnn(10, width=128, batch_norm=True, head_batch_norm=True)
    assert count_parameters(network, images(28)) == 218_122 + 2 * 128


def test_an_mlp_is_its_formula_on_the_flattened_inputs():
    network, inputs = MLP((7,), 3), images(4)
    variables = network.init(jax.random.key(1), inputs)
    first, second = (variables["params"][name] for name in ("Dense_0", "Dense_1"))
    hidden = np.maximum(inputs.reshape(2, 16) @ first["kernel"] + first["bias"], 0)
    np.testing.assert_allclose(network.apply(variables, inputs), hidden @ second["kernel"] + second["bias"], rtol=1e-12)


def test_dropout_is_for_training_alone_and_adds_no_parameters():
    plain, dropping = MLP((6, 5), 3, batch_norm=True), MLP((6, 5), 3, batch_norm=True, dropout=0.5)
    variables = plain.init(jax.random.key(1), images(4))
    jax.tree.map(np.testing.assert_array_equal, dropping.init(jax.random.key(1), images(4)), variables)
    np.testing.assert_array_equal(dropping.apply(variables, images(4)), plain.apply(variables, images(4)))


def test_units_of_every_hidden_layer_are_dropped_or_scaled_to_keep_the_mean():
    identity = {"kernel": jnp.eye(400), "bias": jnp.zeros(400)}
    variables = {"params": {f"Dense_{place}": identity for place in range(3)}}
    train = jax.jit(train_fn(MLP((400, 400), 400, dropout=0.25)))
    outputs, _ = train(variables, jnp.ones((5, 400)), None, jax.random.key(0))
    kept = outputs > 0
    np.testing.assert_allclose(outputs[kept], 1 / 0.75**2, rtol=1e-12)
    np.testing.assert_allclose(kept.mean(), 0.75**2, atol=4 * np.sqrt(0.75**2 * (1 - 0.75**2) / 2000))
    assert (kept[0] != kept[1]).any()
    np.testing.assert_array_equal(train(variables, jnp.ones((5, 400)), None, jax.random.key(0))[0], outputs)
    assert (train(variables, jnp.ones((5, 400)), None, jax.random.key(1))[0] != outputs).any()


@pytest.mark.parametrize("network", [MLP((7,), 3), Standardized(four_layer_cnn(3, width=8, batch_norm=True))])
def test_features_are_what_the_last_layer_makes_the_outputs_of(network):
    inputs = images(28)
    variables = network.init(jax.random.key(1), inputs)
    (outputs, features), changed = features_train_fn(network)(variables, inputs, jnp.ones(2), jax.random.key(2))
    expected, expected_change = train_fn(network)(variables, inputs, jnp.ones(2), jax.random.key(2))
    np.testing.assert_array_equal(outputs, expected)
    jax.tree.map(np.testing.assert_array_equal, changed, expected_change)
    of_shape = {leaf.shape: leaf for leaf in jax.tree.leaves(variables["params"])}
    last = np.vstack([of_shape[features.shape[1] - 1, 3], of_shape[(3,)]])
    np.testing.assert_allclose(features @ last, outputs, rtol=1e-10, atol=1e-12)


def test_a_network_without_a_dense_layer_has_no_features():
    class Pool(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, train=False, mask=None):
            return average_pool(inputs, 4).reshape(len(inputs), -1)

    with pytest.raises(TypeError, match="the network has no dense layer: there is no activation before it"):
        features_train_fn(Pool())({}, images(8), None, jax.random.key(0))


def test_all_units_cannot_be_dropped():
    for dropout in (1.0, -0.1):
        with pytest.raises(ValueError, match=rf"dropout must lie in \[0, 1\), got {dropout}"):
            MLP((3,), 1, dropout=dropout).init(jax.random.key(0), images(4))


@pytest.mark.parametrize("implementation", ["patches", "lax"])
def test_a_cnn_predicts_what_the_published_implementation_predicts(implementation):
    case = reference("sample_information_cnn")
    network = CNN(
        (Convolution(3, 3, strides=2, padding=1), Convolution(4, 3, strides=2)),
        MLP((), 1),
        implementation=implementation,
    )
    inputs = case["X_train"].transpose(0, 2, 3, 1)
    params = jax.tree.map(np.copy, network.init(jax.random.key(0), inputs)["params"])

    # its layouts: kernels (output, input, row, column), dense (output, input), maps flattened channel by channel
    weights = [case[f"param_{name}"] for name in case["param_order"]]
    for layer, (kernel, bias) in zip(("Conv_0", "Conv_1"), (weights[:2], weights[2:4]), strict=True):
        params[layer] = {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias}
    side = int(np.sqrt(weights[4].size / 4))
    dense = weights[4].reshape(4, side, side).transpose(1, 2, 0).reshape(-1, 1)
    params["head"] = {"Dense_0": {"kernel": dense, "bias": weights[5]}}
    np.testing.assert_allclose(
        network.apply({"params": params}, inputs), case["init_pred_train"], rtol=1e-12, atol=1e-13
    )


def test_group_norm_comes_last_and_of_single_images():
    network, given = domain_cnn(width=8), images(9, channels=2)
    variables = network.init(jax.random.key(0), given)
    outputs = network.apply(variables, given)
    # the maps of a group of channels have mean zero, and so have their means
    np.testing.assert_allclose(outputs.reshape(2, 8, 2).mean(-1), 0, atol=1e-12)
    assert np.abs(outputs).max() > 1e-3
    np.testing.assert_allclose(network.apply(variables, given[:1]), outputs[:1], rtol=1e-9)


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (8, 8, 1), (1, 1, 1), (5, 40, 2)])
def test_the_pooled_cnn_takes_images_of_any_size(shape):
    inputs = jnp.zeros((2, *shape))
    outputs, _ = jax.eval_shape(pooled_cnn(10).init_with_output, jax.random.key(0), inputs)
    assert outputs.shape == (2, 10)


def test_every_parameter_of_the_pooled_cnn_has_a_gradient():
    network = pooled_cnn(features=(3, 4, 5, 6), implementation="lax")
    variables = jax.jit(network.init)(jax.random.key(0), images(8))
    gradient = jax.jit(jax.grad(lambda variables: network.apply(variables, images(8)).sum()))(variables)
    assert all(np.isfinite(leaf).all() and leaf.any() for leaf in jax.tree.leaves(gradient))


def test_the_four_layer_cnn_says_when_images_are_too_small():
    with pytest.raises(ValueError, match=r"3x3 does not fit into 2x2 pixels .*: the images are too small"):
        jax.eval_shape(four_layer_cnn().init, jax.random.key(0), images(8))


def test_images_must_be_scaled_to_floating_point_first(as_a_user_sees):
    with pytest.raises(TypeError, match="must be floating-point, got uint8"):
        pooled_cnn().init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.uint8))


def test_a_filled_up_batch_trains_as_the_short_batch_does():
    network = CNN((Convolution(4, 3, strides=2),), MLP((5,), 2, batch_norm=True), batch_norm=True)
    short = images(7, examples=5)
    filled = jnp.concatenate([short, jnp.ones((3, 7, 7, 1))])
    variables = jax.jit(network.init)(jax.random.key(2), short)

    @jax.jit
    def gradient_and_stats(inputs, mask):
        def loss(params):
            collections = {"params": params, "batch_stats": variables["batch_stats"]}
            outputs, changed = network.apply(collections, inputs, train=True, mask=mask, mutable=["batch_stats"])
            return (outputs[:5] ** 2).sum(), changed

        return jax.grad(loss, has_aux=True)(variables["params"])

    jax.tree.map(
        lambda masked, full: np.testing.assert_allclose(masked, full, rtol=1e-9, atol=1e-11),
        gradient_and_stats(filled, jnp.arange(8) < 5),
        gradient_and_stats(short, None),
    )


def test_a_standardized_network_takes_pixels_of_eight_bits():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 2), dtype=np.uint8)
    plain = MLP((4,), 2)
    network = Standardized(plain, mean=(0.4, 0.5), std=(0.2, 0.25))
    variables = network.init(jax.random.key(0), pixels)
    inputs = (pixels.astype(np.float32) / 255 - np.float32([0.4, 0.5])) / np.float32([0.2, 0.25])
    expected = plain.apply({"params": variables["params"]["network"]}, inputs)
    np.testing.assert_allclose(network.apply(variables, pixels), expected, rtol=1e-6)
    assert expected.dtype == jnp.float32


def test_a_default_network_takes_rows_and_images():
    for shape in ((5,), (8, 8, 1)):
        inputs = jnp.ones((2, *shape))
        for network, outputs in ((networks.wide_layer(shape), 1), (networks.small_classifier(shape, 3), 3)):
            params = network.init(jax.random.key(0), inputs)
            assert network.apply(params, inputs).shape == (2, outputs)
        assert networks.small_classifier(shape, 3).activation is nn.relu
        smooth = networks.small_classifier(shape, 3, smooth=True)
        program = str(jax.make_jaxpr(smooth.apply)(params, inputs))
        assert "max" not in program
        assert "tanh" in program


def test_a_default_network_for_a_sequence_of_rows_is_refused():
    with pytest.raises(ValueError, match=r"a row or an image .* got shape \(4, 5\)"):
        networks.wide_layer((4, 5))
