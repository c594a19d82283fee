"""What the wheel must do where nothing but it and what it requires is installed: run this by that Python, anywhere."""

import contextlib
import importlib.metadata
import io
import math
import subprocess
import sys
import sysconfig
from pathlib import Path

import infotheory_dl
from infotheory_dl import cli, data, fcmi
from infotheory_dl.clinical import _facts


def main() -> None:
    package = Path(infotheory_dl.__file__).parent
    assert package.parent == Path(sysconfig.get_paths()["purelib"]), f"{package} is not the wheel's"
    assert importlib.metadata.version("infotheory_dl") == infotheory_dl.__version__
    assert (package / "py.typed").exists()
    rooms = [getattr(infotheory_dl, room).__name__ for room in infotheory_dl.__all__]

    # a memoriser: its one loss on a pair tells the coin, which is ln 2 nats
    bound = fcmi.bounds.ecmi([[0, 1], [1, 0]], [[0], [1]])
    assert math.isclose(bound.value, math.sqrt(2 * math.log(2)), rel_tol=1e-6), bound
    assert len(data.load("digits").y) == 1797
    assert _facts.phenotypes().names, "the definitions of the clinical phenotypes are missing"
    assert len(_facts.split()), "the published split of the clinical benchmark is missing"

    script = Path(sys.executable).parent / "infotheory-dl"
    for arguments in (["--help"], ["--version"]):
        print(subprocess.run([script, *arguments], check=True, capture_output=True, text=True).stdout.strip())
    for command in cli.COMMANDS:
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            cli.main([command, "--help"])
        assert "--help" in told.getvalue(), f"infotheory-dl {command} --help says nothing"
    print(f"infotheory_dl {infotheory_dl.__version__} in {package}: {len(rooms)} rooms, {len(cli.COMMANDS)} commands")


if __name__ == "__main__":
    main()
