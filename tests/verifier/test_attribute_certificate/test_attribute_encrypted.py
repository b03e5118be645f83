"""Encrypted attributes: each recipient reads them, also with OpenSSL, and nobody else learns why not."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onecert.verifier import MalformedError, RefusedError, VerifyError
from onecert.verifier.attribute_certificate import (
    Attribute,
    AttributeCertificate,
    DelegationStep,
    Limits,
    VerifiedAttributeCertificate,
    parse,
)
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encrypted import (
    decrypt_attributes,
    encrypt_attributes,
    open_encrypted,
)
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.attribute_certificate.values import decode_value, encode_value
from onecert.verifier.der import Reader

ENCRYPTED = "1.3.6.1.5.5.7.10.6"
SERIAL = 0x1234567890ABCDEF
ATTRIBUTES = (
    Attribute(Oid.ROLE, (encode_value("role", "urn:onecert:role:tax.approver"),)),
    Attribute(Oid.GROUP, (encode_value("ietf", "组一"),)),
)
CONTENT_TYPE = bytes.fromhex("060b2a864886f70d010910010e")
ID_DATA = bytes.fromhex("06092a864886f70d010701")


@dataclass
class Recipient:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass
class Office:
    world: object
    lab: object
    issuer: GeneralName
    recipients: dict[str, Recipient]

    def encrypt(self, *names: str, serial: int = SERIAL) -> bytes:
        chosen = [self.recipients[name].certificate for name in names]
        return encrypt_attributes(ATTRIBUTES, issuer=self.issuer, serial=serial, recipients=chosen)

    def certificate(self, *values: bytes) -> AttributeCertificate:
        return parse(self.world.issue(attributes=(self.lab.attribute(ENCRYPTED, *values),)))

    def decrypt(self, value: bytes, name: str, *, key: object = None) -> tuple[Attribute, ...]:
        own = self.recipients[name]
        return decrypt_attributes(
            self.certificate(value), recipient=own.certificate, key=own.key if key is None else key
        )


@pytest.fixture(scope="module")
def office(world, lab) -> Office:
    """Departments with an RSA key, a key on P-256 and one on P-384."""
    keys = {
        "rsa": (rsa.generate_private_key(65537, 2048), "key_encipherment"),
        "p256": (ec.generate_private_key(ec.SECP256R1()), "key_agreement"),
        "p384": (ec.generate_private_key(ec.SECP384R1()), "key_agreement"),
        "signer": (ec.generate_private_key(ec.SECP256R1()), "digital_signature"),
        "p521": (ec.generate_private_key(ec.SECP521R1()), "key_agreement"),
    }
    recipients = {
        name: Recipient(lab.identity(f"部门 {name}", key=key, usage=(usage,)).certificate, key)
        for name, (key, usage) in keys.items()
    }
    issuer = GeneralName.directory(world.authority.certificate.subject)
    return Office(world, lab, issuer, recipients)


@pytest.mark.parametrize("names", [("rsa",), ("p256",), ("rsa", "p256", "p384")])
def test_each_recipient_reads_them(office, names) -> None:
    value = office.encrypt(*names)
    assert decode_value("encrypted", value)
    for name in names:
        assert office.decrypt(value, name) == ATTRIBUTES
    assert b"tax.approver" not in value


def test_one_value_for_each_of_two_departments(office) -> None:
    """Two values in one attribute: each department finds its own."""
    certificate = office.certificate(office.encrypt("rsa"), office.encrypt("p384"))
    for name in ("rsa", "p384"):
        own = office.recipients[name]
        assert decrypt_attributes(certificate, recipient=own.certificate, key=own.key) == ATTRIBUTES


def test_a_certificate_without_them_has_none(office) -> None:
    own = office.recipients["rsa"]
    plain = parse(office.world.issue())
    assert decrypt_attributes(plain, recipient=own.certificate, key=own.key) == ()


@pytest.mark.parametrize("name", ["rsa", "p384"])
def test_openssl_reads_ours_and_we_read_theirs(office, name, tmp_path: Path) -> None:
    """Debian's ``openssl cms`` decrypts ours; what it encrypts again we decrypt."""
    own = office.recipients[name]
    value = office.encrypt("p256", name)
    (tmp_path / "value").write_bytes(value)
    (tmp_path / "certificate").write_bytes(own.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key").write_bytes(own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    clear = _openssl(
        tmp_path, "-decrypt", "-inform", "DER", "-in", "value", "-recip", "certificate", "-inkey", "key"
    )
    how = (
        ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]
        if name == "rsa"
        else ["-keyopt", "ecdh_kdf_md:sha384"]
    )
    (tmp_path / "clear").write_bytes(clear)
    theirs = _openssl(
        tmp_path,
        "-encrypt",
        "-in",
        "clear",
        "-outform",
        "DER",
        "-noindef",
        "-aes256",
        "-recip",
        "certificate",
        *how,
    )
    # openssl cms has no way to name another content type than data.
    assert office.decrypt(_with_content_type(office.lab, theirs), name) == ATTRIBUTES


