"""The city's register from beside the trust list, on a real server that may answer anything.

timestamp names the snapshot -> registry.json -> registry.jsonl, from where the last transfer broke off
"""

from __future__ import annotations

import socket
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "trust_roles"))
sys.path.insert(0, str(Path(__file__).parents[1] / "registry"))

from registry_files import FIRM, KEY, OTHER, REGNO, Register, row
from trust_city import DAY, City, T

from onecert.testkit.trust_roles import RoleHolders, make_keys
from onecert.verifier import CouldNotCheckError, FileState, TrustListUrl, VerifyError, load_trust_root
from onecert.verifier.fetch import FetchAnswer, FetchRequest, RegistryUrl
from onecert.verifier.identity.registry import ClosedEntities, RegistryUnavailableError

MINUTE = timedelta(minutes=1)
STAMP, HEAD, ROWS = "/s/trust-timestamp.json", "/s/registry.json", "/s/registry.jsonl"
ORG = f"org:{FIRM[8:17]}"


class Site:
    """The city's files on the web server of the tests, with a register."""

    def __init__(self, web: Any, folder: Path) -> None:
        self.web, self.folder = web, folder
        self.city = City()
        self.city.holders.registry = RoleHolders((KEY,), 1)
        (folder / "made").mkdir()
        self.register = Register(folder / "made")
        self.number = 0
        self.city.publish_root()
        self.city.publish_list()
        self.publish([row(FIRM, org=FIRM[8:17])])

    def publish(self, rows: list[Any], *, serve: bool = True, number: int | None = None, **made: Any) -> None:
        """A new snapshot, and a timestamp that names it."""
        self.number = self.number + 1 if number is None else number
        self.register.write(rows, number=self.number, **made)
        self.stamp((self.register.folder / "registry.json").read_bytes())
        if serve:
            self.serve()

    def stamp(self, registry: bytes | None) -> None:
        city = self.city
        city.stamp += 1
        city.files["trust-timestamp.json"] = city.holders.sign_timestamp(
            city.stamp,
            at=city.at,
            root=city.files["trust-root.json"],
            trust_list=city.files["trust-list.json"],
            registry=registry,
        )
        for name, data in city.files.items():
            self.web.pages[f"/s/{name}"] = self.web.response(data)

    def serve(self) -> None:
        for name in ("registry.json", "registry.jsonl"):
            data = (self.register.folder / name).read_bytes()
            self.web.pages[f"/s/{name}"] = self.web.response(data)

    def department(self, **settings: Any) -> Department:
        return Department(self, **settings)


class Department:
    """A process of a department: the trust list and the register, with one folder."""

    def __init__(self, site: Site, **settings: Any) -> None:
        state = FileState(site.folder / "state" / "trust.json")
        address = site.web.url("/s/trust-list.json")
        self.registry = RegistryUrl(address, folder=site.folder / "pki" / "registry", state=state, **settings)
        self.lists = TrustListUrl(
            address,
            root=load_trust_root(site.city.first),
            folder=site.folder / "pki",
            state=state,
            every=10 * MINUTE,
            then=self.registry.follow,
        )

    def look(self, at: datetime = T) -> RegistryUrl:
        """What a login does first; then the thread that fetches has time to end."""
        self.lists.current(at)
        assert self.registry.wait(30)
        return self.registry

    def code(self, at: datetime = T) -> str:
        """Why the newest snapshot is not there."""
        failure = self.look(at).failure
        return "" if failure is None else failure.code


@pytest.fixture
def site(web: Any, tmp_path: Path) -> Site:
    return Site(web, tmp_path)


def find(registry: RegistryUrl, canonical: str = ORG, at: datetime = T) -> Any:
    found = registry.find(canonical, at)
    return None if found is None else (found.uscc, found.warnings)


def test_it_is_fetched_and_answers(site: Site) -> None:
    """An older number leads to the credit code; a number that nobody has leads nowhere."""
    registry = site.department().look()
    assert find(registry) == (FIRM, ())
    assert find(registry, f"regno:{REGNO}") is None
    assert [alias.id for alias in registry.aliases_of(f"uscc:{FIRM}", T)] == [ORG]
    head = registry.head(T)
    assert head is not None
    assert (head.number, registry.is_behind) == (1, False)


def test_only_a_new_name_is_fetched(site: Site) -> None:
    """New timestamps that name the same snapshot ask for nothing; a new number is fetched and answers."""
    department = site.department()
    department.look()
    site.stamp((site.register.folder / "registry.json").read_bytes())
    department.look(T + 20 * MINUTE)
    assert (site.web.count(HEAD), site.web.count(ROWS)) == (1, 1)
    site.publish([row(FIRM, org=FIRM[8:17]), row(OTHER, regno=[REGNO])])
    registry = department.look(T + 40 * MINUTE)
    assert find(registry, f"regno:{REGNO}") == (OTHER, ())
    assert site.web.count(ROWS) == 2
    kept = sorted(path.suffix for path in (site.folder / "pki" / "registry").glob("r*-*[!k]"))
    assert kept == [".jsonl", ".sqlite"]


