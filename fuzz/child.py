"""One target under atheris, in a process of its own: ``python fuzz child TARGET FOLDER END SEED CORPUS...``.

END is the time of day, in seconds as ``time.time`` counts, so that importing counts too; or ``merge``, which
leaves in the first corpus folder what adds to what it reaches.

A finding of Python is written down with the input and the run goes on; what kills the process (a signal, a
hang, too much memory) is left to libFuzzer, which writes ``crash-``, ``timeout-`` or ``oom-`` files into the
same folder. ``status.json`` there is renewed every second, so that it can be read whatever happens.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shlex
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# The library, and what of the CA reads requests of anybody.
INSTRUMENTED = [
    "onecert.verifier",
    "onecert.ca.der",
    "onecert.ca.ocsp.messages",
    "onecert.ca.timestamps.messages",
]
# Limits of the instrumented run. A call counts as slow after a second of CPU time; whether the library itself
# takes so long is then measured without instrumentation. libFuzzer's own alarm counts the clock on the wall,
# instrumented, perhaps on a busy machine, so that it is set where only a real hang arrives.
SLOW_S = 1.0
HANG_S = 25
RSS_LIMIT_MB = 1536
INPUT_MAX_BYTES = 16_384
_FINDINGS_MAX = 20
_SLOW_MAX = 10
_DER_SHARE = 3  # of four mutations


@dataclass
class Status:
    """What is known of a run so far."""

    inputs: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    rss_mb: list[int] = field(default_factory=list)  # every second that the status was written
    findings: list[str] = field(default_factory=list)  # files
    slow: list[str] = field(default_factory=list)  # files


class Run:
    """Calls the target, measures, writes down."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.status = Status()
        self._target = _load(name)
        self.is_der = self._target.is_der
        self._places: set[tuple[str, ...]] = set()
        self._began = self._written = time.monotonic()

    def one_input(self, data: bytes) -> None:
        """What libFuzzer calls."""
        begin = time.thread_time()
        try:
            self._target.run(data)
        except Exception as exc:
            self._note(exc, data)
        spent = time.thread_time() - begin
        status = self.status
        status.inputs += 1
        if 1000 * spent > status.slowest_ms:
            status.slowest_ms = round(1000 * spent, 1)
        if spent > SLOW_S and len(status.slow) < _SLOW_MAX:
            status.slow.append(self._save("slow", data))
        now = time.monotonic()
        if now - self._written >= 1:
            self._written = now
            self.write()

    def _note(self, exc: Exception, data: bytes) -> None:
        # One finding for each place: the last frames say which.
        frames = traceback.extract_tb(exc.__traceback__)
        place = (type(exc).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in frames[-2:]))
        if place in self._places or len(self._places) >= _FINDINGS_MAX:
            return
        self._places.add(place)
        file = self._save("finding", data)
        Path(f"{file}.txt").write_text("".join(traceback.format_exception(exc)), "utf-8", "backslashreplace")
        self.status.findings.append(file)
        self.write()

    def _save(self, kind: str, data: bytes) -> str:
        file = self.folder / f"{kind}-{hashlib.sha256(data).hexdigest()[:16]}"
        file.write_bytes(data)
        return str(file)

    def write(self) -> None:
        """Renew ``status.json``."""
        self.status.seconds = round(time.monotonic() - self._began, 1)
        self.status.rss_mb.append(_rss_mb())
        new = self.folder / "status.new"
        new.write_text(json.dumps(asdict(self.status)))
        new.replace(self.folder / "status.json")


def _rss_mb() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the highest so far
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return pages * resource.getpagesize() >> 20


def _load(name: str) -> Any:
    """Import the target, and with it the library, under instrumentation."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415  is not there on every machine

    with atheris.instrument_imports(
        include=[
            "onecert.verifier",
            "onecert.ca.ocsp.messages",
            "onecert.ca.timestamps.messages",
            "onecert.ca.der",
        ],
        enable_loader_override=False,
    ):
        from fuzz.targets import load  # noqa: PLC0415

        return load(name)


def _until(end: str, launcher: Path, seed: str) -> list[str]:
    """The options that say what is done, and until when."""
    if end == "again":
        return []
    if end != "merge":
        return [f"-max_total_time={max(int(float(end) - time.time()), 1)}"]  # 0 would be for ever
    # libFuzzer merges in processes that it starts itself, and adds options of its own to the name it was
    # started under: that is this script, and what it starts comes here again.
    command = [sys.executable, *sys.argv[:4], "again", seed]
    launcher.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    launcher.chmod(0o700)
    return ["-merge=1"]


def main(arguments: list[str]) -> None:
    """Fuzz until the time is over; does not return."""
    import atheris  # noqa: PLC0415

    name, folder, end, seed, *corpus = arguments
    run = Run(name, Path(folder))
    run.write()
    launcher = Path(folder) / "launch"
    options = [
        *_until(end, launcher, seed),
        f"-seed={seed}",
        f"-artifact_prefix={folder}/",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={RSS_LIMIT_MB}",
        f"-max_len={INPUT_MAX_BYTES}",
        "-len_control=0",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    further: dict[str, Any] = {}
    if run.is_der:
        from fuzz.mutator import mutate  # noqa: PLC0415

        def custom(data: bytes, max_size: int, mutation_seed: int) -> bytes:
            edited = mutate(data, mutation_seed) if mutation_seed % 4 < _DER_SHARE else None
            if edited is None or len(edited) > max_size:
                return atheris.Mutate(data, max_size)  # type: ignore[no-any-return]
            return edited

        further["custom_mutator"] = custom
    warnings.simplefilter("error")  # as in the ordinary tests: bytes of others are no reason for a warning
    atheris.Setup([str(launcher), *options, *corpus], run.one_input, **further)
    atheris.Fuzz()
