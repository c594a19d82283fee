"""How programs are compiled that show only that they run, or run right: quickly rather than well."""

import mmap
import os
from pathlib import Path

import jaxlib

_OLDER_LOOPS = "xla_cpu_use_fusion_emitters"


def quick_flags() -> str:
    """XLA's flags of this process, and XLA's older way of making loops of fusions, which compiles in half the time.

    XLA reads the flags before its first program, and ends the process at one that it does not know: newer ones do not
    have this one.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _OLDER_LOOPS in flags or not _is_known(_OLDER_LOOPS):
        return flags
    return f"--{_OLDER_LOOPS}=false {flags}".strip()


def _is_known(flag: str) -> bool:
    # as a text of its own: a flag that is gone is still among the reserved names
    name = b"\0" + flag.encode() + b"\0"
    for library in Path(jaxlib.__file__).parent.glob("*.so"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            if text.find(name) >= 0:
                return True
    return False