def test_a_city_without_a_register(site: Site) -> None:
    """Its root names no keys, or no timestamp has named a snapshot yet: nothing is found, nothing asked."""
    site.stamp(None)
    registry = site.department().look()
    assert find(registry) is None
    assert not registry.is_behind
    site.city.holders.registry = None
    site.city.publish_root()
    site.stamp((site.register.folder / "registry.json").read_bytes())
    assert find(site.department().look()) is None
    assert site.web.count(HEAD) == 0


def test_it_disappears_from_the_timestamp(site: Site) -> None:
    """Whoever has the online key cannot make us forget the register: what is at hand answers, and warns."""
    department = site.department()
    department.look()
    site.stamp(None)
    registry = department.look(T + 20 * MINUTE)
    assert find(registry) == (FIRM, ("REGISTRY_BEHIND",))
    assert find(site.department().look(T + 20 * MINUTE)) == (FIRM, ("REGISTRY_BEHIND",))


def test_network_gone_after_a_restart(site: Site) -> None:
    """The copies serve."""
    site.department().look()
    site.web.pages.clear()
    registry = site.department().look()
    assert find(registry) == (FIRM, ())


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("no head", "FETCH_STATUS"),
        ("no rows", "FETCH_STATUS"),
        ("old head", "TRUST_PARTS_MIXED"),
        ("other rows", "REGISTRY_DATA"),
        ("too many octets", "FETCH_TOO_LARGE"),
        ("truncated", "FETCH_TRUNCATED"),
        ("another key", "REGISTRY_SIGNATURE"),
        ("a wrong row", "REGISTRY_LINE"),
        ("over", "REGISTRY_EXPIRED"),
        ("a huge head", "FETCH_TOO_LARGE"),
    ],
)
def test_what_is_wrong_leaves_the_one_at_hand(site: Site, fault: str, code: str) -> None:
    """What it knows is answered with a warning, until its end; what it does not know nobody can tell."""
    department = site.department()
    department.look()
    old = dict(site.web.pages)
    made: dict[str, Any] = {}
    if fault == "another key":
        made["key"] = make_keys(1)[0]
    if fault == "over":
        made["head"] = {"issued_at": "2026-10-01T00:00:00Z", "next_update": "2026-11-01T00:00:00Z"}
    if fault == "a wrong row":
        made["lines"] = b'{"uscc":"1"}\n'
    site.publish([row(FIRM, org=FIRM[8:17]), row(OTHER, regno=[REGNO])], **made)
    rows = (site.register.folder / "registry.jsonl").read_bytes()
    pages, web = site.web.pages, site.web
    if fault.startswith("no "):
        del pages[HEAD if fault == "no head" else ROWS]
    if fault == "old head":
        pages[HEAD] = old[HEAD]
    if fault == "other rows":
        pages[ROWS] = web.response(bytes(len(rows)))
    if fault == "too many octets":
        pages[ROWS] = web.response(rows + b"\n")
    if fault == "truncated":
        pages[ROWS] = web.response(b"", Content_Length=str(len(rows)))
    if fault == "a huge head":
        pages[HEAD] = web.response(bytes(100_000))
    assert department.code(T + 20 * MINUTE) == code
    registry = department.registry
    assert find(registry) == (FIRM, ("REGISTRY_BEHIND",))
    with pytest.raises(RegistryUnavailableError) as caught:
        find(registry, f"regno:{REGNO}")
    assert code in str(caught.value)
    site.city.at = T + 31 * DAY
    site.city.publish_list()
    site.stamp((site.register.folder / "registry.json").read_bytes())
    with pytest.raises(RegistryUnavailableError, match="REGISTRY_EXPIRED"):
        find(department.look(T + 31 * DAY))


def test_right_again_after_a_fault(site: Site) -> None:
    """The next try is with the next refresh of the trust list."""
    department = site.department()
    page = site.web.pages.pop(ROWS)
    assert department.code() == "FETCH_STATUS"
    with pytest.raises(RegistryUnavailableError):
        find(department.registry)
    site.web.pages[ROWS] = page
    assert find(department.look(T + 20 * MINUTE)) == (FIRM, ())


def test_rolled_back(site: Site) -> None:
    """A timestamp of a stolen key names the snapshot of yesterday: refused, also after a restart."""
    department = site.department()
    yesterday = {name: site.web.pages[name] for name in (HEAD, ROWS)}
    signed = (site.register.folder / "registry.json").read_bytes()
    site.publish([row(FIRM, org=FIRM[8:17], state="cancelled")])
    department.look()
    site.stamp(signed)
    site.web.pages.update(yesterday)
    assert department.code(T + 20 * MINUTE) == "REGISTRY_ROLLBACK"
    for registry in (department.registry, site.department().look(T + 20 * MINUTE)):
        with pytest.raises(VerifyError) as caught:
            find(registry)
        assert caught.value.code == "ENTITY_CANCELLED"


