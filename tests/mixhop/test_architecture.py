"""How wide powers are: ratios, what a lasso leaves, and architectures as JSON."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import mixhop
from tests.conftest import reference
from tests.mixhop import cases


def runs_of(*layers, accuracies=(0.5,)):
    """Trainings whose kernels are these, by layer and power; the same for each seed."""
    params = {
        f"layer_{layer}": {
            f"power_{power}": jnp.broadcast_to(kernel, (len(accuracies), *np.shape(kernel)))
            for power, kernel in kernels.items()
        }
        for layer, kernels in enumerate(layers)
    }
    numbers, steps = np.array(accuracies), np.zeros((len(accuracies), 1))
    counts = np.ones(len(accuracies), int)
    return mixhop.NodeRuns({"params": params}, counts, counts, numbers, numbers, counts > 1, steps, steps, steps)


def columns(*norms):
    return np.diag(np.array(norms, float))


def test_columns_are_split_as_in_the_table():
    table = reference("mixhop_tables")
    for ratios, total, expected in zip(table["divide/ratios"], table["divide/total"], table["divide/out"], strict=True):
        np.testing.assert_array_equal(mixhop.split_width(int(total), ratios[ratios >= 0]), expected[ratios >= 0])


def test_the_strongest_columns_are_kept_as_in_the_reference():
    arrays = cases.small()
    runs = runs_of({power: arrays[f"shrink/W/{power}"] for power in range(3)})
    shrunk = mixhop.shrink(runs, target_width=int(arrays["shrink/target_width"]))
    assert shrunk.widths == (tuple(arrays["shrink/capacities"].tolist()),)
    for power in range(3):
        np.testing.assert_allclose(shrunk.norms[0][power], arrays[f"shrink/norms/{power}"], rtol=1e-12)
        np.testing.assert_array_equal(
            shrunk.norms[0][power] >= shrunk.thresholds[0], arrays[f"shrink/keep/{power}"].astype(bool)
        )


def test_the_budget_is_of_each_layer_or_of_all_and_of_whole_segments_at_the_end():
    runs = runs_of(
        {0: columns(9, 8, 1), 10: columns(7, 2, 0), 2: columns(6, 0, 0)},
        {0: columns(5), 10: columns(4, 3), 2: columns(0.5)},
    )
    by_layer = mixhop.shrink(runs, target_width=3)
    assert (by_layer.powers, by_layer.widths) == ((0, 2, 10), ((2, 0, 1), (1, 0, 2)))
    np.testing.assert_array_equal(by_layer.thresholds, [7, 3])
    assert mixhop.shrink(runs, target_width=3, scope="global").widths == ((2, 1, 1), (1, 0, 1))
    assert mixhop.shrink(runs, target_width=3, num_classes=2).widths[1] == (1, 0, 1)
    assert mixhop.shrink(runs, target_width=(9, 4)).widths == ((3, 1, 2), (1, 1, 2)), "none of zero"


def test_the_columns_are_those_of_the_best_seed_by_validation():
    runs = runs_of({0: columns(2, 1), 1: columns(3)}, accuracies=(0.5, 0.7, 0.7))
    weaker = runs.variables["params"]["layer_0"]["power_1"].at[1].set(0)
    runs.variables["params"]["layer_0"]["power_1"] = weaker
    assert mixhop.shrink(runs, target_width=2)[1::3] == (((2, 0),), 1)
    assert mixhop.shrink(runs, target_width=2, seed=2)[1::3] == (((1, 1),), 2)


def test_a_wide_network_shrinks_and_trains_again_with_what_is_left():
    arrays = cases.small()
    given = cases.graph(), arrays["X"], arrays["y"], (cases.mask(), ~cases.mask(), None)
    settings = {"num_steps": 3, "axis": "map", "l2": 0.0}
    wide = mixhop.MixHop((2, 0), ((6, 6), (6, 6)), 3)
    runs = mixhop.train_nodes(jax.random.key(0), wide, *given, lasso=5e-3, **settings)
    shrunk = mixhop.shrink(runs, target_width=5, num_classes=3)
    assert [sum(widths) for widths in shrunk.widths] == [5, 3]
    narrow = wide.clone(powers=shrunk.powers, widths=shrunk.widths)
    params = mixhop.train_nodes(jax.random.key(0), narrow, *given, **settings).variables["params"]
    for layer, widths in enumerate(shrunk.widths):
        for power, width in zip(shrunk.powers, widths, strict=True):
            assert params[f"layer_{layer}"][f"power_{power}"].shape[-1] == width


NETWORKS = (
    mixhop.MixHop((0, 2), ((3, 0), (2, 2)), 2, head="dense", activated=(True, False), hidden_dropout=0.3),
    mixhop.GCN((60, 7), 7),
    mixhop.MLP((60, 7), 7, batch_norm=False),
    mixhop.NGCN((0, 1), 3),
    mixhop.SGC(4, power=3),
    mixhop.SIGN((0, 1), 10, 3),
)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_an_architecture_is_the_same_after_a_file(network, tmp_path):
    mixhop.save_architecture(tmp_path / "network.json", network)
    read = mixhop.load_architecture(tmp_path / "network.json")
    assert type(read) is type(network)
    assert read == network
    assert hash(read) == hash(network)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON .* an architecture is written by save_architecture"),
        ("[]", 'must be an object whose "network" is one of MixHop, GCN, MLP, NGCN, SGC, SIGN'),
        ('{"network": "os.system"}', 'must be an object whose "network" is one of'),
        ('{"network": "SGC", "num_classes": 3, "call": "x"}', "settings that SGC does not know: call"),
        ('{"network": "SGC"}', "does not say all of a SGC: .*num_classes"),
    ],
)
def test_files_that_are_no_architecture_are_refused_in_words(text, words, tmp_path):
    (tmp_path / "network.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        mixhop.load_architecture(tmp_path / "network.json")


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: mixhop.shrink(RUNS, target_width=4),
            r"target_width must lie in \[1, 3\], the columns of layer 0, got 4",
        ),
        (
            lambda: mixhop.shrink(RUNS, target_width=(1, 1)),
            r"target_width must be one number, .* 1 layers, got \[1, 1\]",
        ),
        (lambda: mixhop.shrink(RUNS, target_width=1, scope="all"), "unknown scope 'all'; choose one of 'layer', 'gl"),
        (
            lambda: mixhop.shrink(RUNS, target_width=3, num_classes=3),
            "layer 0 would keep fewer columns than the 3 that",
        ),
        (lambda: mixhop.shrink(RUNS, target_width=1, seed=1), r"seed must lie in \[0, 0\], got 1"),
        (lambda: mixhop.split_width(3, [1, -1]), "ratios must be finite and not negative"),
        (lambda: mixhop.split_width(3, [0, 0]), "the sum of the ratios must be positive"),
        (
            lambda: mixhop.split_width(3, [1, 1, 0, 0]),
            "3 columns are too few for the ratios .*the last",
        ),
        (lambda: mixhop.split_width(0, [1]), "total must be at least 1, got 0"),
        (lambda: mixhop.learning_rates(decay=1.5), r"decay must lie in \[0, 1\], got 1\.5"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


RUNS = runs_of({0: columns(2, 1), 1: columns(0)})
