"""What concerns all benchmarks.

python -m benchmarks tables [NAME [PART]]   prints the latest rows as the tables of the docs
python -m benchmarks tables --write         renews the tables in the docs
python -m benchmarks smoke [NAME ...]       runs the smallest parts, to see that they run
"""

import sys

from benchmarks.tables import ROOT, markdown, parts_of, read_rows, renew
from experiments.harness import names_in, smoke
from infotheory_dl._files import write_text

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["smoke", *names]:
            smoke("benchmarks", names)
        case ["tables", "--write"]:
            for page in sorted((ROOT / "docs").glob("*.md")):
                write_text(page, renew(page.read_text(encoding="utf-8")))
        case ["tables", *chosen] if len(chosen) <= 2:
            for name in chosen[:1] or names_in("benchmarks"):
                for part, table in parts_of(name).items():
                    if part in (chosen[1:] or [part]):
                        print(f"{name} {part}\n\n{markdown(table, read_rows(name, part))}")
        case _:
            raise SystemExit(__doc__)
