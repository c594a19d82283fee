"""The subcommand `infotheory-dl clinical`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from rich.console import Console

from infotheory_dl.clinical.command.models import Evaluate, Train, evaluate_predictions, train_baseline
from infotheory_dl.clinical.command.store import (
    Build,
    Compare,
    Lists,
    Verify,
    build_store,
    compare_stores,
    verify_store,
    write_lists,
)

Action = (
    Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Lists, tyro.conf.subcommand("lists")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
)
_RUN: dict[type, Callable[[Any, Console], None]] = {
    Build: build_store,
    Verify: verify_store,
    Compare: compare_stores,
    Lists: write_lists,
    Train: train_baseline,
    Evaluate: evaluate_predictions,
}


@dataclass(frozen=True)
class Config:
    """The MIMIC-III benchmark: its data, the proof that they are the published ones, baselines, and their worth."""

    action: Action


def main(config: Config, console: Console) -> None:
    """Does what was asked for, and prints it."""
    _RUN[type(config.action)](config.action, console)
