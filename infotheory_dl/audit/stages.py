"""The stages of an audit: what each makes, and how a finished one is kept for an audit that is cut short."""

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import data, results
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.learned import Learned, columns_of
from infotheory_dl.audit.results import Representation, Solution
from infotheory_dl.audit.scores import Scores
from infotheory_dl.audit.settings import Settings
from infotheory_dl.linearization.families import Families
from infotheory_dl.linearization.streams import FeatureStream, Progress
from infotheory_dl.sample_information import LabelErrors
from infotheory_dl.types import Key

KEPT = "stages"
"""The folder, in that of the report, of finished stages."""

Told: TypeAlias = Callable[[str], None]
MakeStream: TypeAlias = Callable[[str, bool, Float[np.ndarray, "examples columns"] | None], FeatureStream]
"""Makes the explicit features of a name, of the audited examples (False) or those held out (True), with those beside
them that are there already."""

LEARNED = ("learned_by_one_half", "learned_by_the_other")
"""The stages that make features of which those of an example have not seen its label."""


def _untold(_: float) -> None:
    pass


@dataclass(frozen=True)
class Work:
    """What a stage works with.

    Attributes:
      key: source of randomness of the stage, by its name.
      settings: of the audit.
      table: of all examples.
      examples: those that are audited.
      memory: bytes that the audit may take.
      make_stream: makes explicit features.
      found: what earlier stages made, by their names.
      progress: is told which share of the stage is done.
      families: of examples with equal inputs, which are left out together; None where no two are equal.
    """

    key: Key
    settings: Settings
    table: data.Table
    examples: Examples
    memory: float
    make_stream: MakeStream
    found: dict[str, Any] = field(default_factory=dict)
    progress: Progress = _untold
    families: Families | None = None

    def stream(self, name: str, held_out: bool) -> FeatureStream:
        """The explicit features of a name, of the audited examples or those held out, with those that were learned."""
        columns = columns_of(self.learned, held_out=held_out) if self.learned else None
        return self.make_stream(name, held_out, columns)

    @property
    def learned(self) -> tuple[Learned, ...]:
        """What networks say of the half that they were not trained on; nothing where none was trained."""
        return tuple(self.found[name] for name in LEARNED if name in self.found)

    @property
    def num_learned(self) -> int:
        """How many features were learned: the last ones."""
        return sum(part.features.shape[1] for part in self.learned)

    @property
    def representation(self) -> Representation:
        """By what examples are compared."""
        return self.found["representation"]

    @property
    def solution(self) -> Solution:
        """What the linear network says of every example without it."""
        return self.found["solution"]

    @property
    def scores(self) -> Scores:
        """Of every example."""
        return self.found["scores"]

    @property
    def label_errors(self) -> LabelErrors:
        """Which labels are wrong."""
        return self.found["label_errors"]

    @property
    def repaired_labels(self) -> Int[np.ndarray, " examples"]:
        """The labels with the repairs."""
        return np.where(self.label_errors.repaired, self.label_errors.suggested, self.examples.labels)


class Stage(NamedTuple):
    """One step of an audit.

    Attributes:
      name: of what it makes, and of the file in which that is kept.
      title: what is being done, in words.
      run: makes it: a NamedTuple, a dataclass or an array that `results.save` keeps, or None. A pure function.
      is_wanted: whether it is done at all.
    """

    name: str
    title: Callable[[Work], str]
    run: Callable[[Work], Any]
    is_wanted: Callable[[Work], bool] = lambda work: True


class Kept(NamedTuple):
    """Finished stages in a folder.

    Attributes:
      folder: that has a folder for each kind of audit; None to keep nothing.
      digest: of all that the audit depends on.
    """

    folder: Path | None
    digest: str

    def path(self, name: str) -> Path | None:
        """The file of a stage."""
        return None if self.folder is None else self.folder / self.digest / f"{name}.npz"


def forget(folder: Path) -> None:
    """Removes all that is kept in a folder."""
    shutil.rmtree(folder, ignore_errors=True)


class _Holder(NamedTuple):
    """What is kept of a stage: its result, under one type."""

    result: Any


def run_stages(stages: Iterable[Stage], work: Work, kept: Kept, begin: Told, progress: Progress) -> dict[str, Any]:
    """Does all stages that are wanted, in order, and returns what they made by their names.

    A stage that is kept is read instead. A stage that cannot be kept, as on a full disk, goes on unkept.
    """
    found: dict[str, Any] = {}
    for stage in stages:
        own = jax.random.fold_in(work.key, zlib.crc32(stage.name.encode()) & 0x7FFFFFFF)
        now = replace(work, key=own, found=found, progress=progress)
        if not stage.is_wanted(now):
            continue
        path = kept.path(stage.name)
        if path is not None and path.exists():
            with suppress(ValueError, OSError):  # a file of another version, or one that is damaged, is made anew
                with jax.enable_x64(True):
                    found[stage.name] = results.load(path, _Holder).result
                begin(f"{stage.title(now)}: as kept")
                continue
        begin(stage.title(now))
        found[stage.name] = stage.run(now)
        if path is not None:
            with suppress(OSError):
                results.save(path, _Holder(found[stage.name]))
    return found


def digest_of(*parts: Any) -> str:
    """A digest of arrays of numbers, and of what JSON holds."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]
