"""A form signed with JWS: compact or JSON serialization, the payload detached or inside, certificates in x5c.

RFC 7515, sections 4, 7 and appendix F; RFC 7797 for ``b64``. The key comes from the certificate in the
protected header, which the signature covers: so there is no doubt which certificate was meant. Header members
that are not listed here are refused: a reader that ignores one may read another message than was written.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.arguments import as_octets
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.jws import algorithms_for, decode_base64url, der_signature, load_json
from onecert.verifier.keys import load_public_key
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.signatures import verify_signature
from onecert.verifier.signed_form.digests import digest
from onecert.verifier.signed_form.form_signature import CheckedSignature, Enclosed, FormSignature, OpenedForm
from onecert.verifier.signed_form.proved_time import Stamped
from onecert.verifier.signed_form.signer_check import Content

__all__ = ["JwsSignature", "open_jws"]

_HEADER_MAX, _SIGNERS_MAX, _CERTIFICATES_MAX = 64 * 1024, 16, 8
# Besides alg and x5c, which must be there. typ and cty only describe; a kid is a name without a meaning here.
_MEMBERS = frozenset({"alg", "x5c", "x5t#S256", "typ", "cty", "kid", "b64", "crit"})


@dataclass(frozen=True, kw_only=True)
class JwsSignature:
    """A JSON Web Signature.

    Args:
        value: compact (``header..signature`` when detached) or JSON serialization, UTF-8.
        timestamp: RFC 3161 token over the octets of the only signature, if there is one.
    """

    value: bytes
    timestamp: bytes | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_octets(self.value, "a signature"))


def open_jws(document: bytes | None, source: JwsSignature) -> OpenedForm:
    """Read a JWS over a document.

    Raises:
        MalformedError: ``TOO_LARGE``, ``DOCUMENT_MALFORMED``.
        RefusedError: ``JWS_HEADER``, ``JWS_CRITICAL``, ``FORM_CONTENT_DIFFERS``.
        CouldNotCheckError: ``FORM_DOCUMENT_NEEDED``.
    """
    if len(source.value) > DEFAULT_LIMITS.document_max_bytes:
        raise MalformedError("TOO_LARGE", kind="JWS", max=DEFAULT_LIMITS.document_max_bytes)
    payload, entries = _entries(source.value.strip())
    headers = [_Header(protected) for protected, _ in entries]
    content = _content(document, payload, headers)
    tokens = (source.timestamp,) if source.timestamp is not None and len(entries) == 1 else ()
    signatures = [
        _JwsOne(header, decode_base64url(signature), content, tokens)
        for header, (_, signature) in zip(headers, entries, strict=True)
    ]
    return OpenedForm(content=lambda: Content(data=content), signatures=tuple(signatures))


def _entries(data: bytes) -> tuple[str | None, list[tuple[str, str]]]:
    """The payload as it stands, ``None`` when detached, and (protected, signature) of each."""
    if not data.startswith(b"{"):
        try:
            parts = data.decode("ascii").split(".")
        except UnicodeDecodeError:
            _malformed("it is neither compact nor JSON")
        if len(parts) != 3:
            _malformed("it is neither compact nor JSON")
        return parts[1] or None, [(parts[0], parts[2])]
    value = load_json(data, max_bytes=DEFAULT_LIMITS.document_max_bytes)
    # Section 7.2.2: the flattened form is one entry whose members stand outside.
    listed = value.pop("signatures", None) if "signatures" in value else [_flattened(value)]
    if not isinstance(listed, list) or not 0 < len(listed) <= _SIGNERS_MAX or value.keys() - {"payload"}:
        _malformed("members")
    entries: list[tuple[str, str]] = []
    for entry in listed:
        if not isinstance(entry, dict) or entry.keys() != {"protected", "signature"}:
            # An unprotected header is not signed: nothing of it could be believed.
            _malformed("a signature needs exactly protected and signature")
        entries.append((_text(entry["protected"]), _text(entry["signature"])))
    return (_text(value["payload"]) if "payload" in value else None), entries


def _flattened(value: dict[str, Any]) -> dict[str, Any]:
    return {name: value.pop(name) for name in list(value) if name != "payload"}


def _text(value: object) -> str:
    if not isinstance(value, str):
        _malformed("a member is not text")
    return value


def _content(document: bytes | None, payload: str | None, headers: Sequence[_Header]) -> bytes:
    encoded = {header.is_encoded for header in headers}
    if len(encoded) != 1:
        # RFC 7797, section 3: the same for all.
        raise RefusedError("JWS_HEADER", source="RFC 7797, section 3", member="b64")
    if payload is None:
        if document is None:
            raise CouldNotCheckError("FORM_DOCUMENT_NEEDED", source="RFC 7515, appendix F", algorithm="-")
        return document
    inside = decode_base64url(payload) if encoded == {True} else payload.encode("utf-8")
    if document is not None and inside != document:
        raise RefusedError("FORM_CONTENT_DIFFERS", source="RFC 7515, section 5.2")
    return inside


class _Header:
    """A protected header, read strictly."""

    def __init__(self, protected: str) -> None:
        self.protected = protected
        if len(protected) > 2 * _HEADER_MAX:
            raise MalformedError("TOO_LARGE", kind="JWS", max=_HEADER_MAX)
        header = load_json(decode_base64url(protected), max_bytes=_HEADER_MAX)
        if not isinstance(header, dict):
            _malformed("the protected header is no object")
        self.alg = self._checked(header)
        self.is_encoded: bool = header.get("b64", True)
        self.certificates = _certificates(header["x5c"])
        thumbprint = header.get("x5t#S256")
        if thumbprint is not None and not hmac.compare_digest(
            decode_base64url(_text(thumbprint)), digest("sha256", self.certificates[0].der)
        ):
            raise RefusedError("JWS_HEADER", source="RFC 7515, section 4.1.8", member="x5t#S256")

    @staticmethod
    def _checked(header: Mapping[str, Any]) -> str:
        critical = header.get("crit", [])
        # RFC 7515, section 4.1.11: not empty, no name twice, none that the standard itself defines.
        names = critical if isinstance(critical, list) else None
        if names is None or ("crit" in header and not names) or len(names) != len(set(map(str, names))):
            raise RefusedError("JWS_HEADER", source="RFC 7515, section 4.1.11", member="crit")
        for name in names:
            if name != "b64":
                raise RefusedError("JWS_CRITICAL", source="RFC 7515, section 4.1.11", member=str(name)[:80])
        # RFC 7797, section 6: b64 must be understood by whoever reads it, so it must be named.
        if ("b64" in header) != (names == ["b64"]) or not isinstance(header.get("b64", True), bool):
            raise RefusedError("JWS_HEADER", source="RFC 7797, section 6", member="b64")
        unknown = sorted(header.keys() - _MEMBERS)
        if unknown:
            raise RefusedError("JWS_HEADER", source="RFC 7515, section 4", member=unknown[0][:80])
        for name in ("alg", "x5c"):
            if name not in header:
                raise RefusedError("JWS_HEADER", source="RFC 7515, section 4.1", member=name)
        return _text(header["alg"])


def _certificates(value: object) -> tuple[ParsedCertificate, ...]:
    """Section 4.1.6: base64 (not base64url) of DER, the signer's certificate first."""
    if not isinstance(value, list) or not 0 < len(value) <= _CERTIFICATES_MAX:
        raise RefusedError("JWS_HEADER", source="RFC 7515, section 4.1.6", member="x5c")
    try:
        return tuple(parse_certificate(base64.b64decode(_text(item), validate=True)) for item in value)
    except (binascii.Error, ValueError) as exc:
        raise RefusedError("JWS_HEADER", source="RFC 7515, section 4.1.6", member="x5c") from exc


