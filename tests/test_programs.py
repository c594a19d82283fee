"""What is called over and over compiles once, and what is pure passes through `jit` and `vmap`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import fcmi, label_noise, linear_models, linearization, metrics, mixhop, networks, sample_information
from infotheory_dl.corex import linear, temporal
from infotheory_dl.information import copula, discrete, gaussian, neighbours

_traced: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: _traced.append(event) if event == "/jax/core/compile/backend_compile_duration" else None
)

NUM_EXAMPLES, NUM_FEATURES = 24, 3
NETWORK = networks.MLP(widths=(4,), outputs=2)
# flax makes a new function of a network whenever it is asked for one
APPLY = NETWORK.apply
VARIABLES = [NETWORK.init(jax.random.key(seed), np.zeros((1, NUM_FEATURES))) for seed in range(2)]
PROJECTION = linearization.random_projection(jax.random.key(0), VARIABLES[0], num_features=8)
NODES = mixhop.normalize((np.arange(NUM_EXAMPLES - 1), np.arange(1, NUM_EXAMPLES)), symmetrize=True)
METHOD = label_noise.make_method("limit_laplace", NETWORK, (NUM_FEATURES,))


def draws(seed: int) -> dict[str, np.ndarray]:
    """Inputs of every kind, of the same shapes and other numbers for each seed."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(NUM_EXAMPLES) % 2)
    return {
        "x": random.normal(size=(NUM_EXAMPLES, NUM_FEATURES)),
        "labels": labels,
        "targets": np.eye(2)[labels] - 0.5,
        "codes": random.integers(0, 2, (NUM_EXAMPLES, 5)),
        "selection": random.permuted(np.tile([0, 1], (5, NUM_EXAMPLES // 2)).T, axis=0),
        "predictions": random.integers(0, 2, (NUM_EXAMPLES, 10)),
    }


def grid(seed: int, given: dict[str, np.ndarray]) -> object:
    return label_noise.train_grid(
        jax.random.key(seed),
        METHOD,
        given["x"],
        given["labels"][:, None],
        training_rows=np.arange(16)[None],
        validation_rows=np.arange(16, NUM_EXAMPLES)[None],
        num_epochs=1,
        batch_size=8,
    )


def informative_examples(seed: int, given: dict[str, np.ndarray]) -> object:
    params = VARIABLES[seed]
    x, targets = given["x"], given["targets"]
    return sample_information.sample_information(APPLY, params, x, targets, x[:4], time=5, learning_rate=0.1)


def left_out(seed: int, given: dict[str, np.ndarray]) -> object:
    kernel = linearization.kernel_eigen(given["x"] @ given["x"].T)
    return linearization.leave_one_out_predictions(kernel, given["targets"], 0.1)


def modular(seed: int, given: dict[str, np.ndarray]) -> object:
    return linear.fit(jax.random.key(seed), given["x"], num_factors=1)


def influences(method: str) -> Callable[[int, dict[str, np.ndarray]], object]:
    def call(seed: int, given: dict[str, np.ndarray]) -> object:
        arrays = given["x"], given["targets"], given["x"][:4]
        return sample_information.influence(APPLY, VARIABLES[seed], *arrays, method=method, damping=1.0)

    return call


def changing(seed: int, given: dict[str, np.ndarray]) -> object:
    return temporal.fit(jax.random.key(seed), given["x"].reshape(2, -1, NUM_FEATURES), num_factors=1)


KERNEL_CALLS: dict[str, Callable[..., object]] = {
    "trained_outputs": lambda kernel, none, targets, eigen: linearization.trained_outputs(
        eigen, none, targets, time=5.0, learning_rate=0.1
    ),
    "trained_coefficients": lambda kernel, none, targets, eigen: linearization.trained_coefficients(
        eigen, none, targets, time=np.inf, learning_rate=0.1, weight_decay=0.1
    ),
    "select_weight_decay": lambda kernel, none, targets, eigen: linearization.select_weight_decay(eigen, targets),
    "leave_one_out_targets": lambda kernel, none, targets, eigen: label_noise.leave_one_out_targets(
        eigen, targets.argmax(1), 2
    ),
    "target_information": lambda kernel, none, targets, eigen: label_noise.target_information(
        eigen, np.full_like(targets, 0.5), weight_decay=0.1, standard_deviation=0.1
    ),
    "feature_eigen": lambda kernel, none, targets, eigen: linearization.feature_eigen(kernel[:, :4]),
    "leave_one_out": lambda kernel, none, targets, eigen: sample_information.leave_one_out(
        kernel, none, targets, kernel[:4], time=5.0, learning_rate=0.1
    ),
    "coefficient_changes": lambda kernel, none, targets, eigen: sample_information.coefficient_changes(
        eigen, none, targets, np.arange(3), time=5.0, learning_rate=0.1
    ),
    "group_information": lambda kernel, none, targets, eigen: sample_information.group_information(
        eigen, none, targets, [[0, 1], [2]], time=5.0, learning_rate=0.1
    ),
    "pairwise_redundancy": lambda kernel, none, targets, eigen: sample_information.pairwise_redundancy(
        eigen, none, targets, np.array([[0, 1]]), time=5.0, learning_rate=0.1
    ),
    "training_stability": lambda kernel, none, targets, eigen: sample_information.training_stability(
        eigen, none, targets, times=[1.0, 5.0], learning_rate=0.1
    ),
    "label_information": lambda kernel, none, targets, eigen: sample_information.label_information(
        eigen, none, targets, np.eye(2), time=5.0, learning_rate=0.1
    ),
    "summarize": lambda kernel, none, targets, eigen: sample_information.summarize(
        eigen, none, targets, score="weight_change", fraction=0.5, time=5.0, learning_rate=0.1
    ),
    "online": lambda kernel, none, targets, eigen: sample_information.online.leave_one_out(
        sample_information.online.without(
            sample_information.online.converged(eigen, none, targets, weight_decay=0.1), [0]
        )
    ),
    "leverage": lambda kernel, none, targets, eigen: sample_information.baselines.leverage(eigen, weight_decay=0.1),
    "linearized_runs": lambda kernel, none, targets, eigen: fcmi.linearized_runs(
        kernel, none, targets, np.zeros((2, NUM_EXAMPLES // 2), int), time=5.0
    ),
}


def of_kernel(function: Callable[..., object]) -> Callable[[int, dict[str, np.ndarray]], object]:
    def call(seed: int, given: dict[str, np.ndarray]) -> object:
        kernel = np.exp(-np.square(given["x"][:, None] - given["x"]).sum(-1))
        targets = given["targets"]
        return function(kernel, np.zeros_like(targets), targets, linearization.kernel_eigen(kernel))

    return call


CALLS: dict[str, Callable[[int, dict[str, np.ndarray]], object]] = {
    "gaussian": lambda seed, given: gaussian.total_correlation(np.cov(given["x"], rowvar=False)),
    "discrete": lambda seed, given: discrete.mutual_information(given["codes"], given["selection"], num_codes=2),
    "neighbours": lambda seed, given: neighbours.mutual_information(given["x"][:, :1], given["x"][:, 1:]),
    "copula": lambda seed, given: copula.mutual_information(given["x"][:, :1], given["x"][:, 1:]),
    "ranking": lambda seed, given: metrics.area_under_roc(given["x"][:, 0], given["labels"] == 1),
    "bootstrap": lambda seed, given: metrics.bootstrap(
        jax.random.key(seed), jnp.mean, given["x"][:, 0], num_resamples=10
    ),
    "linear_models": lambda seed, given: linear_models.fit(given["x"], given["labels"], l2=0.1),
    "fcmi": lambda seed, given: fcmi.bounds.fcmi(given["predictions"], given["selection"], num_classes=2),
    "sample_information": informative_examples,
    "linearization": left_out,
    "label_noise": grid,
    "corex.linear": modular,
    "corex.temporal": changing,
    "mixhop": lambda seed, given: mixhop.mix(NODES, given["x"], [given["x"][:3], given["x"][3:6]], (0, 2)),
    "mixhop, homophily": lambda seed, given: mixhop.homophily(NODES, given["labels"], num_classes=2),
    **{name: of_kernel(function) for name, function in KERNEL_CALLS.items()},
    "influence": influences("exact"),
    "influence, conjugate gradients": influences("conjugate_gradient"),
    "sgd_steady_state": lambda seed, given: sample_information.sgd_steady_state(
        APPLY, VARIABLES[seed], given["x"], given["targets"], learning_rate=0.1, batch_size=4, weight_decay=0.1
    ),
    "retrain": lambda seed, given: sample_information.retrain_leave_one_out(
        APPLY, VARIABLES[seed], given["x"][:4], given["targets"][:4], given["x"][:2], num_steps=2, learning_rate=0.1
    ),
    "knn_shapley": lambda seed, given: sample_information.baselines.knn_shapley(
        given["x"], given["labels"], given["x"][:4], given["labels"][:4]
    ),
    "tracin": lambda seed, given: sample_information.baselines.tracin(
        APPLY, jax.tree.map(lambda *leaves: jnp.stack(leaves), *VARIABLES), given["x"], given["targets"]
    ),
    "matrix_free": lambda seed, given: sample_information.matrix_free_leave_one_out(
        sample_information.kernel_product(APPLY, VARIABLES[seed], given["x"]),
        np.zeros_like(given["targets"]),
        given["targets"],
        [0, 1],
        weight_decay=1.0,
    ),
    "projected_jacobian": lambda seed, given: linearization.projected_jacobian(
        APPLY, VARIABLES[seed], given["x"], PROJECTION
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_second_call_compiles_nothing(name):
    CALLS[name](0, draws(0))
    before = len(_traced)
    CALLS[name](1, draws(1))
    assert len(_traced) == before


# of the numbers of `draws`, the arguments of a pure function
PURE: dict[str, tuple[Callable[..., object], Callable[[dict[str, np.ndarray]], tuple[np.ndarray, ...]]]] = {
    "gaussian": (gaussian.total_correlation, lambda given: (np.cov(given["x"], rowvar=False),)),
    "discrete": (
        lambda codes, selection: discrete.mutual_information(codes, selection, num_codes=2),
        lambda given: (given["codes"], given["selection"]),
    ),
    "neighbours": (neighbours.mutual_information, lambda given: (given["x"][:, :1], given["x"][:, 1:])),
    "mixed": (neighbours.mixed_mutual_information, lambda given: (given["x"], given["labels"])),
    "copula": (copula.mutual_information, lambda given: (given["x"][:, :1], given["x"][:, 1:])),
    "ranking": (metrics.area_under_roc, lambda given: (given["x"][:, 0], given["labels"] == 1)),
    "margins": (metrics.label_margins, lambda given: (given["targets"], given["labels"])),
    "losses": (label_noise.losses.cross_entropy, lambda given: (given["x"][:, :2], given["labels"])),
    "linear_models": (
        lambda x, labels: linear_models.fit(x, labels, num_classes=2, l2=0.1).coefficients,
        lambda given: (given["x"], given["labels"]),
    ),
    "mixhop": (
        lambda x: mixhop.mix(NODES, x, [x[:3], x[3:6]], (0, 2)),
        lambda given: (given["x"],),
    ),
    "fcmi": (
        lambda predictions, selection: fcmi.bounds.fcmi(predictions, selection, num_classes=2).value,
        lambda given: (given["predictions"], given["selection"]),
    ),
    "linearization": (
        lambda x, targets: linearization.leave_one_out_predictions(linearization.kernel_eigen(x @ x.T), targets, 0.1),
        lambda given: (given["x"], given["targets"]),
    ),
}


@pytest.mark.parametrize("name", PURE)
def test_jit_and_vmap_change_nothing(name):
    function, arguments = PURE[name]
    both = [arguments(draws(seed)) for seed in (0, 1)]
    expected = np.stack([np.asarray(function(*given)) for given in both])
    np.testing.assert_allclose(jax.jit(function)(*both[0]), expected[0], rtol=1e-6, atol=1e-9)
    stacked = [np.stack(column) for column in zip(*both, strict=True)]
    np.testing.assert_allclose(jax.vmap(function)(*stacked), expected, rtol=1e-6, atol=1e-9)
