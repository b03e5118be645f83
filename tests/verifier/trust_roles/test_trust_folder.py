"""The trust list from a folder that something else fills, and a memory that several processes share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from trust_city import DAY, City, T

from onecert.verifier.errors import VerifyError
from onecert.verifier.trust_list import (
    FileState,
    MemoryState,
    Role,
    Seen,
    TrustListFolder,
    TrustListRollbackError,
    TrustListUnavailableError,
    load_trust_root,
)
from onecert.verifier.trust_list.published import LIST_FILE, ROOT_FILE, TIMESTAMP_FILE

MINUTE = timedelta(minutes=1)


@pytest.fixture
def city() -> City:
    return City().publish()


def fill(folder: Path, city: City, *names: str) -> None:
    """Copy files as a mirror does; every write changes the time of the file."""
    for name in names or city.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_bytes(city.files[name])
        os.utime(path, ns=(before + 10**9, before + 10**9))


def code(source: TrustListFolder, at: object = T) -> str:
    with pytest.raises(VerifyError) as caught:
        source.current(at)  # type: ignore[arg-type]
    return caught.value.code


@pytest.fixture
def source(city: City, tmp_path: Path) -> TrustListFolder:
    root = load_trust_root(city.first)
    return TrustListFolder(tmp_path / "mirror", root=root, state=FileState(tmp_path / "state" / "trust.json"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
@pytest.mark.parametrize("name", [TIMESTAMP_FILE, LIST_FILE, "trust-roots/2.json"])
def test_a_pipe_in_the_place_of_a_file(
    city: City, source: TrustListFolder, tmp_path: Path, name: str
) -> None:
    """Nobody writes into it: who reads it must not wait for ever. What is at hand serves on."""
    mirror = tmp_path / "mirror"
    fill(mirror, city)
    assert source.current(T).sequence == 1
    (mirror / name).unlink(missing_ok=True)
    os.mkfifo(mirror / name)
    assert source.current(T).sequence == 1
    # Some mirrors switch by a link.
    (mirror / name).unlink()
    if name in city.files:
        (tmp_path / "elsewhere").write_bytes(city.files[name])
        (mirror / name).symlink_to(tmp_path / "elsewhere")
    assert source.current(T + 2 * MINUTE).sequence == 1


def test_read_again_when_it_changes(city: City, source: TrustListFolder, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    assert code(source) == "TRUST_LIST_MISSING"
    fill(mirror, city)
    first = source.current(T)
    assert source.current(T + MINUTE) is first
    city.new_holders()
    city.publish()
    fill(mirror, city)
    assert source.current(T).sequence == 2


def test_while_somebody_copies(city: City, source: TrustListFolder, tmp_path: Path) -> None:
    """File after file: in between the parts do not fit, and those at hand serve on."""
    mirror = tmp_path / "mirror"
    fill(mirror, city)
    assert source.current(T).sequence == 1
    city.publish()
    fill(mirror, city, LIST_FILE)
    assert source.current(T).sequence == 1
    fill(mirror, city, TIMESTAMP_FILE)
    assert source.current(T).sequence == 2
    # Whoever starts in between has nothing to serve, for as long as it lasts.
    city.publish()
    fill(mirror, city, LIST_FILE)
    started = TrustListFolder(mirror, root=load_trust_root(city.first), state=MemoryState())
    assert code(started) == "TRUST_PARTS_MIXED"
    fill(mirror, city, TIMESTAMP_FILE)
    assert started.current(T).sequence == 3


def test_the_root_of_the_mirror_is_not_believed(city: City, source: TrustListFolder, tmp_path: Path) -> None:
    """Somebody replaces everything, ``trust-root.json`` as well."""
    thief = City().publish()
    fill(tmp_path / "mirror", thief)
    assert (tmp_path / "mirror" / ROOT_FILE).read_bytes() != city.first
    assert code(source) == "TRUST_TIMESTAMP_SIGNATURE"


def test_a_clock_that_is_set_right(city: City, source: TrustListFolder, tmp_path: Path) -> None:
    """Nothing in the folder changes, but what was in the future no longer is."""
    fill(tmp_path / "mirror", city)
    assert code(source, T - DAY) == "TRUST_ROOT_FUTURE"
    assert source.current(T).sequence == 1


def test_files_that_are_none(city: City, source: TrustListFolder, tmp_path: Path) -> None:
    fill(tmp_path / "mirror", city)
    (tmp_path / "mirror" / TIMESTAMP_FILE).unlink()
    (tmp_path / "mirror" / TIMESTAMP_FILE).mkdir()
    assert code(source) == "TRUST_LIST_MISSING"


# The memory.


def seen(number: int, epoch: int = 1, sha256: str = "") -> Seen:
    return Seen(epoch=epoch, number=number, sha256=sha256 or f"{number:064x}")


@pytest.mark.parametrize("role", list(Role))
def test_each_role_counts_for_itself(role: Role, tmp_path: Path) -> None:
    """Number and epoch never go back, and one number has one content; of no other role."""
    state = FileState(tmp_path / "trust.json")
    for other in Role:
        state.advance({other: seen(5 if other is role else 1)})
    for wrong, text in ((seen(4), "ROLLBACK"), (seen(5, sha256="f" * 64), "FORK")):
        with pytest.raises(TrustListRollbackError) as caught:
            state.advance({role: wrong})
        assert caught.value.code.endswith(text)
        assert caught.value.text("zh") != caught.value.code
    state.advance({role: seen(5)})
    state.advance({role: seen(2, epoch=2)})
    with pytest.raises(TrustListRollbackError):
        state.advance({role: seen(9)})
    for other in Role:
        state.advance({other: seen(1) if other is not role else seen(3, epoch=2)})


def test_all_or_nothing(tmp_path: Path) -> None:
    """One part goes back: the others are not remembered either, and nothing is stored."""
    state, stored = FileState(tmp_path / "trust.json"), list[str]()
    state.advance({Role.ROOT: seen(1), Role.LIST: seen(5)}, keep=lambda: stored.append("first"))
    before = (tmp_path / "trust.json").read_text()
    with pytest.raises(TrustListRollbackError):
        state.advance({Role.ROOT: seen(2), Role.LIST: seen(4)}, keep=lambda: stored.append("second"))
    assert ((tmp_path / "trust.json").read_text(), stored) == (before, ["first"])

    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(TrustListUnavailableError):
        state.advance({Role.ROOT: seen(2)}, keep=fail)
    assert (tmp_path / "trust.json").read_text() == before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"sequence": 5, "sha256": "x"}',
        '{"list": {"epoch": 1, "number": 5}}',
        '{"list": {"epoch": 0, "number": 5, "sha256": "x"}}',
        '{"list": {"epoch": 1, "number": 5, "sha256": "x"}, "more": 1}',
        "[" * 100_000,
    ],
)
def test_a_memory_that_cannot_be_read(content: str, tmp_path: Path) -> None:
    """Nothing is accepted blindly."""
    (tmp_path / "trust.json").write_text(content)
    with pytest.raises(TrustListUnavailableError) as caught:
        FileState(tmp_path / "trust.json").advance({Role.LIST: seen(9)})
    assert caught.value.code == "TRUST_LIST_STATE"


ADVANCE = """
import sys
from onecert.verifier.trust_list import FileState, Role, Seen, TrustListRollbackError
state, accepted = FileState(sys.argv[1]), []
for number in range(int(sys.argv[2]), 400, 2):
    try:
        state.advance({Role.LIST: Seen(epoch=1, number=number, sha256=f"{number:064x}")})
        accepted.append(number)
    except TrustListRollbackError:
        pass
print(*accepted)
"""


def test_two_processes(tmp_path: Path) -> None:
    """Even and odd numbers from two processes at once: each sees its own grow, and the highest stays."""
    path = tmp_path / "state" / "trust.json"
    running = [
        subprocess.Popen([sys.executable, "-c", ADVANCE, path, first], stdout=subprocess.PIPE, text=True)
        for first in ("1", "2")
    ]
    outputs = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    accepted = [[int(number) for number in output] for output in outputs]
    remembered: Mapping[str, object] = json.loads(path.read_text())["list"]
    assert remembered["number"] == max(max(numbers, default=0) for numbers in accepted) == 399
    assert [path.name for path in sorted(path.parent.iterdir())] == ["trust.json", "trust.json.lock"]
