"""How every command ends."""

import dataclasses
import signal
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import _validation, cli


@dataclasses.dataclass(frozen=True)
class Inner:
    """How it is done.

    Attributes:
      rate: of something.
    """

    rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class Config:
    """Does nothing.

    Attributes:
      count: how often.
      inner: how it is done.
    """

    count: int = 3
    inner: Inner = dataclasses.field(default_factory=Inner)


def ends(capsys, act, *arguments):
    """The exit status of a command, and what it says."""
    status = 0
    try:
        cli.run("nothing", Config, lambda config, console: act(), arguments)
    except SystemExit as stopped:
        status = stopped.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def throw(error):
    raise error


def test_a_command_gets_what_the_command_line_says(capsys):
    seen = []
    cli.run("nothing", Config, lambda config, console: seen.append(config), ["--rate", "0.5", "--count", "2"])
    assert seen == [Config(2, Inner(0.5))]
    assert type(seen[0]) is Config


def test_the_help_tells_of_every_option(capsys):
    status, out, _ = ends(capsys, list, "--help")
    assert status == 0
    for words in ("infotheory-dl nothing", "Does nothing.", "how often", "of something", "--debug", "traceback"):
        assert words in out


def test_what_the_library_says_of_its_input_is_one_message(capsys):
    refuse = lambda: _validation.require_choice("color", "red", ("blue", "green"))
    status, out, err = ends(capsys, refuse)
    assert (status, out) == (2, "")
    assert err.startswith("infotheory-dl nothing: unknown color 'red'")
    assert len(err.splitlines()) == 1
    with pytest.raises(ValueError, match="unknown color"):
        ends(capsys, refuse, "--debug")


@pytest.mark.parametrize(
    "error",
    [OSError("no disk"), FileNotFoundError(2, "absent", "x.csv"), ImportError("no PIL")],
)
def test_what_the_machine_lacks_is_one_message(error, capsys):
    assert ends(capsys, lambda: throw(error)) == (2, "", f"infotheory-dl nothing: {error}\n")


def test_memory_that_does_not_suffice_is_told(capsys):
    told = "infotheory-dl nothing: the memory of this machine does not suffice: "
    assert ends(capsys, lambda: throw(MemoryError("Unable to allocate 8 TiB"))) == (
        2,
        "",
        f"{told}Unable to allocate 8 TiB\n",
    )
    assert ends(capsys, lambda: throw(MemoryError())) == (2, "", f"{told}MemoryError\n")


def test_memory_of_a_device_that_does_not_suffice_is_told(capsys):
    error = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.\nand much more")
    status, _, err = ends(capsys, lambda: throw(error))
    assert status == 2
    assert err.splitlines() == [
        "infotheory-dl nothing: the memory of the device does not suffice: RESOURCE_EXHAUSTED: Out of memory allocating"
        " 8 bytes."
    ]


@pytest.mark.parametrize(
    "fail",
    [
        lambda: {}["absent"],
        lambda: np.zeros(3) + np.zeros(4),
        lambda: _validation.require_choice("color", "red", None),
        lambda: jnp.zeros(3) + jnp.zeros(4),
        lambda: jax.jit(lambda x: x.reshape(7))(jnp.zeros(3)),
    ],
)
def test_anything_else_is_a_bug_whose_traceback_is_a_flag_away(fail, capsys):
    status, out, err = ends(capsys, fail)
    assert (status, out) == (1, "")
    assert err.startswith("infotheory-dl nothing: a bug, not a mistake of yours: ")
    assert err.endswith("--debug shows the traceback to report\n")
    assert len(err.splitlines()) == 1
    with pytest.raises(Exception) as raised:  # noqa: PT011
        ends(capsys, fail, "--debug")
    assert type(raised.value).__name__ in err


def test_an_interruption_ends_quietly(capsys):
    assert ends(capsys, lambda: throw(KeyboardInterrupt())) == (130, "", "infotheory-dl nothing: interrupted\n")


def test_a_reader_that_leaves_ends_it_quietly():
    program = [sys.executable, "-m", "infotheory_dl.cli", "--help"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_warnings_are_notes_each_once(capsys):
    def act():
        for _ in range(2):
            warnings.warn("3 of [bold] rows are constant", stacklevel=1)
        warnings.warn("of no interest", DeprecationWarning, stacklevel=1)

    assert ends(capsys, act) == (0, "Note: 3 of [bold] rows are constant.\n", "")
