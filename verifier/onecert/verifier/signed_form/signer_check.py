"""One SignerInfo against the content: attributes, digest, algorithm, signature, and whose certificate it is.

RFC 5652, sections 5.3 to 5.6. The certificate is only identified here; who issued it and whether it counts is
asked afterwards. The date of the check decides which algorithms are accepted.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import OCTET_STRING, OID, DerError, decode_oid
from onecert.verifier.errors import (
    CouldNotCheckError,
    MalformedError,
    RefusedError,
    SignatureInvalidError,
    VerifyError,
)
from onecert.verifier.keys import load_public_key
from onecert.verifier.signatures import verify_signature
from onecert.verifier.signed_form.attributes import (
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    Attributes,
    looks_like_signed_attributes,
)
from onecert.verifier.signed_form.cms import DATA_TYPES, SignedData, SignerInfo
from onecert.verifier.signed_form.digests import check_digest, digest, signature_row

__all__ = ["Content", "check_signer_info", "content_of"]

# Certificates of one name and serial, or one key identifier, that are tried.
_CERTIFICATES_TRIED = 4


@dataclass(frozen=True, kw_only=True)
class Content:
    """What is signed: its bytes, or, years later, only digests of it."""

    data: bytes | None = None
    digests: Mapping[str, bytes] = field(default_factory=dict)

    def digest(self, name: str) -> bytes:
        """The digest with this algorithm.

        Raises:
            CouldNotCheckError: ``FORM_DOCUMENT_NEEDED`` when neither the bytes nor this digest are known.
        """
        if self.data is not None:
            return digest(name, self.data)
        known = self.digests.get(name)
        if known is None:
            raise CouldNotCheckError("FORM_DOCUMENT_NEEDED", algorithm=name)
        return known


def content_of(message: SignedData, document: bytes | None) -> Content:
    """The content of a message: its own, or the document that it was detached from.

    Raises:
        RefusedError: ``CMS_CONTENT_MISSING``, ``CMS_CONTENT_DIFFERS``.
    """
    if message.content is None and document is None:
        raise RefusedError("CMS_CONTENT_MISSING", source="RFC 5652, section 5.2")
    if message.content is not None and document is not None and message.content != document:
        raise RefusedError("CMS_CONTENT_DIFFERS", source="RFC 5652, section 5.2")
    return Content(data=message.content if document is None else document)


def check_signer_info(
    signer: SignerInfo,
    content_type: str | None,
    content: Content,
    *,
    certificates: Iterable[ParsedCertificate],
    policy: AlgorithmPolicy,
    at: datetime,
    allow_no_attributes: bool = False,
) -> tuple[ParsedCertificate, ...]:
    """Check one signature and return the certificates of its signer, at least one, none validated yet.

    Args:
        content_type: of the message; ``None`` for a countersignature, which has none.
        certificates: those of the message first.
        allow_no_attributes: accept a signature over the bare content.

    Raises:
        SignatureInvalidError: ``CMS_DIGEST`` (the content is another one), ``SIGNATURE_INVALID``.
        RefusedError: ``CMS_NO_CERTIFICATE``, ``CMS_SIGNER_UNKNOWN``, ``CMS_SIGNING_CERTIFICATE``,
            ``CMS_ATTRIBUTE_MISSING`` and the others of the attributes, ``ALGORITHM_*``, ``WEAK_KEY``.
        MalformedError: ``CMS_MALFORMED``.
    """
    row = signature_row(signer.algorithm_der, signer.digest_algorithm)
    check_digest(signer.digest_algorithm, policy, at)
    try:
        if signer.signed is None:
            data = _bare_content(content_type, content, allow=allow_no_attributes)
            hashes = []
        else:
            _check_attributes(signer.signed, signer.digest_algorithm, content_type, content)
            data = signer.signed.signed_der
            hashes = signer.signed.certificate_hashes()
    except DerError as exc:
        raise MalformedError("CMS_MALFORMED", source="RFC 5652, section 11", detail=str(exc)) from exc
    offered = list(certificates)
    named = list(dict.fromkeys(c for c in offered if signer.names(c)))[:_CERTIFICATES_TRIED]
    if not offered:
        raise RefusedError("CMS_NO_CERTIFICATE", source="RFC 5652, section 5.1", signer=_text(signer))
    if not named:
        raise RefusedError("CMS_SIGNER_UNKNOWN", source="RFC 5652, section 5.3", signer=_text(signer))
    # RFC 5035, section 4: the certificate that the signer meant, and no other with the same key.
    meant = [c for c in named if all(certificate_hash.fits(c) for certificate_hash in hashes)]
    if not meant:
        raise RefusedError(
            "CMS_SIGNING_CERTIFICATE",
            certificate=named[0].certificate,
            source="RFC 5035, section 4",
            subject=named[0].subject_text,
        )
    failure: VerifyError | None = None
    good: list[ParsedCertificate] = []
    for certificate in meant:
        try:
            key = load_public_key(certificate.spki_der)
            verify_signature(key, row, signer.signature, data, policy=policy, at=at)
        except VerifyError as exc:
            exc.certificate = certificate.certificate
            failure = failure or exc
            continue
        good.append(certificate)
    if not good:
        raise failure or SignatureInvalidError("SIGNATURE_INVALID")
    return tuple(good)


def _bare_content(content_type: str | None, content: Content, *, allow: bool) -> bytes:
    # RFC 5652, section 5.3: anything but data must have attributes.
    if not allow or (content_type is not None and content_type not in DATA_TYPES):
        raise RefusedError(
            "CMS_NO_ATTRIBUTES", source="RFC 5652, sections 5.3 and 14", content_type=content_type or "-"
        )
    if content.data is None:
        raise CouldNotCheckError("FORM_DOCUMENT_NEEDED", algorithm="-")
    if looks_like_signed_attributes(content.data):
        raise RefusedError("CMS_ATTRIBUTES_AS_CONTENT", source="RFC 5652, section 5.4")
    return content.data


def _check_attributes(
    signed: Attributes, digest_algorithm: str, content_type: str | None, content: Content
) -> None:
    if content_type is None:
        # Section 11.4: what was made for a message is no countersignature, and the other way round.
        if CONTENT_TYPE in signed.values:
            raise RefusedError("CMS_CONTENT_TYPE", source="RFC 5652, section 11.4", content_type="-")
    elif decode_oid(signed.single(CONTENT_TYPE, OID)) != content_type:
        raise RefusedError("CMS_CONTENT_TYPE", source="RFC 5652, section 11.1", content_type=content_type)
    named = signed.single(MESSAGE_DIGEST, OCTET_STRING)
    if not hmac.compare_digest(named, content.digest(digest_algorithm)):
        raise SignatureInvalidError("CMS_DIGEST", source="RFC 5652, section 5.6")
    _ = signed.signing_time


def _text(signer: SignerInfo) -> str:
    if signer.key_id is not None:
        return signer.key_id.hex()
    return f"{signer.serial:x}"
