"""The order of issuing: on record before the key, linted, compared; what an interruption leaves behind."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.errors import (
    AuthorityExistsError,
    AuthorityUnfitError,
    AuthorityUnknownError,
    CertificateUnknownError,
    DraftRefusedError,
    GrantStateError,
    ReasonUnknownError,
    SignatureFaultError,
    TokenGoneError,
)
from onecert.pmi.issuing import one as issuing_module
from onecert.pmi.issuing.attributes import encode_attributes
from onecert.pmi.issuing.encode import Template, Under, draw_serial
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import certificates, metadata
from onecert.pmi.repository.search import Search, find_certificates, load_certificate
from onecert.server.languages import set_language
from onecert.verifier.attribute_certificate import parse
from onecert.verifier.attribute_certificate.delegation import Constraints

pytestmark = pytest.mark.token


class PowerCut(BaseException):
    """The process ends here."""


def rows(pmi) -> list:
    with pmi.database.reading() as connection:
        return list(connection.execute(select(certificates)))


def test_serials_are_long_positive_and_different() -> None:
    drawn = {draw_serial() for _ in range(1000)}
    assert len(drawn) == 1000
    assert all(serial > 0 and (serial.bit_length() + 8) // 8 == 20 for serial in drawn)


def test_what_is_signed_is_on_record_before(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment the key is used, serial and bytes have been committed."""
    seen = []
    original = Signer.sign

    def sign(self, authority, label, public_key, content_der):
        seen.append([row for row in rows(pmi) if bytes(row.info_der) == content_der])
        return original(self, authority, label, public_key, content_der)

    monkeypatch.setattr(Signer, "sign", sign)
    grant = pmi.grant(lab.READER_ROLE)
    assert [row.state for row in seen[0]] == ["intended"]
    assert parse(pmi.certificate_der(grant)).info_der == bytes(rows(pmi)[0].info_der)


@pytest.mark.parametrize("after_the_key", [False, True])
def test_a_crash_around_the_signature_leaves_a_revoked_serial(
    pmi, lab, monkeypatch: pytest.MonkeyPatch, after_the_key: bool
) -> None:
    """The process dies just before or just after the key was used: the serial goes on the list, and the grant
    is issued under another one."""
    original = Signer.sign

    def die(self, *arguments):
        if after_the_key:
            original(self, *arguments)
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(Signer, "sign", die)
        with pytest.raises(PowerCut):
            pmi.grant(lab.READER_ROLE)
    assert [row.state for row in rows(pmi)] == ["intended"]
    lost = rows(pmi)[0].serial
    with pytest.raises(GrantStateError):
        pmi.parts.grants.issue(rows(pmi)[0].grant_id, actor="operator:officer")

    assert pmi.parts.issuing.resolve_intents(pmi.clock.now()) == 0  # it may still be under way
    pmi.clock.advance(timedelta(minutes=6))
    assert pmi.parts.issuing.resolve_intents(pmi.clock.now()) == 1
    assert pmi.parts.issuing.resolve_intents(pmi.clock.now()) == 0

    status = pmi.stranger().status.find_list(pmi.stranger().trust.authorities[0])
    assert status.find(int(lost, 16)) is not None
    issued = pmi.parts.grants.issue(rows(pmi)[0].grant_id, actor="operator:officer")
    assert issued.serial != lost
    assert pmi.parts.grants.issue(rows(pmi)[0].grant_id, actor="operator:officer") == issued


