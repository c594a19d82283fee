import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.networks import HE, TORCH, BatchNorm, Conv, Dense, average_pool, image_patches


def normal(seed: int, *shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def correlate(images, kernel, bias, stride, margin):
    """A convolution by its definition, one output place at a time."""
    images = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    size = len(kernel)
    rows, columns = ((length - size) // stride + 1 for length in images.shape[1:3])
    outputs = np.empty((len(images), rows, columns, kernel.shape[-1]))
    for row in range(rows):
        for column in range(columns):
            window = images[:, row * stride : row * stride + size, column * stride : column * stride + size]
            outputs[:, row, column] = np.einsum("nijc,ijcf->nf", window, kernel) + bias
    return outputs


def test_torch_initialisation_is_uniform_up_to_one_over_the_root_of_fan_in():
    variables = Conv(64, kernel_size=3, initialization=TORCH).init(jax.random.key(0), normal(1, 1, 5, 5, 64))
    bound = 1 / np.sqrt(3 * 3 * 64)
    for draws in (variables["params"]["kernel"], variables["params"]["bias"]):
        assert np.abs(draws).max() <= bound
        np.testing.assert_allclose(draws.std(), bound / np.sqrt(3), rtol=0.2)
    np.testing.assert_allclose(variables["params"]["kernel"].mean(), 0, atol=bound / 50)


def test_he_initialisation_has_variance_two_over_fan_in_and_no_bias():
    params = Dense(300, initialization=HE).init(jax.random.key(0), normal(1, 1, 200))["params"]
    np.testing.assert_allclose(params["kernel"].var(), 2 / 200, rtol=0.02)
    assert not params["bias"].any()


@pytest.mark.parametrize("implementation", ["patches", "lax"])
@pytest.mark.parametrize(("size", "stride", "margin"), [(4, 2, 1), (3, 2, 0), (3, 1, 0), (5, 2, 2), (1, 1, 0)])
def test_convolution_equals_its_definition(implementation, size, stride, margin):
    layer = Conv(3, size, strides=stride, padding=margin, implementation=implementation)
    images = normal(0, 2, 9, 8, 2)
    outputs, variables = jax.jit(layer.init_with_output)(jax.random.key(1), images)
    expected = correlate(images, **variables["params"], stride=stride, margin=margin)
    np.testing.assert_allclose(outputs, expected, atol=1e-13)


@pytest.mark.parametrize("padding", ["SAME", "VALID", 1])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_both_implementations_have_the_same_values_and_gradients(padding, stride):
    images, weights = normal(0, 3, 10, 7, 4), normal(1, 5)
    by_patches, by_lax = (Conv(5, 3, stride, padding, implementation) for implementation in ("patches", "lax"))
    variables = by_lax.init(jax.random.key(2), images)

    def outputs_and_gradients(layer):
        def loss(variables, images):
            outputs = layer.apply(variables, images)
            return (jnp.sin(outputs) @ weights).sum(), outputs

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(variables, images)

    jax.tree.map(
        lambda ours, xla: np.testing.assert_allclose(ours, xla, rtol=1e-12, atol=1e-12),
        outputs_and_gradients(by_patches),
        outputs_and_gradients(by_lax),
    )


@pytest.mark.parametrize(
    ("layer", "shape", "gathers"),
    [
        (Conv(32, 4, strides=2, padding=1), (14, 14, 32), True),
        (Conv(16, 5, strides=2, padding="SAME"), (8, 8, 1), True),
        (Conv(256, 3), (3, 3, 64), True),
        (Conv(64, 3, padding=1), (32, 32, 64), False),
    ],
)
def test_accelerators_gather_patches_where_they_are_small(monkeypatch, layer, shape, gathers):
    images = jnp.zeros((2, *shape))
    variables = layer.init(jax.random.key(0), images)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    program = str(jax.make_jaxpr(layer.apply)(variables, images))
    assert ("conv_general_dilated" not in program) == gathers


def test_on_cpu_convolutions_become_matrix_products():
    images = normal(0, 1, 6, 6, 1)
    layer = Conv(2, 3)
    program = str(jax.make_jaxpr(layer.apply)(layer.init(jax.random.key(0), images), images))
    on_cpu = jax.default_backend() == "cpu"
    assert ("conv_general_dilated" in program) != on_cpu
    assert ("dot_general" in program) == on_cpu


def test_a_patch_lists_its_window_row_by_row():
    images = jnp.arange(2 * 4 * 5 * 3.0).reshape(2, 4, 5, 3)
    patches = image_patches(images, (2, 3), (2, 1))
    assert patches.shape == (2, 2, 3, 18)
    np.testing.assert_array_equal(patches[1, 1, 2], images[1, 2:4, 2:5].reshape(-1))


def test_parameters_and_outputs_follow_the_dtype_of_the_inputs():
    images = normal(0, 1, 6, 6, 1)
    for dtype in (jnp.float32, jnp.float64):
        layer = Conv(2, 3)
        variables = layer.init(jax.random.key(0), images.astype(dtype))
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(dtype)}
        assert layer.apply(variables, images.astype(dtype)).dtype == dtype


def test_average_pooling_drops_what_does_not_fill_a_window():
    images = jnp.arange(5 * 4.0).reshape(1, 5, 4, 1)
    expected = [[images[0, i : i + 2, j : j + 2, 0].mean() for j in (0, 2)] for i in (0, 2)]
    np.testing.assert_allclose(average_pool(images, 2)[0, ..., 0], expected)
    np.testing.assert_allclose(average_pool(images[:, :1], 2)[0, ..., 0], [[0.5, 2.5]])


def test_a_convolution_refuses_wrong_inputs_with_the_reason(as_a_user_sees):
    with pytest.raises(TypeError, match="images must be floating-point, got uint8"):
        Conv(1, 3).init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match=r"4 axes \(examples, height, width, channels\), got shape \(8, 8, 1\)"):
        Conv(1, 3).init(jax.random.key(0), np.zeros((8, 8, 1)))
    with pytest.raises(ValueError, match="a window of 3x3 does not fit into 2x9 pixels"):
        Conv(1, 3).init(jax.random.key(0), np.zeros((1, 2, 9, 1)))
    with pytest.raises(ValueError, match="unknown implementation 'fft'"):
        Conv(1, 3, implementation="fft").init(jax.random.key(0), np.zeros((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="unknown padding 'FULL'"):
        Conv(1, 3, padding="FULL").init(jax.random.key(0), np.zeros((1, 8, 8, 1)))


@jax.jit
def train_batch_norm(variables, inputs, mask=None):
    outputs, changed = BatchNorm().apply(variables, inputs, train=True, mask=mask, mutable=["batch_stats"])
    return outputs, changed["batch_stats"]


def test_batch_norm_normalises_by_the_biased_variance_and_remembers_the_unbiased_one():
    inputs = 3 + 2 * normal(0, 6, 5, 4, 3)
    variables = BatchNorm().init(jax.random.key(0), inputs, train=True)
    rows = np.asarray(inputs).reshape(-1, 3)

    outputs, stats = train_batch_norm(variables, inputs)
    np.testing.assert_allclose(outputs.reshape(-1, 3), (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5), atol=1e-12)
    np.testing.assert_allclose(stats["mean"], 0.1 * rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * rows.var(0, ddof=1), rtol=1e-12)


def test_derivatives_of_batch_norm_are_those_of_its_definition():
    inputs, weights, direction = 3 + 2 * normal(0, 6, 5, 3), normal(1, 6, 5, 3), normal(2, 6, 5, 3)
    variables = BatchNorm().init(jax.random.key(0), inputs, train=True)

    def definition(inputs):
        return (inputs - inputs.mean((0, 1))) / jnp.sqrt(inputs.var((0, 1)) + 1e-5)

    def gradient_and_its_derivative(normalise):
        gradient_of_loss = jax.grad(lambda inputs: (weights * normalise(inputs) ** 2).sum())
        return jax.jit(lambda: jax.jvp(gradient_of_loss, (inputs,), (direction,)))()

    ours = gradient_and_its_derivative(lambda inputs: train_batch_norm(variables, inputs)[0])
    np.testing.assert_allclose(ours, gradient_and_its_derivative(definition), rtol=1e-9, atol=1e-12)


def test_evaluated_batch_norm_uses_the_running_moments_scale_and_bias():
    inputs = normal(0, 4, 2)
    params = {"scale": jnp.array([2.0, 1.0]), "bias": jnp.array([0.0, 5.0])}
    stats = {"mean": jnp.array([1.0, -1.0]), "var": jnp.array([4.0, 9.0])}
    outputs = BatchNorm(epsilon=0.0).apply({"params": params, "batch_stats": stats}, inputs)
    np.testing.assert_allclose(outputs, np.stack([inputs[:, 0] - 1, (inputs[:, 1] + 1) / 3 + 5], axis=1), rtol=1e-12)


def test_masked_examples_change_neither_outputs_nor_moments_nor_gradients_of_the_others():
    inputs = normal(0, 5, 3, 3, 2)
    filled = jnp.concatenate([inputs, 100 * normal(1, 3, 3, 3, 2)])
    mask = jnp.array([1] * 5 + [0] * 3)
    variables = BatchNorm().init(jax.random.key(0), inputs)

    expected, expected_stats = train_batch_norm(variables, inputs)
    outputs, stats = train_batch_norm(variables, filled, mask)
    np.testing.assert_allclose(outputs[:5], expected, rtol=1e-12, atol=1e-13)
    jax.tree.map(lambda ours, full: np.testing.assert_allclose(ours, full, rtol=1e-12), stats, expected_stats)

    loss = lambda inputs, mask: (train_batch_norm(variables, inputs, mask)[0][:5] ** 3).sum()
    gradient_of_loss = jax.jit(jax.grad(loss))
    gradient = gradient_of_loss(filled, mask)
    np.testing.assert_allclose(gradient[:5], gradient_of_loss(inputs, None), rtol=1e-9, atol=1e-9)
    assert not gradient[5:].any()


def test_a_batch_with_one_value_left_does_not_move_the_running_moments():
    inputs = normal(0, 4, 3)
    variables = BatchNorm().init(jax.random.key(0), inputs)
    _, stats = train_batch_norm(variables, inputs, jnp.array([1, 0, 0, 0]))
    jax.tree.map(np.testing.assert_array_equal, stats, variables["batch_stats"])


def test_batch_norm_cannot_train_on_one_value():
    with pytest.raises(ValueError, match=r"more than one value per feature to train on, got \(1, 4\)"):
        BatchNorm().init(jax.random.key(0), jnp.ones((1, 4)), train=True)
