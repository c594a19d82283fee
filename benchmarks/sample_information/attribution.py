"""Attribution of test losses to training examples: ours by derivatives of the training, and what people use today.

All see one network, a perceptron that SGD with momentum trains on digits. The truth are trainings without random
subsets of the examples, and the score is the linear datamodeling score: the rank correlation over the subsets of the
real losses with the sums of what is attributed to the examples that are left out, mean over the test examples.
"""

import contextlib
import functools
import io
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from benchmarks.harness import Report, Row, announce, of_peer, peak_memory, reset_peak_memory
from infotheory_dl import data, training
from infotheory_dl._blocks import map_examples, per_example_jacobians, sum_blocks
from infotheory_dl.sample_information import (
    datamodels,
    linear_datamodeling_score,
    retrain_without,
    sample_information,
    trained_information,
)
from infotheory_dl.types import Params

_MOMENTUM = 0.9
_DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1)
_CHECKPOINTS = 4
# fewer than there are examples, or the kernel of the projected gradients is singular
_PROJECTED = 512
_BLOCK = 100


@dataclass(frozen=True)
class Attribution:
    """Linear datamodeling scores, seconds and memory, of ours and of what people use today."""

    examples: int = 1000
    references: int = 100
    width: int = 128
    epochs: int = 20
    batch: int = 50
    learning_rate: float = 0.05
    fractions: tuple[float, ...] = (0.01, 0.05, 0.1, 0.5)
    """Of the examples, left out together."""
    subsets: int = 60
    methods: tuple[str, ...] = ("",)
    """Those with one of these in their names; default all."""
    seed: int = 0


@dataclass(frozen=True)
class Passes:
    """Seconds of passes through a training, and of the scores of all examples, by its size."""

    examples: tuple[int, ...] = (250, 500, 1000)
    epochs: tuple[int, ...] = (20, 50)
    """The first for each number of examples, the others for the largest."""
    references: int = 100
    width: int = 128
    batch: int = 50
    learning_rate: float = 0.05
    projections: int = 200
    """Of the weights: the standard error of a score is √(2 / projections) of it."""
    seed: int = 0


class Problem(NamedTuple):
    """A network before its training, and what it is trained and looked at on.

    Attributes:
      system: that trains it.
      state: before the training.
      examples, references: inputs and labels.
      schedule: of the training.
      key: of the training.
    """

    system: training.System
    state: training.NetworkState
    examples: tuple[Float[np.ndarray, "examples pixels"], Int[np.ndarray, " examples"]]
    references: tuple[Float[np.ndarray, "references pixels"], Int[np.ndarray, " references"]]
    schedule: dict[str, Any]
    key: Array

    @property
    def arguments(self) -> tuple[Any, Any, Any, Any, Any]:
        """Those of `datamodels`."""
        return self.key, self.system, self.state, self.examples, self.references

    def trained(self, epochs: int | None = None) -> Params:
        """The parameters after so many epochs, by default at the end."""
        schedule = self.schedule | ({} if epochs is None else {"num_epochs": epochs})
        return training.train(self.key, self.system.step, self.state, self.examples, **schedule).state.params


Attributor = Callable[[Problem], Float[Any, "examples references"]]
"""The changes of the losses of the references without each example, in any unit."""


def attribution(settings: Attribution) -> Report:
    """Part (f): linear datamodeling scores of what methods attribute to the examples."""
    problem = make_problem(settings, settings.examples, settings.epochs)
    random = np.random.default_rng(settings.seed)
    groups = {
        share: np.stack([random.permutation(settings.examples) for _ in range(settings.subsets)])[
            :, : round(share * settings.examples)
        ]
        for share in settings.fractions
    }
    announce(f"{settings.subsets} trainings without each share of the examples")
    truth = {
        share: retrain_without(*problem.arguments, groups=rows, measure=losses, **problem.schedule).output_changes
        for share, rows in groups.items()
    }

    def score(share: float, changes: Any) -> float:
        return float(linear_datamodeling_score(jnp.asarray(changes)[..., None], truth[share], groups[share]))

    def measured(attributor: Attributor) -> Row:
        reset_peak_memory()
        wall, processor = time.perf_counter(), time.process_time()
        changes = np.asarray(attributor(problem))
        cost = {
            "seconds": time.perf_counter() - wall,
            "CPU seconds": time.process_time() - processor,
            "peak memory in GiB": peak_memory(),
        }
        return {f"{share:.0%}": score(share, changes) for share in settings.fractions} | cost

    def rows() -> Iterator[Row]:
        for name, attributor in attributors(settings).items():
            if any(part in name for part in settings.methods):
                announce(name)
                yield {"method": name, **of_peer(functools.partial(measured, attributor))}

    return Report(
        f"Linear datamodeling score, {settings.examples} digits, {settings.references} losses",
        rows(),
        notes=["Seconds with compilation. A training takes some hundredths of a second, and is part of each."],
    )