def test_closed_entities(site: Site) -> None:
    """The department's own rule."""
    site.publish([row(FIRM, org=FIRM[8:17], state="cancelled")])
    registry = site.department(closed=ClosedEntities(cancelled="warn")).look()
    assert registry.find(ORG, T).state == "cancelled"  # type: ignore[union-attr]  # it is found


def test_new_keys_of_the_register(site: Site) -> None:
    """What the former keys have signed is not asked any more from the moment that the root names others."""
    department = site.department()
    department.look()
    key = make_keys(1)[0]
    site.city.holders.registry = RoleHolders((key,), 1)
    site.city.publish_root()
    site.stamp((site.register.folder / "registry.json").read_bytes())
    assert department.code(T + 20 * MINUTE) == "REGISTRY_SIGNATURE"
    with pytest.raises(RegistryUnavailableError):
        find(department.registry)
    site.publish([row(FIRM, org=FIRM[8:17])], key=key)
    assert find(department.look(T + 40 * MINUTE)) == (FIRM, ())


def test_a_transfer_goes_on(site: Site) -> None:
    """A line that breaks off after some octets, again and again: each request asks for the rest only."""
    data = (site.register.folder / "registry.jsonl").read_bytes()
    third = len(data) // 3 + 1

    def answer(asked: Any) -> bytes:
        start = int(asked.headers.get("range", "bytes=0-")[6:-1])
        status = "206 Partial Content" if start else "200 OK"
        place = f"bytes {start}-{len(data) - 1}/{len(data)}"
        left = str(len(data) - start)
        body = data[start : start + third]
        return bytes(
            site.web.response(body, status, Content_Range=place if start else "", Content_Length=left)
        )

    site.web.pages[ROWS] = answer
    assert find(site.department().look()) == (FIRM, ())
    ranges = [asked.headers.get("range") for asked in site.web.asked if asked.path == ROWS]
    assert ranges == [None, f"bytes={third}-", f"bytes={2 * third}-"]


def test_a_server_that_cannot_go_on(site: Site) -> None:
    """It sends everything again, and the file begins anew."""
    data = (site.register.folder / "registry.jsonl").read_bytes()
    broken = [data[:40]]

    def answer(asked: Any) -> bytes:
        body = broken.pop() if broken else data
        return bytes(site.web.response(body, Content_Length=str(len(data))))

    site.web.pages[ROWS] = answer
    assert find(site.department().look()) == (FIRM, ())


def test_a_transfer_goes_on_after_a_restart(site: Site) -> None:
    """The part that came stays in the folder."""
    data = (site.register.folder / "registry.jsonl").read_bytes()
    good = site.web.pages[ROWS]
    site.web.pages[ROWS] = lambda asked: (
        site.web.response(b"gone", "404 Not Found")
        if "range" in asked.headers
        else site.web.response(data[:40], Content_Length=str(len(data)))
    )
    assert site.department().code() == "FETCH_STATUS"
    site.web.pages[ROWS] = good
    site.department().look()
    assert [a.headers.get("range") for a in site.web.asked if a.path == ROWS][-1] == "bytes=40-"


def test_a_fetcher_without_files(site: Site) -> None:
    """Somebody's own way through a proxy answers with octets; that is as good."""

    def fetch(request: FetchRequest) -> FetchAnswer:
        name = request.url.rpartition("/")[2]
        return FetchAnswer(data=(site.register.folder / name).read_bytes())

    assert find(site.department(fetch=fetch).look()) == (FIRM, ())


def test_damaged_rows_are_fetched_again(site: Site) -> None:
    """Both copies in the folder are damaged: what is there is not believed, and put right."""
    site.department().look()
    folder = site.folder / "pki" / "registry"
    for path in [*folder.glob("rows-*"), *folder.glob("*.sqlite")]:
        path.write_bytes(b"rubbish")
    assert find(site.department().look()) == (FIRM, ())


def test_two_processes_fetch_once(site: Site) -> None:
    """The second finds what the first has brought."""
    first, second = site.department(), site.department()
    assert find(first.look()) == find(second.look()) == (FIRM, ())
    assert site.web.count(ROWS) == 1


def test_no_login_waits_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first who asks waits a little, nobody later; all of them hear that it is on its way."""
    monkeypatch.setattr("onecert.verifier.fetch.registry_url._FIRST_S", 0.01)
    going = socket.socketpair()

    def hold(connection: socket.socket) -> None:
        going[1].recv(1)

    site.web.streams[ROWS] = hold
    department = site.department()
    department.lists.current(T)
    for _ in range(2):
        with pytest.raises(CouldNotCheckError, match="being fetched"):
            find(department.registry)
    going[0].close()
    assert department.registry.wait(30)
    going[1].close()
