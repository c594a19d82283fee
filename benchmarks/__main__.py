"""`python -m benchmarks smoke [NAME ...]` runs the smallest parts of each benchmark, or of those named."""

import sys

from experiments.harness import smoke

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["smoke", *names]:
            smoke("benchmarks", names)
        case _:
            raise SystemExit(__doc__)
