"""The page of the docs that tells the columns of every table that a command writes."""

import csv
import re
from pathlib import Path

from infotheory_dl.audit.regression.table import MEANINGS as OF_NUMBERS
from infotheory_dl.audit.table import MEANINGS

PAGE = Path(__file__).parent.parent / "docs" / "files.md"
_OWNERS = {"audit/table.py": MEANINGS, "audit/regression/table.py": OF_NUMBERS}


def page() -> str:
    """The page, with the columns of each `scores.csv` as the audits describe them."""
    text = PAGE.read_text(encoding="utf-8")
    for owner, meanings in _OWNERS.items():
        rows = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in meanings.items())
        scores = re.compile(rf"(<!-- MEANINGS of {owner} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = scores.sub(rf"\1| column | |\n|---|---|\n{rows}\2", text)
    return text


def columns_of(command: str, table: str) -> set[str]:
    """The columns that the page tells of a table; of names with a number, the K stands for it."""
    part = page().partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| [`*](\w+)[`*] \|", part.partition(f"\n### {table}\n")[2].partition("\n### ")[0], re.M))


def require_described(command: str, folder: Path, *, own: tuple[str, ...] = ()) -> None:
    """Asserts that the page tells all columns of all tables in a folder, but those that have names of the user."""
    tables = sorted(folder.glob("*.csv"))
    assert tables
    for table in tables:
        with table.open(newline="", encoding="utf-8") as stream:
            header = next(csv.reader(stream))
        told = columns_of(command, f"`{table.name}`")
        names = {re.sub(r"_\d+$", "_K", name) if name not in told else name for name in header if name not in own}
        assert names <= told, f"{PAGE.name} does not tell {names - told} of {table.name}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
