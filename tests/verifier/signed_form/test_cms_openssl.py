"""Messages that openssl makes verify here, in every shape it knows; ours and altered ones it judges alike."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier import VerifyError, load_crl
from onecert.verifier.signed_form import load_signed_data

SHAPES = {
    "detached": (),
    "attached": ("-nodetach",),
    "key identifier": ("-keyid",),
    "CAdES": ("-cades",),
    "streamed in pieces": ("-nodetach", "-stream"),
    "no S/MIME capabilities": ("-nosmimecap",),
    "with sha384": ("-md", "sha384"),
    "with sha512": ("-md", "sha512"),
}


@pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
def test_shapes(office: Any, document: bytes, options: tuple[str, ...]) -> None:
    """root -> CA -> signer; openssl signs, we verify and name the signer's certificate."""
    signature = office.cms(*options)
    attached = "-nodetach" in options
    form = office.verify(signature, None if attached else document)
    assert form.document == document
    assert form.signer.certificate.der == office.signer.der
    assert [c.subject_text for c in form.signer.judged.judged.path.chain] == [
        "CN=Firm,C=CN",
        "CN=Issuing CA,C=CN",
    ]
    assert form.signer.time.source == "now"
    assert "FORM_TIME_NOT_PROVED" in form.signer.warnings


