"""Orders that follow a certificate: renew, re-key, change, replace, and what becomes of the old one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from ca_batches import Sender
from ca_fakes import FaultyLedger, InterruptedActError, make_csr
from ca_lists import revoke
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from onecert.ca import models
from onecert.ca.errors import CaError
from onecert.ca.issuing.order_notices import DELIVERY_TYPE
from onecert.ca.issuing.orders import content_sha256
from onecert.ca.profiles.profile import packaged_profile, profile_from_json, resolved_profile
from onecert.ca.renewals.models import successions
from onecert.ca.revocation.revocation import Revocation
from onecert.ca.search.history import history
from onecert.server.documents import sign_document
from onecert.server.models import audit_entries

DAY = timedelta(days=1)
NEW_NAME = {"common_name": "深圳市更名贸易有限公司", "organization": "深圳市更名贸易有限公司"}


def follow(world: Any, old: Any, kind: str, **changes: Any) -> bytes:
    """An order that follows a certificate on record."""
    replaces = {"authority": old.authority, "serial": old.serial}
    return world.order(**({"kind": kind, "replaces": replaces} | changes))  # type: ignore[no-any-return]


def issue(world: Any, document: bytes) -> Any:
    return world.parts.issuance.issue(document).record


def record(world: Any, old: Any) -> Any:
    return world.parts.ledger.certificate(old.authority, old.serial)


def refusal(world: Any, document: bytes) -> str:
    with pytest.raises(CaError) as caught:
        world.parts.issuance.issue(document)
    return caught.value.code


def changed_subject(world: Any) -> dict[str, str]:
    return world.order_payload()["subject"] | NEW_NAME  # type: ignore[no-any-return]


def delivery(world: Any, order: str, **changes: Any) -> bytes:
    payload = {
        "order": order,
        "registration_authority": "ra",
        "created_at": world.clock.now().isoformat(),
        "delivered_by": ["clerk3"],
    }
    return sign_document(payload | changes, typ=DELIVERY_TYPE, keys=[world.ra_key])


def states(world: Any) -> list[str]:
    with world.context.database.reading() as connection:
        return list(connection.scalars(select(successions.c.state).order_by(successions.c.recorded_at)))


def test_revoked_after_renewal_by_the_serial_that_was_signed(world: Any) -> None:
    """Renewed; the serial read out of the new certificate itself is the one that revoking it puts on the list
    (openwisp django-x509 193: the record had a serial that no certificate had)."""
    old = world.issue().record
    new = issue(world, follow(world, old, "renew"))
    serial = f"{x509.load_der_x509_certificate(new.certificate_der).serial_number:x}"
    assert serial == new.serial != old.serial
    assert record(world, old).status == "good"

    revoke(world, serial)

    assert world.serials_on_list() == {serial}
    assert record(world, old).status == "good"


def test_order_without_kind_keeps_its_hash(lite: Any) -> None:
    """What was on record before there were kinds is found again."""
    payload = lite.order_payload(
        order="order-0001", created_at="2026-11-21T09:00:00+00:00", csr_pem="-", subject={"country": "CN"}
    )
    assert content_sha256(payload) == "3e68a78b3f1e1f5fe2f7a92762fe965c3dfcd485cb8647072179a6872a3654ec"


def test_renewal_may_revoke_the_old_one_at_once(world: Any) -> None:
    old = world.issue().record
    new = issue(
        world, follow(world, old, "renew", revoke_replaced={"reason": "superseded", "when": "issued"})
    )
    assert (record(world, old).status, record(world, old).reason) == ("revoked", "superseded")
    assert record(world, new).status == "good"
    assert world.serials_on_list() == {old.serial}


def test_changed_certificate_ends_with_the_old_one(world: Any) -> None:
    """What is changed on the way gets no longer term; a renewal gets a whole one."""
    old = world.issue().record
    world.clock.advance(10 * DAY)
    said = {"reason": "affiliationChanged", "when": "delivered"}
    new = issue(world, follow(world, old, "change", subject=changed_subject(world), revoke_replaced=said))
    assert new.not_after == old.not_after
    assert NEW_NAME["common_name"] in new.subject
    rekeyed = issue(world, follow(world, new, "rekey", subject=changed_subject(world)))
    assert rekeyed.not_after == old.not_after
    renewed = issue(world, follow(world, rekeyed, "renew", subject=changed_subject(world)))
    assert renewed.not_after == old.not_after + 10 * DAY


def test_changed_one_is_revoked_on_delivery_and_not_before(world: Any) -> None:
    old = world.issue().record
    said = {"reason": "affiliationChanged", "when": "delivered"}
    new = issue(world, follow(world, old, "change", subject=changed_subject(world), revoke_replaced=said))
    world.clock.advance(DAY)
    world.parts.follow_ups.run()
    assert record(world, old).status == "good"

    client = world.service.app.test_client()
    answers = [client.post("/v1/deliveries", data=delivery(world, new.order_id)).json for _time in range(2)]

    assert answers[0] == answers[1]
    assert answers[0]["replaced"] == "done"
    assert record(world, old).reason == "affiliationChanged"
    assert world.serials_on_list() == {old.serial}


def test_changed_one_is_revoked_at_the_moment_that_the_order_names(world: Any) -> None:
    old = world.issue().record
    moment = (world.clock.now() + DAY).isoformat()
    said = {"reason": "superseded", "when": moment}
    issue(world, follow(world, old, "change", subject=changed_subject(world), revoke_replaced=said))
    world.parts.follow_ups.run()
    assert record(world, old).status == "good"
    world.clock.advance(DAY)
    world.parts.follow_ups.run()
    assert record(world, old).reason == "superseded"


def test_successor_revoked_before_its_time_leaves_the_old_one(world: Any) -> None:
    """The new certificate was a mistake and is revoked: nothing stands for the old one, so it stays."""
    old = world.issue().record
    said = {"reason": "superseded", "when": "delivered"}
    new = issue(world, follow(world, old, "renew", revoke_replaced=said))
    revoke(world, new.serial)
    world.parts.follow_ups.run()
    assert record(world, old).status == "good"
    assert states(world) == ["void"]
    # And the old one may be followed again.
    assert issue(world, follow(world, old, "renew")).state == "issued"


@pytest.mark.parametrize("reason", ["keyCompromise", "superseded"])
def test_lost_one_is_revoked_before_its_replacement_exists(world: Any, reason: str) -> None:
    old = world.issue().record
    new = issue(world, follow(world, old, "replace", revoke_replaced={"reason": reason}))
    assert record(world, old).reason == reason
    assert new.not_after == old.not_after
    with world.context.database.reading() as connection:
        query = select(audit_entries.c.event, audit_entries.c.subject).order_by(audit_entries.c.seq)
        events = [(event, subject) for event, subject in connection.execute(query)]
    revoked = events.index(("certificate.revoked", f"harbour/{old.serial}"))
    assert revoked < events.index(("certificate.issued", f"harbour/{new.serial}"))


@pytest.mark.parametrize("before", ["certificateHold", "keyCompromise", "superseded", "unspecified"])
def test_lost_one_that_the_hotline_stopped_already_is_replaced(world: Any, before: str) -> None:
    old = world.issue().record
    revoke(world, old.serial, reason=before)
    new = issue(world, follow(world, old, "replace", revoke_replaced={"reason": "keyCompromise"}))
    assert new.state == "issued"
    assert record(world, old).status == "revoked"
    assert record(world, old).reason == "keyCompromise"


@pytest.mark.parametrize("reason", ["privilegeWithdrawn", "cessationOfOperation", "affiliationChanged"])
def test_who_may_have_none_gets_no_replacement(lite: Any, reason: str) -> None:
    old = lite.issue().record
    revoke(lite, old.serial, reason=reason)
    document = follow(lite, old, "replace", revoke_replaced={"reason": "superseded"})
    assert refusal(lite, document) == "PREDECESSOR_STATE"


@pytest.mark.parametrize("kind", ["renew", "rekey", "change"])
@pytest.mark.parametrize("reason", ["keyCompromise", "certificateHold"])
def test_what_is_revoked_or_on_hold_is_not_followed(lite: Any, kind: str, reason: str) -> None:
    old = lite.issue().record
    revoke(lite, old.serial, reason=reason)
    said = {"reason": "superseded", "when": "issued"}
    assert refusal(lite, follow(lite, old, kind, revoke_replaced=said)) == "PREDECESSOR_STATE"
    if reason == "certificateHold":
        revoke(lite, old.serial, reason="removeFromCRL")
        assert issue(lite, follow(lite, old, kind, revoke_replaced=said)).state == "issued"


@pytest.mark.parametrize("kind", ["renew", "rekey", "change", "replace"])
def test_what_has_ended_is_not_followed(lite: Any, kind: str) -> None:
    old = lite.issue().record
    lite.clock.advance(old.not_after - lite.clock.now() + timedelta(seconds=1))
    said = {"reason": "superseded"} | ({} if kind == "replace" else {"when": "issued"})
    document = follow(lite, old, kind, revoke_replaced=said)
    assert refusal(lite, document) == ("RENEWAL_WINDOW" if kind == "renew" else "PREDECESSOR_STATE")
    assert record(lite, old).status == "good"


def test_one_certificate_has_one_successor(world: Any) -> None:
    old = world.issue().record
    first = follow(world, old, "renew")
    new = issue(world, first)
    assert refusal(world, follow(world, old, "rekey")) == "SUCCESSOR_EXISTS"
    # The first order is answered as before, and its certificate is followed in turn.
    assert issue(world, first).serial == new.serial
    assert issue(world, follow(world, new, "renew")).state == "issued"


def test_same_key_only_where_the_profile_says_so(lite: Any) -> None:
    csr = make_csr(ec.generate_private_key(ec.SECP256R1()))
    old = lite.issue(csr_pem=csr).record
    for kind in ("renew", "rekey"):
        assert refusal(lite, follow(lite, old, kind, csr_pem=csr)) == "SAME_KEY"


def with_policy(world: Any, **policy: Any) -> None:
    """The profile as its file would say it with these keys."""
    table = models.profiles.c
    with world.context.database.transaction() as connection:
        where = (table.authority == "harbour") & (table.name == "organisation")
        content = json.loads(connection.scalar(select(table.content).where(where))) | policy
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        values = {"content": text, "sha256": profile_from_json(text).sha256}
        connection.execute(update(models.profiles).where(where).values(values))
    world.parts.authorities.reload()


def test_profile_allows_the_same_key_for_a_renewal_and_never_for_a_rekey(lite: Any) -> None:
    with_policy(lite, renewal_same_key=True)
    csr = make_csr(ec.generate_private_key(ec.SECP256R1()))
    old = lite.issue(csr_pem=csr).record
    assert refusal(lite, follow(lite, old, "rekey", csr_pem=csr)) == "SAME_KEY"
    new = issue(lite, follow(lite, old, "renew", csr_pem=csr))
    assert (new.key_sha256, new.state) == (old.key_sha256, "issued")


def test_profile_sets_the_window_of_a_renewal(lite: Any) -> None:
    """From 30 days before the end to 7 days after it, to the second at both ends."""
    with_policy(lite, renewal_window_days=30, renewal_after_expiry_days=7)
    old, other = lite.issue().record, lite.issue().record

    def renew_at(certificate: Any, moment: datetime) -> str:
        lite.clock.advance(moment - lite.clock.now())
        try:
            return str(issue(lite, follow(lite, certificate, "renew", early=None)).state)
        except CaError as exc:
            return exc.code

    assert renew_at(old, old.not_after - timedelta(days=30, seconds=1)) == "RENEWAL_WINDOW"
    assert renew_at(old, old.not_after - timedelta(days=30)) == "issued"
    assert renew_at(other, other.not_after + timedelta(days=7, seconds=1)) == "RENEWAL_WINDOW"
    assert renew_at(other, other.not_after + timedelta(days=7)) == "issued"


@pytest.mark.parametrize("name", ["organisation", "citizen", "employee", "device", "tls-server", "operator"])
def test_packaged_profiles_say_when_they_are_renewed_and_with_which_key(name: str) -> None:
    """Within the last month, for programs two, with a new key; an authority's file may say otherwise."""
    packaged = packaged_profile(name)
    assert packaged is not None
    assert packaged["renewal_window_days"] == (60 if name == "tls-server" else 30)
    assert packaged["renewal_same_key"] is False
    other = {"renewal_window_days": 90, "identity_required": [], "identity_optional": [], "holder": "system"}
    assert resolved_profile(name, other).renewal_window_days == 90


