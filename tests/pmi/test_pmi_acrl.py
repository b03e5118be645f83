"""Revocation lists: numbers that only rise, renewed by timer, checked before they are published."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update

from onecert.pmi.errors import AcrlFaultError
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import acrls, certificates
from onecert.pmi.status import acrl as acrl_module
from onecert.pmi.status.published import StatusApp

pytestmark = pytest.mark.token


def newest(pmi):
    with pmi.database.reading() as connection:
        return pmi.parts.publisher.newest(connection, "tax-office")


def test_a_list_has_the_critical_point_and_number(pmi) -> None:
    crl = x509.load_der_x509_crl(newest(pmi).der)
    point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert point.critical
    assert point.value.only_contains_attribute_certs
    assert point.value.full_name[0].value == "http://127.0.0.1:8080/pmi/tax-office.acrl"
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 1
    assert crl.is_signature_valid(pmi.authority_certificate.public_key())
    assert crl.issuer == pmi.authority_certificate.subject


def test_numbers_rise_with_each_revocation_and_by_timer(pmi_on_both, lab) -> None:
    pmi = pmi_on_both
    assert newest(pmi).number == 1
    grant = pmi.grant(lab.READER_ROLE)
    pmi.parts.revocations.revoke(grant.serial, reason="superseded", operator=pmi.officer)
    assert newest(pmi).number == 2
    pmi.parts.publisher.renew(pmi.clock.now())  # nothing is due
    assert newest(pmi).number == 2
    pmi.clock.advance(timedelta(hours=6))
    pmi.parts.publisher.renew(pmi.clock.now())
    assert newest(pmi).number == 3
    assert [entry.serial_number for entry in x509.load_der_x509_crl(newest(pmi).der)] == [
        int(grant.serial, 16)
    ]


def test_expired_entries_leave_the_list(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE, not_after=lab.T + lab.DAY)
    pmi.parts.revocations.revoke(grant.serial, reason="superseded", operator=pmi.officer)
    pmi.clock.advance(timedelta(days=3))
    pmi.parts.publisher.renew(pmi.clock.now())
    assert list(x509.load_der_x509_crl(newest(pmi).der)) == []


def test_a_list_that_misses_one_is_not_published(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The builder leaves a revoked certificate out: the list before stays in force."""
    grant = pmi.grant(lab.READER_ROLE)
    pmi.parts.revocations.revoke(grant.serial, reason="superseded", operator=pmi.officer)
    before = newest(pmi)
    calls = iter([[], acrl_module.revoked_rows])
    original = acrl_module.revoked_rows

    def forget(*arguments):
        step = next(calls)
        return step if step == [] else original(*arguments)

    monkeypatch.setattr(acrl_module, "revoked_rows", forget)
    with pytest.raises(AcrlFaultError):
        pmi.parts.publisher.publish("tax-office")
    assert newest(pmi) == before


def test_a_crash_while_signing_leaves_a_gap_and_no_repetition(pmi, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Signer, "sign", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pmi.parts.publisher.publish("tax-office")
    assert newest(pmi).number == 1
    assert pmi.parts.publisher.publish("tax-office").number == 3


def test_the_alarm_comes_at_half_life(pmi) -> None:
    pmi.parts.publisher.check_fresh()
    pmi.clock.advance(timedelta(hours=12, seconds=1))
    with pytest.raises(AcrlFaultError):
        pmi.parts.publisher.check_fresh()


def call(app, path: str, method: str = "GET", **environ):
    answer = {}

    def start_response(status, headers):
        answer.update(status=status, headers=dict(headers))

    body = b"".join(app({"PATH_INFO": path, "REQUEST_METHOD": method, **environ}, start_response))
    return answer["status"], answer["headers"], body


def test_the_status_service(pmi, tmp_path) -> None:
    app = StatusApp(pmi.database, pmi.parts.authorities, pmi.parts.publisher)
    status, headers, body = call(app, "/tax-office.acrl")
    assert (status, headers["Content-Type"], body) == ("200 OK", "application/pkix-crl", newest(pmi).der)
    assert call(app, "/tax-office.acrl", HTTP_IF_NONE_MATCH=headers["ETag"])[0] == "304 Not Modified"
    assert call(app, "/tax-office.cer")[2] == pmi.authority_certificate.public_bytes(Encoding.DER)
    assert call(app, "/tax-office.acrl", "HEAD")[2] == b""
    assert call(app, "/nobody.acrl")[0].startswith("404")
    assert call(app, "/../etc/passwd")[0].startswith("404")
    assert call(app, "/tax-office.acrl", "POST")[0].startswith("405")
    # The database is gone: what was read last is still served.
    (tmp_path / "pmi.db").unlink()
    assert call(app, "/tax-office.acrl")[2] == body


def test_rows_written_past_us_do_not_break_the_reader(pmi, lab) -> None:
    """A reason that nobody knows, put into the database by hand: the list is not published, and says so."""
    grant = pmi.grant(lab.READER_ROLE)
    with pmi.database.transaction() as connection:
        connection.execute(
            update(certificates)
            .where(certificates.c.serial == grant.serial)
            .values(state="revoked", reason="anger", revoked_at=pmi.clock.now())
        )
        connection.execute(update(acrls).values(status_version=-1))
    with pytest.raises(AcrlFaultError):
        pmi.parts.publisher.renew(pmi.clock.now())
