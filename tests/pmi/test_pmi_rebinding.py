"""Renewal, and attribute certificates that follow their holder's own certificate when it is renewed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.pmi.life.errors import (
    CertificateStateError,
    HolderDifferentError,
    RebindingNeedlessError,
    SelectionChangedError,
)
from onecert.pmi.repository.search import Search, load_certificate, search_certificates
from onecert.server.operators import RoleRequiredError

pytestmark = pytest.mark.token

BUREAU = "uscc:91440300MA5DEM004J"
ZHANG = "person:zhang"


@pytest.fixture
def renewed(pmi, lab):
    """A holder whose certificate was renewed: another key, a later end, the same person of one bureau."""
    old_key, new_key = (ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(2))
    pmi.old_key = old_key
    pmi.old = pmi.holders.know(pmi.ca.issue("张三", old_key, not_after=lab.T + 60 * lab.DAY), BUREAU, ZHANG)
    pmi.new = pmi.holders.know(pmi.ca.issue("张三", new_key, not_after=lab.T + 700 * lab.DAY), BUREAU, ZHANG)
    return pmi


def pem(certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def record(pmi, serial: str):
    with pmi.database.reading() as connection:
        return load_certificate(connection, serial)


def test_a_renewal_gives_the_same_for_a_new_period(pmi, lab) -> None:
    """Nobody needs to approve a reader: issued at once; the one before learns of it and stays."""
    old = pmi.grant(lab.READER_ROLE, not_after=lab.T + 5 * lab.DAY, targets=("urn:example:a",))
    pmi.clock.advance(4 * lab.DAY)
    assert pmi.parts.renewals.preview(old.serial, pmi.officer).state == "approved"
    done = pmi.parts.renewals.renew(old.serial, pmi.officer)
    assert done.grant.serial not in (None, old.serial)
    assert (done.grant.attributes, done.grant.targets) == (old.attributes, old.targets)
    assert done.grant.source == f"renewal:{old.serial}"
    assert done.grant.not_after == lab.T + 34 * lab.DAY  # max_days of the role
    assert (done.before.state, done.before.replaced_by) == ("issued", done.grant.serial)
    assert pmi.parts.renewals.renew(old.serial, pmi.officer).grant.id == done.grant.id


def test_a_renewal_needs_the_approval_that_the_grant_needed(pmi, lab) -> None:
    old = pmi.grant(lab.APPROVER_ROLE)
    grant = pmi.parts.renewals.renew(old.serial, pmi.officer).grant
    assert (grant.state, record(pmi, old.serial).replaced_by) == ("waiting", None)
    issued = pmi.parts.grants.approve(grant.id, pmi.approver, content_sha256=grant.content_sha256)
    assert record(pmi, old.serial).replaced_by == issued.serial
    again = pmi.parts.renewals.renew(issued.serial, pmi.officer).grant
    pmi.parts.grants.refuse(again.id, pmi.approver, "not now")
    assert pmi.parts.renewals.renew(issued.serial, pmi.officer).grant.id != again.id


def test_a_renewal_may_supersede(pmi, lab) -> None:
    old = pmi.grant(lab.READER_ROLE)
    done = pmi.parts.renewals.renew(old.serial, pmi.officer, supersede=True)
    assert (done.before.state, done.before.reason) == ("revoked", "superseded")
    assert done.before.replaced_by == done.grant.serial
    other = pmi.grant(lab.READER_ROLE)
    pmi.parts.revocations.revoke(other.serial, reason="privilegeWithdrawn", operator=pmi.officer)
    with pytest.raises(CertificateStateError):
        pmi.parts.renewals.renew(other.serial, pmi.officer)


def test_what_ends_soon_is_listed(pmi, lab) -> None:
    soon = pmi.grant(lab.READER_ROLE, not_after=lab.T + 5 * lab.DAY).serial
    later = pmi.grant(lab.READER_ROLE, not_after=lab.T + 20 * lab.DAY).serial
    with pmi.database.reading() as connection:
        found = {
            days: [
                each.serial
                for each in search_certificates(
                    connection, Search(expiring_days=days), pmi.clock.now()
                ).records
            ]
            for days in (1, 7, 30)
        }
    assert found == {1: [], 7: [soon], 30: [soon, later]}


@pytest.mark.parametrize("holder_form", ["certificate", "digest", "key"])
def test_it_follows_in_one_act_without_another_approval(renewed, lab, holder_form: str) -> None:
    """The same content, the same end; the old one is revoked as superseded; nobody approves it once more."""
    pmi = renewed
    old = pmi.grant(lab.APPROVER_ROLE, holder=pmi.old, holder_form=holder_form)
    assert pmi.parts.rebindings.preview(old.serial, pem(pmi.new), pmi.officer).state == "approved"
    grant = pmi.parts.rebindings.rebind(old.serial, pem(pmi.new), pmi.officer)
    assert (grant.state, grant.approved_by, grant.source) == ("issued", None, f"rebinding:{old.serial}")
    assert (grant.attributes, grant.not_after) == (old.attributes, old.not_after)
    before = record(pmi, old.serial)
    assert (before.state, before.reason, before.replaced_by) == ("revoked", "superseded", grant.serial)
    assert pmi.decide(holder=pmi.new).decision == "permit"
    assert pmi.decide(holder=pmi.old).decision == "deny"
    assert pmi.parts.rebindings.rebind(old.serial, pem(pmi.new), pmi.officer).id == grant.id


def test_key_name_and_entity_survive_what_does_not_touch_them(renewed, lab) -> None:
    pmi = renewed
    same_key = pmi.holders.know(
        pmi.ca.issue("张三", pmi.old_key, not_after=lab.T + 700 * lab.DAY), BUREAU, ZHANG
    )
    for holder_form, certificate in (("key", same_key), ("name", pmi.new)):
        serial = pmi.grant(lab.READER_ROLE, holder=pmi.old, holder_form=holder_form).serial
        with pytest.raises(RebindingNeedlessError):
            pmi.parts.rebindings.rebind(serial, pem(certificate), pmi.officer)
        assert record(pmi, serial).state == "issued"


def test_it_never_follows_to_somebody_else_of_the_same_name(renewed, lab) -> None:
    pmi = renewed
    serial = pmi.grant(lab.READER_ROLE, holder=pmi.old).serial
    for entity, person in ((BUREAU, "person:other"), ("uscc:other", ZHANG), (BUREAU, "")):
        stranger = pmi.holders.know(pmi.ca.holder("张三"), entity, person)
        with pytest.raises(HolderDifferentError):
            pmi.parts.rebindings.rebind(serial, pem(stranger), pmi.officer)
    assert record(pmi, serial).state == "issued"


def test_a_source_alone_spares_nobody_the_approval(renewed, lab) -> None:
    """A grant that only says it is a rebinding: more, longer, or for somebody else: it waits."""
    pmi = renewed
    old = pmi.grant(lab.APPROVER_ROLE, holder=pmi.old, not_after=lab.T + 5 * lab.DAY)
    source = f"rebinding:{old.serial}"
    for changes in (
        {"holder": pmi.new, "not_after": lab.T + 6 * lab.DAY},
        {"holder": pmi.new, "not_after": lab.T + 5 * lab.DAY, "targets": ("urn:example:a",)},
        {"holder": pmi.other, "not_after": lab.T + 5 * lab.DAY},
    ):
        asked = pmi.asked(lab.APPROVER_ROLE, source=source, **changes)
        assert pmi.parts.grants.request(asked, pmi.officer).state == "waiting"
    with pytest.raises(RoleRequiredError):
        pmi.parts.rebindings.rebind(old.serial, pem(pmi.new), pmi.auditor)


def test_the_job_proposes_and_an_officer_confirms(renewed, lab) -> None:
    """The new certificate was seen with a question: what hangs on the old one is proposed, once."""
    pmi = renewed
    serial = pmi.grant(lab.APPROVER_ROLE, holder=pmi.old).serial
    pmi.grant(lab.READER_ROLE, holder=pmi.other)
    rebindings = pmi.parts.rebindings
    rebindings.propose(pmi.clock.now())
    assert rebindings.proposals().proposals == []

    assert pmi.decide(holder=pmi.new).decision == "deny"
    rebindings.propose(pmi.clock.now())
    shown = rebindings.proposals()
    assert [each.record.serial for each in shown.proposals] == [serial]
    with pytest.raises(SelectionChangedError):
        rebindings.confirm([serial], pmi.officer, content_sha256="0" * 64)
    done = rebindings.confirm([serial], pmi.officer, content_sha256=shown.sha256)
    assert [each.grant.state for each in done] == ["issued"]
    assert pmi.decide(holder=pmi.new).decision == "permit"
    assert rebindings.proposals().proposals == []
    rebindings.propose(pmi.clock.now() + timedelta(hours=1))
    assert rebindings.proposals().proposals == []
