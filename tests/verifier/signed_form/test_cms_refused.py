"""CMS messages with one thing wrong, each with its code.

root -> issuing CA -> signer; the message is right but for what the test changes
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.verifier import VerifyError
from onecert.verifier.signed_form import RawSignature, load_signed_data
from onecert.verifier.signed_form.ber import DEPTH_MAX, VALUES_MAX, normalise
from onecert.verifier.signed_form.raw import DocumentForm
from onecert.verifier.sm2 import Sm2PublicKey

P9 = "1.2.840.113549.1.9."
OID_DATA = bytes.fromhex("06092a864886f70d010701")
OID_TST = bytes.fromhex("060b2a864886f70d0109100104")


def refused(office: Any, message: Any, document: Any = ..., **inputs: Any) -> str:
    with pytest.raises(VerifyError) as caught:
        office.verify(message, *([] if document is ... else [document]), **inputs)
    return caught.value.code


def message(office: Any, attributes: list[bytes] | None, **changes: Any) -> bytes:
    outer = {
        key: changes.pop(key) for key in ("certificates", "content_type", "message_type") if key in changes
    }
    made: bytes = office.signed_data(None, office.signer_info(attributes, **changes), **outer)
    return made


def test_content(office: Any, document: bytes) -> None:
    """Another document, none, two different ones."""
    good = office.attributes(document)
    assert refused(office, message(office, good), document + b" ") == "CMS_DIGEST"
    assert refused(office, message(office, good), None) == "CMS_CONTENT_MISSING"
    attached = office.cms("-nodetach")
    assert office.verify(attached, document).document == document
    assert refused(office, attached, document + b" ") == "CMS_CONTENT_DIFFERS"


def test_attributes(office: Any, document: bytes) -> None:
    """The rules of RFC 5652, sections 5.3 and 11: there, once, one value, of the right type."""
    kind, digest = office.attributes(document)
    other = office.attributes(document + b" ")[1]
    assert office.verify(message(office, [kind, digest]))
    assert refused(office, message(office, [digest])) == "CMS_ATTRIBUTE_MISSING"
    assert refused(office, message(office, [kind])) == "CMS_ATTRIBUTE_MISSING"
    assert refused(office, message(office, [kind, digest, digest])) == "CMS_ATTRIBUTE_TWICE"
    assert refused(office, message(office, [kind, digest, other])) == "CMS_ATTRIBUTE_TWICE"
    assert refused(office, message(office, [])) == "CMS_MALFORMED"
    two = office.attribute(P9 + "4", digest[-34:], other[-34:])
    assert refused(office, message(office, [kind, two])) == "CMS_ATTRIBUTE_VALUES"
    none = office.attribute(P9 + "4")
    assert refused(office, message(office, [kind, none])) == "CMS_MALFORMED"
    text = office.attribute(P9 + "4", b"\x0c\x01A")
    assert refused(office, message(office, [kind, text])) == "CMS_MALFORMED"
    tst = office.attribute(P9 + "3", OID_TST)
    assert refused(office, message(office, [tst, digest])) == "CMS_CONTENT_TYPE"
    never = office.attribute(P9 + "5", b"\x17\x0d261399090000Z")
    assert refused(office, message(office, [kind, digest, never])) == "CMS_MALFORMED"


def test_order_of_the_attributes(office: Any, document: bytes) -> None:
    """Signed is the DER of the set: a message that spells it in another order is right, if that is what was
    signed, and wrong, if the signer signed his own order."""
    attributes = sorted(office.attributes(document), reverse=True)
    value = office.signer.key.sign(office.pki.tlv(0x31, *sorted(attributes)), ec.ECDSA(hashes.SHA256()))
    assert office.verify(message(office, attributes, sort=False, sign=lambda _: value))
    assert refused(office, message(office, attributes, sort=False)) == "SIGNATURE_INVALID"


def test_attributes_as_content(office: Any, document: bytes) -> None:
    """Somebody's signed attributes presented as a bare document of his: never, whatever is allowed."""
    attributes = office.pki.tlv(0x31, *sorted(office.attributes(document)))
    value = office.signer.key.sign(attributes, ec.ECDSA(hashes.SHA256()))
    forged = message(office, None, content=attributes, sign=lambda _: value)
    assert refused(office, forged, attributes) == "CMS_NO_ATTRIBUTES"
    assert refused(office, forged, attributes, allow_no_attributes=True) == "CMS_ATTRIBUTES_AS_CONTENT"
    tst = message(office, None, content_type="1.2.840.113549.1.9.16.1.4")
    assert refused(office, tst, allow_no_attributes=True) == "CMS_NO_ATTRIBUTES"


