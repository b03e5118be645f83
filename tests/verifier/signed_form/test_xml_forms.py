"""Forms signed in XML: the shapes that verify, and what each of them hands out.

root -> issuing CA -> signer ("Firm"), who signs with signxml, another implementation than what judges
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureConstructionMethod
from signxml.signer import XMLSigner
from signxml.xades import XAdESSigner

from onecert.verifier import RevokedError, VerifyError, XmlSignature
from onecert.verifier.signed_form import EvidenceTrust, check_evidence, load_evidence, make_evidence

DS = "{http://www.w3.org/2000/09/xmldsig#}"
XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
FORM = '<form xmlns="urn:tax" Id="f-1"><!-- a note --><name a="1">示例科技有限公司</name><sum>1</sum></form>'
EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
# References of XAdES have no transforms: XMLDSig then canonicalises with its oldest method.
INCLUSIVE = CanonicalizationMethod.CANONICAL_XML_1_0


def sign(
    office: Any,
    form: str = FORM,
    *,
    method: str = "enveloped",
    signer: type[XMLSigner] = XMLSigner,
    algorithm: str = "ecdsa-sha256",
    c14n: CanonicalizationMethod = EXCLUSIVE,
    party: Any = None,
    **options: Any,
) -> bytes:
    who = party or office.signer
    maker = signer(
        method=SignatureConstructionMethod[method], signature_algorithm=algorithm, c14n_algorithm=c14n
    )
    data = form.encode() if method == "detached" else etree.fromstring(form)
    signed = maker.sign(data, key=who.key, cert=[who.certificate], always_add_key_value=False, **options)
    made: bytes = etree.tostring(signed)
    return made


def refused(office: Any, value: bytes, document: bytes | None = None, **options: Any) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        office.verify(XmlSignature(value=value, **options), document)
    return caught.value


def test_enveloped(office: Any) -> None:
    """The signature stands in the form; handed out is the form without it and without comments."""
    form = office.verify(XmlSignature(value=sign(office)), None)
    assert form.document == FORM.replace("<!-- a note -->", "").encode()
    assert form.signer.certificate.der == office.signer.der
    assert form.as_dict()["form"] == "xml"
    assert form.signer.time.source == "now"


def test_enveloping(office: Any) -> None:
    """The form stands in an Object of the signature."""
    form = office.verify(XmlSignature(value=sign(office, method="enveloping")), None)
    assert form.document is not None
    assert etree.fromstring(form.document).tag == DS + "Object"
    assert "示例科技有限公司" in form.document.decode()


def test_detached(office: Any) -> None:
    """The form is a file of its own, octet by octet, under one name that is never fetched."""
    plain, uri = FORM.replace("<!-- a note -->", ""), "http://forms.example/form.xml"
    canonicalised = sign(office, plain, method="detached", reference_uri=uri)
    assert refused(office, canonicalised, plain.encode()).code == "XML_TRANSFORM"
    value = without_transforms(office, canonicalised)
    form = office.verify(XmlSignature(value=value), plain.encode())
    assert form.document == plain.encode()
    assert refused(office, value, plain.encode() + b" ").code == "XML_DIGEST"
    assert refused(office, value).code == "FORM_DOCUMENT_NEEDED"


def without_transforms(office: Any, value: bytes) -> bytes:
    """The reference is to the octets themselves, which the signer of the tests has no word for."""
    root = etree.fromstring(value)
    transforms = next(root.iter(DS + "Transforms"))
    transforms.getparent().remove(transforms)
    info = etree.tostring(next(root.iter(DS + "SignedInfo")), method="c14n", exclusive=True)
    r, s = decode_dss_signature(office.signer.key.sign(info, ec.ECDSA(hashes.SHA256())))
    octets = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    next(root.iter(DS + "SignatureValue")).text = base64.b64encode(octets).decode()
    made: bytes = etree.tostring(root)
    return made


@pytest.mark.parametrize("c14n", [m for m in CanonicalizationMethod if "comments" not in m.name.lower()])
def test_canonicalisations(office: Any, c14n: CanonicalizationMethod) -> None:
    assert office.verify(XmlSignature(value=sign(office, c14n=c14n)), None)


@pytest.mark.parametrize(
    "algorithm", ["rsa-sha256", "rsa-sha512", "sha256-rsa-MGF1", "sha512-rsa-MGF1", "ecdsa-sha384", "p521"]
)
def test_keys(office: Any, algorithm: str) -> None:
    curves: dict[str, Any] = {"ecdsa-sha384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    if algorithm in curves:
        key: Any = ec.generate_private_key(curves[algorithm])
    else:
        key = rsa.generate_private_key(65537, 2048)
    party = office.pki.leaf(office.ca, "Firm", key=key)
    value = sign(office, party=party, algorithm=algorithm.replace("p521", "ecdsa-sha512"))
    assert office.verify(XmlSignature(value=value), None).signer.certificate.der == party.der


def test_xades(office: Any) -> None:
    """XAdES names the certificate and claims a time, both signed."""
    form = office.verify(XmlSignature(value=sign(office, signer=XAdESSigner, c14n=INCLUSIVE)), None)
    assert form.signer.claimed_at is not None
    assert form.document == FORM.replace("<!-- a note -->", "").encode()


def with_timestamp(office: Any, value: bytes, *, c14n: str = EXCLUSIVE.value, **token: Any) -> bytes:
    """An XML file with a signature timestamp (XAdES-T), made as a signer's program makes it."""
    root = etree.fromstring(value)
    signature = root.find(DS + "Signature")
    qualifying = signature.find(f"{DS}Object/{XADES}QualifyingProperties")
    stamped = etree.tostring(
        signature.find(DS + "SignatureValue"), method="c14n", exclusive="exc" in c14n, with_comments=False
    )
    unsigned = etree.SubElement(qualifying, XADES + "UnsignedProperties")
    properties = etree.SubElement(unsigned, XADES + "UnsignedSignatureProperties")
    stamp = etree.SubElement(properties, XADES + "SignatureTimeStamp")
    etree.SubElement(stamp, DS + "CanonicalizationMethod", Algorithm=c14n)
    encapsulated = etree.SubElement(stamp, XADES + "EncapsulatedTimeStamp")
    made = office.token(stamped.rstrip(), office.now, **token)
    encapsulated.text = base64.b64encode(made).decode()
    done: bytes = etree.tostring(root)
    return done


