"""The published networks on the reference graph: activations, losses, gradients and twenty steps of descent."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import mixhop
from tests.mixhop import cases
from tests.mixhop.test_propagation import written_out

PENALTY = 5e-3
WEIGHTED_SUM = {
    activation: mixhop.MixHop((0, 1, 2), ((4, 3, 5), (0, 3, 3)), 3, activation=activation)
    for activation in ("relu", "tanh")
}
DENSE = mixhop.MixHop(
    (0, 1, 2),
    ((4, 3, 5), (3, 1, 4), (2, 3, 2)),
    3,
    head="dense",
    activation="tanh",
    activated=(True, False, True),
)
MIX = jax.jit(mixhop.mix, static_argnames=("powers", "order"))
close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)


def equal_trees(actual, expected):
    jax.tree.map(close, dict(actual), expected)


@functools.partial(jax.jit, static_argnums=0)
def losses_and_gradient(network, params, graph, x, labels, mask, penalties):
    def total(params):
        losses, *others = mixhop.node_loss(network, {"params": params}, graph, x, labels, mask, **penalties)
        return losses.total, (losses, *others)

    return jax.grad(total, has_aux=True)(params)


def evaluated(network, params, x=None, l2=PENALTY, lasso=PENALTY):
    arrays = cases.small()
    x = arrays["X"].astype(float) if x is None else x
    given = cases.graph(), x, arrays["y"], cases.mask(), {"l2": l2, "lasso": lasso}
    gradient, (losses, logits, _) = losses_and_gradient(network, params, *given)
    return gradient, losses, logits


@pytest.mark.parametrize("activation", WEIGHTED_SUM)
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_network_with_a_weighted_sum_is_the_published_one(activation, is_sparse):
    case, arrays = f"psum_{activation}", cases.small()
    x = mixhop.sparse_rows(arrays["X"]) if is_sparse else None
    gradient, losses, logits = evaluated(WEIGHTED_SUM[activation], cases.weighted_sum_params("psum_params"), x)
    close(logits, arrays[f"{case}/act/logits"])
    for ours, name in (("cross_entropy", "ce"), ("l2", "l2"), ("lasso", "lasso"), ("head", "q"), ("total", "total")):
        close(getattr(losses, ours), arrays[f"{case}/loss/{name}"])
    equal_trees(gradient, cases.weighted_sum_params(f"{case}/grad"))


def test_every_activation_of_the_network_is_the_published_one():
    arrays = cases.small()
    params = cases.weighted_sum_params("psum_params")
    x = mixhop.unit_rows(arrays["X"].astype(float))
    apply = jax.jit(functools.partial(WEIGHTED_SUM["relu"].apply, capture_intermediates=True))
    _, states = apply({"params": params}, cases.graph(), arrays["X"].astype(float))
    seen = states["intermediates"]
    close(x, arrays["psum_relu/act/h0"])
    close(seen["layer_0"]["__call__"][0], arrays["psum_relu/act/z1"])
    close(seen["norm_0"]["__call__"][0], arrays["psum_relu/act/b1"])
    close(seen["layer_1"]["__call__"][0], arrays["psum_relu/act/z2"])


@pytest.mark.parametrize("activation", WEIGHTED_SUM)
def test_twenty_steps_are_the_published_ones(activation):
    case, arrays = f"psum_{activation}", cases.small()
    params = cases.weighted_sum_params("psum_params")
    totals = []
    for _ in range(20):
        gradient, losses, _ = evaluated(WEIGHTED_SUM[activation], params)
        totals.append(losses.total)
        params = jax.tree.map(lambda value, slope: value - 0.5 * slope, params, gradient)
    close(totals, arrays[f"{case}/sgd20_lr0.5_total_loss"])
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10),
        params,
        cases.weighted_sum_params(f"{case}/sgd20_params"),
    )


def test_the_network_of_three_layers_with_a_dense_head_is_the_published_one():
    arrays = cases.small()
    gradient, losses, logits = evaluated(DENSE, cases.dense_params("fc_params"))
    close(logits, arrays["fc/act/logits"])
    for ours, name in (("cross_entropy", "ce"), ("l2", "l2"), ("lasso", "lasso"), ("total", "total")):
        close(getattr(losses, ours), arrays[f"fc/loss/{name}"])
    equal_trees(gradient, cases.dense_params("fc/grad"))


@pytest.mark.parametrize(("head", "case"), [("weighted_sum", "ngcn_wsum"), ("dense", "ngcn_fc")])
def test_all_towers_of_the_second_network_are_trained(head, case):
    arrays = cases.small()
    network = mixhop.NGCN((0, 1, 2, 3), 3, replicas=2, width=4, head=head)
    gradient, losses, logits = evaluated(network, cases.tower_params("ngcn_T", case), l2=1e-3, lasso=0.0)
    close(logits, arrays[f"{case}/logits"])
    close(losses.towers, arrays[f"{case}/tower_ce"].sum())
    for ours, name in (("cross_entropy", "main_ce"), ("l2", "l2"), ("head", "qreg"), ("total", "total")):
        close(getattr(losses, ours), arrays[f"{case}/{name}"])
    equal_trees(gradient, cases.tower_params(f"{case}/grad/T", f"{case}/grad"))


@pytest.mark.parametrize("case", ["p012", "p13", "p20"])
def test_the_layer_is_that_of_pytorch_geometric(case):
    theirs = cases.reference("mixhop_pyg_conv")
    powers = theirs[f"{case}/powers"].tolist()
    kernels = [theirs[f"{case}/W{power}"] for power in powers]
    x = cases.small()["X"].astype(float)
    weighted = mixhop.normalize(theirs[f"{case}/edge_weight_dense"])
    for graph, name in ((cases.graph(), "out"), (weighted, "out_weighted")):
        for order in ("auto", "project", "propagate"):
            ours = MIX(graph, x, kernels, powers=tuple(powers), bias=theirs[f"{case}/bias"], order=order)
            np.testing.assert_allclose(ours, theirs[f"{case}/{name}"], rtol=1e-9, atol=1e-12)


def test_single_precision_keeps_its_digits():
    arrays = cases.small()
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), cases.weighted_sum_params("psum_params"))
    gradient, losses, logits = evaluated(WEIGHTED_SUM["relu"], params, arrays["X"].astype(np.float32))
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, arrays["psum_relu/act/logits"], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(losses.total, arrays["psum_relu/loss/total"], rtol=2e-5)
    expected = cases.weighted_sum_params("psum_relu/grad")
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6), gradient, expected
    )


def test_nodes_without_a_label_tell_nothing():
    """Whatever stands for the unknown: it is in no loss, and indexes nothing from the end."""
    params, arrays = cases.weighted_sum_params("psum_params"), cases.small()
    for unknown in (-1, 0, 2, 99):
        labels = np.where(cases.mask(), arrays["y"], unknown)
        given = cases.graph(), arrays["X"].astype(float), labels, cases.mask(), {"l2": PENALTY, "lasso": PENALTY}
        _, (losses, _, _) = losses_and_gradient(WEIGHTED_SUM["relu"], params, *given)
        close(losses.total, arrays["psum_relu/loss/total"])


def test_norms_of_columns_have_no_gradient_where_a_column_is_zero():
    kernel = jnp.array([[3.0, 0.0], [4.0, 0.0]])
    norms, slopes = jax.value_and_grad(lambda kernel: mixhop.column_norms(kernel).sum())(kernel)
    assert norms == 5
    np.testing.assert_allclose(slopes, [[0.6, 0], [0.8, 0]])
    assert mixhop.column_norms(np.ones((3, 0))).shape == (0,)


def test_running_moments_are_kept_where_they_are_asked_for():
    x = cases.small()["X"].astype(float)
    network = mixhop.GCN((6, 3), 3, running_average=True, input_dropout=0.0, hidden_dropout=0.0)
    variables = jax.jit(network.init)(jax.random.key(0), cases.graph(), x)
    train = jax.jit(functools.partial(network.apply, train=True, mutable="batch_stats", rngs={}))
    predict = jax.jit(network.apply)
    outputs, changed = train(variables, cases.graph(), x)
    moments = changed["batch_stats"]["norm_0"]
    # the moments before were 0 and 1, and a thousandth is new
    columns = written_out(cases.graph()) @ np.asarray(mixhop.unit_rows(x)) @ variables["params"]["layer_0"]["power_1"]
    close(moments["mean"], 1e-3 * np.asarray(columns).mean(0))
    close(moments["var"], 0.999 + 1e-3 * np.asarray(columns).var(0))
    assert not np.allclose(predict({**variables, **changed}, cases.graph(), x), outputs)
    of_batch = {"batch_stats": {"norm_0": {"mean": columns.mean(0), "var": columns.var(0)}}}
    close(predict({**variables, **of_batch}, cases.graph(), x), outputs)


def test_dropout_is_of_the_key():
    x = mixhop.sparse_rows(cases.small()["X"])
    network = WEIGHTED_SUM["relu"]
    params = {"params": cases.weighted_sum_params("psum_params")}
    train = jax.jit(lambda key: network.apply(params, cases.graph(), x, train=True, rngs={"dropout": key}))
    first, again, other = (train(jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("labels", "mask", "words"),
    [
        (np.zeros(3, int), np.ones(24, bool), r"labels must have the shape \(24,\), one for each node"),
        (np.zeros(24, int), np.ones(3, bool), r"mask must have the shape \(24,\), a truth value for each node"),
        (np.zeros(24, int), np.zeros(24, bool), "mask must hold at least 1 of the 24 nodes, got none"),
        (np.full(24, 3), np.ones(24, bool), r"labels must lie in \[0, 3\) where the mask is, got 3"),
        (np.full(24, -1), np.ones(24, bool), r"labels must lie in \[0, 3\) where the mask is, got -1"),
    ],
)
def test_labels_and_masks_that_do_not_fit_are_refused_in_words(labels, mask, words):
    params = {"params": cases.weighted_sum_params("psum_params")}
    x = cases.small()["X"].astype(float)
    with pytest.raises(ValueError, match=words):
        mixhop.node_loss(WEIGHTED_SUM["relu"], params, cases.graph(), x, labels, mask)
