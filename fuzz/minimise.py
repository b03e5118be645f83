"""The committed corpus: what long runs have found, merged to the fewest small inputs that reach as much.

libFuzzer's own merge does the work, in a process for each target. Each target has its share of the whole, and
the inputs that are largest for what they add stay out.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fuzz import targets
from fuzz.replay import CORPUS, FOLDER
from fuzz.runner import ROOT, WORK, write_seeds

# All targets together.
CORPUS_MAX_BYTES = 280 * 1024
_FILE_MAX_BYTES = 4096
_MERGE_MAX_S = 600
# Past findings stay, whatever they add.
FOUND = "found-"


def main(arguments: Sequence[str]) -> int:
    """Merge ``build/fuzz/corpus`` (or another folder of the same form) into ``fuzz/corpus``."""
    found = Path(arguments[0]) if arguments else WORK / "corpus"
    worst = 0
    for name in targets.NAMES:
        before = size_of(CORPUS / name)
        code = _merge(name, found / name)
        count = len(list((CORPUS / name).glob("*")))
        print(f"{name}: {before} -> {size_of(CORPUS / name)} bytes, {count} inputs")
        worst = max(worst, code)
    print(f"all: {sum(size_of(CORPUS / name) for name in targets.NAMES)} of {CORPUS_MAX_BYTES} bytes")
    return worst


def size_of(folder: Path) -> int:
    """Octets in a folder."""
    return sum(path.stat().st_size for path in folder.glob("*"))


def _merge(name: str, found: Path) -> int:
    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="onecert-fuzz-") as place:
        merged, seeds = Path(place) / "merged", Path(place) / "seeds"
        merged.mkdir()
        # What the seeds reach needs no file: they are made at the start of every run.
        write_seeds(name, seeds)
        shutil.copytree(seeds, merged, dirs_exist_ok=True)
        sources = [str(folder) for folder in (kept, found) if folder.is_dir()]
        command = [sys.executable, str(FOLDER), "child", name, place, "merge", "0", str(merged), *sources]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=_MERGE_MAX_S)
        if done.returncode:
            sys.stderr.buffer.write(done.stderr[-4000:])
            return 1
        made = {path.read_bytes() for path in seeds.iterdir()}
        chosen = sorted((path.read_bytes() for path in merged.iterdir()), key=lambda data: (len(data), data))
        room = CORPUS_MAX_BYTES // len(targets.NAMES)
        for path in kept.glob("*"):
            if not path.name.startswith(FOUND):
                path.unlink()
        for data in chosen:
            if data and data not in made and len(data) <= _FILE_MAX_BYTES and len(data) <= room:
                room -= len(data)
                (kept / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return 0
