"""RFC 3161 timestamps: whether a token may be believed.

The token is a SignedData over TSTInfo by exactly one authority, whose certificate may serve for nothing but
timestamps (section 2.3), named by signing-certificate (RFC 5816). Its path is judged at the time that it
states, with what is known later: a key that was compromised afterwards proves nothing any more (section 4).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError, SignatureInvalidError
from onecert.verifier.purposes import TIMESTAMPING
from onecert.verifier.revocation import RevocationEvidence
from onecert.verifier.signed_form.attributes import SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2
from onecert.verifier.signed_form.digests import check_digest, digest
from onecert.verifier.signed_form.past_path import HARMLESS_REASONS, JudgedPath, PathTrust, judge_path
from onecert.verifier.signed_form.signer_check import Content, check_signer_info
from onecert.verifier.signed_form.timestamp_token import TimestampToken, load_timestamp

__all__ = ["Timestamp", "TimestampTrust", "check_timestamp"]

_EXTENDED_KEY_USAGE = "2.5.29.37"
_TIME_STAMPING = "1.3.6.1.5.5.7.3.8"


class AuthorityRule(Protocol):
    """What is asked besides the path of an authority."""

    def check(self, judged: JudgedPath, *, stamped: datetime, known_at: datetime) -> None:
        """Raise unless this authority could be relied upon when it stamped."""


@dataclass(frozen=True, kw_only=True)
class TimestampTrust:
    """Whose timestamps count.

    Args:
        path: anchors, candidates and evidence for the authorities.
        authorities: what is asked besides, such as their state on the trust list.
        policies: policies of tokens that are accepted; ``None`` for any.
        accuracy_max: a token that is less exact proves no time that could be used.
        clock_skew: how far a token may seem to come from the future.
    """

    path: PathTrust
    policies: frozenset[str] | None = None
    accuracy_max: timedelta = timedelta(minutes=1)
    clock_skew: timedelta = timedelta(minutes=5)
    authorities: AuthorityRule | None = None

    @classmethod
    def below(cls, *certificates: bytes, evidence: RevocationEvidence) -> TimestampTrust:
        """Trust the authorities below these certificates (DER or PEM), with what is known in ``evidence``.

        Raises:
            MalformedError: one of them is not a certificate.
        """
        anchors = tuple(TrustAnchor.from_certificate(certificate) for certificate in certificates)
        return cls(path=PathTrust(anchors=anchors, evidence=evidence))


@dataclass(frozen=True, kw_only=True)
class Timestamp:
    """A believed token: the data existed not later than ``latest``."""

    token: TimestampToken = field(repr=False)
    judged: JudgedPath = field(repr=False)
    time: datetime
    accuracy: timedelta
    policy: str
    serial: int
    hash_algorithm: str

    @property
    def latest(self) -> datetime:
        """End of the interval in which the token was made; the only bound that is proof of existence."""
        return self.time + self.accuracy

    @property
    def authority(self) -> str:
        """Subject of the authority's certificate."""
        return self.judged.path.target.subject_text

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "time": self.time.isoformat(),
            "accuracy_ms": int(self.accuracy / timedelta(milliseconds=1)),
            "authority": self.authority,
            "policy": self.policy,
            "serial": f"{self.serial:x}",
            "hash_algorithm": self.hash_algorithm,
        }


