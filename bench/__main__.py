"""`make bench`: measure our figures beside their floor and a peer, in the same run, and write JSON rows.

Usage: python bench [--only PREFIX] [--out FILE] [--rounds N] [--seconds S] [--entries N] [--list]

Every file bench_*.py in this folder registers rows with ``harness.benchmark``. Rows go to the file
and, one JSON object a line, to standard output; what is being done goes to standard error.
"""

import argparse
import importlib
import json
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

import harness  # noqa: E402  lies beside this file, which may be started from anywhere


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen rows and write them; exit 1 when one could not be measured, 2 when none has the name."""
    options = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--only", default="", help="only rows whose name starts so; several: A,B")
    options.add_argument("--out", type=Path, default=FOLDER / "results.json")
    options.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the median counts")
    options.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    options.add_argument("--entries", type=int, default=1_000_000, help="of long lists; fewer to try out")
    options.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    chosen = options.parse_args(arguments)
    harness.sizes.entries = chosen.entries
    prefixes = tuple(chosen.only.split(","))
    for path in sorted(FOLDER.glob("bench_*.py")):
        member = path.stem.removeprefix("bench_")
        if any(member.startswith(prefix.partition(".")[0]) for prefix in prefixes):
            importlib.import_module(path.stem)
    names = harness.names(prefixes)
    if not names:
        say(f"no row's name starts with {chosen.only!r}; --list prints the names")
        return 2
    if chosen.list:
        print("\n".join(names))
        return 0
    # Ended from outside, we still stop the programs that we started and remove our folder.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    results: list[dict[str, Any]] = []
    for count, name in enumerate(names, 1):
        say(f"[{count}/{len(names)}] {name}", end="")
        began = time.perf_counter()
        try:
            with harness.set_up(name) as row:
                result = harness.measure(name, row, rounds=chosen.rounds, seconds=chosen.seconds)
        except Exception as exc:
            say(f": could not be measured: {type(exc).__name__}: {exc}")
            traceback.print_exc()
            continue
        say(f": {shown(result)}  ({time.perf_counter() - began:.0f} s)")
        for note in row.notes:
            say(f"    {note}")
        print(json.dumps(result, ensure_ascii=False), flush=True)
        results.append(result)
        write(chosen.out, results)
    return 0 if len(results) == len(names) else 1


def shown(result: dict[str, Any]) -> str:
    """One result for a person."""
    text = f"{result['ours']:,} {result['unit']}"
    others = [("the floor", result["floor_ratio"])] if result["floor"] is not None else []
    others += [(peer["name"], peer["ratio"]) for peer in result["peers"]]
    return "; ".join((text, *(f"{ratio} of {name}" for name, ratio in others)))


def write(out: Path, results: list[dict[str, Any]]) -> None:
    """Write what is measured so far, so that an interrupted run keeps it."""
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    scratch = out.with_name(out.name + ".new")
    scratch.write_text(text, "utf-8")
    scratch.replace(out)


def say(text: str, end: str = "\n") -> None:
    """Talk to the person who watches."""
    print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
