"""What people upload or paste: drafts, certificates, profiles. Any octets may come; UploadError says why not.

Nothing here follows a file name that an upload contains: only the commands read files beside a draft.
"""

from __future__ import annotations

import base64
import textwrap
from typing import Any

from onecert.server.languages import _, current_language
from onecert.supervision.draft import PEM, Draft, parse_draft
from onecert.supervision.errors import UploadError
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import load_json
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root

__all__ = [
    "DRAFT_MAX_BYTES",
    "pem_of",
    "read_certificates",
    "read_draft",
    "read_json",
    "read_profile",
    "read_root",
]

DRAFT_MAX_BYTES = 8 * 1024 * 1024
PROFILE_MAX_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"


def read_draft(data: bytes) -> Draft:
    """A draft in the form of ``onecert trust-list draft show``.

    Raises:
        UploadError: it is not JSON. DraftMalformedError: it is JSON, but no draft.
    """
    return parse_draft(read_json(data, max_bytes=DRAFT_MAX_BYTES))


def read_profile(data: bytes) -> dict[str, Any]:
    """An identity profile, as JSON; whether it is a good one is judged with the draft.

    Raises:
        UploadError: it is no JSON object.
    """
    value = read_json(data, max_bytes=PROFILE_MAX_BYTES)
    if not isinstance(value, dict):
        raise UploadError(_("the file must hold one JSON object"))
    return value


def read_root(data: bytes) -> TrustRoot:
    """The trust root of another list, as that list publishes it.

    Raises:
        UploadError: it is none, or does not carry the signatures that it asks for.
    """
    _check_form(data)
    try:
        return load_trust_root(data.strip())
    except VerifyError as exc:
        raise UploadError(exc.text(current_language())) from exc


def read_json(data: bytes, *, max_bytes: int) -> Any:
    """Strict JSON.

    Raises:
        UploadError: too large, empty, HTML, a byte order mark, not UTF-8, not JSON, too deep, a key twice.
    """
    _check_form(data)
    if data.startswith(_BOM):
        problem = _("it begins with a byte order mark; save it as UTF-8 without BOM")
        raise UploadError(problem)
    try:
        return load_json(data, max_bytes=max_bytes)
    except VerifyError as exc:
        raise UploadError(exc.text(current_language())) from exc


def read_certificates(data: bytes) -> list[str]:
    """One certificate in DER, or one and more in PEM; as PEM, in their order.

    Raises:
        UploadError: there is none, or one of them cannot be read.
    """
    _check_form(data)
    if data[:1] == b"\x30":
        return [pem_of(_checked(data))]
    blocks = PEM.findall(data.decode("ascii", "replace"))
    if not blocks:
        hint = _("A certificate begins with -----BEGIN CERTIFICATE-----, or is a file in DER form.")
        raise UploadError(_("there is no certificate in it"), hint)
    return [pem_of(_checked(block.replace("\r", "").encode("ascii"))) for block in blocks]


def pem_of(der: bytes) -> str:
    """DER as PEM, in lines of 64 characters."""
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def _checked(data: bytes) -> bytes:
    try:
        return parse_certificate(data).der
    except VerifyError as exc:
        raise UploadError(exc.text(current_language())) from exc


def _check_form(data: bytes) -> None:
    if not data.strip():
        raise UploadError(_("it is empty"))
    if data.lstrip()[:1] == b"<":
        raise UploadError(_("it is a web page (HTML), not the file itself"))
    if data[:4] in {b"PK\x03\x04", b"\x1f\x8b\x08\x00"}:
        raise UploadError(_("it is packed; unpack it first"))
