"""The register of legal entities at the counter: asked, shown, frozen, never taken for a yes that it is not.

folder or address of the city -> job -> the member's own folder -> form, submit, review
"""

import functools
import json
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ra_fakes import OTHER_USCC, USCC, T

sys.path.insert(0, str(Path(__file__).parents[1] / "verifier" / "registry"))
sys.path.insert(0, str(Path(__file__).parents[1] / "verifier" / "trust_roles"))

import trust_city
from registry_files import DAY, KEY, THIRD, Register, row
from test_ra_pages import FORM, enter

from onecert.ra.errors import ContentChangedError, InvalidApplicationError
from onecert.ra.models import applications
from onecert.ra.registry.answers import Answer, NoRegistry, refusal
from onecert.ra.registry.snapshot import make_registry
from onecert.testkit.trust_roles import RoleHolders, TrustHolders, make_keys

NAME = FORM["organization_name"]
ROWS = [
    row(USCC, NAME),
    row(OTHER_USCC, "深圳市灯笼贸易有限公司", state="cancelled", until="2026-06-30T00:00:00Z"),
]


class City:
    """A register in a folder, the root that names its key, and what the RA makes of both."""

    def __init__(self, folder: Path) -> None:
        self.published = folder / "published"
        self.published.mkdir()
        self.register = Register(self.published)
        holders = TrustHolders(registry=RoleHolders((KEY,), 1))
        self.root = folder / "trust-root.json"
        self.root.write_bytes(holders.sign_root(at=T - DAY))
        self.own = folder / "own"
        self.registry = make_registry(str(self.published), self.root, self.own)

    def publish(self, rows, **made):
        self.register.write(rows, **made)
        self.registry.refresh(T)


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    made.publish(ROWS)
    yield made
    made.registry.close()


def test_what_the_register_says(city) -> None:
    """The name, a closed entity, nobody of this code; each with the day of the snapshot."""
    found = city.registry.look(USCC, T)
    assert (found.verdict(NAME), found.verdict("别的公司"), found.as_of) == ("matches", "differs", T - DAY)
    closed = city.registry.look(OTHER_USCC, T)
    assert (closed.verdict("深圳市灯笼贸易有限公司"), closed.since.year) == ("cancelled", 2026)
    assert city.registry.look(THIRD, T).verdict("x") == "unknown"


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda city: city.publish(ROWS, key=make_keys(1)[0], number=2), ""),
        (lambda city: city.publish([row(USCC, "换了的名称")], number=1), ""),
        (lambda city: (city.published / "registry.jsonl").write_bytes(b"{}\n"), ""),
    ],
    ids=["another key signed", "the same number again, other rows", "rows that do not fit"],
)
def test_what_is_not_the_citys_replaces_nothing(city, break_it, why) -> None:
    """The job finds something wrong: what was checked before goes on answering."""
    break_it(city)
    city.registry.refresh(T)
    assert city.registry.look(USCC, T).verdict(NAME) == "matches"


def test_too_old_or_missing_is_not_checked(city, tmp_path) -> None:
    """After its end, and before there ever was one. Unchecked, which is no yes."""
    late = city.registry.look(USCC, T + 40 * DAY)
    assert (late.state, late.why) == ("unchecked", "REGISTRY_EXPIRED")
    empty = make_registry(str(tmp_path / "nowhere"), city.root, tmp_path / "new")
    empty.refresh(T)
    assert empty.look(USCC, T).state == "unchecked"
    assert NoRegistry().look(USCC, T).verdict(NAME) == "unchecked"
    with pytest.raises(ValueError, match="trust_root"):
        make_registry("somewhere", None, tmp_path)


def test_a_newer_snapshot_is_taken(city) -> None:
    """The next number, another name: the next question has it."""
    city.publish([row(USCC, "深圳市新名科技有限公司")], number=2)
    assert city.registry.look(USCC, T).verdict(NAME) == "differs"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *said) -> None:
        """Nothing."""


