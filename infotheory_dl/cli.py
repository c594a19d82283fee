"""The console script `infotheory-dl`: one subcommand for each room that has one, imported when it is called."""

import dataclasses
import dis
import importlib
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Config = TypeVar("Config")

# the module, whose `main(config, console)` does what its dataclass `Config` says, and what that is
COMMANDS = {
    "audit": ("infotheory_dl.audit.command", "find wrong labels and what can be left out of a data set"),
    "fcmi": (
        "infotheory_dl.fcmi.command",
        "bound the generalization gap by what predictions tell of training sets",
    ),
    "corex": (
        "infotheory_dl.corex.command",
        "find the factors that explain why columns depend on each other, and how they change over time",
    ),
    "synergy": (
        "infotheory_dl.minsyn.command",
        "find the pairs of columns that tell of others only together",
    ),
    "domains": (
        "infotheory_dl.domain_generalization.command",
        "tell why a model fails in a domain that it has not seen",
    ),
    "clinical": (
        "infotheory_dl.clinical.command",
        "make the MIMIC-III benchmark's data from the raw tables, and prove that they are the published ones",
    ),
    "mixhop": (
        "infotheory_dl.mixhop.command",
        "predict the classes of a graph's nodes, and tell how far their neighbours matter",
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Calls the subcommand that is named first.

    Args:
      arguments: of the command line; by default those of the process.
    """
    with _until_the_reader_leaves():
        _call(sys.argv[1:] if arguments is None else list(arguments))


def _call(arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
    elif arguments[0] == "--version":
        print(importlib.metadata.version("infotheory_dl"))
    elif arguments[0] in COMMANDS:
        command = importlib.import_module(COMMANDS[arguments[0]][0])
        run(arguments[0], command.Config, command.main, arguments[1:])
    else:
        print(f"infotheory-dl: unknown command {arguments[0]!r}\n\n{_usage()}", file=sys.stderr)
        sys.exit(2)


def run(name: str, config: type[Config], act: Callable[[Config, "Console"], None], arguments: Sequence[str]) -> None:
    """Runs a command as every command runs.

    What is wrong with the input, or with what the machine has, ends with one message and the exit status 2; an
    interruption with 130; anything else is a bug, ends with 1, and shows its traceback under `--debug`. Warnings are
    printed as notes.

    Args:
      name: of the command.
      config: a frozen dataclass, which becomes the options; its docstring is their help.
      act: what the command does with its settings; it prints to the console.
      arguments: of the command line, after the name.
    """
    from rich.console import Console

    settings, debug = _parsed(name, config, arguments)
    console = Console(highlight=False, markup=False)  # names that users give may hold brackets
    try:
        with _warnings_as_notes(console):
            act(settings, console)
    except KeyboardInterrupt:
        _end(f"infotheory-dl {name}: interrupted", 130)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        message, status = _ending(error)
        _end(f"infotheory-dl {name}: {message}", status)


def _parsed(name: str, config: type[Config], arguments: Sequence[str]) -> tuple[Config, bool]:
    """The settings of the command line, and whether it has `--debug`."""
    import tyro

    flag = Annotated[
        tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(help="whether to show the traceback of an error.")
    ]
    options: Any = dataclasses.make_dataclass(
        config.__name__,
        [("debug", flag, dataclasses.field(default=False, kw_only=True))],
        bases=(config,),
        frozen=True,
        namespace={"__doc__": config.__doc__},
    )
    given = tyro.cli(options, args=arguments, prog=f"infotheory-dl {name}", config=(tyro.conf.OmitArgPrefixes,))
    fields: Any = dataclasses.fields(config)  # type: ignore[arg-type]
    return config(**{field.name: getattr(given, field.name) for field in fields}), given.debug


def _ending(error: Exception) -> tuple[str, int]:
    """What a command says at its end by an error, and its exit status."""
    told = str(error) or type(error).__name__
    first, *_ = told.splitlines()
    if isinstance(error, MemoryError):
        return f"the memory of this machine does not suffice: {first}", 2
    if _is_for_the_user(error):
        return told, 2
    if "RESOURCE_EXHAUSTED" in told:
        return f"the memory of the device does not suffice: {first}", 2
    return f"a bug, not a mistake of yours: {type(error).__name__}: {first}. --debug shows the traceback to report", 1


def _is_for_the_user(error: Exception) -> bool:
    """Whether the error is about what the library was given, or what the machine has.

    A ValueError or TypeError is if the library itself raises it; what Python, NumPy or JAX raise beneath it is a bug.
    """
    if isinstance(error, OSError | ImportError | MemoryError):
        return True
    *_, last = _tracebacks(error)
    raised = dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
    ours = last.tb_frame.f_globals.get("__name__", "").startswith("infotheory_dl")
    return isinstance(error, ValueError | TypeError) and raised and ours


def _tracebacks(error: Exception) -> Iterator[TracebackType]:
    """From where the error was caught to where it was raised."""
    step = error.__traceback__
    while step is not None:
        yield step
        step = step.tb_next


@contextmanager
def _warnings_as_notes(console: "Console") -> Iterator[None]:
    """Prints warnings to users, each once."""
    told = set()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        note = f"Note: {str(message).rstrip('.')}."
        if issubclass(category, UserWarning) and note not in told:
            told.add(note)
            console.print(note, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


@contextmanager
def _until_the_reader_leaves() -> Iterator[None]:
    """Ends quietly, as `head` and `less` expect, where nobody reads any longer what is printed."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # what is still in the buffer goes nowhere, so that Python has nothing to complain of when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + 13)  # as the shell says of a process that SIGPIPE ended


def _end(message: str, status: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(status)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(
        ["usage: infotheory-dl COMMAND ...", "", *lines, "", "infotheory-dl COMMAND --help tells the options."]
    )


if __name__ == "__main__":
    main()