def test_signature(office: Any, document: bytes) -> None:
    """The signature of another key, or over something else; an algorithm that fits neither key nor digest."""
    good = office.attributes(document)
    other = office.pki.key()
    wrong = message(office, good, sign=lambda data: other.sign(data, ec.ECDSA(hashes.SHA256())))
    assert refused(office, wrong) == "SIGNATURE_INVALID"
    rsa_row = bytes.fromhex("300d06092a864886f70d01010b0500")
    assert refused(office, message(office, good, signature_algorithm=rsa_row)) == "ALGORITHM_MISMATCH"
    sha384 = bytes.fromhex("300a06082a8648ce3d040303")
    assert refused(office, message(office, good, signature_algorithm=sha384)) == "ALGORITHM_MISMATCH"
    unknown = bytes.fromhex("300506032a0304")
    assert refused(office, message(office, good, signature_algorithm=unknown)) == "UNSUPPORTED_ALGORITHM"
    null = bytes.fromhex("300e06092a864886f70d010101050100")
    assert refused(office, message(office, good, signature_algorithm=null)) == "NOT_DER"
    sha1 = office.cms("-md", "sha1")
    assert refused(office, sha1) == "ALGORITHM_NOT_ALLOWED"


def test_weak_key(office: Any, document: bytes) -> None:
    weak = office.pki.leaf(office.ca, "Firm", key=rsa.generate_private_key(65537, 1024))
    assert refused(office, office.cms(party=weak)) == "WEAK_KEY"


def test_signing_certificate(office: Any, document: bytes) -> None:
    """The signer says which certificate he means; a second one for the same key is not it."""
    good = [*office.attributes(document), office.signing_certificate(office.signer)]
    assert office.verify(message(office, good))
    second = office.pki.leaf(
        office.ca, "Firm", key=office.signer.key, serial=office.signer.certificate.serial_number
    )
    swapped = message(office, good, certificates=[second.der])
    assert refused(office, swapped) == "CMS_SIGNING_CERTIFICATE"
    assert office.verify(message(office, good, certificates=[second.der, office.signer.der]))


def test_signers_certificate(office: Any, document: bytes) -> None:
    """Not there; not for signing; of a stranger; revoked; the path is judged like any other."""
    good = office.attributes(document)
    assert refused(office, message(office, good, certificates=[office.ca.der])) == "CMS_SIGNER_UNKNOWN"
    for changes, code in (
        ({"key_usage": office.pki.usage("key_encipherment")}, "KEY_USAGE"),
        ({"extended": [ExtendedKeyUsageOID.SERVER_AUTH]}, "EXTENDED_KEY_USAGE"),
    ):
        party = office.pki.leaf(office.ca, "Firm", **changes)
        made = message(office, good, party=party, certificates=[party.der])
        assert refused(office, made) == code
    stranger = office.pki.leaf(office.pki.root("Elsewhere"), "Firm")
    made = message(office, good, party=stranger, certificates=[stranger.der])
    assert refused(office, made) == "ISSUER_UNKNOWN"


def test_countersigned(office: Any, document: bytes) -> None:
    """A countersignature is unsigned: it neither helps nor hurts, and the result says that it was there."""
    unsigned = [office.attribute(P9 + "6", b"\x30\x00")]
    form = office.verify(message(office, office.attributes(document), unsigned=unsigned))
    assert "CMS_COUNTERSIGNED" in form.signer.warnings