def test_timestamp(office: Any) -> None:
    """Signed and stamped, then revoked: the signer is judged at the time of the timestamp."""
    value = with_timestamp(office, sign(office, signer=XAdESSigner, c14n=INCLUSIVE))
    form = office.verify(XmlSignature(value=value), None, timestamps=office.timestamps())
    assert (form.signer.time.source, form.signer.signed_at) == ("timestamp", office.now)
    wrong = with_timestamp(office, sign(office, signer=XAdESSigner, c14n=INCLUSIVE), imprint=b"\0" * 32)
    form = office.verify(XmlSignature(value=wrong), None, timestamps=office.timestamps())
    assert "FORM_TIME_NOT_PROVED" in form.signer.warnings


def test_signer_is_judged(office: Any) -> None:
    """Revoked, of a stranger: as with any other kind of form."""
    value = sign(office)
    stranger = office.pki.leaf(office.pki.root("Elsewhere"), "Firm")
    assert refused(office, sign(office, party=stranger)).code == "ISSUER_UNKNOWN"
    office.pki.revoke(office.ca, office.signer)
    with pytest.raises(RevokedError):
        office.verify(XmlSignature(value=value), None)


def test_record(office: Any) -> None:
    """The record holds the file; checked later it gives the same octets, and an altered file is refused."""
    source = XmlSignature(value=sign(office, signer=XAdESSigner, c14n=INCLUSIVE))
    trust = office.timestamps()
    form = office.verify(source, None, timestamps=trust)
    record = make_evidence(form, at=office.now, stamp=lambda data, _="sha256": office.token(data, office.now))
    assert load_evidence(record).signature == source
    known = EvidenceTrust(timestamps=trust, anchors=(office.root.anchor,))
    checked = check_evidence(record, None, trust=known, at=office.now)
    assert checked.form.document == form.document
    assert check_evidence(record, form.document, trust=known, at=office.now).archive.archived_at == office.now
    with pytest.raises(VerifyError) as caught:
        check_evidence(record, b"another", trust=known, at=office.now)
    assert caught.value.code == "EVIDENCE_DOCUMENT"


def test_part(office: Any) -> None:
    """A part is signed: refused, unless the application names the element that it reads; then only that."""
    outer = '<files xmlns="urn:tax"><form Id="f"><sum>100</sum></form><sum>1</sum></files>'
    value = sign(office, outer, reference_uri="#f")
    root = etree.fromstring(value)
    signature = root.find(f".//{DS}Signature")
    form = root.find("{urn:tax}form")
    assert form is not None
    if signature.getparent() is form:
        assert refused(office, value).code == "XML_PARTLY_SIGNED"
    named = office.verify(XmlSignature(value=value, element="{urn:tax}form"), None)
    assert named.document == b'<form xmlns="urn:tax" Id="f"><sum>100</sum></form>'
    assert refused(office, value, element="{urn:tax}files").code == "XML_ELEMENT"
    assert refused(office, sign(office), element="{urn:tax}files").code == "XML_ELEMENT"
    assert office.verify(XmlSignature(value=sign(office), element="{urn:tax}form"), None)
