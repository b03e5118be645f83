"""A form signed with CMS: its signers, and the countersignatures of each. RFC 5652, sections 5 and 11.4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import SEQUENCE, DerError, Reader
from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.result import Notice
from onecert.verifier.signed_form.attributes import COUNTERSIGNATURE, SIGNATURE_TIMESTAMP
from onecert.verifier.signed_form.cms import SignedData, SignerInfo, load_signed_data, read_signer
from onecert.verifier.signed_form.form_signature import CheckedSignature, Enclosed, FormSignature, OpenedForm
from onecert.verifier.signed_form.proved_time import Stamped
from onecert.verifier.signed_form.signer_check import Content, check_signer_info, content_of

__all__ = ["CmsSignature", "open_cms"]


def open_cms(
    document: bytes | None,
    signature: bytes,
    *,
    digests: Content | None = None,
    allow_no_attributes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> OpenedForm:
    """Read a CMS message over a document.

    Args:
        digests: of the document, in place of the document.

    Raises:
        RefusedError: ``CMS_CONTENT_MISSING``, ``CMS_CONTENT_DIFFERS``, and what ``load_signed_data`` raises.
    """
    message = load_signed_data(signature, limits=limits)
    if digests is not None and document is None and message.content is None:
        content = digests
    else:
        content = content_of(message, document)
    return OpenedForm(
        content=lambda: content,
        signatures=tuple(
            CmsSignature(
                message=message, signer=signer, content=content, allow_no_attributes=allow_no_attributes
            )
            for signer in message.signers
        ),
        message=message,
    )


@dataclass(frozen=True, kw_only=True)
class CmsSignature:
    """One SignerInfo of a message; see ``FormSignature``.

    ``is_counter`` for a countersignature, whose content is the signature of another one and has no type.
    """

    message: SignedData
    signer: SignerInfo
    content: Content
    allow_no_attributes: bool = False
    is_counter: bool = field(default=False)

    @property
    def stamps(self) -> Sequence[Stamped]:
        return [Stamped(token, self.signer.signature) for token in self._unsigned(SIGNATURE_TIMESTAMP)]

    @property
    def enclosed(self) -> Enclosed:
        message = self.message
        return Enclosed(certificates=message.certificates, crls=message.crls, ocsp=message.ocsp)

    @property
    def digest_algorithm(self) -> str:
        return self.signer.digest_algorithm

    @property
    def countersignatures(self) -> Sequence[FormSignature]:
        """Those over this signature; who countersigned a countersignature is not asked.

        A value that cannot be read is one whose check refuses it.
        """
        if self.is_counter:
            return ()
        return [_countersignature(self, value) for value in self._unsigned(COUNTERSIGNATURE)]

    def _unsigned(self, oid: str) -> Sequence[bytes]:
        return () if self.signer.unsigned is None else self.signer.unsigned.values.get(oid, ())

    def check(
        self, known: Sequence[ParsedCertificate], policy: AlgorithmPolicy, at: datetime
    ) -> CheckedSignature:
        signer = self.signer
        certificates = check_signer_info(
            signer,
            None if self.is_counter else self.message.content_type,
            self.content,
            certificates=(*self.message.certificates, *known),
            policy=policy,
            at=at,
            # RFC 5652, section 11.4: over bare octets a countersignature may be, as any signature of data.
            allow_no_attributes=self.allow_no_attributes,
        )
        counted = len(self._unsigned(COUNTERSIGNATURE))
        return CheckedSignature(
            certificates=certificates,
            names_certificate=signer.signed is not None and bool(signer.signed.certificate_hashes()),
            claimed_at=None if signer.signed is None else signer.signed.signing_time,
            notices=(Notice("CMS_COUNTERSIGNED", (("count", counted),)),) if counted else (),
        )


@dataclass(frozen=True, kw_only=True)
class _Unreadable:
    """A countersignature that is none; see ``FormSignature``."""

    failure: VerifyError
    stamps: Sequence[Stamped] = ()
    enclosed: Enclosed = field(default_factory=Enclosed)
    digest_algorithm: str = ""
    countersignatures: Sequence[FormSignature] = ()

    def check(
        self, known: Sequence[ParsedCertificate], policy: AlgorithmPolicy, at: datetime
    ) -> CheckedSignature:
        raise self.failure


def _countersignature(signature: CmsSignature, value: bytes) -> FormSignature:
    try:
        outer = Reader(value)
        signer = read_signer(outer.enter(SEQUENCE))
        outer.done()
    except VerifyError as exc:
        return _Unreadable(failure=exc)
    except (DerError, IndexError) as exc:
        detail = str(exc) or type(exc).__name__
        return _Unreadable(
            failure=MalformedError("CMS_MALFORMED", source="RFC 5652, section 11.4", detail=detail)
        )
    return CmsSignature(
        message=signature.message,
        signer=signer,
        content=Content(data=signature.signer.signature),
        allow_no_attributes=signature.allow_no_attributes,
        is_counter=True,
    )
