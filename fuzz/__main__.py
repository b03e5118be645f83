"""``make fuzz``: the verifier under hostile bytes.

python fuzz run [--seconds S] [TARGET ...]   fuzz; one JSON line a target, exit code 1 on a finding
python fuzz TARGET FILE ...                  replay inputs, without atheris
python fuzz growth TARGET [FOLDER]           whether known inputs leave memory behind
python fuzz minimise [FOLDER]                merge what runs have found into the committed corpus
python fuzz list                             the targets
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # `fuzz` is a package, wherever it is started from

from fuzz import targets  # noqa: E402


def main(arguments: Sequence[str]) -> int:
    """Do what the first word says."""
    command, *rest = arguments or ["help"]
    if command == "run":
        from fuzz.runner import main as run  # noqa: PLC0415

        return run(rest)
    if command == "child":
        from fuzz.child import main as child  # noqa: PLC0415  only here is atheris needed

        child(rest)
        return 0
    if command == "minimise":
        from fuzz.minimise import main as minimise  # noqa: PLC0415

        return minimise(rest)
    if command == "list":
        print("\n".join(targets.NAMES))
        return 0
    if command == "growth" and rest and rest[0] in targets.NAMES:
        return growth(*rest)
    if command in targets.NAMES and rest:
        return replay(command, rest)
    print(__doc__, file=sys.stderr)
    return 2


def replay(name: str, files: Sequence[str]) -> int:
    """Run each file and say what it met."""
    from fuzz.replay import SLOWEST_S, run_timed  # noqa: PLC0415

    target = targets.load(name)
    warnings.simplefilter("error")
    worst = 0
    for file in files:
        try:
            seconds = run_timed(target, Path(file).read_bytes()).seconds
        except Exception:
            traceback.print_exc()
            print(f"{file}: FINDING")
            worst = 1
            continue
        slow = seconds > SLOWEST_S
        print(f"{file}: {'TOO SLOW' if slow else 'fine'}, {1000 * seconds:.1f} ms")
        worst = max(worst, int(slow))
    return worst


def growth(name: str, folder: str = "") -> int:
    """Run the committed inputs, and those of a folder, again and again."""
    from fuzz.replay import GROWTH_MAX_BYTES, corpus_of, growth_of, some_of  # noqa: PLC0415

    grown = growth_of(targets.load(name), [*corpus_of(name), *some_of(folder)])
    print(f"{name}: {grown} bytes more after the same inputs")
    return int(grown > GROWTH_MAX_BYTES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
