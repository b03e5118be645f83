"""Certificates from untrusted bytes: what is taken apart, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier import Limits, MalformedError, VerifyError, load_certificate, parse_certificate
from onecert.verifier.der import DerError, Reader, decode_oid
from onecert.verifier.extensions import parse_extension


def test_fields_agree_with_cryptography(pki: Any) -> None:
    root = pki.root(path_length=2)
    san = x509.SubjectAlternativeName([x509.DNSName("a.cn"), x509.RFC822Name("a@a.cn")])
    leaf = pki.leaf(root, "李四", extra=[(san, False)], extended=[x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    for certificate in (root.certificate, leaf.certificate):
        parsed = parse_certificate(certificate.public_bytes(Encoding.DER))
        assert parsed.certificate == certificate
        assert parsed.serial == certificate.serial_number
        assert parsed.tbs == certificate.tbs_certificate_bytes
        assert parsed.signature == certificate.signature
        assert parsed.subject_der == certificate.subject.public_bytes()
        assert parsed.issuer_der == certificate.issuer.public_bytes()
        assert set(parsed.extensions) == {e.oid.dotted_string for e in certificate.extensions}
    parsed = parse_certificate(leaf.der)
    assert parsed.key_usage == {0}
    assert parsed.extended_key_usage == {"1.3.6.1.5.5.7.3.2"}
    assert [name.value for name in parsed.alternative_names] == [b"a.cn", b"a@a.cn"]
    assert not parsed.is_ca
    assert parse_certificate(root.der).basic_constraints.path_length == 2  # type: ignore[union-attr]
    assert repr(parsed).startswith("<ParsedCertificate CN=李四")
    assert len({parsed, parse_certificate(leaf.der)}) == 1


def test_pem(pki: Any) -> None:
    leaf = pki.root()
    pem = leaf.certificate.public_bytes(Encoding.PEM)
    assert load_certificate(pem) == leaf.certificate
    assert load_certificate(pem.replace(b"\n", b"\r\n")) == leaf.certificate
    for wrong in (
        pem + pem,
        b"text\n" + pem,
        pem.replace(b"CERTIFICATE", b"CRL"),
        pem.replace(b"M", b"*", 1),
        b"",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    ):
        with pytest.raises(MalformedError):
            load_certificate(wrong)


def remake(pki: Any, party: Any, old: bytes, new: bytes) -> bytes:
    """The certificate with some bytes of its TBS replaced by as many others, signed again."""
    tbs = party.certificate.tbs_certificate_bytes
    assert len(old) == len(new)
    assert tbs.count(old) == 1
    return bytes(pki.sign_sequence(tbs.replace(old, new), party.key))


def test_duplicate_extension(pki: Any) -> None:
    """basicConstraints relabelled as a second keyUsage. Refused, as RFC 5280, section 4.2, asks."""
    root = pki.root()
    with pytest.raises(MalformedError) as caught:
        load_certificate(remake(pki, root, b"\x06\x03\x55\x1d\x13", b"\x06\x03\x55\x1d\x0f"))
    assert caught.value.code in {"DUPLICATE_EXTENSION", "NOT_DER"}

    unknown = [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{i}"), b"\x05\x00"), False) for i in (4, 5)
    ]
    root = pki.root(extra=unknown)
    with pytest.raises(MalformedError) as caught:
        load_certificate(remake(pki, root, b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04"))
    assert caught.value.code == "DUPLICATE_EXTENSION"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\x03\x02\x01\x06", b"\x03\x02\x00\x06"),  # keyUsage with trailing zero bits
        (b"\x03\x02\x01\x06", b"\x03\x02\x01\x07"),  # … with an unused bit set
        (b"\x30\x03\x01\x01\xff", b"\x30\x03\x01\x01\x01"),  # BOOLEAN that is neither 00 nor FF
    ],
)
def test_extension_values_are_der(pki: Any, old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        load_certificate(remake(pki, pki.root(), old, new))
    assert caught.value.code == "NOT_DER"


def test_two_algorithms(pki: Any) -> None:
    """The algorithm inside the signed part is not the one outside of it. Refused."""
    with pytest.raises(MalformedError) as caught:
        load_certificate(
            remake(pki, pki.root(), b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b"\x2a\x86\x48\xce\x3d\x04\x03\x03")
        )
    assert caught.value.code == "ALGORITHM_MISMATCH"


def test_long_and_negative_serials(pki: Any) -> None:
    """More than 20 octets are refused; a serial that is not positive is read, and without a warning."""
    assert parse_certificate(pki.root(serial=2**158 - 1).der)
    tbs_serial = b"\x02\x02\x70\x01"
    root = pki.root(serial=0x7001)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        negative = parse_certificate(remake(pki, root, tbs_serial, b"\x02\x02\x80\x01"))
    assert negative.serial == -0x7FFF


def test_filters_of_other_threads_stay(pki: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library wants quiet it says beside the filters that there are: it never sets them back."""
    negative = remake(pki, pki.root(serial=0x7001), b"\x02\x02\x70\x01", b"\x02\x02\x80\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with monkeypatch.context() as patch:
            patch.delattr(warnings, "catch_warnings")
            parse_certificate(negative)
            parse_certificate(negative)
        assert warnings.filters[-len(before) :] == before
        assert len(warnings.filters) == len(before) + 1


def test_parameters_that_do_not_belong_there(pki: Any) -> None:
    """ECDSA with NULL parameters: cryptography warns of it; here it is refused, and nobody is warned."""
    root = pki.root()
    plain = bytes.fromhex("300a06082a8648ce3d040302")
    null = bytes.fromhex("300c06082a8648ce3d0403020500")
    tbs = root.certificate.tbs_certificate_bytes
    assert tbs[1] == 0x82
    tbs = pki.tlv(0x30, tbs[4:].replace(plain, null))
    der = pki.tlv(0x30, tbs, null, pki.tlv(0x03, b"\x00", root.key.sign(tbs, ec.ECDSA(hashes.SHA256()))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(VerifyError):
            pki.validate(der, root=root)


@pytest.mark.parametrize("where", ["subject", "issuer"])
@pytest.mark.parametrize(
    "rdn",
    [
        "3100",  # no attribute at all
        "310b30090603550403" + "1f810100",  # a value with a high tag number
        "310e300506035504033005060355040b",
    ],
)
def test_names_that_cryptography_lets_pass(pki: Any, where: str, rdn: str) -> None:
    """Found by reading: such a name loaded, and failed later with an error that is not ours."""
    root = pki.root("Root")
    leaf = pki.leaf(root)
    party = leaf if where == "subject" else pki.issue("Leaf", root, key=root.key)
    name = (party.certificate.subject if where == "subject" else root.subject).public_bytes()
    tbs = party.certificate.tbs_certificate_bytes
    body = tbs[4:].replace(name, pki.tlv(0x30, bytes.fromhex(rdn)))
    with pytest.raises(MalformedError) as caught:
        load_certificate(pki.sign_sequence(pki.tlv(0x30, body), root.key))
    assert caught.value.code == "NOT_DER"


def test_size(pki: Any) -> None:
    der = pki.root().der
    with pytest.raises(MalformedError) as caught:
        load_certificate(der, limits=Limits(certificate_max_bytes=len(der) - 1))
    assert caught.value.code == "TOO_LARGE"
    assert caught.value.text("zh")


def test_trailing_bytes(pki: Any) -> None:
    with pytest.raises(MalformedError):
        load_certificate(pki.root().der + b"\x00")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        b"\x30\x81\x02\x05\x00",
        b"\x30\x82\x00\x02\x05\x00",
        b"\x30\x03\x05\x00",
        b"\x1f\x81\x00",
        b"\x30\x85\x00\x00\x00\x00\x00",
    ],
)
def test_reader_refuses_what_is_not_der(data: bytes) -> None:
    with pytest.raises(DerError):
        Reader(data).enter(0x30).contents(0x05)


@pytest.mark.parametrize("value", ["020100", "02020080", "0201ff", "0202ff7f"])
def test_integers(value: str) -> None:
    data = bytes.fromhex(value)
    assert Reader(data).integer() == int.from_bytes(data[2:], "big", signed=True)


@pytest.mark.parametrize("value", ["0200", "02020001", "0202ff80"])
def test_integers_that_are_not_minimal(value: str) -> None:
    with pytest.raises(DerError):
        Reader(bytes.fromhex(value)).integer()


@pytest.mark.parametrize(
    ("contents", "dotted"),
    [
        ("2a864886f70d010101", "1.2.840.113549.1.1.1"),
        ("551d13", "2.5.29.19"),
        ("8837", "2.999"),
        ("00", "0.0"),
    ],
)
def test_oids(contents: str, dotted: str) -> None:
    assert decode_oid(bytes.fromhex(contents)) == dotted
    assert x509.ObjectIdentifier(dotted)


@pytest.mark.parametrize("contents", ["", "80", "2a80", "2a8001", "2a" + "81" * 70 + "01"])
def test_bad_oids(contents: str) -> None:
    with pytest.raises(DerError):
        decode_oid(bytes.fromhex(contents))


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        ("551d13", "3003010100"),  # basicConstraints with cA FALSE written down
        ("551d13", "30060101ff0201ff"),  # negative path length
        ("551d13", "30000500"),
        ("551d25", "3000"),
        ("551d11", "3000"),
        ("551d11", "3003a40100"),
        ("551d11", "30038201ff"),
        ("551d1e", "3000"),
        ("551d20", "3000"),
        ("551d20", "300a300306012a300306012a"),
        ("551d21", "3000"),
        ("551d24", "3000"),
        ("551d24", "30038001ff"),
        ("551d36", "0201ff"),
        ("551d1f", "3000"),
        ("551d0f", "0400"),
        ("2b06010505070101", "3000"),
    ],
)
def test_extension_values(pki: Any, oid: str, value: str) -> None:
    identifier, contents = bytes.fromhex(oid), bytes.fromhex(value)
    extension = pki.tlv(0x30, pki.tlv(0x06, identifier), pki.tlv(0x04, contents))
    with pytest.raises(DerError):
        parse_extension(extension)


def test_what_is_loaded_cannot_fail_later(pki: Any) -> None:
    """Every property of a loaded certificate answers."""
    parsed = parse_certificate(pki.root().der)
    for name in dir(parsed):
        if not name.startswith("_"):
            getattr(parsed, name)


def test_errors_speak_both_languages(pki: Any) -> None:
    with pytest.raises(VerifyError) as caught:
        load_certificate(b"\x30\x00")
    assert "DER" in caught.value.text("en")
    assert "DER" in caught.value.text("zh")
    assert caught.value.hint("zh")