def check_timestamp(
    token: TimestampToken | bytes,
    data: bytes,
    *,
    trust: TimestampTrust,
    at: datetime,
    nonce: int | None = None,
    candidates: Iterable[ParsedCertificate] = (),
    known_at: datetime | None = None,
) -> Timestamp:
    """Check that ``data`` was stamped by an authority that we trust.

    Args:
        token: as it came, or loaded.
        data: what was stamped; for the timestamp of a signature its signature octets.
        at: now.
        nonce: what the request held; ``None`` when there was none or it is not known any more.
        candidates: certificates that came along, such as the authority's own.
        known_at: judge revocation with what was known then; ``None`` for ``at``.

    Raises:
        SignatureInvalidError: ``TIMESTAMP_IMPRINT``, ``CMS_DIGEST``, ``SIGNATURE_INVALID``.
        RefusedError: ``TIMESTAMP_NONCE``, ``TIMESTAMP_POLICY``, ``TIMESTAMP_ACCURACY``,
            ``TIMESTAMP_AUTHORITY``, ``TIMESTAMP_CRITICAL_EXTENSION``, ``TIMESTAMP_AUTHORITY_REVOKED``,
            or the reason why the authority's path does not validate.
        CouldNotCheckError: ``TIMESTAMP_FUTURE``; ``TIMESTAMP_AUTHORITY_ENDED`` when a certificate of the
            authority's path has ended by ``known_at``; or the authority's status is not known.
    """
    loaded = token if isinstance(token, TimestampToken) else load_timestamp(token)
    algorithms = trust.path.parameters.algorithms
    judged_at = at if known_at is None else known_at
    # 1. It is about this data, answers this request, and follows a policy that we know.
    check_digest(loaded.hash_algorithm, algorithms, judged_at)
    if not hmac.compare_digest(loaded.imprint, digest(loaded.hash_algorithm, data)):
        raise SignatureInvalidError("TIMESTAMP_IMPRINT", source="RFC 3161, section 2.4.2")
    _check_statement(loaded, trust, at, nonce)
    # 2. The authority has signed it, and says with which certificate.
    signer = loaded.message.signers[0]
    if signer.signed is None or not signer.signed.values.keys() & {
        SIGNING_CERTIFICATE,
        SIGNING_CERTIFICATE_V2,
    }:
        raise RefusedError(
            "CMS_ATTRIBUTE_MISSING",
            source="RFC 3161, section 2.4.2; RFC 5816",
            attribute=SIGNING_CERTIFICATE_V2,
        )
    certificates = (*loaded.message.certificates, *candidates, *trust.path.candidates)
    authority, *_ = check_signer_info(
        signer,
        loaded.message.content_type,
        Content(data=loaded.message.content),
        certificates=certificates,
        policy=algorithms,
        at=judged_at,
    )
    _check_authority(authority)
    # 3. Its path held then; what was revoked since decides whether its word still counts.
    judged = judge_path(
        authority,
        trust.path,
        purpose=TIMESTAMPING,
        at=loaded.time,
        known_at=judged_at,
        candidates=certificates,
        crls=loaded.message.crls,
        ocsp=loaded.message.ocsp,
    )
    if trust.authorities is not None:
        trust.authorities.check(judged, stamped=loaded.time, known_at=judged_at)
    for later in judged.later:
        if later.reason not in HARMLESS_REASONS:
            raise RefusedError(
                "TIMESTAMP_AUTHORITY_REVOKED",
                certificate=later.certificate.certificate,
                source="RFC 3161, section 4 (1)",
                subject=later.certificate.subject_text,
                revoked_at=later.revoked_at,
                reason=later.reason or "-",
            )
    ended = min(certificate.not_after for certificate in judged.path.chain)
    if judged_at > ended:
        # Nobody publishes what becomes of a key after its certificate has ended (RFC 5280, section 3.3), so
        # that a token has to be stamped again before.
        raise CouldNotCheckError(
            "TIMESTAMP_AUTHORITY_ENDED",
            certificate=authority.certificate,
            source="RFC 3161, section 4 (3)",
            authority=authority.subject_text,
            ended=ended,
        )
    return Timestamp(
        token=loaded,
        judged=judged,
        time=loaded.time,
        accuracy=loaded.accuracy,
        policy=loaded.policy,
        serial=loaded.serial,
        hash_algorithm=loaded.hash_algorithm,
    )


def _check_statement(token: TimestampToken, trust: TimestampTrust, at: datetime, nonce: int | None) -> None:
    if nonce is not None and token.nonce != nonce:
        raise RefusedError("TIMESTAMP_NONCE", source="RFC 3161, section 2.4.2")
    if trust.policies is not None and token.policy not in trust.policies:
        raise RefusedError("TIMESTAMP_POLICY", source="RFC 3161, section 2.4.2", policy=token.policy)
    if token.critical_extensions:
        raise RefusedError(
            "TIMESTAMP_CRITICAL_EXTENSION",
            source="RFC 3161, section 2.4.2",
            oid=min(token.critical_extensions),
        )
    if token.accuracy > trust.accuracy_max:
        raise RefusedError(
            "TIMESTAMP_ACCURACY",
            source="RFC 3161, section 2.4.2",
            accuracy=token.accuracy,
            max=trust.accuracy_max,
        )
    if token.time > at + trust.clock_skew:
        raise CouldNotCheckError("TIMESTAMP_FUTURE", time=token.time)


def _check_authority(authority: ParsedCertificate) -> None:
    # RFC 3161, section 2.3: this usage and no other, and critical, so that nobody overlooks it.
    usage = authority.extensions.get(_EXTENDED_KEY_USAGE)
    if usage is None or not usage.critical or authority.extended_key_usage != frozenset({_TIME_STAMPING}):
        raise RefusedError(
            "TIMESTAMP_AUTHORITY",
            certificate=authority.certificate,
            source="RFC 3161, section 2.3",
            subject=authority.subject_text,
        )
