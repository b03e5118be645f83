"""`make bench`: measure our figures beside their floor and a peer, in the same run, and write JSON rows.

Usage: python bench [--only PREFIX] [--out FILE] [--rounds N] [--seconds S]

Every file bench_*.py in this folder has a function ``rows()`` that yields ``harness.Row`` objects.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import harness


def main() -> int:
    """Run the chosen rows and write them; exit 1 when a row could not be measured."""
    options = argparse.ArgumentParser(prog="bench", description=__doc__)
    options.add_argument("--only", default="", help="measure only rows whose name starts with this")
    options.add_argument("--out", type=Path, default=Path("bench/results.json"))
    options.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the median counts")
    options.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    chosen = options.parse_args()
    results, failed = [], False
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        module = importlib.import_module(path.stem)
        if not any(name.startswith(chosen.only) for name in module.NAMES):
            continue
        for row in module.rows(chosen.only):
            try:
                result = harness.measure(row, rounds=chosen.rounds, seconds=chosen.seconds)
            except Exception as exc:
                print(f"{row.name}: could not be measured: {type(exc).__name__}: {exc}", file=sys.stderr)
                failed = True
                continue
            finally:
                row.close()
            results.append(result)
            print(json.dumps(result, ensure_ascii=False), flush=True)
    chosen.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
