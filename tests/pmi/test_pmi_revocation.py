"""Hold, release, revoke: one and many, by one confirmed act; at once for decisions, on the list, for good."""

from __future__ import annotations

import pytest
from cryptography import x509
from sqlalchemy import select

from onecert.pmi.errors import CertificateUnknownError, GrantStateError, ReasonUnknownError, RequestWrongError
from onecert.pmi.life.errors import CertificateStateError, SelectionChangedError
from onecert.pmi.life.revocation import REASONS
from onecert.pmi.models import holds
from onecert.pmi.status.acrl import AcrlPublisher
from onecert.server.operators import RoleRequiredError

pytestmark = pytest.mark.token


def entries(pmi) -> dict[int, str]:
    with pmi.database.reading() as connection:
        crl = x509.load_der_x509_crl(pmi.parts.publisher.newest(connection, "tax-office").der)
    found = {}
    for entry in crl:
        reasons = list(entry.extensions)
        found[entry.serial_number] = reasons[0].value.reason.value if reasons else "unspecified"
    return found


def test_a_hold_denies_at_once_and_a_release_permits_again(pmi_on_both, lab) -> None:
    """valid -> held -> valid: on the list with certificateHold, then not at all; two audit entries."""
    pmi = pmi_on_both
    grant = pmi.grant(lab.APPROVER_ROLE)
    assert pmi.decide().decision == "permit"

    record, acrl = pmi.parts.revocations.hold(grant.serial, operator=pmi.officer)
    assert (record.state, record.status(lab.T), record.reason) == ("held", "held", "certificateHold")
    assert pmi.decide().decision == "deny"
    assert pmi.decide(attribute_certificates=[pmi.certificate_der(grant)]).decision == "deny"
    assert entries(pmi) == {int(grant.serial, 16): "certificateHold"}
    again, _ = pmi.parts.revocations.hold(grant.serial, operator=pmi.approver)
    assert again == record
    assert acrl is not None

    pmi.clock.advance(lab.DAY)
    record, _ = pmi.parts.revocations.release(grant.serial, operator=pmi.officer)
    assert (record.state, record.revoked_at, record.reason, record.revoked_by) == ("issued", None, None, None)
    assert pmi.decide().decision == "permit"
    assert entries(pmi) == {}
    assert pmi.parts.revocations.release(grant.serial, operator=pmi.officer)[0] == record
    assert [event for event in pmi.events() if event.endswith(("held", "released"))] == [
        "attribute_certificate.held",
        "attribute_certificate.released",
    ]
    with pmi.database.reading() as connection:
        row = connection.execute(select(holds)).mappings().one()
    assert (row["held_at"], row["held_by"]) == (lab.T, "operator:officer")
    assert (row["released_at"], row["released_by"]) == (lab.T + lab.DAY, "operator:officer")


def test_what_was_held_and_then_revoked_is_revoked_since_the_hold(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    pmi.parts.revocations.hold(grant.serial, operator=pmi.officer)
    pmi.clock.advance(lab.DAY)
    record, _ = pmi.parts.revocations.revoke(grant.serial, reason="keyCompromise", operator=pmi.approver)
    assert (record.state, record.revoked_at, record.reason) == ("revoked", lab.T, "keyCompromise")
    with pytest.raises(CertificateStateError):
        pmi.parts.revocations.release(grant.serial, operator=pmi.officer)
    with pytest.raises(CertificateStateError):
        pmi.parts.revocations.hold(grant.serial, operator=pmi.officer)


def test_each_reason_stands_on_the_list(pmi, lab) -> None:
    revoked = {}
    for reason in REASONS:
        serial = pmi.grant(lab.READER_ROLE).serial
        pmi.parts.revocations.revoke(serial, reason=reason, operator=pmi.officer)
        revoked[int(serial, 16)] = reason
    assert entries(pmi) == revoked


def test_many_at_once_by_what_was_shown(pmi, lab) -> None:
    serials = [pmi.grant(lab.READER_ROLE).serial for _ in range(3)]
    revocations = pmi.parts.revocations
    shown = revocations.select("revoke", serials, reason="affiliationChanged")
    assert [record.serial for record in shown.records] == sorted(serials)
    lists = len([event for event in pmi.events() if event == "acrl.published"])

    done = revocations.together(
        "revoke",
        serials[::-1],
        reason="affiliationChanged",
        content_sha256=shown.sha256,
        operator=pmi.officer,
    )
    assert {record.state for record in done.records} == {"revoked"}
    assert len(done.changed) == 3
    assert sorted(entries(pmi)) == sorted(int(serial, 16) for serial in serials)
    assert len([event for event in pmi.events() if event == "acrl.published"]) == lists + 1
    again = revocations.together(
        "revoke", serials, reason="affiliationChanged", content_sha256=shown.sha256, operator=pmi.officer
    )
    assert (again.records, again.changed) == (done.records, [])
    assert pmi.events().count("attribute_certificate.revoked") == 3


def test_many_are_all_or_none(pmi, lab) -> None:
    good, revoked = (pmi.grant(lab.READER_ROLE).serial for _ in range(2))
    revocations = pmi.parts.revocations
    shown = revocations.select("hold", [good, revoked])
    revocations.revoke(revoked, reason="superseded", operator=pmi.officer)
    with pytest.raises(CertificateStateError):
        revocations.together("hold", [good, revoked], content_sha256=shown.sha256, operator=pmi.officer)
    with pytest.raises(SelectionChangedError):
        revocations.together("hold", [good], content_sha256=shown.sha256, operator=pmi.officer)
    with pytest.raises(CertificateUnknownError):
        revocations.select("revoke", [good, "4a00"], reason="superseded")
    with pytest.raises(RequestWrongError):
        revocations.select("forget", [good])
    with pytest.raises(RequestWrongError):
        revocations.select("hold", [])
    with pytest.raises(RequestWrongError):
        revocations.select("hold", [good], reason="superseded")
    with pytest.raises(ReasonUnknownError):
        revocations.select("revoke", [good], reason="certificateHold")
    assert list(entries(pmi)) == [int(revoked, 16)]


def test_who_may(pmi, lab) -> None:
    """Security staff take out of use, and let nothing count again; an auditor does neither."""
    grant = pmi.grant(lab.READER_ROLE)
    night = pmi.operator("night", "attribute.security")
    revocations = pmi.parts.revocations
    for act in (
        lambda: revocations.hold(grant.serial, operator=pmi.auditor),
        lambda: revocations.release(grant.serial, operator=night),
        lambda: revocations.revoke(grant.serial, reason="superseded", operator=pmi.auditor),
    ):
        with pytest.raises(RoleRequiredError):
            act()
    assert revocations.hold(grant.serial, operator=night)[0].state == "held"
    assert revocations.revoke(grant.serial, reason="keyCompromise", operator=night)[0].state == "revoked"


def test_without_a_list_it_counts_all_the_same(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list cannot be signed just now: decisions deny, and the timer publishes it later."""
    grant = pmi.grant(lab.APPROVER_ROLE)
    with monkeypatch.context() as patched:

        def fail(*_arguments: object) -> None:
            raise GrantStateError("1", "no token")

        patched.setattr(AcrlPublisher, "publish", fail)
        record, acrl = pmi.parts.revocations.hold(grant.serial, operator=pmi.officer)
    assert (record.state, acrl) == ("held", None)
    assert pmi.decide().decision == "deny"
    pmi.parts.publisher.renew(pmi.clock.now())
    assert list(entries(pmi)) == [int(grant.serial, 16)]
