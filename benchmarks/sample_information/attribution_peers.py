"""Attribution of test losses to training examples by what people use today, on the network of ours in PyTorch."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from benchmarks.sample_information.perceptron import BLOCK, Problem

CHECKPOINTS = 4
# fewer than there are examples, or the kernel of the projected gradients is singular
_PROJECTED = 512


def trak(problem: Problem) -> np.ndarray:
    """TRAK's scores at the end of the training."""
    from trak import TRAKer
    from trak.projectors import BasicProjector, ProjectionType

    network, (state, *_) = _in_torch(problem, (problem.schedule["num_epochs"],))
    size = sum(parameter.numel() for parameter in network.parameters())
    projector = BasicProjector(
        size, min(_PROJECTED, size), 0, ProjectionType.rademacher, device="cpu", block_size=BLOCK, dtype=_float32()
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
        for batch in _batches(problem.examples, BLOCK):
            traker.featurize(batch=batch, num_samples=len(batch[1]))
        traker.finalize_features()
        traker.start_scoring_checkpoint("losses", state, model_id=0, num_targets=len(problem.references[0]))
        for batch in _batches(problem.references, BLOCK):
            traker.score(batch=batch, num_samples=len(batch[1]))
        return np.array(traker.finalize_scores("losses"))


def dattri_tracin(problem: Problem) -> np.ndarray:
    """dattri's TracIn over checkpoints of the training, without projections."""
    import torch
    from dattri.algorithm.tracin import TracInAttributor
    from dattri.task import AttributionTask

    epochs = problem.schedule["num_epochs"]
    network, states = _in_torch(problem, range(epochs // CHECKPOINTS, epochs + 1, max(1, epochs // CHECKPOINTS)))

    def of_example(params: dict[str, Any], example: tuple[Any, Any]) -> Any:
        row, label = example
        outputs = torch.func.functional_call(network, params, row[None])
        return torch.nn.functional.cross_entropy(outputs, label[None])

    with _quiet():
        attributor = TracInAttributor(
            AttributionTask(of_example, network, states), weight_list=torch.ones(len(states)), normalized_grad=False
        )
        return attributor.attribute(_loader(problem.examples, BLOCK), _loader(problem.references, BLOCK)).numpy()


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
        attributor.cache(_loader(problem.examples, BLOCK))
        found = attributor.attribute(_loader(problem.examples, BLOCK), _loader(problem.references, BLOCK))
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
