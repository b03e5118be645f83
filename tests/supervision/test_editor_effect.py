"""Effect of a draft on known certificates, differences in readable lines, the rule table's preview."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.server.languages import set_language
from onecert.server.web.testing import FrameClient
from onecert.supervision.app import create_app
from onecert.supervision.differences import compare_drafts
from onecert.supervision.draft import Draft, add_status, parse_draft
from onecert.supervision.edits import change_service
from onecert.supervision.effect import ACCEPTED, Effect, draft_list, find_effect, samples_of
from onecert.supervision.known import Known, read_known
from onecert.supervision.member import member
from onecert.supervision.pages.effect import effect_csv
from onecert.supervision.rule_preview import rule_rows
from onecert.testkit.trust_roles import TrustHolders
from onecert.verifier.errors import VerifyError
from onecert.verifier.trust_list import Status, StatusEntry

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FIRM = "91440300MA5DEM004J"


def known(*pems: str) -> list[Known]:
    ders = read_known("".join(pems).encode()).ders
    return [Known(hashlib.sha256(der).hexdigest(), der, "=test") for der in ders]


def effect(old: Draft | None, new: Draft, *pems: str, at: datetime = T) -> Effect:
    return find_effect(old, new, known(*pems), at=at)


def codes(found: Effect) -> list[tuple[str, str]]:
    return [(row.before.code, row.after.code) for row in found.rows]


@pytest.mark.parametrize(
    ("entry", "at", "expected"),
    [
        (StatusEntry(status=Status.WITHDRAWN, start=T), T, "CA_WITHDRAWN"),
        (StatusEntry(status=Status.WITHDRAWN, start=T + DAY), T, None),
        (StatusEntry(status=Status.SUSPENDED, start=T), T, "CA_SUSPENDED"),
        (StatusEntry(status=Status.KEY_COMPROMISED, start=T), T, "CA_KEY_COMPROMISED"),
        (StatusEntry(status=Status.TERMINATED, start=T, existing_until=T + HOUR), T + HOUR, "CA_TERMINATED"),
    ],
)
def test_a_status_and_its_moment(world: Any, entry: StatusEntry, at: datetime, expected: str | None) -> None:
    """Holders of pearl change their verdict from the moment on; those of harbour are not judged."""
    draft = world.draft()
    leaves = [world.leaf("pearl", serial=5), world.leaf("harbour", serial=6)]
    found = effect(draft, add_status(draft, "pearl", entry), *leaves, at=at)
    assert codes(found) == ([(ACCEPTED, expected)] if expected else [])
    assert (found.known, found.judged, found.changed_services) == (2, 1, ("pearl",))


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        (
            StatusEntry(status=Status.WITHDRAWN, start=T, existing_until=T + DAY),
            "CA_WITHDRAWN_EXISTING_ACCEPTED",
        ),
        (
            StatusEntry(status=Status.SUSPENDED, start=T, accept_existing=True),
            "CA_SUSPENDED_EXISTING_ACCEPTED",
        ),
    ],
)
def test_accepted_with_a_warning_is_another_verdict(world: Any, entry: StatusEntry, warning: str) -> None:
    draft = world.draft()
    found = effect(draft, add_status(draft, "pearl", entry), world.leaf("pearl"), at=T + HOUR)
    assert codes(found) == [(ACCEPTED, ACCEPTED)]
    assert found.rows[0].after.warnings == (warning,)
    assert found.rows[0].before.holder == found.rows[0].after.holder == f"uscc:{FIRM}"


def test_scope_profile_and_first_list(world: Any) -> None:
    """Another scope refuses; a first list accepts what nobody accepted; nothing changed judges nobody."""
    draft, leaf = world.draft(), world.leaf("pearl")
    profile = world.profile("pearl")
    profile["version"], profile["scope"]["entity_regions"] = 2, ["11"]
    narrowed = change_service(draft, "pearl", {"identity_profile": profile})
    ((before, after),) = codes(effect(draft, narrowed, leaf))
    assert before == ACCEPTED
    assert after not in {ACCEPTED, "ISSUER_UNKNOWN"}
    assert codes(effect(None, draft, leaf)) == [("ISSUER_UNKNOWN", ACCEPTED)]
    assert effect(draft, draft, leaf).judged == 0
    # Who changed only the hotline changed nobody's verdict.
    called = change_service(draft, "pearl", {"contact": {"hotline": "1"}})
    assert codes(effect(draft, called, leaf)) == []
    assert len(samples_of(draft, draft)) == 4


def test_csv_has_both_languages_and_no_formula(world: Any) -> None:
    draft = world.draft()
    changed = add_status(draft, "pearl", StatusEntry(status=Status.WITHDRAWN, start=T))
    text = effect_csv(effect(draft, changed, world.leaf("pearl", name="=SUM(A1)"))).decode("utf-8-sig")
    header, row = text.splitlines()
    assert header.startswith("service,serial,subject")
    assert "撤销" in row
    assert "withdrawn" in row
    assert "'=test" in row
    assert ",=" not in row


def test_effect_page(world: Any) -> None:
    """The page answers for the moment of the change, and again at once; the file has the same rows."""
    world.officers()
    world.operator("audit", 9, "auditor")
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.editor.add_known(
        [each.der for each in known(world.leaf("pearl", serial=77))], source="pearl", actor="test"
    )
    client = FrameClient(create_app(member, world.context, world.supervision), world.context)
    client.sign_in("audit")
    assert client.get("/draft/effect").status_code == 404
    world.editor.add_status("pearl", StatusEntry(status=Status.WITHDRAWN, start=T + HOUR), actor="test")
    moved = client.get("/draft/effect")
    assert moved.location.endswith("at=2026-11-21T10:00:00Z")
    text = client.get("/draft/effect?at=2026-11-21T10:00:00Z").get_data(as_text=True)
    assert "CA_WITHDRAWN" in text
    assert "不查询注销状态" in text
    assert b"CA_WITHDRAWN" in client.get("/draft/effect.csv?at=2026-11-21T10:00:00Z").data
    now = client.get("/draft/effect?at=2026-11-21T09:00:00Z&language=en").get_data(as_text=True)
    assert "No known certificate" in now
    for wrong in ("now", "２０２６-11-21T09:00:00Z", "9999999", ""):
        assert client.get("/draft/effect", query_string={"at": wrong}).status_code == 404


def test_differences_are_readable(world: Any) -> None:
    """Certificates by name and fingerprint, profiles as sentences, in the language of the reader."""
    draft = world.draft()
    profile = world.profile("pearl")
    profile["version"], profile["check"] = 2, "warn"
    value = world.draft_json()
    value["services"][0]["identity_profile"] = profile
    value["services"][1]["certificate_pem"] += world.other_ca()
    value["services"][1]["supply_points"]["crl"] = ["http://127.0.0.1/new.crl"]
    changed = parse_draft(value)
    with set_language("en", "onecert.supervision"):
        assert compare_drafts(draft, draft) == []
        pearl, harbour = compare_drafts(draft, changed)
    rows = [(row.old, row.new) for row in pearl.fields[0].rows if row.is_changed]
    assert rows == [
        ("pearl, version 1", "pearl, version 2"),
        ("a wrong check digit is refused", "a wrong check digit is only a warning"),
    ]
    fields = {field.key: [row.new for row in field.rows if row.is_changed] for field in harbour.fields}
    assert fields["supply_points"] == ["Revocation list: http://127.0.0.1/new.crl"]
    assert "月亮CA" in str(fields["certificate_pem"])
    assert "SHA-256" in str(fields["certificate_pem"])
    with set_language("zh", "onecert.supervision"):
        (first,) = compare_drafts(changed, draft)[:1]
        assert "校验位错误即拒绝" in [row.new for row in first.fields[0].rows]
        everything = compare_drafts(None, draft)
    assert [each.kind for each in everything] == ["changed", "added", "added", "added"]


def test_rule_table_preview(world: Any) -> None:
    """A withdrawal with a grace: holders within it, after it, new ones, and a document signed before."""
    entry = StatusEntry(status=Status.WITHDRAWN, start=T, existing_until=T + DAY)
    draft = world.draft()
    old = draft_list(draft, at=T).by_id["pearl"]
    new = draft_list(add_status(draft, "pearl", entry), at=T).by_id["pearl"]
    rows = rule_rows(old, new, entry)
    assert [row.accepted_before for row in rows] == [True] * 4
    assert [row.accepted_after for row in rows] == [True, False, False, True]
    assert "CA_NOT_GRANTED_AT_ISSUE" in rows[2].after


def test_a_pointer_has_its_effect(world: Any) -> None:
    """pearl is on the province's list only: with the pointer its holders are accepted, as far as granted."""
    ours, theirs = world.draft_json(), world.draft_json()
    ours["services"], theirs["services"] = ours["services"][1:], theirs["services"][:1]
    other = draft_list(parse_draft(theirs), at=T)
    pointer = {
        "id": "gd",
        "location": "https://gd.example/trust-list.json",
        "operator": {"zh": "某省", "en": "Province"},
        "root": base64.b64encode(TrustHolders().sign_root(1, at=T)).decode(),
        "history": [{"status": "granted", "from": "2026-01-01T00:00:00Z"}],
        "id_types": ["uscc"],
        "classes": ["organisation"],
    }
    certificates = samples_of(parse_draft(theirs))[:1]

    def with_pointer(**changes: Any) -> Any:
        old, new = parse_draft(ours), parse_draft({**ours, "pointers": [pointer | changes]})
        return find_effect(old, new, certificates, at=T, pointed=lambda _: other)

    (row,) = with_pointer().rows
    assert (row.service, row.before.code, row.after.code) == ("gd/pearl", "ISSUER_UNKNOWN", ACCEPTED)
    (row,) = with_pointer(classes=["citizen"]).rows
    assert row.after.code not in {ACCEPTED, "ISSUER_UNKNOWN"}
    old = parse_draft({**ours, "pointers": [pointer]})
    missing = VerifyError("ISSUER_UNKNOWN")
    away = find_effect(parse_draft(ours), old, certificates, at=T, pointed=lambda _: missing)
    assert ([each.id for each in away.missing], away.rows) == (["gd"], ())
    asked: list[Any] = []
    find_effect(old, old, certificates, at=T, pointed=asked.append)  # type: ignore[arg-type]
    assert asked == []  # what both point to alike changes nothing

    world.editor.import_draft(parse_draft({**ours, "pointers": [pointer]}), actor="test")
    object.__setattr__(world.supervision, "pointed", lambda _: missing)
    world.operator("zhao", 7, "list.editor")
    client = FrameClient(create_app(member, world.context, world.supervision), world.context)
    client.sign_in("zhao")
    text = client.get("/draft/effect", follow_redirects=True).get_data(as_text=True)
    assert "gd/" in text
