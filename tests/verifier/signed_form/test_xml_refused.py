"""XML signatures with one thing wrong, above all the wrappings: what is read must be what was signed.

root -> issuing CA -> signer ("Firm"); the file is right but for what the test changes
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.xades import XAdESSigner

from onecert.verifier import VerifyError, XmlSignature
from onecert.verifier.signed_form.xml_shape import octets_of


def _forms() -> Any:
    spec = importlib.util.spec_from_file_location("xml_forms", Path(__file__).with_name("test_xml_forms.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


forms = _forms()
DS, sign, refused = forms.DS, forms.sign, forms.refused
HARD = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def changed(value: bytes, *pairs: tuple[str, str]) -> bytes:
    text = value.decode()
    for old, new in pairs:
        assert old in text, text
        text = text.replace(old, new)
    return text.encode()


@pytest.fixture
def good(office: Any) -> bytes:
    value = sign(office, reference_uri="#f-1")
    assert office.verify(XmlSignature(value=value), None)
    made: bytes = etree.tostring(etree.fromstring(value), encoding="utf-8")
    return made


def test_altered(office: Any, good: bytes) -> None:
    assert refused(office, changed(good, ("<sum>1<", "<sum>2<"))).code == "XML_DIGEST"
    assert refused(office, changed(good, ('a="1"', 'a="2"'))).code == "XML_DIGEST"
    root = etree.fromstring(good)
    value = next(root.iter(DS + "SignatureValue"))
    octets = octets_of(value)
    assert value.text
    value.text = value.text.swapcase()
    assert octets_of(value) != octets
    assert refused(office, etree.tostring(root)).code == "SIGNATURE_INVALID"
    value.text = "AAAA"
    assert refused(office, etree.tostring(root)).code == "SIGNATURE_INVALID"
    value.text = "!"
    assert refused(office, etree.tostring(root)).code == "XML_MALFORMED"


def test_wrapped(office: Any, good: bytes) -> None:
    """The signed form moved aside, another in its place: never accepted as a whole; where a part is accepted,
    it is the signed one that is handed out."""
    signed = etree.fromstring(good)
    evil = forms.FORM.replace("<sum>1<", "<sum>9<").replace("f-1", "f-2")

    # 1. The signed form inside a new root, behind and before another one.
    for order in (0, 1):
        root = etree.fromstring('<files xmlns="urn:tax"/>')
        root.append(etree.fromstring(evil))
        root.insert(order, etree.fromstring(good))
        value = etree.tostring(root)
        assert refused(office, value).code == "XML_PARTLY_SIGNED"
        form = office.verify(XmlSignature(value=value, element="{urn:tax}form"), None)
        assert b"<sum>1</sum>" in form.document

    # 2. The signature alone in the evil form, the signed one hidden in an Object of it.
    root = etree.fromstring(evil)
    moved = etree.fromstring(good)
    signature = next(moved.iter(DS + "Signature"))
    root.append(signature)
    etree.SubElement(signature, DS + "Object").append(moved)
    assert refused(office, etree.tostring(root)).code in {"XML_PARTLY_SIGNED", "XML_TRANSFORM"}

    # 3. Two elements under one identifier, whatever the attribute is called.
    for name in ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id", "{urn:wsu}Id"):
        root = etree.fromstring(good)
        etree.SubElement(root, "{urn:tax}sum").set(name, "f-1")
        assert refused(office, etree.tostring(root)).code == "XML_REFERENCE"

    # 4. A second signature, of whomever.
    root = etree.fromstring(good)
    root.append(etree.fromstring(etree.tostring(next(signed.iter(DS + "Signature")))))
    assert refused(office, etree.tostring(root)).code == "XML_SIGNATURES"
    assert refused(office, forms.FORM.encode()).code == "XML_SIGNATURES"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("#other", "XML_REFERENCE"),
        ("#", "XML_REFERENCE"),
        ("#xpointer(/)", "XML_REFERENCE"),
        ("http://forms.example/", "XML_REFERENCE"),
        ("file:///etc/passwd", "XML_REFERENCE"),
        ("", "SIGNATURE_INVALID"),
    ],
)
def test_references(office: Any, good: bytes, uri: str, code: str) -> None:
    """Nothing is fetched and nothing is guessed; a reference that is allowed was not what was signed."""
    value = changed(good, ('URI="#f-1"', f'URI="{uri}"'))
    if uri.startswith(("http", "file")):
        value = changed(value, (forms.EXCLUSIVE.value, forms.EXCLUSIVE.value))
        assert refused(office, value, b"document").code in {"XML_REFERENCE", "XML_TRANSFORM"}
    else:
        assert refused(office, value).code == code


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "",
    ],
)
def test_transforms(office: Any, good: bytes, algorithm: str) -> None:
    root = etree.fromstring(good)
    next(root.iter(DS + "Transforms"))[1].set("Algorithm", algorithm)
    error = refused(office, etree.tostring(root))
    assert (error.code, error.facts["algorithm"]) == ("XML_TRANSFORM", algorithm)
    root = etree.fromstring(good)
    next(root.iter(DS + "CanonicalizationMethod")).set("Algorithm", algorithm)
    assert refused(office, etree.tostring(root)).code == "XML_TRANSFORM"


def test_transforms_in_another_order(office: Any, good: bytes) -> None:
    for change in ("reverse", "twice", "not taken out"):
        root = etree.fromstring(good)
        transforms = next(root.iter(DS + "Transforms"))
        if change == "reverse":
            transforms.insert(0, transforms[1])
        elif change == "twice":
            transforms.append(etree.fromstring(etree.tostring(transforms[1])))
        else:
            transforms.remove(transforms[0])
        assert refused(office, etree.tostring(root)).code == "XML_TRANSFORM"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", "UNSUPPORTED_ALGORITHM"),
        ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", "UNSUPPORTED_ALGORITHM"),
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", "ALGORITHM_NOT_ALLOWED"),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1", "ALGORITHM_NOT_ALLOWED"),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "ALGORITHM_MISMATCH"),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "SIGNATURE_INVALID"),
    ],
)
def test_algorithms(office: Any, good: bytes, uri: str, code: str) -> None:
    """Of the signature; that of the digest meets the same policy."""
    root = etree.fromstring(good)
    next(root.iter(DS + "SignatureMethod")).set("Algorithm", uri)
    assert refused(office, etree.tostring(root)).code == code
    root = etree.fromstring(good)
    next(root.iter(DS + "DigestMethod")).set("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")
    assert refused(office, etree.tostring(root)).code == "ALGORITHM_NOT_ALLOWED"


def test_certificates(office: Any, good: bytes) -> None:
    """None; another's; with XAdES another one of the same key than the signer meant."""
    root = etree.fromstring(good)
    data = next(root.iter(DS + "X509Data"))
    data.getparent().remove(data)
    assert refused(office, etree.tostring(root)).code in {"SIGNATURE_INVALID", "CMS_NO_CERTIFICATE"}
    other = office.pki.leaf(office.ca, "Firm", key=office.signer.key)
    value = sign(office, signer=XAdESSigner, c14n=forms.INCLUSIVE)
    text = sign(office, party=other).decode()
    swapped = etree.fromstring(value)
    next(swapped.iter(DS + "X509Certificate")).text = next(
        etree.fromstring(text).iter(DS + "X509Certificate")
    ).text
    assert refused(office, etree.tostring(swapped)).code == "CMS_SIGNING_CERTIFICATE"


