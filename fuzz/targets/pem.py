"""The PEM front: what is wrapped in text loads as the same octets without it, or not at all."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from fuzz.material import hierarchy
from fuzz.rules import answer, require
from onecert.verifier import load_certificate, load_crl, parse_certificate
from onecert.verifier.attribute_certificate.parse import PEM_LABEL
from onecert.verifier.certificate import decode_pem

IS_DER = False

_LABELS = ("CERTIFICATE", "X509 CRL", "PUBLIC KEY", PEM_LABEL)


def _pem(label: str, der: bytes, end: bytes = b"\n") -> bytes:
    text = base64.encodebytes(der).replace(b"\n", end)
    return b"-----BEGIN %b-----%b%b-----END %b-----%b" % (label.encode(), end, text, label.encode(), end)


def seeds() -> Iterable[bytes]:
    """One file of each kind, with the line ends of two systems."""
    leaf = hierarchy().leaf.der
    for end in (b"\n", b"\r\n"):
        yield _pem("CERTIFICATE", leaf, end)
    yield _pem("X509 CRL", hierarchy().crl_1)
    yield _pem("CERTIFICATE", leaf) + _pem("CERTIFICATE", hierarchy().ca_2.der)
    yield b"subject=Leaf\n" + _pem("CERTIFICATE", leaf)


def run(data: bytes) -> None:
    """Decode under every label, and load."""
    for label in _LABELS:
        der = answer(decode_pem, data, label)
        if der is not None:
            blocks = data.count(b"-----BEGIN ")
            require(blocks == 1, f"{blocks} blocks were read as one")
            require(answer(decode_pem, _pem(label, der), label) == der, "written anew, it is another")
    parsed = answer(lambda: parse_certificate(data))
    if parsed is not None:
        require(parse_certificate(parsed.der) == parsed, "the octets inside are another certificate")
        require(load_certificate(data) == parsed.certificate, "two loaders disagree")
    crl = answer(lambda: load_crl(data))
    if crl is not None:
        require(load_crl(crl.der).der == crl.der, "the octets inside are another list")
        require(parsed is None, "one file is a certificate and a list")