def _openssl(folder: Path, *arguments: str) -> bytes:
    command = ["openssl", "cms", "-binary", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60).stdout


def _with_content_type(lab, data: bytes) -> bytes:
    outer = Reader(data).enter(0x30)
    oid = outer.raw()
    enveloped = outer.enter(0xA0).enter(0x30)
    version, recipients = enveloped.raw(), enveloped.raw()
    content = enveloped.raw()
    assert ID_DATA in content
    inner = Reader(content).enter(0x30)
    inner.raw()
    rest = inner.raw() + inner.raw()
    again = lab.tlv(0x30, CONTENT_TYPE, rest)
    return lab.tlv(0x30, oid, lab.tlv(0xA0, lab.tlv(0x30, version, recipients, again)))


def test_for_others(office) -> None:
    with pytest.raises(RefusedError) as caught:
        office.decrypt(office.encrypt("rsa"), "p256")
    assert caught.value.code == "ENCRYPTED_FOR_OTHERS"


def _flip(value: bytes, place: int) -> bytes:
    return value[:place] + bytes((value[place] ^ 1,)) + value[place + 1 :]


def test_every_wrong_key_and_damage_has_one_answer(office) -> None:
    """A wrong key, one of another kind, a damaged wrapped key, damaged padding: the same error each time."""
    for name in ("rsa", "p256"):
        value = office.encrypt(name)
        reader = Reader(value).enter(0x30)
        wrong = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "p256": ec.generate_private_key(ec.SECP256R1()),
        }
        tries = [
            (value, wrong[name]),
            (value, office.recipients["p384"].key),
            (value, wrong["p256" if name == "rsa" else "rsa"]),
            (_flip(value, len(value) - 17), None),  # the padding
            (_flip(value, value.index(CONTENT_TYPE) - 12), None),  # the wrapped key
        ]
        assert reader
        seen = set()
        for data, key in tries:
            with pytest.raises(VerifyError) as caught:
                office.decrypt(data, name, key=key)
            seen.add(
                (type(caught.value), caught.value.code, str(caught.value), str(dict(caught.value.facts)))
            )
        assert [each[1] for each in seen] == ["ENCRYPTED_UNREADABLE"]


def test_they_cannot_be_moved_to_another_certificate(office) -> None:
    with pytest.raises(RefusedError) as caught:
        office.decrypt(office.encrypt("rsa", serial=7), "rsa")
    assert caught.value.code == "ENCRYPTED_ELSEWHERE"


def test_rsa_pkcs1_is_not_opened(office) -> None:
    """Bleichenbacher: PKCS #1 v1.5 is no choice, even when the key fits."""
    value = office.encrypt("rsa")
    reader = Reader(value).enter(0x30)
    reader.raw()
    enveloped = reader.enter(0xA0).enter(0x30)
    enveloped.raw()
    info = enveloped.enter(0x31).raw()
    inner = Reader(info).enter(0x30)
    version, name = inner.raw(), inner.raw()
    key = office.recipients["rsa"].key.public_key().encrypt(bytes(32), padding.PKCS1v15())
    tlv = office.lab.tlv
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    again = tlv(0x31, tlv(0x30, version, name, algorithm, tlv(0x04, key)))
    content = enveloped.raw()
    data = tlv(0x30, value[4:15], tlv(0xA0, tlv(0x30, version, again, content)))
    with pytest.raises(RefusedError) as caught:
        office.decrypt(data, "rsa")
    assert caught.value.code == "ENCRYPTED_UNREADABLE"


@pytest.mark.parametrize("name", ["signer", "p521"])
def test_recipients_that_cannot_be(office, name) -> None:
    """Neither to a key that only signs nor to a curve that nobody agreed on."""
    with pytest.raises(MalformedError) as caught:
        office.encrypt("rsa", name)
    assert caught.value.code == "ENCRYPTION_RECIPIENT"


def test_number_and_content_are_bounded(office) -> None:
    for names in ((), ("p256",) * 17):
        with pytest.raises(MalformedError) as caught:
            office.encrypt(*names)
        assert caught.value.code == "ENCRYPTION_RECIPIENT"
    rsa_only = [office.recipients["rsa"].certificate]
    large = [Attribute(Oid.GROUP, (encode_value("ietf", {"kind": "octets", "values": ["00" * 4000]}),) * 5)]
    for attributes, code in (
        ([], "NO_ATTRIBUTES"),
        ([ATTRIBUTES[0], ATTRIBUTES[0]], "DUPLICATE_ATTRIBUTE"),
        ([Attribute(Oid.ENCRYPTED_ATTRIBUTES, (b"\x30\x00",))], "DUPLICATE_ATTRIBUTE"),
        (large, "TOO_LARGE"),
    ):
        with pytest.raises(VerifyError) as refused:
            encrypt_attributes(attributes, issuer=office.issuer, serial=1, recipients=rsa_only)
        assert refused.value.code == code


