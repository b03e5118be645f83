"""What is issued: every attribute, every way to name a holder, every extension, read by the verifier."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.pmi.catalogue.errors import HolderUnfitError
from onecert.pmi.errors import RequestWrongError, ValidityWrongError
from onecert.pmi.holders.identity import HolderIdentity
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    RevocationLists,
    TargetIdentity,
    parse,
)
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encrypted import decrypt_attributes
from onecert.verifier.attribute_certificate.extensions import read_extension
from onecert.verifier.attribute_certificate.trust import TrustedAuthority
from onecert.verifier.attribute_certificate.values import STANDARD, decode_value
from onecert.verifier.errors import RefusedError

pytestmark = pytest.mark.token

ENTITY = "uscc:91440300MA5DEM004J"
REGION = "1.3.6.1.4.1.99999.1.7"
LIMIT = "1.3.6.1.4.1.99999.1.8"
BADGE = "1.3.6.1.4.1.99999.1.9"
EVERYTHING = {
    "role": ["urn:onecert:role:tax.reader", "urn:onecert:role:tax.clerk"],
    "group": ["audit", "tax"],
    "clearance": [{"policy": "1.3.6.1.4.1.99999.2", "classes": ["restricted", "secret"]}],
    "chargingIdentity": ["cost centre 7"],
    "accessIdentity": [{"service": {"uri": "https://tax.example"}, "ident": {"mail": "z@tax.example"}}],
    "region": ["440304", "440303"],
    "limit": [10_000],
}


@pytest.fixture
def wide(pmi, lab):
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    return pmi


def verifier(pmi) -> AttributeCertificateVerifier:
    """A relying party that believes the authority in everything it gives here."""
    with pmi.database.reading() as connection:
        authority = pmi.parts.authorities.load(connection, "tax-office")
        acrl = pmi.parts.publisher.newest(connection, "tax-office")
    oids = [each.oid.dotted_string for each in STANDARD.values()]
    trusted = TrustedAuthority.from_certificate(
        authority.certificate, roles=["urn:onecert:role:*"], attributes=[*oids, REGION, LIMIT]
    )
    trust = AttributeTrust(authorities=(trusted,))
    return AttributeCertificateVerifier(trust=trust, status=RevocationLists(trust, [acrl.der]))


def issue(pmi, **changes) -> bytes:
    return pmi.certificate_der(pmi.grant(**{"roles": (), "attributes": {"group": ["tax"]}, **changes}))


def test_every_attribute_of_the_catalogue(wide, lab) -> None:
    der = issue(wide, attributes=EVERYTHING)
    proved = verifier(wide).verify(der, holder=wide.holder, at=lab.T)
    values = {each.oid.dotted_string: each.values for each in proved.attributes}
    assert {role.name for role in proved.roles} == set(EVERYTHING["role"])
    assert {decode_value("printable", value) for value in values[REGION]} == {"440303", "440304"}
    assert [decode_value("integer", value) for value in values[LIMIT]] == [10_000]
    for name in ("clearance", "chargingIdentity", "accessIdentity"):
        (value,) = values[STANDARD[name].oid.dotted_string]
        assert decode_value(STANDARD[name].syntax, value) == EVERYTHING[name][0]
    # RFC 5755, section 4.4.4: one value with both groups in it.
    (group,) = values[Oid.GROUP.dotted_string]
    assert decode_value("ietf", group) == {"kind": "string", "values": ["audit", "tax"]}
    # The shortest maximum of all that is in it counts.
    assert proved.not_after - proved.not_before == timedelta(days=10)


def test_every_way_to_name_the_holder(wide, lab) -> None:
    """Good for its holder, refused for another; what is bound to the key or the name outlives a renewal."""
    check = verifier(wide)
    renewed = wide.ca.issue("张三", wide.holder.public_key())
    # form -> does it follow the renewed certificate with the same key and name
    forms = {"certificate": False, "digest": False, "key": True, "name": True, "entity": True}
    for form, follows in forms.items():
        der = issue(wide, holder_form=form)
        holder = parse(der).holder
        named = (holder.base_certificate_id, holder.entity_name, holder.object_digest)
        assert sum(bool(each) for each in named) == 1, form
        assert check.verify(der, holder=wide.holder, at=lab.T, identity=ENTITY), form
        with pytest.raises(RefusedError) as caught:
            check.verify(der, holder=wide.other, at=lab.T, identity="uscc:91440300MA5DEM0A63")
        assert caught.value.code == "HOLDER", form
        found = check.explain(der, holder=renewed, at=lab.T, identity=ENTITY)
        assert (found.verified is not None) is follows, form


def test_only_legal_entities_are_named_as_entities(wide, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """An employee's certificate names the firm too, and is not the firm."""
    original = wide.holders.verify

    def employee(certificate: bytes, at) -> HolderIdentity:
        return replace(original(certificate, at), attributes={"holder_class": "employee"})

    monkeypatch.setattr(wide.holders, "verify", employee)
    with pytest.raises(HolderUnfitError):
        issue(wide, holder_form="entity")
    with pytest.raises(RequestWrongError, match="holder_form"):
        issue(wide, holder_form="thumbprint")


def test_targets_and_groups_are_critical_and_enforced(wide, lab) -> None:
    app, group = "urn:onecert:application:tax", "urn:onecert:group:bureau"
    der = issue(wide, targets=(app,), target_groups=(group,))
    assert parse(der).find_extension(Oid.TARGET_INFORMATION).critical
    check = verifier(wide)
    for target in (TargetIdentity.from_uris(app), TargetIdentity.from_uris("urn:x:y", groups=[group])):
        assert check.verify(der, holder=wide.holder, at=lab.T, target=target)
    for target in (None, TargetIdentity.from_uris(group)):
        with pytest.raises(RefusedError) as caught:
            check.verify(der, holder=wide.holder, at=lab.T, target=target)
        assert caught.value.code == "TARGET"