def passes(settings: Passes) -> Report:
    """Part (g): what passes and scores cost, in seconds and in trainings."""
    cases = [(n, settings.epochs[0]) for n in settings.examples]
    cases += [(settings.examples[-1], epochs) for epochs in settings.epochs[1:]]

    def row(n: int, epochs: int) -> Row:
        announce(f"{n} examples, {epochs} epochs")
        problem = make_problem(settings, n, epochs)
        key, system, state, examples, (inputs, _) = problem.arguments
        information = functools.partial(trained_information, key, system, state, examples, inputs, **problem.schedule)
        one = seconds_of(lambda: training.train(key, system.step, state, examples, **problem.schedule))
        forward = seconds_of(lambda: information(examples=np.arange(16), at="full", method="forward")) / 16
        midpoint = seconds_of(lambda: information(examples=np.arange(16))) / 16
        all_examples = seconds_of(
            lambda: information(at="full", method="projections", num_projections=settings.projections, num_retrained=0)
        )
        return {
            "examples": n,
            "steps": epochs * -(-n // settings.batch),
            "training": one,
            "forward pass": forward / one,
            "midpoint": midpoint / one,
            "reverse pass": all_examples / (2 * settings.projections) / one,
            "all examples": all_examples,
            "in trainings": all_examples / one,
        }

    return Report(
        f"CPU seconds of a training, and in trainings what an example costs; all: {settings.projections} projections",
        (row(*case) for case in cases),
        notes=["Compilation apart. All examples: projections of the weights and as many of the outputs."],
    )


def seconds_of(function: Callable[[], Any]) -> float:
    """CPU seconds of the second call."""
    jax.block_until_ready(function())
    start = time.process_time()
    jax.block_until_ready(function())
    return time.process_time() - start


def make_problem(settings: Attribution | Passes, num_examples: int, epochs: int) -> Problem:
    """A perceptron with one hidden layer on a sample of the digits."""
    images = data.load("digits")
    sample = data.random_subset(jax.random.key(settings.seed), images.x, images.y, num_examples + settings.references)
    rows = data.standardize(sample.x, *data.pixel_moments(sample.x)).reshape(len(sample.x), -1)
    labels = np.asarray(sample.y)
    optimizer = optax.sgd(settings.learning_rate, momentum=_MOMENTUM)
    system = training.supervised(
        perceptron, optimizer, optax.softmax_cross_entropy_with_integer_labels, weighting="fixed"
    )
    inner, outer = jax.random.split(jax.random.key(settings.seed + 1))
    params = {
        "inner": jax.random.normal(inner, (rows.shape[1], settings.width)) / np.sqrt(rows.shape[1]),
        "inner_bias": jnp.zeros(settings.width),
        "outer": jax.random.normal(outer, (settings.width, 10)) / np.sqrt(settings.width),
        "outer_bias": jnp.zeros(10),
    }
    return Problem(
        system,
        system.init(params),
        (rows[:num_examples], labels[:num_examples]),
        (rows[num_examples:], labels[num_examples:]),
        {"num_epochs": epochs, "batch_size": settings.batch},
        jax.random.key(settings.seed + 2),
    )


def perceptron(params: Params, inputs: Any) -> Array:
    """One hidden layer of gelu units."""
    return jax.nn.gelu(inputs @ params["inner"] + params["inner_bias"]) @ params["outer"] + params["outer_bias"]


def losses(state: training.NetworkState, references: Any) -> Float[Array, " references"]:
    """The cross-entropies, with all digits where they are next to zero, where many trainings would be equal."""
    inputs, labels = references
    return jax.vmap(loss)(perceptron(state.params, inputs), labels)


def loss(outputs: Array, label: Array) -> Array:
    """The cross-entropy of one example."""
    is_other = jnp.arange(len(outputs)) != label
    return jax.nn.softplus(jax.nn.logsumexp(jnp.where(is_other, outputs, -jnp.inf)) - outputs[label])


def attributors(settings: Attribution) -> Mapping[str, Attributor]:
    """The methods by name, ours first."""
    ours: dict[str, Attributor] = {"ours: derivative of the training": derivative}
    for share in settings.fractions[-1:]:
        ours[f"ours: derivative at mean weight {1 - share:.2g}"] = functools.partial(derivative, fraction=share)
    ours["ours: linearized network"] = functools.partial(linearized, learning_rate=settings.learning_rate)
    for damping in _DAMPINGS:
        ours[f"Gauss-Newton influence, damping {damping:g}"] = functools.partial(gauss_newton, damping=damping)
    return ours | {
        "TRAK, one checkpoint": trak,
        f"dattri: TracIn, {_CHECKPOINTS} checkpoints": dattri_tracin,
        **{
            f"dattri: EK-FAC influence, damping {damping:g}": functools.partial(dattri_ekfac, damping=damping)
            for damping in _DAMPINGS
        },
    }


def derivative(problem: Problem, *, fraction: float = 0.0) -> Array:
    """Derivatives of the losses through the training, by one reverse pass for each."""
    models = datamodels(*problem.arguments, measure=losses, fraction=fraction, **problem.schedule)
    return models.output_changes[..., 0]


def linearized(problem: Problem, *, learning_rate: float) -> Array:
    """Changes of the outputs of the linearized network, and what they do to the losses of the trained one."""
    (inputs, labels), (references, reference_labels) = problem.examples, problem.references
    steps = problem.schedule["num_epochs"] * -(-len(inputs) // problem.schedule["batch_size"])
    found = sample_information(
        perceptron,
        problem.state.params,
        inputs,
        data.targets(labels, 10, centered=True),
        references,
        time=steps,
        learning_rate=learning_rate / (1 - _MOMENTUM),
        outputs="trace",
    )
    outputs = perceptron(problem.trained(), references)
    slopes = jax.vmap(jax.grad(loss))(outputs, reference_labels)
    return jnp.einsum("emk,mk->em", found.output_changes, slopes)


def gauss_newton(problem: Problem, *, damping: float) -> Array:
    """Influence functions at the trained weights, with the exact Gauss-Newton matrix."""
    curvature, gradients, slopes = _curvature(problem)
    factor = jax.scipy.linalg.cho_factor(curvature + damping * np.eye(len(curvature), dtype=np.float32))
    return gradients @ jax.scipy.linalg.cho_solve(factor, slopes.T) / len(gradients)


@functools.lru_cache(maxsize=1)
def _of_problem(identity: int) -> dict[str, Any]:
    return {}


def _curvature(problem: Problem) -> tuple[Array, Array, Array]:
    """The Gauss-Newton matrix, and the gradients of the losses of the examples and of the references."""
    kept = _of_problem(id(problem.state))
    if not kept:
        params = problem.trained()
        flat, restore = jax.flatten_util.ravel_pytree(params)
        network = lambda weights, inputs: perceptron(restore(weights), inputs)
        of_one = lambda weights, x, y: loss(network(weights, x[None])[0], y)

        def block(mask, inputs, labels):
            shares = jax.nn.softmax(network(flat, inputs))
            rows = per_example_jacobians(network, flat, inputs)
            rows -= jnp.einsum("ik,ikd->id", shares, rows)[:, None]
            rows *= jnp.sqrt(mask[:, None] * shares)[..., None]
            rows = rows.reshape(-1, rows.shape[-1])
            return rows.T @ rows

        gradients = lambda rows: map_examples(lambda x, y: jax.grad(of_one)(flat, x, y), rows, _BLOCK)
        kept["all"] = (
            jax.jit(lambda rows: sum_blocks(block, rows, _BLOCK) / len(rows[0]))(problem.examples),
            jax.jit(gradients)(problem.examples),
            jax.jit(gradients)(problem.references),
        )
    return kept["all"]


def trak(problem: Problem) -> np.ndarray:
    """TRAK's scores at the end of the training."""
    from trak import TRAKer
    from trak.projectors import BasicProjector, ProjectionType

    network, (state, *_) = _in_torch(problem, (problem.schedule["num_epochs"],))
    size = sum(parameter.numel() for parameter in network.parameters())
    projector = BasicProjector(
        size, min(_PROJECTED, size), 0, ProjectionType.rademacher, device="cpu", block_size=_BLOCK, dtype=_float32()
    )
    with tempfile.TemporaryDirectory() as folder, _quiet():
        traker = TRAKer(
            model=network,
            task="image_classification",
            train_set_size=len(problem.examples[0]),
            save_dir=folder,
            device="cpu",
            projector=projector,
            proj_dim=projector.proj_dim,
            use_half_precision=False,
            logging_level=logging.ERROR,
        )
        traker.load_checkpoint(state, model_id=0)
        for batch in _batches(problem.examples, _BLOCK):
            traker.featurize(batch=batch, num_samples=len(batch[1]))
        traker.finalize_features()
        traker.start_scoring_checkpoint("losses", state, model_id=0, num_targets=len(problem.references[0]))
        for batch in _batches(problem.references, _BLOCK):
            traker.score(batch=batch, num_samples=len(batch[1]))
        return np.array(traker.finalize_scores("losses"))


def dattri_tracin(problem: Problem) -> np.ndarray:
    """dattri's TracIn over checkpoints of the training, without projections."""
    import torch
    from dattri.algorithm.tracin import TracInAttributor
    from dattri.task import AttributionTask

    epochs = problem.schedule["num_epochs"]
    network, states = _in_torch(problem, range(epochs // _CHECKPOINTS, epochs + 1, max(1, epochs // _CHECKPOINTS)))

    def of_example(params: dict[str, Any], example: tuple[Any, Any]) -> Any:
        row, label = example
        outputs = torch.func.functional_call(network, params, row[None])
        return torch.nn.functional.cross_entropy(outputs, label[None])

    with _quiet():
        attributor = TracInAttributor(
            AttributionTask(of_example, network, states), weight_list=torch.ones(len(states)), normalized_grad=False
        )
        return attributor.attribute(_loader(problem.examples, _BLOCK), _loader(problem.references, _BLOCK)).numpy()


def dattri_ekfac(problem: Problem, *, damping: float) -> np.ndarray:
    """dattri's influence functions by EK-FAC."""
    import torch
    from dattri.algorithm.influence_function import IFAttributorEKFAC
    from dattri.task import AttributionTask

    network, (state, *_) = _in_torch(problem, (problem.schedule["num_epochs"],))

    def of_batch(params: dict[str, Any], batch: tuple[Any, Any]) -> Any:
        rows, labels = batch
        return torch.nn.functional.cross_entropy(torch.func.functional_call(network, params, rows), labels)

    with _quiet():
        attributor = IFAttributorEKFAC(AttributionTask(of_batch, network, state), damping=damping)
        attributor.cache(_loader(problem.examples, _BLOCK))
        found = attributor.attribute(_loader(problem.examples, _BLOCK), _loader(problem.references, _BLOCK))
        return found.detach().numpy()


def _in_torch(problem: Problem, epochs: Any) -> tuple[Any, list[dict[str, Any]]]:
    """The network in PyTorch, with the weights of our training after each of the epochs."""
    import torch
    from torch import nn

    pixels, width = problem.state.params["inner"].shape
    network = nn.Sequential(nn.Linear(pixels, width), nn.GELU(approximate="tanh"), nn.Linear(width, 10))
    states = []
    for epoch in epochs:
        params = jax.tree.map(np.array, problem.trained(epoch))
        rows = (params["inner"].T, params["inner_bias"], params["outer"].T, params["outer_bias"])
        names = ("0.weight", "0.bias", "2.weight", "2.bias")
        states.append({name: torch.tensor(np.array(values)) for name, values in zip(names, rows, strict=True)})
    network.load_state_dict(states[-1])
    return network.eval(), states


def _loader(examples: Any, size: int) -> Any:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    inputs, labels = examples
    return DataLoader(TensorDataset(torch.tensor(inputs), torch.tensor(labels, dtype=torch.long)), size)


def _batches(examples: Any, size: int) -> Any:
    return list(_loader(examples, size))


def _float32() -> Any:
    import torch

    return torch.float32


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' progress bars and warnings off the screen."""
    nowhere = io.StringIO()
    with contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
