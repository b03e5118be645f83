"""A fault at every place: ``python tests/sweep [--engine sqlite|postgresql|both] [--seed N] [--every N] …``.

Exit code 1 when an invariant is broken anywhere. Told to stop (SIGTERM), it reports what it has done so far.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "sweep"), str(TESTS / "ca")]

from sweep_runner import sweep  # noqa: E402
from sweep_scenarios import SCENARIOS  # noqa: E402
from sweep_worlds import Place, postgresql_place, postgresql_server, sqlite_place  # noqa: E402


@contextmanager
def _place(engine: str) -> Iterator[Place]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="sweep-", dir=memory if memory.is_dir() else None) as folder:
        if engine == "sqlite":
            yield sqlite_place(Path(folder))
            return
        with postgresql_server() as sockets, postgresql_place(Path(folder), sockets) as place:
            yield place


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/sweep", description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="only every so many-th run")
    parser.add_argument("--kills", type=int, default=100, help="runs that end by kill -9")
    parser.add_argument("--thorough", action="store_true", help="every fault at every place")
    parser.add_argument("--only", nargs="*", default=(), choices=[each.name for each in SCENARIOS])
    parser.add_argument("--seconds", type=float, help="stop then; the runs are taken in another order")
    parser.add_argument("--json", type=Path, help="write the report here")
    wanted = parser.parse_args()
    reports, is_stopped = [], threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: is_stopped.set())
    for engine in ("sqlite", "postgresql") if wanted.engine == "both" else (wanted.engine,):
        with _place(engine) as place:
            report = sweep(
                place,
                seed=wanted.seed,
                every=wanted.every,
                kills=wanted.kills,
                thorough=wanted.thorough,
                only=wanted.only,
                at_most_s=wanted.seconds,
                stopped=is_stopped.is_set,
                tell=lambda line: print(line, file=sys.stderr, flush=True),
            )
        reports.append(report)
        print(report.line(), flush=True)
    if wanted.json:
        wanted.json.write_text(json.dumps([each.as_json() for each in reports], indent=1, ensure_ascii=False))
    return 1 if any(report.broken for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
