"""The folder that processes share: survives restarts, and is never in the way when it is broken."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError, CrlFolder, FetchCache, FetchRules
from onecert.verifier.fetch import FetchAnswer, FetchRequest
from onecert.verifier.fetch.documents import Kind, Place
from onecert.verifier.fetch.folder import CacheFolder

URL = "http://crl.example/a.crl"
PLACE = Place(URL, Kind.CRL)
HOUR = timedelta(hours=1)
EXACT = FetchRules(jitter=0)


class Network:
    def __init__(self, data: bytes) -> None:
        self.data: bytes | None = data
        self.requests: list[FetchRequest] = []

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        self.requests.append(request)
        if self.data is None:
            raise CouldNotCheckError("FETCH_TIMEOUT", url=request.url, seconds=10)
        return FetchAnswer(data=self.data, etag='"1"')


@pytest.fixture
def network(pki: Any) -> Network:
    return Network(pki.crl(pki.root()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "caches" / "fetched"


def file(folder: Path, suffix: str) -> Path:
    return folder / f"{PLACE.name}.{suffix}"


def test_a_restart_asks_nobody(pki: Any, network: Network, folder: Path) -> None:
    """What the first process fetched serves the second; a day later it is confirmed with the kept tag."""
    first = FetchCache(network, folder=folder).get(PLACE, pki.T)
    second = FetchCache(network, folder=folder).get(PLACE, pki.T + HOUR / 2)
    assert second.der == first.der  # type: ignore[union-attr]  # both are lists
    assert len(network.requests) == 1
    FetchCache(network, folder=folder).get(PLACE, pki.T + 2 * HOUR)
    assert network.requests[1].etag == '"1"'
    # Failures are shared too.
    network.data = None
    for _ in range(2):
        FetchCache(network, folder=folder).get(PLACE, pki.T + 4 * HOUR)
    assert len(network.requests) == 3


def test_what_another_process_has_may_be_due_as_well(pki: Any, network: Network, folder: Path) -> None:
    """Two processes; the newer copy of the other one is old by now too: asked in the same call."""
    one, other = (FetchCache(network, folder=folder, rules=EXACT) for _ in range(2))
    one.get(PLACE, pki.T)
    other.get(PLACE, pki.T)
    other.get(PLACE, pki.T + HOUR)
    assert len(network.requests) == 2
    one.get(PLACE, pki.T + HOUR + HOUR / 2)  # taken over
    assert len(network.requests) == 2
    other.get(PLACE, pki.T + 2 * HOUR)
    one.get(PLACE, pki.T + 4 * HOUR)
    assert len(network.requests) == 4


def test_another_process_does_not_bring_back_an_older_list(pki: Any, network: Network, folder: Path) -> None:
    """One process knows list 50; the other, with a memory of its own, was shown 49 and wrote it down."""
    root = pki.root()
    network.data = pki.crl(root, number=50)
    one = FetchCache(network, folder=folder, rules=EXACT)
    known = one.get(PLACE, pki.T)
    for path in folder.iterdir():
        path.unlink()
    network.data = pki.crl(root, number=49)
    FetchCache(network, folder=folder, rules=EXACT).get(PLACE, pki.T + HOUR / 2)
    assert one.get(PLACE, pki.T + HOUR) is known


def test_modes(pki: Any, network: Network, folder: Path) -> None:
    """Nobody else on the machine reads or writes there; no lock and no half file stays behind."""
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{PLACE.name}.crl", f"{PLACE.name}.json"]
    )


def test_the_lists_are_ordinary_files(pki: Any, network: Network, folder: Path) -> None:
    """Another program reads them with a CrlFolder."""
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    lists = CrlFolder(folder)
    lists.refresh(pki.T, now=True)
    assert lists._evidence.version


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 10_000,
        b"{}",
        b"x" * 20_000,
        json.dumps({"url": 1, "kind": "crl", "fetched_at": "x", "sha256": None}).encode(),
        json.dumps(
            {
                "url": URL,
                "kind": "crl",
                "fetched_at": "2026-11-21T09:00:00",
                "sha256": "",
                "etag": "",
                "last_modified": "",
                "max_age_s": None,
            }
        ).encode(),
    ],
)
def test_corrupt_records_are_ignored(pki: Any, network: Network, folder: Path, content: bytes) -> None:
    """Then it is fetched as if nothing were there."""
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    file(folder, "json").write_bytes(content)
    file(folder, "down").write_bytes(content)
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    assert len(network.requests) == 2
    assert network.requests[1].etag == ""


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"", lambda data: b"<html>"])
def test_corrupt_lists_are_ignored(pki: Any, network: Network, folder: Path, change: Any) -> None:
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    path = file(folder, "crl")
    path.write_bytes(change(path.read_bytes()))
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    assert len(network.requests) == 2


def test_a_pipe_or_a_link_does_not_block(pki: Any, network: Network, folder: Path, tmp_path: Path) -> None:
    """Whatever lies under our names is not followed and not waited for; then it is replaced."""
    folder.mkdir(parents=True)
    os.mkfifo(file(folder, "json"))
    (tmp_path / "precious").write_bytes(b"precious")
    file(folder, "crl").symlink_to(tmp_path / "precious")
    file(folder, "down").mkdir()
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    assert len(network.requests) == 1


def test_a_record_from_the_future_is_not_believed(pki: Any, network: Network, folder: Path) -> None:
    """Another machine's clock ran ahead by a day: fetched anew."""
    FetchCache(network, folder=folder).get(PLACE, pki.T + 24 * HOUR)
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    assert len(network.requests) == 2


