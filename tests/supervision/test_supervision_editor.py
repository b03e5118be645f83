"""The life of a list: draft, edits, two officers who are two people, publication; and every refusal."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from onecert.server.database import Database, migrate
from onecert.server.errors import ServiceError
from onecert.server.operators import RoleRequiredError, SamePersonError, SignInConfig
from onecert.server.operators.errors import OperatorSuspendedError
from onecert.supervision.draft import draft_json, parse_draft
from onecert.supervision.draft_file import read_draft_file
from onecert.supervision.errors import (
    AuthorityUnknownError,
    DraftChangedError,
    DraftMalformedError,
    DraftRefusedError,
    ListBackwardsError,
    NoDraftError,
    NothingPublishedError,
    OfficerExistsError,
    OfficerUnknownError,
    SampleError,
    SignaturesMissingError,
)
from onecert.supervision.models import metadata
from onecert.supervision.records import find_publication, publication_list
from onecert.verifier.trust_list import Status, StatusEntry, load_trust_list

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def entry(status: Status, start: datetime = T, **more: Any) -> StatusEntry:
    return StatusEntry(status=status, start=start, **more)


def newest(world: Any) -> Any:
    with world.context.database.reading() as connection:
        return find_publication(connection)


def test_from_draft_to_a_list_that_verifiers_accept(world: Any) -> None:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    first = world.editor.sign("wang", actor="operator:wang")
    assert len(first.signatures) == 1
    with pytest.raises(SignaturesMissingError):
        world.editor.publish(actor="test")
    world.editor.sign("li", actor="operator:li")
    assert world.editor.publish(actor="test").sequence == 1

    published = newest(world)
    trust_list = load_trust_list(published.document, keys=world.editor.list_keys(), at=T)
    assert [service.id for service in trust_list] == ["pearl", "harbour", "summit"]
    assert trust_list.sha256 == published.sha256
    assert trust_list.next_update == T + timedelta(days=14)
    assert trust_list.by_id["pearl"].contact.hotline == "0755-10000000"
    assert world.events() == [
        *["operator.added", "officer.added"] * 2,
        "root.drafted",
        "root.imported",
        "draft.imported",
        "draft.signed",
        "draft.signed",
        "list.published",
    ]


def test_numbers_rise_and_history_grows(world: Any) -> None:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    assert world.publish() == 1
    world.clock.advance(DAY)
    until = T + 90 * DAY
    world.editor.add_status("pearl", entry(Status.WITHDRAWN, T + DAY, existing_until=until), actor="test")
    preview = world.editor.preview()
    assert (preview.sequence, [change.code for change in preview.changes]) == (2, ["status"])
    assert world.publish() == 2
    trust_list = load_trust_list(newest(world).document, keys=world.editor.list_keys(), at=world.clock.now())
    statuses = [one.status for one in trust_list.by_id["pearl"].history]
    assert statuses == [Status.GRANTED, Status.WITHDRAWN]
    assert trust_list.by_id["pearl"].history[1].existing_until == until
    with world.context.database.reading() as connection:
        assert [one.sequence for one in publication_list(connection, limit=10)] == [2, 1]
        assert find_publication(connection, 1) is not None


def test_renewal_without_changes(world: Any) -> None:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.clock.advance(8 * DAY)
    world.editor.begin_draft(actor="test")
    assert world.editor.preview().changes == ()
    assert world.publish() == 2
    assert newest(world).next_update == T + 22 * DAY


def test_every_state_can_be_written(world: Any) -> None:
    """Suspended kindly, granted again, terminated with a successor, then the key leaks."""
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.editor.add_status("pearl", entry(Status.SUSPENDED, T, accept_existing=True), actor="test")
    world.editor.add_status("pearl", entry(Status.GRANTED, T + DAY), actor="test")
    terminated = entry(Status.TERMINATED, T + 2 * DAY, existing_until=T + 9 * DAY, taken_over_by="harbour")
    world.editor.add_status("pearl", terminated, actor="test")
    world.editor.add_status("pearl", entry(Status.KEY_COMPROMISED, T + 3 * DAY), actor="test")
    world.publish()
    trust_list = load_trust_list(newest(world).document, keys=world.editor.list_keys(), at=T)
    assert trust_list.by_id["pearl"].history == tuple(
        world.editor.begin_draft(actor="t").draft.service("pearl").history
    )


def test_one_officer_twice_is_one_signature(world: Any) -> None:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    for _ in range(2):
        assert len(world.editor.sign("wang", actor="operator:wang").signatures) == 1
    with pytest.raises(SignaturesMissingError):
        world.editor.publish(actor="test")


def test_one_person_under_two_accounts_does_not_sign_twice(world: Any) -> None:
    """wang has a second account; two accounts, one person: refused below the web layer."""
    world.officers()
    world.context.operators.config = SignInConfig(allow_same_person=True)
    world.operator("wang2", 1)
    world.editor.add_officer("wang2", actor="test")
    world.editor.import_draft(world.draft(), actor="test")
    world.editor.sign("wang", actor="operator:wang")
    with pytest.raises(SamePersonError):
        world.editor.sign("wang2", actor="operator:wang2")
    assert world.keys.used.count("wang2") == 1  # only when the key was made


def test_who_may_sign(world: Any) -> None:
    world.officers()
    world.operator("editor", 7, "list.editor")
    world.operator("zhao", 8)
    world.editor.import_draft(world.draft(), actor="test")
    with pytest.raises(RoleRequiredError):
        world.editor.sign("editor", actor="operator:editor")
    with pytest.raises(RoleRequiredError):
        world.editor.add_officer("editor", actor="test")
    with pytest.raises(OfficerUnknownError):  # the account is there, the key is not
        world.editor.sign("zhao", actor="operator:zhao")
    with pytest.raises(OfficerExistsError):
        world.editor.add_officer("wang", actor="test")
    with world.context.database.transaction() as connection:
        world.context.operators.suspend(connection, "wang")
    with pytest.raises(OperatorSuspendedError):
        world.editor.sign("wang", actor="operator:wang")


def test_an_edit_makes_signatures_void(world: Any) -> None:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.editor.sign("wang", actor="operator:wang")
    world.editor.add_status("summit", entry(Status.SUSPENDED), actor="test")
    assert world.editor.preview().record.signatures == ()
    assert world.publish() == 1


def test_a_signature_that_got_old_is_asked_for_again(world: Any) -> None:
    """The second officer comes three days later: the list would have lost days, so it gets new dates."""
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.editor.sign("wang", actor="operator:wang")
    world.clock.advance(3 * DAY)
    assert [s.officer for s in world.editor.sign("li", actor="operator:li").signatures] == ["li"]
    world.editor.sign("wang", actor="operator:wang")
    world.editor.publish(actor="test")
    assert newest(world).issued_at == T + 3 * DAY


def test_draft_that_was_overtaken(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an officer's key signs, somebody edits the draft: the signature is not taken."""
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    sign = world.editor._sign

    def edit_meanwhile(record: Any, officer: str, pin: str) -> bytes:
        document = sign(record, officer, pin)
        world.editor.add_status("summit", entry(Status.SUSPENDED), actor="other")
        return document

    monkeypatch.setattr(world.editor, "_sign", edit_meanwhile)
    with pytest.raises(DraftChangedError):
        world.editor.sign("wang", actor="operator:wang")
    assert world.editor.preview().record.signatures == ()


