"""`python -m experiments smoke [NAME ...]` runs the smallest preset of each experiment, or of those named."""

import sys

from experiments.harness import smoke

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["smoke", *names]:
            smoke("experiments", names)
        case _:
            raise SystemExit(__doc__)