def test_unusable_folder(pki: Any, network: Network, tmp_path: Path) -> None:
    """There is a file where the folder should be: memory serves."""
    (tmp_path / "file").write_bytes(b"")
    cache = FetchCache(network, folder=tmp_path / "file")
    cache.get(PLACE, pki.T)
    cache.get(PLACE, pki.T)
    assert len(network.requests) == 1


@pytest.mark.parametrize("call", ["mkstemp", "replace", "open", "mkdir", "flock", "scandir", "unlink"])
def test_full_disk(
    pki: Any, network: Network, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whatever the operating system refuses: the list is there, only the sharing is lost."""

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    module = "tempfile" if call == "mkstemp" else "fcntl" if call == "flock" else "os"
    if call == "mkdir":
        monkeypatch.setattr(Path, "mkdir", fail)
    else:
        monkeypatch.setattr(f"{module}.{call}", fail)
    cache = FetchCache(network, folder=folder)
    cache.get(PLACE, pki.T)
    cache.get(PLACE, pki.T + 2 * HOUR)
    assert len(network.requests) == 2
    network.data = None
    cache.get(PLACE, pki.T + 4 * HOUR)


def test_eviction(pki: Any, network: Network, folder: Path) -> None:
    """Of four documents the three confirmed last stay; files of others are neither counted nor touched."""
    root = pki.root()
    folder.mkdir(parents=True)
    foreign = {"notes.txt", "a.crl", "f" * 31 + ".crl", "f" * 32 + ".pem"}
    for name in foreign:
        (folder / name).write_bytes(bytes(1000))
    rules = FetchRules(max_documents=3)
    places = [Place(f"{URL}{number}", Kind.CRL) for number in range(4)]
    for number, place in enumerate(places):
        network.data = pki.crl(root, number=number + 1)
        FetchCache(network, folder=folder, rules=rules).get(place, pki.T)
        for path in folder.glob(f"{place.name}.*"):
            os.utime(path, (number, number))
    kept = {path.stem for path in folder.glob("*.json")}
    assert kept == {place.name for place in places[1:]}
    assert foreign <= {path.name for path in folder.iterdir()}


def test_strangers_do_not_push_out_lists(pki: Any, network: Network, folder: Path) -> None:
    """Anybody can make us fetch certificates: they go first, although they are newer."""
    rules = FetchRules(max_documents=2)
    FetchCache(network, folder=folder, rules=rules).get(PLACE, pki.T)
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    network.data = pki.root().der
    for number in range(4):
        place = Place(f"http://maze.example/{number}", Kind.CERTIFICATES)
        FetchCache(network, folder=folder, rules=rules).get(place, pki.T)
    assert file(folder, "crl").exists()
    assert len(list(folder.glob("*.certificates"))) == 1


def test_eviction_by_size(pki: Any, network: Network, folder: Path) -> None:
    rules = FetchRules(max_bytes=1)
    for number in range(3):
        FetchCache(network, folder=folder, rules=rules).get(Place(f"{URL}{number}", Kind.CRL), pki.T)
    assert len(list(folder.glob("*.crl"))) == 1


# Locks.


def test_a_lock_file_left_behind_is_in_nobodys_way(pki: Any, network: Network, folder: Path) -> None:
    """The process that made it was killed."""
    folder.mkdir(parents=True)
    file(folder, "lock").write_bytes(b"4711")
    FetchCache(network, folder=folder).get(PLACE, pki.T)
    assert len(network.requests) == 1


def test_the_lock_keeps_out(folder: Path) -> None:
    """One holder at a time, whoever opens the file; after that it is free again."""
    one, other = (CacheFolder(folder, max_bytes=1, max_documents=1) for _ in range(2))
    with one.lock("a", 0) as got:
        assert got
        with other.lock("a", 0) as also:
            assert not also
        with other.lock("b", 0) as another:
            assert another
    with other.lock("a", 0) as got:
        assert got


def test_the_lock_is_one_at_a_time(folder: Path) -> None:
    """Four threads, each a hundred times: never two inside, although the file comes and goes."""
    inside, most = 0, 0
    guard = threading.Lock()

    def enter(_: int) -> None:
        nonlocal inside, most
        with CacheFolder(folder, max_bytes=1, max_documents=1).lock("a", 30) as got:
            assert got
            with guard:
                inside += 1
                most = max(most, inside)
            with guard:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter, range(100)))
    assert most == 1


def test_the_lock_of_a_file_that_is_gone_keeps_nobody_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B opens the file that A holds; A ends and removes it, C makes a new one and holds that: B must wait,
    although the old file is free."""
    a, b, c = (CacheFolder(folder, max_bytes=1, max_documents=1).lock("x", 0) for _ in range(3))
    a.__enter__()
    real = fcntl.flock
    held = []

    def flock(descriptor: int, how: int) -> None:
        monkeypatch.setattr("fcntl.flock", real)
        a.__exit__(None, None, None)
        held.append(c.__enter__())
        real(descriptor, how)

    monkeypatch.setattr("fcntl.flock", flock)
    with b as got:
        assert (held, got) == ([True], False)
    c.__exit__(None, None, None)


def test_while_another_process_asks(pki: Any, network: Network, folder: Path) -> None:
    """It holds the lock: who has an old copy goes on with it, and does not ask as well."""
    cache = FetchCache(network, folder=folder, rules=EXACT)
    cache.get(PLACE, pki.T)
    with CacheFolder(folder, max_bytes=1, max_documents=1).lock(PLACE.name, 0):
        cache.get(PLACE, pki.T + 2 * HOUR)
    assert len(network.requests) == 1
    cache.get(PLACE, pki.T + 2 * HOUR)
    assert len(network.requests) == 2


PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from onecert.verifier import FetchCache, HttpFetch
from onecert.verifier.fetch.documents import Kind, Place

folder, url, at = sys.argv[1:]
cache = FetchCache(HttpFetch(allow=["127.0.0.1"]), folder=Path(folder))

def get(number):
    return len(cache.get(Place(f"{url}{number % 3}", Kind.CRL), datetime.fromisoformat(at)).der)

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(4) as pool:
    print(set(pool.map(get, range(12))), flush=True)
"""


def test_processes_ask_once(pki: Any, web: Any, folder: Path) -> None:
    """Two processes, each with four threads that want the same three lists: three requests in all."""
    data = pki.crl(pki.root())
    for number in range(3):
        web.serve(f"/{number}", data)
    command = [sys.executable, "-c", PROCESS, str(folder), web.url("/"), pki.T.isoformat()]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output) == (0, f"{{{len(data)}}}\n")
    assert sorted(asked.path for asked in web.asked) == ["/0", "/1", "/2"]