def test_too_early_is_refused_and_says_from_when(lite: Any) -> None:
    old = lite.issue().record
    with pytest.raises(CaError) as caught:
        issue(lite, follow(lite, old, "renew", early=None))
    assert (caught.value.code, caught.value.status) == ("RENEWAL_WINDOW", 409)
    assert caught.value.facts["begin"] == (old.not_after - timedelta(days=30)).isoformat()
    assert "early" in caught.value.hint
    lite.clock.advance(old.not_after - timedelta(days=30) - lite.clock.now())
    assert issue(lite, follow(lite, old, "renew", early=None)).state == "issued"


def test_early_with_a_reason_by_whom_it_is_permitted(lite: Any) -> None:
    """The permission is a scope of its own, by profile; the reason is part of what was signed, and told."""
    old = lite.issue().record
    early = follow(lite, old, "renew", early="合并换发")
    lite.register("harbour:*", "harbour:citizen+early")
    assert refusal(lite, early) == "EARLY_RENEWAL"
    lite.register("harbour:*", "harbour:organisation+early")
    new = issue(lite, early)
    life = history(lite.context.database, lite.parts.authorities, "harbour", new.serial)
    received = next(event for event in life["events"] if event["event"] == "order.received")
    assert received["details"]["early"] == "合并换发"


