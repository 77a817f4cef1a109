"""`python -m simulation` (in tests/): any number of operations, from any seed."""

import argparse
import sys
import time

from simulation.search import search


def main() -> int:
    """Run the simulation; 1 where it found something."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=1, help="the first world's seed (1)")
    options = parser.parse_args()
    start = time.perf_counter()
    summary = search(options.operations, options.seed)
    took = time.perf_counter() - start
    sys.stdout.write(
        f"{summary.operations} operations in {took:.1f} s, {summary.calls} STS calls\n"
    )
    for answer, count in sorted(summary.answers.items()):
        sys.stdout.write(f"  {answer}: {count}\n")
    if summary.finding is not None:
        sys.stdout.write(f"{summary.finding}\n")
    return int(summary.finding is not None)


if __name__ == "__main__":
    sys.exit(main())
