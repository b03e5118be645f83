"""What an application asks of a signed form, and what it gets when the form is good."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.identity.identity import Identity
from onecert.verifier.result import Notice
from onecert.verifier.signed_form.cms import SignedData
from onecert.verifier.signed_form.extras import PdfSignature, XmlSignature
from onecert.verifier.signed_form.jws_form import JwsSignature
from onecert.verifier.signed_form.proved_time import ProvedTime
from onecert.verifier.signed_form.raw import RawSignature
from onecert.verifier.signed_form.signer_check import Content
from onecert.verifier.signed_form.signers import JudgedSigner, SignerJudge
from onecert.verifier.signed_form.timestamp import Timestamp, TimestampTrust

__all__ = ["FormPolicy", "FormSigner", "SignatureSource", "SignedForm"]

# What a form is signed with; bytes are a CMS message.
SignatureSource = bytes | RawSignature | JwsSignature | XmlSignature | PdfSignature
_FORMS: dict[type, str] = {RawSignature: "raw", JwsSignature: "jws", XmlSignature: "xml", PdfSignature: "pdf"}


@dataclass(frozen=True, kw_only=True)
class FormPolicy:
    """What an application asks of a signed form.

    Args:
        allow_no_attributes: accept CMS signatures over bare content, as old PKCS #7 signers make them.
        several_signers: accept messages with more than one signer; all of them must be good.
        require_timestamp: refuse what no timestamp proves.
        require_later_status: the signer's status must have been asked after the proved time, so that a
            revocation on its way could not be missed; without it the result carries a warning.
    """

    allow_no_attributes: bool = False
    several_signers: bool = False
    require_timestamp: bool = False
    require_later_status: bool = False


@dataclass(frozen=True, kw_only=True)
class FormSigner:
    """One good signature and who made it.

    ``countersigners`` have signed this signature (RFC 5652, section 11.4) and are judged like signers; one
    that does not count is a notice.
    """

    certificate: ParsedCertificate
    judged: JudgedSigner
    time: ProvedTime
    claimed_at: datetime | None
    digest_algorithm: str
    notices: tuple[Notice, ...]
    countersigners: tuple[FormSigner, ...] = ()

    @property
    def identity(self) -> Identity | None:
        """Who the signer is; only with a trust list."""
        return self.judged.identity

    @property
    def signed_at(self) -> datetime:
        """The signature existed at this time at the latest."""
        return self.time.at

    @property
    def timestamp(self) -> Timestamp | None:
        """The timestamp that proves it."""
        return self.time.timestamp

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of the notices and of those about path, service and identity."""
        codes = (*(notice.code for notice in self.notices), *self.judged.warnings)
        return tuple(dict.fromkeys(codes))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "subject": self.certificate.subject_text,
            **self.judged.as_dict(),
            "signed_at": self.signed_at.isoformat(),
            "time_source": self.time.source,
            "timestamp": self.timestamp and self.timestamp.as_dict(),
            "claimed_at": self.claimed_at and self.claimed_at.isoformat(),
            "warnings": list(self.warnings),
            "countersigners": [countersigner.as_dict() for countersigner in self.countersigners],
            "validation": self.judged.judged.path.as_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class SignedForm:
    """A document with at least one good signature; ``source`` is what was given, ``message`` it read as CMS.

    ``judge``, ``timestamps`` and ``policy`` are what it was judged with, for an evidence record.
    """

    content: Content = field(repr=False)
    signers: tuple[FormSigner, ...]
    checked_at: datetime
    judge: SignerJudge = field(repr=False)
    source: SignatureSource = field(repr=False)
    timestamps: TimestampTrust | None = field(default=None, repr=False)
    policy: FormPolicy = field(default_factory=FormPolicy, repr=False)
    message: SignedData | None = field(default=None, repr=False)

    @property
    def signer(self) -> FormSigner:
        """The only signer, or the first of several."""
        return self.signers[0]

    @property
    def everybody(self) -> tuple[FormSigner, ...]:
        """The signers and who countersigned."""
        return (*self.signers, *(other for signer in self.signers for other in signer.countersigners))

    @property
    def document(self) -> bytes | None:
        """What was signed, as presented or as the message carries it."""
        return self.content.data

    @property
    def document_sha256(self) -> str:
        """Hex SHA-256 of the document."""
        if self.content.data is None:
            return self.content.digest("sha256").hex()
        return hashlib.sha256(self.content.data).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the schema version changes when a field changes its meaning or goes away."""
        return {
            "schema": 1,
            "accepted": True,
            "document_sha256": self.document_sha256,
            "form": _FORMS.get(type(self.source), "cms"),
            "checked_at": self.checked_at.isoformat(),
            "signers": [signer.as_dict() for signer in self.signers],
        }
