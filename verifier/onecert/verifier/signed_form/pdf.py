"""A form signed as PDF: every signature in the file judged, and what was changed after it.

ISO 32000-2, section 12.8; PAdES (EN 319 142-1). pyHanko reads the file and says what later revisions changed;
the octets that a signature covers, its mathematics, its signer and its timestamps are judged here, as in
any CMS message. Document timestamps count for every signature before them. A signature covers one whole
revision, from the first octet of the file on, but for its own place. After the last one only what keeps it
provable may come: certificates, lists and document timestamps. Not supported: encrypted files,
adbe.x509.rsa_sha1 and adbe.pkcs7.sha1 (SHA-1), hybrid cross-reference tables.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from typing import Any, NoReturn, TypeVar

from pyhanko.pdf_utils.decode_limits import DecodeLimits, DocumentDecodeBudget
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError
from pyhanko.sign.validation.status import SignatureCoverageLevel

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.der import DerError
from onecert.verifier.errors import MalformedError, RefusedError, VerifyError
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.result import Notice
from onecert.verifier.revocation import load_crl, load_ocsp
from onecert.verifier.signed_form.ber import normalise
from onecert.verifier.signed_form.cms_form import open_cms
from onecert.verifier.signed_form.extras import PdfSignature
from onecert.verifier.signed_form.form_signature import CheckedSignature, Enclosed, FormSignature, OpenedForm
from onecert.verifier.signed_form.proved_time import Stamped
from onecert.verifier.signed_form.signer_check import Content

__all__ = ["open_form"]

T = TypeVar("T")
_SIGNATURES_MAX, _STORED_MAX = 16, 64
# What a revision costs grows with those before it: 800 of them, in 80 kB, took 14 seconds.
_REVISIONS_MAX = 64
# Each cross-reference section begins with the word, or is a stream of this type; names may be escaped.
_SECTION = re.compile(rb"xref|/(?:X|#58)(?:R|#52)(?:e|#65)(?:f|#66)")
_DECODED_MAX = DecodeLimits(
    document_budget=DocumentDecodeBudget(base_allowance=64 * 1024 * 1024, max_ratio=10)
)
_END = re.compile(rb"startxref\s+\d+\s+%%EOF\s*\Z")
_FORMATS = frozenset({"/adbe.pkcs7.detached", "/ETSI.CAdES.detached"})
_DOCUMENT_TIMESTAMP = "/ETSI.RFC3161"


def open_form(document: bytes | None, source: PdfSignature) -> OpenedForm:
    """Read a signed PDF file; its signatures come in the order in which they were made.

    Args:
        document: ``None``, or the same file once more.

    Raises:
        MalformedError: ``TOO_LARGE``, ``PDF_MALFORMED``, and those of a CMS message.
        RefusedError: ``PDF_SIGNATURES``, ``PDF_ENCRYPTED``, ``PDF_FORMAT``, ``PDF_COVERAGE``,
            ``PDF_CHANGED``, ``FORM_CONTENT_DIFFERS``.
    """
    data = source.value
    if document is not None and document != data:
        raise RefusedError("FORM_CONTENT_DIFFERS", source="ISO 32000-2, section 12.8")
    if len(data) > DEFAULT_LIMITS.document_max_bytes:
        raise MalformedError("TOO_LARGE", kind="PDF", max=DEFAULT_LIMITS.document_max_bytes)
    try:
        parts = list(_parts(data, allow_filling=source.allow_filling))
        stored = _stored(data)
    except VerifyError:
        raise
    except Exception as exc:  # whatever another library raises, the form was not verified
        raise MalformedError("PDF_MALFORMED", source="ISO 32000-2", detail=str(exc)[:200]) from exc
    stamps = [part for part in parts if part.is_timestamp]
    signatures = []
    for part in parts:
        if part.is_timestamp:
            continue
        opened = open_cms(part.covered, part.message)
        if opened.message is None or opened.message.content is not None or len(opened.signatures) != 1:
            raise RefusedError("PDF_FORMAT", source="ISO 32000-2, section 12.8.3.3", found="CMS")
        later = [Stamped(stamp.message, stamp.covered) for stamp in stamps if stamp.place >= part.end]
        signatures.append(_Pdf(opened.signatures[0], stored, tuple(later), part.notices))
    if not signatures:
        raise RefusedError("PDF_SIGNATURES", source="ISO 32000-2, section 12.8")
    return OpenedForm(content=lambda: Content(data=data), signatures=tuple(signatures))


@dataclass(frozen=True)
class _Pdf:
    """A signature of CMS with what the file adds; see ``FormSignature``."""

    cms: FormSignature
    stored: Enclosed
    later: tuple[Stamped, ...]
    notices: tuple[Notice, ...]

    @property
    def stamps(self) -> Sequence[Stamped]:
        return (*self.cms.stamps, *self.later)

    @property
    def enclosed(self) -> Enclosed:
        own = self.cms.enclosed
        return Enclosed(
            certificates=(*own.certificates, *self.stored.certificates),
            crls=(*own.crls, *self.stored.crls),
            ocsp=(*own.ocsp, *self.stored.ocsp),
        )

    @property
    def digest_algorithm(self) -> str:
        return self.cms.digest_algorithm

    @property
    def countersignatures(self) -> Sequence[FormSignature]:
        return self.cms.countersignatures

    def check(
        self, known: Sequence[ParsedCertificate], policy: AlgorithmPolicy, at: datetime
    ) -> CheckedSignature:
        checked = self.cms.check((*self.stored.certificates, *known), policy, at)
        return replace(checked, notices=(*checked.notices, *self.notices))


@dataclass(frozen=True)
class _Part:
    """One signature dictionary: its CMS message, its place, the octets that it covers and their end."""

    message: bytes
    covered: bytes
    place: int
    end: int
    is_timestamp: bool
    notices: tuple[Notice, ...]


def _parts(data: bytes, *, allow_filling: bool) -> Iterator[_Part]:
    reader = _reader(data)
    if reader.encrypted:
        raise RefusedError("PDF_ENCRYPTED", source="ISO 32000-2, section 7.6")
    # pyHanko leaves out what it does not know; no accepted file may hold a signature that nobody judged.
    for _, dictionary, _ in enumerate_sig_fields(reader, filled_status=True):
        format_name = str(dictionary.get_object().get("/SubFilter"))
        if format_name not in _FORMATS | {_DOCUMENT_TIMESTAMP}:
            raise RefusedError("PDF_FORMAT", source="ISO 32000-2, section 12.8.3", found=format_name[:60])
    found: list[Any] = list(reader.embedded_signatures)
    if len(found) > _SIGNATURES_MAX:
        _malformed("too many signatures")
    regular = [each for each in found if not _is_timestamp(each)]
    for signature in found:
        message, covered, place, end = _covered(data, signature)
        notices: tuple[Notice, ...] = ()
        if not _is_timestamp(signature):
            notices = tuple(
                _later_changes(signature, is_last=signature is regular[-1], filling=allow_filling)
            )
        if signature is found[-1]:
            _check_end(data, end, reader.xrefs.total_revisions > signature.signed_revision + 1)
        yield _Part(message, covered, place, end, _is_timestamp(signature), notices)


def _reader(data: bytes) -> PdfFileReader:
    """A reader of a file that anybody may have sent: bounded in revisions and in what streams grow to."""
    sections = sum(1 for _ in zip(_SECTION.finditer(data), range(4 * _REVISIONS_MAX + 1), strict=False))
    if sections > 4 * _REVISIONS_MAX:
        _malformed("too many revisions")
    reader = PdfFileReader(BytesIO(data), strict=True, decode_limits=_DECODED_MAX)
    if reader.xrefs.total_revisions > _REVISIONS_MAX:
        _malformed("too many revisions")
    return reader


def _is_timestamp(signature: Any) -> bool:
    return str(signature.sig_object.get("/SubFilter")) == _DOCUMENT_TIMESTAMP


def _check_end(data: bytes, end: int, is_revised: bool) -> None:
    """Nothing follows the last signature but whole revisions; what those changed has been looked at."""
    tail = data[end:]
    if tail and not (is_revised and _END.search(tail)):
        _coverage("EOF")


def _covered(data: bytes, signature: Any) -> tuple[bytes, bytes, int, int]:
    """The CMS message, the octets round its place, this place, and where the octets end."""
    numbers = [int(number) for number in signature.byte_range]
    if len(numbers) != 4 or numbers[0] != 0 or min(numbers) < 0:
        _coverage("ByteRange")
    _, length, start, rest = numbers
    end = start + rest
    gap = data[length:start]
    # The only octets that are left out are the hexadecimal string of this very signature.
    if end > len(data) or gap[:1] != b"<" or gap[-1:] != b">":
        _coverage("ByteRange")
    try:
        contents = binascii.unhexlify(gap[1:-1])
    except (binascii.Error, ValueError):
        _coverage("Contents")
    if contents != signature.pkcs7_content:
        _coverage("Contents")
    try:
        _, padding = normalise(contents)
    except DerError as exc:
        raise MalformedError("CMS_MALFORMED", source="RFC 5652, section 5.1", detail=str(exc)) from exc
    if padding.strip(b"\x00"):
        raise MalformedError("CMS_TRAILING", source="ISO 32000-2, section 12.8.3.3", count=len(padding))
    return contents[: len(contents) - len(padding)], data[:length] + data[start:end], length, end


def _level(signature: Any) -> ModificationLevel:
    """What was done to the file after a signature.

    Raises:
        RefusedError: ``PDF_COVERAGE``, ``PDF_CHANGED`` when it is nothing that has a name.
    """
    signature.compute_integrity_info()
    info = signature.summarise_integrity_info()
    if info["coverage"] not in {SignatureCoverageLevel.ENTIRE_FILE, SignatureCoverageLevel.ENTIRE_REVISION}:
        _coverage(info["coverage"].name)
    level = getattr(info["diff_result"], "modification_level", ModificationLevel.OTHER)
    if level == ModificationLevel.OTHER or not info["docmdp_ok"]:
        raise RefusedError("PDF_CHANGED", source="ISO 32000-2, section 12.8.2.2", level=level.name)
    return level


def _later_changes(signature: Any, *, is_last: bool, filling: bool) -> Iterator[Notice]:
    level = _level(signature)
    if level in {ModificationLevel.NONE, ModificationLevel.LTA_UPDATES}:
        return
    # Before a further signature fields may be filled in: that one's signer has seen them.
    if level != ModificationLevel.FORM_FILLING or (is_last and not filling):
        raise RefusedError("PDF_CHANGED", source="ISO 32000-2, section 12.8.2.2", level=level.name)
    yield Notice("PDF_FILLED_LATER", (("field", str(signature.field_name)[:100]),))


def _stored(data: bytes) -> Enclosed:
    """The document security store (EN 319 142-1, section 5.4.2): certificates and status added for later."""
    try:
        store = DocumentSecurityStore.read_dss(_reader(data))
    except NoDSSFoundError:
        return Enclosed()
    return Enclosed(
        certificates=tuple(_read(store.certs.values(), parse_certificate)),
        crls=tuple(_read(store.crls, load_crl)),
        ocsp=tuple(_read(store.ocsps, load_ocsp)),
    )


def _read(references: Iterable[Any], load: Callable[[bytes], T]) -> Iterator[T]:
    for count, reference in enumerate(references):
        if count == _STORED_MAX:
            return
        try:
            yield load(reference.get_object().data)
        except MalformedError:
            continue


def _coverage(what: str) -> NoReturn:
    raise RefusedError("PDF_COVERAGE", source="ISO 32000-2, section 12.8.1", found=what)


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("PDF_MALFORMED", source="ISO 32000-2", detail=detail)