@pytest.fixture
def site(tmp_path):
    """The folder `site` over HTTP, and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/trust-list.json"
    server.shutdown()
    server.server_close()
    thread.join()


def publish(folder: Path, city: trust_city.City, rows) -> None:
    """The city's files as it serves them: root, list, and a timestamp that names the next snapshot."""
    city.stamp += 1
    Register(folder).write(rows, number=city.stamp)
    city.files["trust-timestamp.json"] = city.holders.sign_timestamp(
        city.stamp,
        at=city.at,
        root=city.files["trust-root.json"],
        trust_list=city.files["trust-list.json"],
        registry=(folder / "registry.json").read_bytes(),
    )
    for name, data in city.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def test_from_the_address_of_the_trust_list(tmp_path, site) -> None:
    """Nothing is published yet, then a snapshot, then a newer one, then the site is gone.

    "Could not be asked" first; then the name, and "not in the register", which is another answer; then the
    new name, which goes on answering.
    """
    folder, address = site
    city = trust_city.City(holders=TrustHolders(registry=RoleHolders((KEY,), 1)))
    city.publish_root()
    city.publish_list()
    root = tmp_path / "paper.json"
    root.write_bytes(city.first)
    register = make_registry(address, root, tmp_path / "own")
    at, later = trust_city.T, timedelta(minutes=10)

    register.refresh(at)
    assert register.look(USCC, at).state == "unchecked"

    publish(folder, city, ROWS)
    at += later
    register.refresh(at)
    assert register.look(USCC, at).verdict(NAME) == "matches"
    assert register.look(THIRD, at).state == "unknown"

    publish(folder, city, [row(USCC, "深圳市新名科技有限公司")])
    at += later
    register.refresh(at)
    assert register.look(USCC, at).name == "深圳市新名科技有限公司"

    (folder / "trust-list.json").unlink()
    (folder / "trust-timestamp.json").unlink()
    at += later
    register.refresh(at)
    assert register.look(USCC, at).verdict(NAME) == "differs"
    # Another process of the service, which has fetched nothing itself.
    other = make_registry(address, root, tmp_path / "own")
    assert other.look(USCC, at).verdict(NAME) == "differs"
    register.close()
    other.close()


def test_the_policy_decides_what_is_refused() -> None:
    """Each verdict is refused where the settings name it, and only there."""
    answers = {
        "cancelled": Answer(state="cancelled", names=("甲",)),
        "revoked": Answer(state="revoked", names=("甲",)),
        "unknown": Answer(state="unknown"),
        "differs": Answer(state="active", names=("乙",)),
        "unchecked": Answer(state="unchecked"),
    }
    for verdict, answer in answers.items():
        assert refusal(answer, "甲", (verdict,)) is not None
        assert refusal(answer, "甲", tuple(set(answers) - {verdict})) is None


def test_typing_the_code_fills_in_the_name(ra, city) -> None:
    """The code is typed, the name is empty: it comes from the register."""
    ra.service.entries.findings.register = city.registry
    clerk = ra.browser(ra.entry_clerk)
    clerk.get("/applications/new/pearl/organisation")
    answer = clerk.client.post(
        "/applications/typing/pearl/organisation/uscc",
        base_url="https://127.0.0.1:8443/ra",
        data={"csrf_token": clerk.token, "uscc": USCC.lower()},
    ).get_data(as_text=True)
    assert 'hx-swap-oob="true"' in answer
    assert f'value="{NAME}"' in answer
    assert f'value="{USCC}"' in answer


def test_a_closed_entity_is_refused_at_its_field(ra, city) -> None:
    """Deregistered: nothing is submitted, and the sentence says since when. A draft is kept all the same."""
    ra.service.entries.findings.register = city.registry
    clerk = ra.browser(ra.entry_clerk)
    assert enter(clerk, uscc=OTHER_USCC).status_code == 422
    assert "was deregistered" in clerk.text
    draft = ra.create(ra.entry(uscc=OTHER_USCC))
    with pytest.raises(InvalidApplicationError):
        ra.applications.submit(ra.entry_clerk, draft.id)


def test_the_answer_of_the_submit_is_what_is_approved(ra, city) -> None:
    """Submitted while the register knew another name: the reviewer is told, and approves just that. Someone
    who edits the finding in the database is caught."""
    ra.service.entries.findings.register = city.registry
    submitted = ra.submit(ra.entry(organization_name="深圳市别名科技有限公司"))
    reviewer = ra.browser(ra.reviewer)
    reviewer.get(f"/applications/{submitted.id}/review")
    assert "Differs from the register of" in reviewer.text
    frozen = ra.service.reach.frozen(ra.reviewer, submitted.id)
    assert frozen.findings["register"]["verdict"] == "differs"

    checked = ra.service.entries.recheck(frozen)
    forged = json.loads(json.dumps(frozen.findings))
    forged["register"]["verdict"] = "matches"
    assert replace(frozen, findings=forged).sha256(checked) != submitted.content_sha256
    with ra.database.transaction() as connection:
        connection.execute(applications.update().values(findings=json.dumps(forged)))
    with pytest.raises(ContentChangedError):
        ra.approve(submitted)


def test_without_a_register_every_page_says_so(ra) -> None:
    """No setting: the form and the review say that nothing was compared."""
    submitted = ra.submit()
    reviewer = ra.browser(ra.reviewer)
    reviewer.get(f"/applications/{submitted.id}/review")
    assert "was not compared" in reviewer.text
