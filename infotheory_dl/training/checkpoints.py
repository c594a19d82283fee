"""Trainings that outlive their process: saved after every chunk of epochs, and continued by the same call."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl._files import write_text
from infotheory_dl._validation import warn
from infotheory_dl.training._program import TrainingState
from infotheory_dl.training.parallel import gather


class Checkpoint(NamedTuple):
    """Where a training is saved, and what makes it this training and no other.

    An interrupted training goes on, on any number of devices, after the last chunk that was saved. On the same devices
    its result is that of a training never interrupted, bit for bit. A finished one is returned at once.

    Attributes:
      folder: a folder of its own, where the last two chunks are kept. Several processes share it, and save only what
        they train together.
      configuration: what the training depends on and the engine cannot know, such as the network and the settings of
        its optimizer, as values that JSON holds. The engine adds its own settings and fingerprints of all arrays
        and of the batches of a schedule.
    """

    folder: str | Path
    configuration: Mapping[str, Any] = {}


def restore(
    checkpoint: Checkpoint, settings: Mapping[str, Any], arrays: Mapping[str, Any], training: TrainingState
) -> TrainingState:
    """The newest checkpoint that can be read; without any, the training that is given.

    Args:
      checkpoint: where to look.
      settings: those of the engine, which belong to the configuration.
      arrays: trees of them by name; their fingerprints belong to it too.
      training: at its beginning. What is restored has its shapes, and its places on the devices.

    Raises:
      ValueError: if the checkpoints are of another configuration, or there are some and none can be read.
    """
    import orbax.checkpoint as ocp

    fingerprints = {name: fingerprint(tree) for name, tree in arrays.items()}
    configuration = json.loads(json.dumps({**checkpoint.configuration, **settings, **fingerprints}))
    path = Path(checkpoint.folder) / "configuration.json"
    with _manager(checkpoint) as manager:
        steps = sorted(manager.all_steps(), reverse=True)
        if not steps:
            if jax.process_index() == 0:
                write_text(path, json.dumps(configuration, indent=2))
            return training
        _require_same(path, configuration)
        for tried, step in enumerate(steps):
            try:
                saved = manager.restore(step, args=ocp.args.StandardRestore(_without_empty_arrays(training)))
            except Exception as error:  # of any type: what a damaged file raises is the affair of its reader
                reason = error
                continue
            for damaged in steps[:tried]:
                warn(f"the checkpoint {path.parent / str(damaged)} cannot be read and is removed")
                manager.delete(damaged)
            return jax.tree.map(lambda empty, leaf: empty if leaf is None else leaf, training, saved)
    raise ValueError(
        f"no checkpoint in {path.parent} can be read: they are damaged, or what the steps or evaluations report has"
        " changed"
    ) from reason


def save(checkpoint: Checkpoint, training: TrainingState) -> None:
    """Saves the training under the number of its epochs: whole, or, if the process dies meanwhile, not at all."""
    import orbax.checkpoint as ocp

    # what a process that died has left is removed here alone, where the manager waits for that before it writes
    with _manager(checkpoint, cleanup_tmp_directories=True) as manager:
        manager.save(int(training.epoch), args=ocp.args.StandardSave(_without_empty_arrays(training)))


def _manager(checkpoint, **options):
    import orbax.checkpoint as ocp

    # not in the background: the next chunk reuses the memory of what is being saved
    options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False, **options)
    return ocp.CheckpointManager(Path(checkpoint.folder).absolute(), options=options)


def _without_empty_arrays(training):
    """With None for arrays without entries, which orbax does not save."""
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, training)


def fingerprint(tree: Any) -> str | None:
    """A digest of the arrays of a tree, their places and their types; None where there is none."""
    if tree is None:
        return None
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(gather(tree)):
        digest.update(f"{jax.tree_util.keystr(path)}: {leaf.dtype}{leaf.shape};".encode())
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        digest.update(np.ascontiguousarray(leaf).view(np.uint8).data)
    return digest.hexdigest()[:16]


def _require_same(path, configuration):
    stored = json.loads(path.read_text(encoding="utf-8"))
    fields = {name: (stored.get(name), configuration.get(name)) for name in {**stored, **configuration}}
    # as text, in which NaN equals NaN
    differences = [
        f"{name} is {there!r} there and {here!r} here"
        for name, (there, here) in fields.items()
        if json.dumps(there, sort_keys=True) != json.dumps(here, sort_keys=True)
    ]
    if differences:
        raise ValueError(
            f"the checkpoints in {path.parent} are of another configuration: {'; '.join(differences)}. Choose another"
            " folder, or remove this one"
        )