def test_an_audit_identity_is_drawn_or_given(wide, lab) -> None:
    drawn = wide.grant(roles=(), attributes={"group": ["tax"]}, audit_identity="drawn")
    assert len(bytes.fromhex(drawn.audit_identity)) == 20
    proved = verifier(wide).verify(wide.certificate_der(drawn), holder=wide.holder, at=lab.T)
    assert proved.audit_identity.hex() == drawn.audit_identity
    assert parse(wide.certificate_der(drawn)).find_extension(Oid.AUDIT_IDENTITY).critical
    given = verifier(wide).verify(issue(wide, audit_identity="00FF"), holder=wide.holder, at=lab.T)
    assert given.audit_identity == b"\x00\xff"
    for wrong in ("xy", "0", "00" * 21):
        with pytest.raises(RequestWrongError, match="audit_identity"):
            issue(wide, audit_identity=wrong)


def test_short_lived_without_status_or_long_lived_with_both(wide, lab) -> None:
    short = issue(wide, short_lived=True)
    proved = verifier(wide).verify(short, holder=wide.holder, at=lab.T)
    assert (proved.status, proved.not_after - proved.not_before) == ("short-lived", timedelta(hours=24))
    oids = {each.oid for each in parse(short).extensions}
    assert oids == {Oid.AUTHORITY_KEY_IDENTIFIER, Oid.NO_REVOCATION_AVAILABLE}
    with pytest.raises(ValidityWrongError):
        issue(wide, short_lived=True, not_after=lab.T + timedelta(hours=25))

    long = parse(issue(wide))
    assert long.find_extension(Oid.NO_REVOCATION_AVAILABLE) is None
    assert (
        b"http://127.0.0.1:8080/pmi/tax-office.acrl" in long.find_extension(Oid.CRL_DISTRIBUTION_POINTS).value
    )
    assert (
        b"http://127.0.0.1:8080/pmi/tax-office/ocsp"
        in long.find_extension(Oid.AUTHORITY_INFORMATION_ACCESS).value
    )


def test_encrypted_attributes_are_for_the_recipient(wide, lab) -> None:
    """Named by the catalogue; without a recipient nothing is issued, with one nobody else reads them."""
    key = ec.generate_private_key(ec.SECP256R1())
    recipient = wide.ca.issue("单位", key.public_key(), bits=("key_agreement",))
    wanted = {"badge": ["工号 0017"], "group": ["tax"]}
    with pytest.raises(RequestWrongError, match="recipient"):
        issue(wide, attributes=wanted)
    with pytest.raises(RequestWrongError, match="recipient"):
        issue(wide, recipient=recipient.public_bytes(lab.Encoding.PEM))

    grant = wide.grant(roles=(), attributes=wanted, recipient=recipient.public_bytes(lab.Encoding.PEM))
    der = wide.certificate_der(grant)
    assert b"0017" not in der
    (badge,) = decrypt_attributes(parse(der), recipient=recipient, key=key)
    assert badge.oid.dotted_string == BADGE
    assert decode_value("utf8", badge.values[0]) == "工号 0017"
    with wide.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT name, value FROM pmi_certificate_attributes ORDER BY name"
        ).all()
        entries = connection.exec_driver_sql("SELECT details FROM audit_entries").all()
    assert [tuple(row) for row in rows] == [("badge", "encrypted"), ("group", "tax")]
    assert "0017" not in str(entries)


@pytest.mark.parametrize("algorithm", ["rsa-2048", "p-384", "ed25519", "sm2"])
def test_every_kind_of_key(bare_pmi, lab, algorithm: str) -> None:
    """Issued, verified by a stranger, revoked, refused."""
    bare_pmi.set_up(algorithm)
    grant = bare_pmi.grant(lab.READER_ROLE)
    der = bare_pmi.certificate_der(grant)
    assert bare_pmi.stranger().verify(der, holder=bare_pmi.holder, at=lab.T).roles
    bare_pmi.parts.revocations.revoke(grant.serial, reason="superseded", operator=bare_pmi.officer)
    with pytest.raises(RefusedError) as caught:
        bare_pmi.stranger().verify(der, holder=bare_pmi.holder, at=lab.T)
    assert caught.value.code == "REVOKED"


def test_the_delegation_is_named_in_what_is_given_under_it(wide, lab) -> None:
    """tax-office delegates to sub-office, which gives within it; both are read back by the lint."""
    sub = wide.add_authority("sub-office")
    until = lab.T + timedelta(days=20)
    delegation = wide.delegate(
        "tax-office", sub, lab.READER_ROLE, depth=0, permitted=["C=CN"], not_after=until
    )
    given = parse(wide.certificate_der(delegation))
    assert given.find_extension(Oid.BASIC_ATTRIBUTE_CONSTRAINTS).critical
    assert given.find_extension(Oid.DELEGATED_NAME_CONSTRAINTS).critical
    grant = wide.grant(lab.READER_ROLE, authority="sub-office", not_after=lab.T + timedelta(days=19))
    under = parse(wide.certificate_der(grant)).find_extension(Oid.AUTHORITY_ATTRIBUTE_IDENTIFIER)
    assert not under.critical
    ((name, serial),) = read_extension(under.oid, under.value).given_under
    assert f"{serial:x}" == delegation.serial
    assert "tax-office" in str(name)