@dataclass(frozen=True)
class _JwsOne:
    """See ``FormSignature``."""

    header: _Header
    value: bytes
    content: bytes
    tokens: Sequence[bytes]
    digest_algorithm: str = ""
    countersignatures: Sequence[FormSignature] = ()

    @property
    def stamps(self) -> Sequence[Stamped]:
        return [Stamped(token, self.value) for token in self.tokens]

    @property
    def enclosed(self) -> Enclosed:
        return Enclosed(certificates=self.header.certificates)

    def check(
        self, known: Sequence[ParsedCertificate], policy: AlgorithmPolicy, at: datetime
    ) -> CheckedSignature:
        header = self.header
        certificate = header.certificates[0]
        key = load_public_key(certificate.spki_der)
        rows = algorithms_for(key)
        if header.alg not in rows:
            # The name never chooses: "none" and the HMACs fit no certificate's key.
            raise RefusedError(
                "ALGORITHM_MISMATCH", source="RFC 7515, section 4.1.1", algorithm=header.alg[:80]
            )
        body = base64.urlsafe_b64encode(self.content).rstrip(b"=") if header.is_encoded else self.content
        data = b"%b.%b" % (header.protected.encode("ascii"), body)
        value = der_signature(key, self.value)
        verify_signature(key, rows[header.alg], value, data, policy=policy, at=at)
        return CheckedSignature(certificates=(certificate,), names_certificate=True)


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("DOCUMENT_MALFORMED", source="RFC 7515, section 7", detail=detail)