def test_a_token_that_is_gone_leaves_the_grant_open(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused with 503, nothing half-done: the serial is given up, the same grant is issued later."""

    def gone(self, *arguments):
        raise TokenGoneError("pmi")

    with monkeypatch.context() as patched:
        patched.setattr(Signer, "sign", gone)
        with pytest.raises(TokenGoneError) as caught:
            pmi.grant(lab.READER_ROLE)
    assert caught.value.status == 503
    assert [row.state for row in rows(pmi)] == ["abandoned"]
    assert (
        pmi.parts.grants.issue(rows(pmi)[0].grant_id, actor="operator:officer").serial != rows(pmi)[0].serial
    )


def test_a_signature_that_does_not_fit_is_not_given_out(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token signs with another key than the certificate's."""
    other = pmi.parts.token.own_key("another")
    monkeypatch.setitem(pmi.parts.signer._keys, "authority-tax-office", other)
    with pytest.raises(SignatureFaultError):
        pmi.grant(lab.READER_ROLE)
    assert [row.state for row in rows(pmi)] == ["abandoned"]


OTHER_APPLICATION = ("urn:onecert:application:other",)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("serial", 5),
        ("attributes", encode_attributes(Catalogue(), {"role": ["urn:onecert:role:tax.other"]}).clear),
        ("holder", "other"),
        ("not_before", timedelta(days=1)),
        ("not_after", timedelta(days=5000)),
        ("holder_form", "key"),
        ("targets", OTHER_APPLICATION),
        ("target_groups", OTHER_APPLICATION),
        ("short_lived", True),
        ("audit_identity", "00ff"),
        ("constraints", Constraints(0)),
        ("under", Under(bytes.fromhex("300d310b300906035504061302434e"), 5)),
    ],
)
def test_a_draft_with_a_fault_is_never_signed(
    pmi, lab, monkeypatch: pytest.MonkeyPatch, field: str, wrong: object
) -> None:
    """The encoder makes a mistake; the lint finds it, and the key is not used."""
    original = Template.fill
    if isinstance(wrong, timedelta):
        wrong = lab.T + wrong
    if wrong == "other":
        wrong = lab.parse_certificate(pmi.other.public_bytes(lab.Encoding.DER))

    def fill(self, content, serial):
        if field == "serial":
            return original(self, content, wrong)
        return original(self, replace(content, **{field: wrong}), serial)

    monkeypatch.setattr(Template, "fill", fill)
    monkeypatch.setattr(Signer, "sign", lambda *_: pytest.fail("the key was used"))
    with pytest.raises(DraftRefusedError):
        pmi.grant(lab.READER_ROLE)
    assert rows(pmi) == []