def test_number_moves_on_when_departments_have_seen_a_higher_one(world: Any) -> None:
    """The database came back from a backup: the file still holds number 7."""
    world.officers()
    world.editor._next._sequence_floor = lambda: 7
    world.editor.import_draft(world.draft(), actor="test")
    assert world.editor.preview().sequence == 8
    world.editor.sign("wang", actor="operator:wang")
    world.editor.sign("li", actor="operator:li")
    world.editor._next._sequence_floor = lambda: 8
    with pytest.raises(DraftChangedError):
        world.editor.publish(actor="test")


def test_two_publish_at_once(world: Any) -> None:
    """One wins, the other is told that there is no draft; one publication."""
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    for name in ("wang", "li"):
        world.editor.sign(name, actor=f"operator:{name}")
    outcomes: list[str] = []

    def publish() -> None:
        try:
            outcomes.append(str(world.editor.publish(actor="test").sequence))
        except ServiceError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["1", "NO_DRAFT", "NO_DRAFT", "NO_DRAFT"]


def test_nothing_there(world: Any) -> None:
    world.officers()
    for call in (
        world.editor.preview,
        lambda: world.editor.sign("wang", actor="x"),
        lambda: world.editor.publish(actor="x"),
        lambda: world.editor.discard_draft(actor="x"),
    ):
        with pytest.raises(NoDraftError):
            call()
    for call in (
        lambda: world.editor.begin_draft(actor="x"),
        lambda: world.editor.add_status("pearl", entry(Status.WITHDRAWN), actor="x"),
    ):
        with pytest.raises(NothingPublishedError):
            call()


