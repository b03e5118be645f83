"""The register of legal entities at the counter: asked, shown, frozen, never taken for a yes that it is not.

folder or address of the city -> job -> the member's own folder -> form, submit, review
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ra_fakes import OTHER_USCC, USCC, T

sys.path.insert(0, str(Path(__file__).parents[1] / "verifier" / "registry"))

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
