"""Forms signed as JWS, XML and PDF, the same on every machine; the firm of ``forms_material`` signs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fuzz.forms_material import FIRM, forms, message, signer_info
from fuzz.material import sign

XML_FORM = '<form xmlns="urn:tax" Id="f-1"><firm>示例</firm><sum>1</sum></form>'.encode()
_DS = "http://www.w3.org/2000/09/xmldsig#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
_HOLE = 1600
_BYTE_RANGE = b"[0 %010d %010d %010d]"


def signature_value(data: bytes) -> bytes:
    """The firm's signature as JWS and XMLDSig have it: r and s, 32 octets each."""
    r, s = decode_dss_signature(sign(data, FIRM))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jws_header(**more: Any) -> Mapping[str, Any]:
    """A protected header that is right."""
    return {"alg": "ES256", "x5c": [base64.b64encode(forms().firm.der).decode()], **more}


def jws(header: bytes, payload: bytes, *, is_encoded: bool = True) -> bytes:
    """Header and payload as they are, signed: a compact JWS."""
    protected = base64url(header).encode()
    body = base64url(payload).encode() if is_encoded else payload
    value = base64url(signature_value(protected + b"." + body)).encode()
    return protected + b"." + body + b"." + value


def jws_header_octets(**more: Any) -> bytes:
    """The same as JSON."""
    return json.dumps(jws_header(**more)).encode()


def xml(kind: str) -> bytes:
    """A form with its signature inside (``enveloped``), the signature round it (``enveloping``), or alone."""
    enveloped = f'<ds:Transform Algorithm="{_DS}enveloped-signature"/>' if kind == "enveloped" else ""
    uri = {"enveloped": "#f-1", "enveloping": "#o-1", "detached": "http://forms.example/1.xml"}[kind]
    holder = f'<ds:Object xmlns:ds="{_DS}" Id="o-1">'.encode() + XML_FORM + b"</ds:Object>"
    signed = {"enveloped": XML_FORM, "enveloping": holder, "detached": XML_FORM}[kind]
    transforms = f'<ds:Transforms>{enveloped}<ds:Transform Algorithm="{_EXCLUSIVE}"/></ds:Transforms>'
    info = (
        f'<ds:CanonicalizationMethod Algorithm="{_EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{_ECDSA}"></ds:SignatureMethod>'
        f'<ds:Reference URI="{uri}">{"" if kind == "detached" else transforms}'
        f'<ds:DigestMethod Algorithm="{_SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{_b64(hashlib.sha256(signed).digest())}</ds:DigestValue></ds:Reference>"
    ).replace("/>", "></ds:Transform>")
    octets = f'<ds:SignedInfo xmlns:ds="{_DS}">{info}</ds:SignedInfo>'.encode()
    certificate = f"<ds:X509Certificate>{_b64(forms().firm.der)}</ds:X509Certificate>"
    inside = (
        f"<ds:SignedInfo>{info}</ds:SignedInfo>"
        f"<ds:SignatureValue>{_b64(signature_value(octets))}</ds:SignatureValue>"
        f"<ds:KeyInfo><ds:X509Data>{certificate}</ds:X509Data></ds:KeyInfo>"
    ).encode()
    if kind == "enveloping":
        inside += b'<ds:Object Id="o-1">' + XML_FORM + b"</ds:Object>"
    signature = f'<ds:Signature xmlns:ds="{_DS}">'.encode() + inside + b"</ds:Signature>"
    return XML_FORM.replace(b"</form>", signature + b"</form>") if kind == "enveloped" else signature


def pdf() -> bytes:
    """One page, one signature (adbe.pkcs7.detached), classical cross-reference table."""
    contents = b"<" + b"0" * _HOLE + b">"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/SigFlags 3>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Annots[4 0 R]>>",
        b"<</FT/Sig/T(S)/V 5 0 R/Type/Annot/Subtype/Widget/Rect[0 0 0 0]/P 3 0 R/F 132>>",
        b"<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/adbe.pkcs7.detached/ByteRange %b/Contents %b>>"
        % (_BYTE_RANGE % (0, 0, 0), contents),
    ]
    data = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table
    start = data.index(contents)
    end = start + len(contents)
    data = data.replace(_BYTE_RANGE % (0, 0, 0), _BYTE_RANGE % (start, end, len(data) - end))
    signed = message(None, forms().firm, signer_info(data[:start] + data[end:], forms().firm))
    return data[:start] + b"<" + signed.hex().encode().ljust(_HOLE, b"0") + b">" + data[end:]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