def test_the_scope_for_early_renewals_orders_and_revokes_nothing(lite: Any) -> None:
    serial = lite.issue().record.serial
    lite.register("pearl:*", "harbour:*+early")
    assert refusal(lite, lite.order()) == "ORDER_OUT_OF_SCOPE"
    with pytest.raises(CaError) as caught:
        revoke(lite, serial)
    assert caught.value.code == "ORDER_OUT_OF_SCOPE"


def test_another_holder_or_subject_is_refused(lite: Any) -> None:
    old = lite.issue().record
    other = {"uscc": "91440300MA5DEM0A63", "agent_idcard": "440300190001010015"}
    assert refusal(lite, follow(lite, old, "renew", identity=other)) == "PREDECESSOR_HOLDER"
    assert refusal(lite, follow(lite, old, "renew", subject=changed_subject(lite))) == "SUBJECT_CHANGED"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "renewal"}, "ORDER_MALFORMED"),
        ({"kind": None}, "ORDER_MALFORMED"),
        ({"kind": []}, "ORDER_MALFORMED"),
        ({"kind": "issue"}, "ORDER_MALFORMED"),
        ({"replaces": None}, "ORDER_MALFORMED"),
        ({"replaces": {"authority": "harbour"}}, "ORDER_MALFORMED"),
        ({"replaces": {"authority": "harbour", "serial": "xyz"}}, "ORDER_MALFORMED"),
        ({"replaces": {"authority": ["harbour"], "serial": "4f"}}, "ORDER_MALFORMED"),
        ({"replaces": {"authority": "harbour", "serial": "4f00", "more": 1}}, "ORDER_MALFORMED"),
        ({"replaces": {"authority": "harbour", "serial": "4f00"}}, "CERTIFICATE_UNKNOWN"),
        ({"replaces": {"authority": "pearl", "serial": "4f00"}}, "ORDER_OUT_OF_SCOPE"),
        ({"early": ""}, "ORDER_MALFORMED"),
        ({"early": "no\nline"}, "ORDER_MALFORMED"),
        ({"early": "x" * 201}, "ORDER_MALFORMED"),
        ({"early": True}, "ORDER_MALFORMED"),
        ({"kind": "rekey", "early": "for a reason"}, "ORDER_MALFORMED"),
        ({"revoke_replaced": "superseded"}, "ORDER_MALFORMED"),
        ({"revoke_replaced": {"reason": "superseded"}}, "ORDER_MALFORMED"),
        ({"revoke_replaced": {"reason": "superseded", "when": "first"}}, "ORDER_MALFORMED"),
        ({"revoke_replaced": {"reason": "superseded", "when": 7}}, "ORDER_MALFORMED"),
        ({"revoke_replaced": {"reason": "superseded", "when": []}}, "ORDER_MALFORMED"),
        ({"revoke_replaced": {"reason": "superseded", "when": "2026-12-01T00:00:00"}}, "ORDER_MALFORMED"),
        ({"revoke_replaced": {"reason": "keyCompromise", "when": "issued"}}, "ORDER_MALFORMED"),
        ({"revoke_replaced": {"reason": ["superseded"], "when": "issued"}}, "ORDER_MALFORMED"),
        ({"kind": "change"}, "ORDER_MALFORMED"),
        ({"kind": "replace"}, "ORDER_MALFORMED"),
        (
            {"kind": "replace", "revoke_replaced": {"reason": "superseded", "when": "issued"}},
            "ORDER_MALFORMED",
        ),
    ],
)
def test_wrong_order_is_refused_and_changes_nothing(lite: Any, changes: dict[str, Any], code: str) -> None:
    old = lite.issue().record
    assert refusal(lite, follow(lite, old, **({"kind": "renew"} | changes))) == code
    assert record(lite, old).status == "good"
    assert states(lite) == []