def test_if_the_audit_fails_the_act_fails(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry about issuing cannot be written: nothing is issued, and the serial can be revoked."""
    record = pmi.context.audit.record

    def refuse(connection, *, event: str, **values):
        if event == "attribute_certificate.issued":
            raise issuing_module.ServiceError("AUDIT_FAILED", status=503, text="no")
        return record(connection, event=event, **values)

    monkeypatch.setattr(pmi.context.audit, "record", refuse)
    with pytest.raises(issuing_module.ServiceError):
        pmi.grant(lab.READER_ROLE)
    assert [row.state for row in rows(pmi)] == ["intended"]


# --- authorities ---


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"ca": True, "bits": ("digital_signature", "key_cert_sign", "crl_sign")}, "certification authority"),
        ({"bits": ("key_agreement", "crl_sign")}, "does not allow its key to sign"),
        ({"bits": ("digital_signature",)}, "cRLSign"),
        ({"bits": ("digital_signature", "crl_sign"), "with_key_id": False}, "key identifier"),
        ({"bits": ("digital_signature", "crl_sign"), "not_after": "past"}, "CERT_EXPIRED"),
    ],
)
def test_a_certificate_that_is_not_one_for_an_authority(bare_pmi, lab, change: dict, part: str) -> None:
    if "not_after" in change:
        change = {**change, "not_after": lab.T - timedelta(hours=1)}
    good = bare_pmi.request_authority()
    unfit = bare_pmi.ca.issue("tax-office", good.public_key(), **change)
    with set_language("en"), pytest.raises(AuthorityUnfitError, match=part):
        bare_pmi.install(unfit)


def test_a_certificate_for_another_key_or_of_another_ca(bare_pmi, lab) -> None:
    good = bare_pmi.request_authority()
    key = lab.ec.generate_private_key(lab.ec.SECP256R1()).public_key()
    with pytest.raises(AuthorityUnfitError, match="another key"):
        bare_pmi.install(bare_pmi.ca.issue("tax-office", key, bits=("digital_signature", "crl_sign")))
    foreign = lab.Ca().issue("tax-office", good.public_key(), bits=("digital_signature", "crl_sign"))
    with pytest.raises(AuthorityUnfitError, match="signature in the chain"):
        bare_pmi.install(foreign)
    with pytest.raises(AuthorityUnknownError):
        bare_pmi.install(good, "nobody")


def test_an_authority_keeps_its_certificate(pmi) -> None:
    pmi.install(pmi.authority_certificate)  # the same again changes nothing
    with pytest.raises(AuthorityExistsError):
        pmi.request_authority()
    assert pmi.events().count("authority.installed") == 1


# --- revocation and repository ---


def test_revoking_twice_and_wrong_reasons(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    with pytest.raises(ReasonUnknownError):
        pmi.parts.revocations.revoke(grant.serial, reason="anger", operator=pmi.officer)
    with pytest.raises(CertificateUnknownError):
        pmi.parts.revocations.revoke("abc", reason="superseded", operator=pmi.officer)
    first, _ = pmi.parts.revocations.revoke(grant.serial, reason="superseded", operator=pmi.officer)
    pmi.clock.advance(timedelta(hours=1))
    second, _ = pmi.parts.revocations.revoke(grant.serial, reason="keyCompromise", operator=pmi.officer)
    assert (second.revoked_at, second.reason) == (first.revoked_at, "superseded")
    assert pmi.events().count("attribute_certificate.revoked") == 1


def test_a_revocation_counts_although_the_list_cannot_be_signed(
    pmi, lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = pmi.grant(lab.APPROVER_ROLE)
    with monkeypatch.context() as patched:
        patched.setattr(Signer, "sign", lambda *_: (_ for _ in ()).throw(TokenGoneError("pmi")))
        record, acrl = pmi.parts.revocations.revoke(
            grant.serial, reason="privilegeWithdrawn", operator=pmi.officer
        )
    assert (record.state, acrl) == ("revoked", None)
    assert pmi.decide(attribute_certificates=[pmi.certificate_der(grant)]).decision == "deny"
    pmi.parts.publisher.renew(pmi.clock.now())  # the timer
    stranger = pmi.stranger()
    assert stranger.status.find_list(stranger.trust.authorities[0]).find(int(grant.serial, 16))


def test_the_repository_is_searched_by_everything(pmi_on_both, lab) -> None:
    pmi = pmi_on_both
    first = pmi.grant(lab.APPROVER_ROLE)
    second = pmi.grant(lab.READER_ROLE, holder=pmi.other)
    pmi.parts.revocations.revoke(second.serial, reason="superseded", operator=pmi.officer)
    now = pmi.clock.now()

    def found(**search) -> set[str]:
        with pmi.database.reading() as connection:
            records, total = find_certificates(connection, Search(**search), now)
        assert total == len(records)
        return {record.serial for record in records}

    assert found() == {first.serial, second.serial}
    assert found(holder="张") == {first.serial}
    assert found(holder="uscc:91440300MA5DEM0A63") == {second.serial}
    assert found(holder=first.serial.upper()) == {first.serial}
    assert found(role=lab.APPROVER_ROLE) == {first.serial}
    assert found(authority="tax-office", status="revoked") == {second.serial}
    assert found(status="valid") == {first.serial}
    assert found(status="expired") == set()
    assert found(holder="%") == set()
    with pmi.database.reading() as connection:
        assert load_certificate(connection, f"00{first.serial.upper()}").roles == (lab.APPROVER_ROLE,)


def test_tables_are_those_of_the_migrations(pmi_on_both) -> None:
    """Compares models and migrations, on both engines."""
    options = {
        "version_table": "alembic_version_pmi",
        "include_object": lambda _object, name, kind, *_: kind != "table" or str(name).startswith("pmi_"),
    }
    with pmi_on_both.database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_key_files_and_secrets_are_private(pmi, tmp_path: Path) -> None:
    pmi.decide()
    for path in (tmp_path / "decisions").iterdir():
        assert path.stat().st_mode & 0o077 == 0