def test_discard(world: Any) -> None:
    world.editor.import_draft(world.draft(), actor="test")
    world.editor.discard_draft(actor="test")
    with pytest.raises(NoDraftError):
        world.editor.preview()
    assert world.events()[-1] == "draft.discarded"


def test_unknown_authority(world: Any) -> None:
    world.editor.import_draft(world.draft(), actor="test")
    with pytest.raises(AuthorityUnknownError) as caught:
        world.editor.add_status("moon", entry(Status.WITHDRAWN), actor="test")
    assert caught.value.facts["known"] == ("pearl", "harbour", "summit")


# Going backwards


def published(world: Any) -> dict[str, Any]:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.editor.add_status("pearl", entry(Status.SUSPENDED, T - DAY), actor="test")
    world.editor.add_status("pearl", entry(Status.GRANTED, T + 30 * DAY), actor="test")  # announced
    world.publish()
    return draft_json(newest(world).draft)


def remove_service(draft: dict[str, Any]) -> None:
    draft["services"].pop()


def remove_status(draft: dict[str, Any]) -> None:
    del draft["services"][0]["history"][1:]


def change_status(draft: dict[str, Any]) -> None:
    draft["services"][0]["history"][1]["on_suspend"] = "accept_existing"


def precede_status(draft: dict[str, Any]) -> None:
    draft["services"][1]["history"].insert(0, {"status": "granted", "from": "2025-01-01T00:00:00Z"})


def remove_profile(draft: dict[str, Any]) -> None:
    del draft["services"][1]["identity_profile"]


def change_profile(draft: dict[str, Any]) -> None:
    draft["services"][1]["identity_profile"]["check"] = "warn"


def lower_profile(draft: dict[str, Any]) -> None:
    change_profile(draft)
    draft["services"][1]["identity_profile"]["version"] = 1


@pytest.mark.parametrize(
    "change",
    [
        remove_service,
        remove_status,
        change_status,
        precede_status,
        remove_profile,
        change_profile,
        lower_profile,
    ],
)
def test_a_draft_that_goes_backwards_is_refused(world: Any, change: Any) -> None:
    draft = published(world)
    change(draft)
    with pytest.raises(ListBackwardsError):
        world.editor.import_draft(parse_draft(draft), actor="test")


def test_replaced_certificate_is_refused(world: Any) -> None:
    draft = published(world)
    draft["services"][1]["certificate_pem"] = draft["services"][2]["certificate_pem"]
    with pytest.raises((ListBackwardsError, DraftRefusedError)):
        world.editor.import_draft(parse_draft(draft), actor="test")


def test_what_may_change(world: Any) -> None:
    """An announced status may go, a profile with a higher version, names, contacts, a new authority."""
    draft = published(world)
    del draft["services"][0]["history"][2]
    draft["services"][1]["identity_profile"].update(check="warn", version=2)
    draft["services"][1]["contact"] = {"hotline": "0755-2"}
    draft["services"][2]["name"]["zh"] = "新高峰CA"
    draft["services"][2]["supply_points"] = {}
    draft["services"][2]["issuance_log"] = True
    draft["services"][2]["samples"] = []
    draft["operator"]["en"] = "Another office"
    world.editor.import_draft(parse_draft(draft), actor="test")
    codes = [change.code for change in world.editor.preview().changes]
    assert codes == [
        "operator",
        "status_removed",
        "profile",
        "contact",
        "name",
        "supply_points",
        "issuance_log",
    ]
    assert all(change.spoken() for change in world.editor.preview().changes)


# Wrong drafts


