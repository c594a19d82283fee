"""The console script `infotheory-dl`: one subcommand for each room that has one, imported when it is called."""

import importlib
import importlib.metadata
import sys
from collections.abc import Sequence

# the module, whose `main` takes the arguments after the name, and what it does
COMMANDS = {
    "audit": ("infotheory_dl.audit.command", "find wrong labels and what can be left out of a data set"),
    "fcmi": (
        "infotheory_dl.fcmi.command",
        "bound the generalization gap by what predictions tell of training sets",
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Calls the subcommand that is named first.

    Args:
      arguments: of the command line; by default those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
    elif arguments[0] == "--version":
        print(importlib.metadata.version("infotheory_dl"))
    elif arguments[0] in COMMANDS:
        module, _ = COMMANDS[arguments[0]]
        importlib.import_module(module).main(arguments[1:])
    else:
        print(f"infotheory-dl: unknown command {arguments[0]!r}\n\n{_usage()}", file=sys.stderr)
        sys.exit(2)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(
        ["usage: infotheory-dl COMMAND ...", "", *lines, "", "infotheory-dl COMMAND --help tells the options."]
    )


if __name__ == "__main__":
    main()
