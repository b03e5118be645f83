"""Countersignatures (RFC 5652, section 11.4): each is judged like a signer; a bad one costs nothing.

root -> issuing CA -> signer ("Firm"), who signs the document
                   -> "Accountant", who signs the firm's signature
"""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier import RevokedError, VerifyError
from onecert.verifier.signed_form import EvidenceTrust, check_evidence, make_evidence
from onecert.verifier.signed_form.digests import digest

P9 = "1.2.840.113549.1.9."


class Countersigned:
    """A message whose signature others sign; a test changes one thing."""

    def __init__(self, office: Any, document: bytes) -> None:
        self.office, self.document = office, document
        self.accountant = office.pki.leaf(office.ca, "Accountant")
        attributes = office.attributes(document)
        self.attributes = attributes
        data = office.pki.tlv(0x31, *sorted(attributes))
        self.value = office.signer.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def digest_of(self, value: bytes) -> bytes:
        made: bytes = self.office.attribute(P9 + "4", self.office.pki.tlv(0x04, digest("sha256", value)))
        return made

    def counter(self, attributes: list[bytes] | None = None, **changes: Any) -> bytes:
        listed = [self.digest_of(self.value)] if attributes is None else attributes
        made: bytes = self.office.signer_info(listed, party=self.accountant, **changes)
        return made

    def message(self, *counters: bytes, certificates: list[bytes] | None = None) -> bytes:
        office = self.office
        info = office.signer_info(
            self.attributes, sign=lambda _: self.value, unsigned=[office.attribute(P9 + "6", *counters)]
        )
        both = [office.signer.der, self.accountant.der]
        made: bytes = office.signed_data(None, info, certificates=certificates or both)
        return made


@pytest.fixture
def signed(office: Any, document: bytes) -> Countersigned:
    return Countersigned(office, document)


def test_who_countersigned(office: Any, signed: Countersigned) -> None:
    """Two countersignatures: both are named, and stand in the result beside the signer."""
    clerk = office.pki.leaf(office.ca, "Clerk")
    second = office.signer_info([signed.digest_of(signed.value)], party=clerk)
    certificates = [office.signer.der, signed.accountant.der, clerk.der]
    form = office.verify(signed.message(signed.counter(), second, certificates=certificates))
    names = [other.certificate.subject_text for other in form.signer.countersigners]
    assert names == ["CN=Accountant,C=CN", "CN=Clerk,C=CN"]
    assert "CMS_COUNTERSIGNED" in form.signer.warnings
    assert "CMS_COUNTERSIGNATURE_REFUSED" not in form.signer.warnings
    assert [other["subject"] for other in form.as_dict()["signers"][0]["countersigners"]] == names


def test_timestamp_of_a_countersignature(office: Any, signed: Countersigned) -> None:
    """A countersigner's own timestamp proves when he signed."""
    value = signed.accountant.key.sign(
        office.pki.tlv(0x31, signed.digest_of(signed.value)), ec.ECDSA(hashes.SHA256())
    )
    token = office.attribute(P9 + "16.2.14", office.token(value, office.now))
    counter = signed.counter(sign=lambda _: value, unsigned=[token])
    form = office.verify(signed.message(counter), timestamps=office.timestamps())
    assert form.signer.countersigners[0].time.source == "timestamp"
    assert form.signer.time.source == "now"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("of another signature", "CMS_DIGEST"),
        ("of the document", "CMS_DIGEST"),
        ("with a content type", "CMS_CONTENT_TYPE"),
        ("without message digest", "CMS_ATTRIBUTE_MISSING"),
        ("altered", "SIGNATURE_INVALID"),
        ("without its certificate", "CMS_SIGNER_UNKNOWN"),
        ("of a stranger", "ISSUER_UNKNOWN"),
        ("no SignerInfo", "CMS_MALFORMED"),
        ("of another version", "CMS_VERSION"),
    ],
)
def test_bad_countersignatures(office: Any, signed: Countersigned, fault: str, code: str) -> None:
    """The firm's signature stands; the countersignature is not listed, and a notice says why."""
    certificates = None
    match fault:
        case "of another signature":
            counter = signed.counter([signed.digest_of(signed.value[:-1])])
        case "of the document":
            counter = signed.counter([signed.digest_of(signed.document)])
        case "with a content type":
            counter = signed.counter([*office.attributes(signed.value)])
        case "without message digest":
            counter = signed.counter([office.signing_certificate(signed.accountant)])
        case "altered":
            counter = signed.counter(sign=lambda _: signed.value)
        case "without its certificate":
            counter, certificates = signed.counter(), [office.signer.der]
        case "of a stranger":
            signed.accountant = office.pki.leaf(office.pki.root("Elsewhere"), "Accountant")
            counter = signed.counter()
        case "no SignerInfo":
            counter = b"\x30\x03\x02\x01\x01"
        case _:
            counter = signed.counter().replace(b"\x02\x01\x01", b"\x02\x01\x03", 1)
    form = office.verify(signed.message(counter, certificates=certificates))
    assert form.signer.countersigners == ()
    notices = {notice.code: dict(notice.facts) for notice in form.signer.notices}
    assert notices["CMS_COUNTERSIGNATURE_REFUSED"]["reason"].startswith(code)


def test_revoked_countersigner(office: Any, signed: Countersigned) -> None:
    """He does not count any more; a signer who is revoked is refused, whoever vouches for him."""
    office.pki.revoke(office.ca, signed.accountant)
    form = office.verify(signed.message(signed.counter()))
    assert form.signer.countersigners == ()
    office.pki.revoke(office.ca, office.signer)
    with pytest.raises(RevokedError):
        office.verify(signed.message(signed.counter()))


def test_a_countersignature_is_no_signature(office: Any, signed: Countersigned) -> None:
    """Moved into the place of a signer, over the first signature as content, it has no content type."""
    alone = office.signed_data(None, signed.counter(), certificates=[signed.accountant.der])
    with pytest.raises(VerifyError) as caught:
        office.verify(alone, signed.value)
    assert caught.value.code == "CMS_ATTRIBUTE_MISSING"


def test_in_a_record(office: Any, signed: Countersigned) -> None:
    """Years later the record names the countersigner too, from what it holds itself."""
    trust = office.timestamps()
    form = office.verify(signed.message(signed.counter()), timestamps=trust)
    record = make_evidence(form, at=office.now, stamp=lambda data, _="sha256": office.token(data, office.now))
    known = EvidenceTrust(timestamps=trust, anchors=(office.root.anchor,))
    again = check_evidence(record, signed.document, trust=known, at=office.now)
    assert [c.certificate.der for c in again.form.signer.countersigners] == [signed.accountant.der]


def test_openssl_reads_it(office: Any, signed: Countersigned) -> None:
    """openssl does not judge countersignatures, but verifies the message that carries one."""
    (office.folder / "ours").write_bytes(signed.message(signed.counter()))
    (office.folder / "document").write_bytes(signed.document)
    roots = (office.root, office.ca)
    (office.folder / "roots").write_bytes(b"".join(c.certificate.public_bytes(Encoding.PEM) for c in roots))
    arguments = ("cms", "-verify", "-binary", "-inform", "DER", "-in", "ours", "-content", "document")
    at = ("-attime", int(office.now.timestamp()), "-CAfile", "roots", "-purpose", "any")
    assert office.openssl(*arguments, *at).stdout == signed.document