def put(place: list[Any], value: Any) -> Any:
    def change(draft: Any) -> None:
        for key in place[:-1]:
            draft = draft[key]
        draft[place[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put(["surprise"], 1),
        put(["services"], []),
        put(["services", 0, "surprise"], 1),
        put(["services", 0, "id"], "harbour"),
        put(["services", 0, "certificate_pem"], "no certificate"),
        put(["services", 0, "history"], []),
        put(["services", 0, "history", 0, "status"], "fine"),
        put(["services", 0, "history", 0, "from"], "yesterday"),
        put(["services", 0, "identity_profile"], "pearl"),
        put(["services", 0, "supply_points", "ftp"], []),
        put(["services", 0, "samples", 0, "refused"], "X"),
        put(["operator"], "office"),
    ],
)
def test_malformed_drafts(world: Any, change: Any) -> None:
    draft = world.draft_json()
    change(draft)
    with pytest.raises(DraftMalformedError):
        parse_draft(draft)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (put(["services", 0, "id"], "Pearl CA"), "TRUST_LIST_MALFORMED"),
        (put(["services", 0, "history", 0, "status"], "withdrawn"), "TRUST_LIST_HISTORY"),
        (put(["services", 0, "identity_profile", "sources"], []), "TRUST_LIST_MALFORMED"),
        (put(["services", 0, "contact"], {"website": "javascript:x"}), "TRUST_LIST_MALFORMED"),
        (
            put(
                ["services", 0, "certificate_pem"],
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            "TRUST_LIST_MALFORMED",
        ),
    ],
)
def test_drafts_that_verifiers_would_refuse(world: Any, change: Any, code: str) -> None:
    draft = world.draft_json()
    change(draft)
    with pytest.raises(DraftRefusedError) as caught:
        world.editor.import_draft(parse_draft(draft), actor="test")
    assert caught.value.reason.code == code
    assert world.events() == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            put(["services", 0, "samples", 0, "id"], "uscc:91440300MA5DEM0A63"),
            "uscc:91440300MA5DEM004J organisation",
        ),
        (put(["services", 0, "samples", 0, "class"], "citizen"), "uscc:91440300MA5DEM004J organisation"),
        (put(["services", 0, "samples", 1, "refused"], "UID_GRAMMAR"), "ID_CHECK_DIGIT"),
        (put(["services", 0, "identity_profile", "scope", "entity_regions"], ["31"]), "OUT_OF_SCOPE"),
    ],
)
def test_a_profile_that_fails_its_samples_is_refused(world: Any, change: Any, found: str) -> None:
    draft = world.draft_json()
    change(draft)
    with pytest.raises(SampleError) as caught:
        world.editor.import_draft(parse_draft(draft), actor="test")
    assert caught.value.facts["found"] == found


def test_draft_file_with_files_beside_it(world: Any, tmp_path: Path) -> None:
    draft = world.draft_json()
    expected = parse_draft(draft)
    service = draft["services"][0]
    (tmp_path / "pearl.pem").write_text(service.pop("certificate_pem"))
    (tmp_path / "pearl.json").write_text(json.dumps(service.pop("identity_profile")))
    (tmp_path / "sample.pem").write_text(service["samples"][0].pop("certificate_pem"))
    service |= {"certificate_file": "pearl.pem", "identity_profile_file": "pearl.json"}
    service["samples"][0]["certificate_file"] = "sample.pem"
    file = tmp_path / "draft.json"
    file.write_text(json.dumps(draft))
    assert read_draft_file(file) == expected
    for broken in (
        {**draft, "services": [{**service, "certificate_pem": "x"}]},
        {**draft, "services": [{**service, "identity_profile": {}}]},
        {**draft, "services": [{**service, "certificate_file": "missing.pem"}]},
        {**draft, "services": [{**service, "certificate_file": 7}]},
        {**draft, "services": ["x"]},
        {**draft, "services": 7},
        [],
    ):
        file.write_text(json.dumps(broken))
        with pytest.raises(DraftMalformedError):
            read_draft_file(file)
    file.write_text("{")
    with pytest.raises(DraftMalformedError):
        read_draft_file(file)


def test_migrations_make_what_the_models_say(database_url: str) -> None:
    database = Database(database_url)
    migrate(database, "onecert.server.migrations", "onecert.supervision.migrations")
    with database.reading() as connection:
        options = {
            "compare_type": True,
            "include_object": lambda item, name, kind, *_: kind != "table" or name in metadata.tables,
        }
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    database.close()
    assert differences == []


def test_the_story_on_both_engines(make_world: Any, database_url: str) -> None:
    """Draft, two signatures, publication, a withdrawal, a second publication."""
    world = make_world(database_url)
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    assert world.publish() == 1
    world.editor.add_status("pearl", entry(Status.WITHDRAWN), actor="test")
    assert world.publish() == 2
    trust_list = load_trust_list(newest(world).document, keys=world.editor.list_keys(), at=T)
    assert trust_list.by_id["pearl"].status_at(T) == entry(Status.WITHDRAWN)