def test_renewals_in_a_batch(world: Any) -> None:
    """Each line keeps the promises of a single order; what revokes first comes alone."""
    lost, one, two = (world.issue().record for _number in range(3))

    def line(old: Any, **changes: Any) -> dict[str, Any]:
        replaces = {"authority": "harbour", "serial": old.serial}
        return world.order_payload(**({"kind": "renew", "replaces": replaces} | changes))  # type: ignore[no-any-return]

    sender = Sender(world)
    batch = sender.send(
        line(lost, kind="replace", revoke_replaced={"reason": "superseded"}),
        line(one, revoke_replaced={"reason": "superseded", "when": "issued"}),
        line(two),
        line(two),
    )
    world.parts.batch_work.run()
    world.parts.follow_ups.run()
    results = sender.results(batch)
    assert [result.get("code") for result in results] == [
        "ORDER_KIND_IN_BATCH", None, None, "SUCCESSOR_EXISTS"
    ]  # fmt: skip
    assert [record(world, old).status for old in (lost, one, two)] == ["good", "revoked", "good"]
    assert sorted(states(world)) == ["done", "nothing"]


# ------------------------------------------------------------------ interrupted

POINTS = [(when, act) for act in ("record_intent", "record_issued") for when in ("before", "after")]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", ["change", "replace"])
def test_interrupted_at_each_commit_of_the_new_one(faulty: Any, point: tuple[str, str], kind: str) -> None:
    """Interrupted, restarted, posted again: one new certificate, the old one revoked once."""
    old = faulty.issue().record
    said = {"reason": "superseded"} | ({} if kind == "replace" else {"when": "issued"})
    document = follow(faulty, old, kind, revoke_replaced=said)
    FaultyLedger.fault = point
    with pytest.raises(InterruptedActError):
        faulty.parts.issuance.issue(document)
    faulty.restart()
    faulty.parts.recovery.run(faulty.clock.now())
    faulty.parts.follow_ups.run()
    new = issue(faulty, document)
    faulty.parts.follow_ups.run()
    assert new.state == "issued"
    assert record(faulty, old).reason == "superseded"
    assert states(faulty) == ["done"]
    with faulty.context.database.reading() as connection:
        events = list(
            connection.scalars(
                select(audit_entries.c.event).where(audit_entries.c.subject == f"harbour/{old.serial}")
            )
        )
    assert events.count("certificate.revoked") == 1


@pytest.mark.parametrize("done", [False, True])
def test_interrupted_around_the_revocation_of_the_old_one(
    faulty: Any, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """The process dies before or after the old one is revoked, with the act still on record as waiting."""
    old = faulty.issue().record
    said = {"reason": "superseded", "when": "issued"}
    real = Revocation.revoke

    def interrupted(self: Revocation, order: Any) -> Any:
        if done:
            real(self, order)
        raise InterruptedActError

    document = follow(faulty, old, "change", revoke_replaced=said)
    with monkeypatch.context() as patch:
        patch.setattr(Revocation, "revoke", interrupted)
        with pytest.raises(InterruptedActError):
            faulty.parts.issuance.issue(document)
    assert states(faulty) == ["waiting"]
    faulty.restart()
    faulty.parts.follow_ups.run()
    assert states(faulty) == ["done"]
    assert faulty.serials_on_list() == {old.serial}