def _verified(office, *values: bytes, **config: object) -> VerifiedAttributeCertificate:
    world = office.world
    settings = {"attributes": frozenset({ENCRYPTED, Oid.GROUP.dotted_string}), **config}
    clear = office.lab.attribute("2.5.4.72", encode_value("role", "urn:onecert:role:tax.clerk"))
    data = world.issue(attributes=(clear, office.lab.attribute(ENCRYPTED, *values)))
    verifier = world.verifier(trust=world.trust(**settings))
    return verifier.verify(data, holder=world.official.certificate, at=office.lab.T)


GROUP_ALONE = [ATTRIBUTES[1]]


def _secret(office, attributes: list[Attribute]) -> bytes:
    recipients = [office.recipients["p256"].certificate]
    return encrypt_attributes(attributes, issuer=office.issuer, serial=SERIAL, recipients=recipients)


def _open(office, verified: VerifiedAttributeCertificate) -> VerifiedAttributeCertificate:
    own = office.recipients["p256"]
    return open_encrypted(verified, recipient=own.certificate, key=own.key)


def test_what_is_opened_stands_beside_what_everybody_reads(office) -> None:
    verified = _verified(office, _secret(office, GROUP_ALONE))
    opened = _open(office, verified)
    assert [role.name for role in opened.roles] == ["urn:onecert:role:tax.clerk"]
    assert [each.oid for each in opened.attributes] == [Oid.ROLE, Oid.GROUP]
    assert opened.dropped == ()


def test_encryption_hides_nothing_from_the_configuration(office) -> None:
    """What the authority may not assign is dropped, encrypted or not; so is all, if it may not encrypt."""
    secret = _secret(
        office, [*GROUP_ALONE, Attribute(Oid.CLEARANCE, (encode_value("clearance", {"policy": "1.2.3"}),))]
    )
    opened = _open(office, _verified(office, secret, attributes=frozenset({ENCRYPTED})))
    assert [each.oid for each in opened.attributes] == [Oid.ROLE]
    assert {(each.oid, each.reason) for each in opened.dropped} == {
        (Oid.GROUP.dotted_string, "NOT_ASSIGNABLE"),
        (Oid.CLEARANCE.dotted_string, "NOT_ASSIGNABLE"),
    }
    closed = _verified(office, secret, attributes=frozenset())
    assert _open(office, closed) == closed
    assert [each.reason for each in closed.dropped] == ["NOT_ASSIGNABLE"]


def test_the_same_attribute_inside_and_outside_is_refused(office) -> None:
    with pytest.raises(RefusedError) as caught:
        _open(office, _verified(office, office.encrypt("p256")))
    assert caught.value.code == "DUPLICATE_ATTRIBUTE"


@pytest.mark.parametrize("held", [True, False])
def test_encryption_hides_nothing_from_a_delegation(office, held: bool) -> None:
    """A sub-authority gives a group that it holds, or one that it does not hold, both encrypted."""
    verified = _verified(office, _secret(office, GROUP_ALONE))
    certificate = verified.certificate
    limits = Limits(
        attributes={Oid.GROUP.dotted_string: frozenset(GROUP_ALONE[0].values)} if held else {},
        depth=0,
        names=(),
        not_before=verified.not_before,
        not_after=verified.not_after,
    )
    step = DelegationStep(certificate, verified.authority, verified.holder, limits)
    given = replace(verified, route=replace(verified.route, path=(step,)))
    if held:
        assert Oid.GROUP in {each.oid for each in _open(office, given).attributes}
        return
    with pytest.raises(RefusedError) as caught:
        _open(office, given)
    assert caught.value.code == "EXCEEDS_DELEGATION"


def test_nothing_encrypted_comes_back_as_it_is(office) -> None:
    world = office.world
    verified = world.verifier().verify(world.issue(), holder=world.official.certificate, at=office.lab.T)
    assert _open(office, verified) is verified


def test_damage_anywhere_is_our_error(office) -> None:
    """Every octet cut off or changed: refused, and never with another exception."""
    value = office.encrypt("p256")
    own = office.recipients["p256"]
    for place in range(0, len(value), 3):
        for data in (value[:place], _flip(value, place)):
            certificate = parse(office.world.issue())
            object.__setattr__(certificate, "attributes", (Attribute(Oid.ENCRYPTED_ATTRIBUTES, (data,)),))
            # CBC proves nothing: a changed value may still be read. The certificate's signature refuses it.
            with suppress(VerifyError):
                decrypt_attributes(certificate, recipient=own.certificate, key=own.key)