def test_comments_are_not_signed(office: Any) -> None:
    """Anybody may put them anywhere; they neither cut off what was signed nor add to it."""
    value = sign(office, signer=XAdESSigner, c14n=forms.INCLUSIVE)
    signed = office.verify(XmlSignature(value=value), None).signer.claimed_at
    root = etree.fromstring(value)
    for name in ("{*}SigningTime", "{*}CertDigest/{*}DigestValue"):
        for element in root.iterfind(f".//{name}"):
            element.insert(0, etree.Comment("AAAA"))
            element[0].tail, element.text = element.text[10:], element.text[:10]
    form = office.verify(XmlSignature(value=etree.tostring(root)), None)
    assert form.signer.claimed_at == signed
    assert signed.time().isoformat() != "00:00:00"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "XML_MALFORMED"),
        (b"not XML", "XML_MALFORMED"),
        (b"<a>", "XML_MALFORMED"),
        (b"<!DOCTYPE a><a/>", "XML_DOCTYPE"),
        (b'<!DOCTYPE a SYSTEM "http://evil.example/a.dtd"><a/>', "XML_DOCTYPE"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "XML_DOCTYPE"),
        (b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>', "XML_DOCTYPE"),
        (b"<a>" * 101 + b"</a>" * 101, "XML_MALFORMED"),
        (b"<a>" * 5000 + b"</a>" * 5000, "XML_MALFORMED"),
        (b"<a>" + b"<b/>" * 100_001 + b"</a>", "XML_MALFORMED"),
        (b"<a>" + b" " * (17 << 20) + b"</a>", "TOO_LARGE"),
        # Canonicalised, these would take seconds to hours.
        (b"<a" + b"".join(b' a%d=""' % n for n in range(40_000)) + b"/>", "XML_MALFORMED"),
        (b"<a" + b"".join(b' xmlns:a%d="u"' % n for n in range(40_000)) + b"/>", "XML_MALFORMED"),
        (
            b"<a" + b"".join(b' xmlns:a%d="u"' % n for n in range(1000)) + b">" + b"<b/>" * 60 + b"</a>",
            "XML_MALFORMED",
        ),
    ],
)
def test_files(office: Any, value: bytes, code: str) -> None:
    assert refused(office, value).code == code


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(
            ["", "<", ">", "&", '"', "<a/>", "<!--x-->", "#f-1", "\x00", "http://", "=", "Signature"]
        ),
        st.integers(0, 60),
    ),
    min_size=1,
    max_size=3,
)


@given(edits=EDITS)
@HARD
def test_whatever_comes(office: Any, edits: list[tuple[float, str, int]]) -> None:
    """Damaged files give our errors, or the octets that were signed; never anything else."""
    value = _once(office)
    for share, text, cut in edits:
        at = int(share * len(value))
        value = value[:at] + text.encode() + value[at + cut :]
    try:
        form = office.verify(XmlSignature(value=value), None)
    except VerifyError:
        return
    assert form.document == forms.FORM.replace("<!-- a note -->", "").encode()


_MADE: dict[int, bytes] = {}


def _once(office: Any) -> bytes:
    if id(office) not in _MADE:
        _MADE[id(office)] = sign(office, signer=XAdESSigner, c14n=forms.INCLUSIVE)
    return _MADE[id(office)]