def test_kinds_of_messages(office: Any, document: bytes) -> None:
    """Enveloped, without signers, not CMS at all."""
    certificate, _ = office.files(
        office.pki.leaf(office.ca, "R", key=rsa.generate_private_key(65537, 2048)), "r"
    )
    (office.folder / "document").write_bytes(document)
    arguments = ("cms", "-encrypt", "-in", "document", "-outform", "DER", "-aes256")
    enveloped = office.openssl(*arguments, certificate).stdout
    assert refused(office, enveloped) == "CMS_TYPE"
    assert refused(office, office.signed_data(None)) == "CMS_NO_SIGNER"
    for data in (b"", b"\x30", b"\x30\x00", b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff"):
        assert refused(office, data) in {"CMS_MALFORMED", "NOT_PEM"}
    assert refused(office, b"-----BEGIN CMS-----\n!!\n-----END CMS-----\n") == "NOT_PEM"
    assert refused(office, b"-----BEGIN CMS-----\nA\n-----END CMS-----\n") == "NOT_PEM"
    assert refused(office, b"\x30" * (17 << 20)) == "TOO_LARGE"


def test_ber_limits(office: Any) -> None:
    """Depth, number of values, pieces of another kind, endless values: all end."""
    tlv = office.pki.tlv
    deep = b"\x30\x80" * (DEPTH_MAX + 2)
    many = tlv(0x30, b"\x05\x00" * (VALUES_MAX + 1))
    mixed = b"\x30\x80\x24\x80\x04\x01A\x0c\x01B\x00\x00\x00\x00"
    endless = b"\x30\x80\x04\x01A"
    primitive = b"\x30\x80\x04\x80\x00\x00\x00\x00"
    for data in (deep, many, mixed, endless, primitive, b"\x30\x80\x1f\x81\x01\x00\x00\x00"):
        assert refused(office, data) == "CMS_MALFORMED"
    pieces = b"\x30\x80\x24\x80\x24\x80\x04\x01A\x00\x00\x04\x01B\x00\x00\x00\x00"
    assert normalise(pieces) == (b"\x30\x04\x04\x02AB", b"")
    assert normalise(b"\x30\x83\x00\x00\x02\x05\x00\x00") == (b"\x30\x02\x05\x00", b"\x00")


SM2_DATA, SM2_SIGNED = "1.2.156.10197.6.1.4.2.1", "1.2.156.10197.6.1.4.2.2"


@pytest.mark.parametrize("algorithm", ["1.2.156.10197.1.301.1", "1.2.156.10197.1.501"])
def test_sm2(office: Any, document: bytes, sm2_tools: Any, algorithm: str) -> None:
    """GM/T 0010: SM2 with SM3 under the OIDs of its own; an empty identifier has its code."""
    private = 0x1234567890ABCDEF
    row = {
        "1.2.156.10197.1.301.1": "300b06092a811ccf5501822d01",
        "1.2.156.10197.1.501": "300a06082a811ccf55018375",
    }
    party = sm2_party(office, Sm2PublicKey(sm2_tools.affine(private)))
    attributes = office.attributes(document, algorithm="sm3", content_type=SM2_DATA)
    info = office.signer_info(
        attributes,
        party=party,
        algorithm="sm3",
        signature_algorithm=bytes.fromhex(row[algorithm]),
        sign=lambda data: sm2_tools.sign(private, data),
    )
    made = office.signed_data(
        None, info, content_type=SM2_DATA, message_type=SM2_SIGNED, certificates=[party.der], digests=["sm3"]
    )
    assert office.verify(made).signer.certificate.der == party.der
    empty = office.signer_info(
        attributes,
        party=party,
        algorithm="sm3",
        signature_algorithm=bytes.fromhex(row[algorithm]),
        sign=lambda data: sm2_tools.sign(private, data, b""),
    )
    made = office.signed_data(
        None, empty, content_type=SM2_DATA, message_type=SM2_SIGNED, certificates=[party.der], digests=["sm3"]
    )
    assert refused(office, made) == "SM2_EMPTY_ID"


def sm2_party(office: Any, key: Any) -> Any:
    """A certificate for an SM2 key below the P-256 CA; no builder takes such a key."""
    tlv = office.pki.tlv
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    dates = tlv(0x30, tlv(0x17, b"261101000000Z"), tlv(0x17, b"271101000000Z"))
    ecdsa = bytes.fromhex("300a06082a8648ce3d040302")
    usage = tlv(0x30, bytes.fromhex("0603551d0f"), b"\x01\x01\xff", tlv(0x04, bytes.fromhex("030206c0")))
    tbs = tlv(
        0x30,
        b"\xa0\x03\x02\x01\x02",
        b"\x02\x02\x77\x77",
        ecdsa,
        office.ca.subject.public_bytes(),
        dates,
        office.pki.name("SM2 firm").public_bytes(),
        spki,
        tlv(0xA3, tlv(0x30, usage)),
    )
    der = office.pki.sign_sequence(tbs, office.ca.key)

    named = SimpleNamespace(serial_number=0x7777, issuer=office.ca.subject)
    return SimpleNamespace(der=der, certificate=named)


@pytest.mark.parametrize("kind", ["rsa", "pss", "ec", "ed25519"])
def test_raw_signatures(office: Any, kind: str) -> None:
    """Over canonical JSON: spaces, order and escapes do not matter, values do."""
    keys: dict[str, Any] = {
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    key = keys.get(kind) or rsa.generate_private_key(65537, 2048)
    party = office.pki.leaf(office.ca, "Firm", key=key)
    data, sha256 = b'{"a":1,"b":"\xe7\x94\xb3"}', hashes.SHA256()
    value, algorithm = {
        "rsa": lambda: (key.sign(data, padding.PKCS1v15(), sha256), ""),
        "pss": lambda: (key.sign(data, padding.PSS(padding.MGF1(sha256), 32), sha256), "rsa-pss-sha256"),
        "ec": lambda: (key.sign(data, ec.ECDSA(sha256)), ""),
        "ed25519": lambda: (key.sign(data), ""),
    }[kind]()
    raw = RawSignature(value=value, certificate=party.der, algorithm=algorithm)
    form = office.verify(raw, b'{ "b": "\\u7533", "a": 1.0 }')
    assert form.signer.certificate.der == party.der
    assert form.as_dict()["form"] == "raw"
    assert refused(office, raw, b'{"a":2,"b":"x"}') == "SIGNATURE_INVALID"
    assert refused(office, raw, b"not JSON") == "JSON_NOT_CANONICAL"
    assert refused(office, raw, None) == "FORM_DOCUMENT_NEEDED"
    octets = RawSignature(
        value=value, certificate=party.der, algorithm=algorithm, document_form=DocumentForm.BYTES
    )
    assert office.verify(octets, data)
    assert refused(office, octets, b" " + data) == "SIGNATURE_INVALID"
    mismatched = RawSignature(value=value, certificate=party.der, algorithm="ecdsa-sha384")
    assert refused(office, mismatched, data) in {"ALGORITHM_MISMATCH", "SIGNATURE_INVALID"}


def test_every_octet_of_a_signer_counts(office: Any, document: bytes) -> None:
    """Whatever octet of the signer's part is changed, the message is refused, or means the same."""
    good = message(office, [*office.attributes(document), office.signing_certificate(office.signer)])
    start = good.rindex(office.attributes(document)[1]) - 120
    original = load_signed_data(good).signers[0]
    for position in range(start, len(good)):
        altered = good[:position] + bytes((good[position] ^ 0x01,)) + good[position + 1 :]
        try:
            office.verify(altered)
        except VerifyError:
            continue
        assert load_signed_data(altered).signers[0].signed == original.signed