@pytest.mark.parametrize("kind", ["rsa", "pss", "p384", "p521"])
def test_keys(office: Any, document: bytes, kind: str) -> None:
    """Every kind of key that openssl signs CMS with."""
    curves: dict[str, Any] = {"p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    key = ec.generate_private_key(curves[kind]) if kind in curves else rsa.generate_private_key(65537, 2048)
    party = office.pki.leaf(office.ca, "Firm", key=key)
    options = (
        ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest") if kind == "pss" else ()
    )
    form = office.verify(office.cms(*options, party=party))
    assert form.signer.certificate.der == party.der


def test_indefinite_lengths_are_read(office: Any, document: bytes) -> None:
    """-stream writes indefinite lengths and a string in pieces: BER, which RFC 5652 allows."""
    signature = office.cms("-nodetach", "-stream", document=document * 4000)
    assert signature[1] == 0x80
    assert office.verify(signature, None).document == document * 4000


def test_pem(office: Any, document: bytes) -> None:
    signature = office.cms("-outform", "PEM")
    assert signature.startswith(b"-----BEGIN CMS-----")
    assert office.verify(signature).document == document


def test_several_signers(office: Any, document: bytes) -> None:
    """Two firms sign one document: refused where one is expected, both judged where several are."""
    other = office.pki.leaf(office.ca, "Other firm")
    certificate, key = office.files(other, "other")
    signature = office.cms("-signer", certificate, "-inkey", key)
    with pytest.raises(VerifyError) as caught:
        office.verify(signature)
    assert caught.value.code == "CMS_SEVERAL_SIGNERS"
    form = office.verify(signature, several_signers=True)
    assert {s.certificate.subject_text for s in form.signers} == {"CN=Firm,C=CN", "CN=Other firm,C=CN"}

    office.pki.revoke(office.ca, other)
    with pytest.raises(VerifyError) as caught:
        office.verify(signature, several_signers=True)
    assert caught.value.code == "FORM_REVOKED_TIME_NOT_PROVED"


def test_without_certificates(office: Any, document: bytes) -> None:
    """The signer's certificate does not travel: it must be at hand."""
    signature = office.cms("-nocerts")
    with pytest.raises(VerifyError) as caught:
        office.verify(signature)
    assert caught.value.code == "CMS_SIGNER_UNKNOWN"
    assert load_signed_data(signature).certificates == ()


def test_bare_content(office: Any, document: bytes) -> None:
    """Without signed attributes: refused, unless the application knows such signers."""
    signature = office.cms("-noattr")
    with pytest.raises(VerifyError) as caught:
        office.verify(signature)
    assert caught.value.code == "CMS_NO_ATTRIBUTES"
    assert office.verify(signature, allow_no_attributes=True).document == document


def test_lists_in_the_message(office: Any, document: bytes) -> None:
    """CRLs that travel with the message count like those at hand."""
    crls = office.pki.crls(office.root, office.ca)
    message = office.signed_data(None, office.signer_info(office.attributes(document)), crls=crls)
    nothing_known = office.trust(office.pki.crl(office.authority))
    form = office.verify(message, trust=nothing_known)
    assert len(form.signer.judged.judged.path.evidence) == 2
    assert form.message.crls[0].issuer == load_crl(crls[0]).issuer
    with pytest.raises(VerifyError) as caught:
        office.verify(office.cms(), trust=nothing_known)
    assert caught.value.code == "REVOCATION_UNKNOWN"


def test_openssl_verifies_ours(office: Any, document: bytes) -> None:
    """The messages that the tests write by hand are right for openssl too, so that what they break is one
    thing."""
    message = office.signed_data(None, office.signer_info(office.attributes(document)))
    (office.folder / "ours").write_bytes(message)
    (office.folder / "document").write_bytes(document)
    (office.folder / "roots").write_bytes(
        office.root.certificate.public_bytes(Encoding.PEM) + office.ca.certificate.public_bytes(Encoding.PEM)
    )
    arguments = ("cms", "-verify", "-binary", "-inform", "DER", "-in", "ours", "-content", "document")
    at = ("-attime", int(office.now.timestamp()), "-CAfile", "roots", "-purpose", "any")
    assert office.openssl(*arguments, *at).stdout == document
    assert office.verify(message).document == document


def test_ed25519(office: Any, document: bytes) -> None:
    """RFC 8419: EdDSA over the attributes with SHA-512 as digest; SHA-256 beside it is refused."""
    key = ed25519.Ed25519PrivateKey.generate()
    party = office.pki.leaf(office.ca, "Firm", key=key)

    def message(algorithm: str) -> bytes:
        info = office.signer_info(
            office.attributes(document, algorithm=algorithm),
            party=party,
            algorithm=algorithm,
            signature_algorithm=bytes.fromhex("300506032b6570"),
            sign=key.sign,
        )
        return office.signed_data(None, info, certificates=[party.der], digests=[algorithm])

    assert office.verify(message("sha512")).signer.certificate.der == party.der
    with pytest.raises(VerifyError) as caught:
        office.verify(message("sha256"))
    assert caught.value.code == "ALGORITHM_MISMATCH"


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_smime(office: Any, document: bytes, form: str) -> None:
    """The older command writes PKCS #7, which CMS contains."""
    certificate, key = office.files(office.signer, "signer")
    (office.folder / "document").write_bytes(document)
    arguments = ("smime", "-sign", "-binary", "-in", "document", "-signer", certificate, "-inkey", key)
    signature = office.openssl(*arguments, "-outform", form, "-md", "sha256").stdout
    assert signature.startswith(b"-----BEGIN PKCS7-----") == (form == "PEM")
    assert office.verify(signature).document == document


def test_answers_in_the_message(office: Any, document: bytes) -> None:
    """RFC 5940: an OCSP answer that travels with the message says that the signer is good, or revoked."""
    tlv, pki = office.pki.tlv, office.pki
    trust = office.trust(pki.crl(office.root))
    for status, fine in (("good", True), ("revoked", False)):
        answer = pki.ocsp(office.ca, office.signer, status=status)
        other = tlv(0xA1, bytes.fromhex("06082b06010505071002"), answer)
        message = office.signed_data(None, office.signer_info(office.attributes(document)), crls=[other])
        if fine:
            form = office.verify(message, trust=trust)
            assert [item.kind for item in form.signer.judged.judged.path.evidence] == ["crl", "ocsp"]
            continue
        with pytest.raises(VerifyError) as caught:
            office.verify(message, trust=trust)
        assert caught.value.code == "FORM_REVOKED_TIME_NOT_PROVED"


def test_key_that_was_certified_anew(office: Any, document: bytes) -> None:
    """Named by key identifier; the old certificate of the same key travels too, and has expired."""
    pki, now = office.pki, office.now
    old = pki.leaf(office.ca, "Firm", key=office.signer.key, not_after=now.replace(day=20))
    certificate, _ = office.files(old, "old")
    signature = office.cms("-keyid", "-certfile", certificate)
    assert len(load_signed_data(signature).certificates) == 2
    assert office.verify(signature).signer.certificate.der == office.signer.der
    office.pki.revoke(office.ca, office.signer)
    with pytest.raises(VerifyError):
        office.verify(signature)


TOGETHER = [
    ("-nodetach", "-keyid", "-cades"),
    ("-noattr", "-keyid"),
    ("-noattr", "-nodetach"),
    ("-cades", "-nosmimecap", "-md", "sha384"),
]


@pytest.mark.parametrize("kind", ["rsa", "pss", "p256"])
@pytest.mark.parametrize("options", TOGETHER, ids=" ".join)
def test_shapes_and_keys_together(office: Any, document: bytes, options: tuple[str, ...], kind: str) -> None:
    """What each flag does by itself it does beside the others, with every kind of key."""
    if kind != "p256":
        office.signer = office.pki.leaf(office.ca, "Firm", key=rsa.generate_private_key(65537, 2048))
    pss = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest") if kind == "pss" else ()
    signature = office.cms(*pss, *options)
    presented = None if "-nodetach" in options else document
    form = office.verify(signature, presented, allow_no_attributes="-noattr" in options)
    assert form.document == document
    assert form.signer.certificate.der == office.signer.der


@pytest.mark.parametrize("shape", ["detached", "attached", "bare", "bound"])
def test_openssl_verifies_every_shape_of_ours(office: Any, document: bytes, shape: str) -> None:
    """With and without content and attributes, and naming its certificate, as -cades asks."""
    attributes = None if shape == "bare" else office.attributes(document)
    if shape == "bound":
        attributes.append(office.signing_certificate(office.signer))
    message = office.signed_data(document if shape == "attached" else None, office.signer_info(attributes))
    (office.folder / "ours").write_bytes(message)
    (office.folder / "document").write_bytes(document)
    roots = (office.root, office.ca)
    (office.folder / "roots").write_bytes(b"".join(c.certificate.public_bytes(Encoding.PEM) for c in roots))
    content = () if shape == "attached" else ("-content", "document")
    cades = ("-cades",) if shape == "bound" else ()
    arguments = ("cms", "-verify", "-binary", "-inform", "DER", "-in", "ours", *content, *cades)
    at = ("-attime", int(office.now.timestamp()), "-CAfile", "roots", "-purpose", "any")
    assert office.openssl(*arguments, *at).stdout == document
    presented = None if shape == "attached" else document
    assert office.verify(message, presented, allow_no_attributes=shape == "bare").document == document
