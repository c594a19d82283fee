"""The published networks on the reference graph: activations, losses, gradients and twenty steps of descent."""

import functools

import jax
import numpy as np
import pytest

from infotheory_dl import mixhop
from tests.mixhop import cases

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
