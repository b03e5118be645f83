"""Timestamp requests, tokens and answers (RFC 3161, RFC 5816): read strictly, written in DER.

A token is CMS SignedData (RFC 5652) over a TSTInfo. cryptography writes neither; the lint reads what was
written with the verifier's parser, which did not write it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import lru_cache

from onecert.ca import der
from onecert.ca.certificates.lint_rules import fault
from onecert.ca.errors import LintError
from onecert.ca.signatures.algorithms import PublicKey, algorithm_of, is_signature_valid
from onecert.verifier.errors import VerifyError
from onecert.verifier.signed_form.timestamp_token import load_timestamp

MAX_REQUEST_OCTETS = 4096
# RFC 3161 sets no bound; 64 bits are usual, and a request is not a store for other people's data.
NONCE_MAX_OCTETS = 32
_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
# What the content of a token is hashed with; the signature's algorithm says which.
_DIGESTS = {
    "sha256": der.sequence(der.oid("2.16.840.1.101.3.4.2.1")),
    "sha384": der.sequence(der.oid("2.16.840.1.101.3.4.2.2")),
    "sha512": der.sequence(der.oid("2.16.840.1.101.3.4.2.3")),
    "sm3": der.sequence(der.oid("1.2.156.10197.1.401")),
}

# What may be stamped. SHA-1 and MD5 are not here: a collision would be stamped with them.
IMPRINT_OCTETS = {
    der.oid("2.16.840.1.101.3.4.2.1"): 32,  # SHA-256
    der.oid("2.16.840.1.101.3.4.2.2"): 48,  # SHA-384
    der.oid("2.16.840.1.101.3.4.2.3"): 64,  # SHA-512
    der.oid("1.2.156.10197.1.401"): 32,  # SM3
}


class Failure(IntEnum):
    """PKIFailureInfo, RFC 3161, section 2.4.2."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    SYSTEM_FAILURE = 25


class RequestRefused(Exception):  # noqa: N818 - not an error of ours
    """This request gets no token."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.name)
        self.failure = failure


@dataclass(frozen=True, kw_only=True)
class TimestampRequest:
    """What is to be stamped. `imprint_der` is the MessageImprint as it came; `nonce_der` empty for none."""

    imprint_der: bytes
    policy_der: bytes
    nonce_der: bytes
    wants_certificate: bool


def load_request(request_der: bytes) -> TimestampRequest:
    """Read a `TimeStampReq`.

    Raises:
        RequestRefused: with what the answer has to say.
    """
    try:
        return _request(request_der)
    except der.DerError:
        raise RequestRefused(Failure.BAD_DATA_FORMAT) from None


def _request(request_der: bytes) -> TimestampRequest:
    if len(request_der) > MAX_REQUEST_OCTETS:
        raise RequestRefused(Failure.BAD_REQUEST)
    outer = der.Reader(request_der)
    request = outer.enter()
    outer.end()
    if request.take_integer() != 1:
        raise RequestRefused(Failure.BAD_REQUEST)
    if request.peek() != der.SEQUENCE:
        raise der.DerError("no message imprint")
    imprint_der = request.element()[2]
    policy_der = request.element()[2] if request.peek() == der.OID else b""
    nonce_der = b""
    if request.peek() == der.INTEGER:
        nonce_der = der.integer(request.take_integer())
        if len(nonce_der) > NONCE_MAX_OCTETS + 2:
            raise RequestRefused(Failure.BAD_REQUEST)
    wants_certificate = False
    if request.peek() == der.BOOLEAN:
        wants_certificate = request.take(der.BOOLEAN) == b"\xff"
    if request.peek() == 0xA0:
        raise RequestRefused(Failure.UNACCEPTED_EXTENSION)
    request.end()
    _check_imprint(imprint_der)
    return TimestampRequest(
        imprint_der=imprint_der,
        policy_der=policy_der,
        nonce_der=nonce_der,
        wants_certificate=wants_certificate,
    )


def _check_imprint(imprint_der: bytes) -> None:
    imprint = der.Reader(der.content_of(imprint_der))
    algorithm = imprint.enter()
    octets = IMPRINT_OCTETS.get(algorithm.element()[2])
    if algorithm.peek() == der.NULL:
        algorithm.take(der.NULL)
    if octets is None or algorithm.more():
        raise RequestRefused(Failure.BAD_ALG)
    if len(imprint.take(der.OCTET_STRING)) != octets:
        raise RequestRefused(Failure.BAD_DATA_FORMAT)
    imprint.end()


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenSigner:
    """The public side of a timestamp authority: what stands in each of its tokens, encoded once."""

    certificate_der: bytes
    public_key: PublicKey
    issuer_and_serial_der: bytes
    signing_certificate_der: bytes  # the attribute of RFC 5816
    certificates_der: bytes  # that go along when asked for: its own and those above it
    algorithm_der: bytes
    digest: str  # the hash of the messages that it signs
    digest_der: bytes

    @classmethod
    def of(cls, certificate_der: bytes, public_key: PublicKey, chain_der: tuple[bytes, ...]) -> TokenSigner:
        """Prepare for a certificate; `chain_der` are the certificates above it."""
        tbs = der.Reader(der.content_of(certificate_der)).enter()
        tbs.element()  # version
        serial = tbs.element()[2]
        tbs.element()  # signature algorithm
        issuer = tbs.element()[2]
        names, algorithm = der.sequence(der.explicit(4, issuer)), algorithm_of(public_key)
        identifier = der.sequence(
            der.octet_string(hashlib.sha256(certificate_der).digest()), der.sequence(names, serial)
        )
        return cls(
            certificate_der=certificate_der,
            public_key=public_key,
            issuer_and_serial_der=der.sequence(issuer, serial),
            signing_certificate_der=_attribute(
                _SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(identifier))
            ),
            # A SET OF under a tag, and sorted like one.
            certificates_der=der.explicit(0, *sorted((certificate_der, *chain_der))),
            algorithm_der=algorithm.identifier_der,
            digest=algorithm.message_digest,
            digest_der=_DIGESTS[algorithm.message_digest],
        )


def timestamp_info(
    request: TimestampRequest,
    *,
    policy: str,
    serial: int,
    at: datetime,
    accuracy: timedelta,
    ordering: bool,
) -> bytes:
    """Write the `TSTInfo`; `at` to the microsecond."""
    return der.sequence(
        _version_and_policy(policy),
        request.imprint_der,
        der.integer(serial),
        _precise_time(at),
        _accuracy(accuracy),
        der.TRUE if ordering else b"",
        request.nonce_der,
    )


@lru_cache(maxsize=64)
def _version_and_policy(policy: str) -> bytes:
    return _VERSION_1 + der.oid(policy)


def _precise_time(at: datetime) -> bytes:
    """A GeneralizedTime with a fraction, without trailing zeros (X.690, section 11.7)."""
    microsecond = at.microsecond
    whole = _whole_seconds(at.replace(microsecond=0))
    fraction = (b".%06d" % microsecond).rstrip(b"0") if microsecond else b""
    return der.tlv(der.GENERALIZED_TIME, whole + fraction + b"Z")


@lru_cache(maxsize=16)
def _whole_seconds(at: datetime) -> bytes:
    return der.content_of(der.generalized_time(at), der.GENERALIZED_TIME).removesuffix(b"Z")


@lru_cache(maxsize=16)
def _accuracy(accuracy: timedelta) -> bytes:
    microseconds = accuracy // timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, 1_000_000)
    millis, micros = divmod(rest, 1000)
    parts = [der.integer(seconds)] if seconds else []
    for number, value in ((0, millis), (1, micros)):
        if value:
            parts.append(der.implicit(number, der.content_of(der.integer(value), der.INTEGER)))
    return der.sequence(*parts)


def signed_attributes(info_der: bytes, signer: TokenSigner) -> bytes:
    """Write the attributes that are signed, as SET OF (RFC 5652, section 5.4)."""
    return der.set_of(
        _TYPE_ATTRIBUTE,
        _attribute(_MESSAGE_DIGEST, der.octet_string(hashlib.new(signer.digest, info_der).digest())),
        signer.signing_certificate_der,
    )


def _attribute(name: str, value_der: bytes) -> bytes:
    return der.sequence(der.oid(name), der.set_of(value_der))


# What is the same in all tokens.
_TST_INFO_DER, _SIGNED_DATA_DER = der.oid(_TST_INFO), der.oid(_SIGNED_DATA)
_VERSION_1 = der.integer(1)
_VERSION_3 = der.integer(3)
_TYPE_ATTRIBUTE = _attribute(_CONTENT_TYPE, _TST_INFO_DER)
_GRANTED = der.sequence(der.integer(0))


def token(
    info_der: bytes, attributes_der: bytes, signature: bytes, signer: TokenSigner, *, with_certificate: bool
) -> bytes:
    """Put the `TimeStampToken` together."""
    signer_info = der.sequence(
        _VERSION_1,
        signer.issuer_and_serial_der,
        signer.digest_der,
        # The same octets under the tag [0] (RFC 5652, section 5.3).
        b"\xa0" + attributes_der[1:],
        signer.algorithm_der,
        der.octet_string(signature),
    )
    signed_data = der.sequence(
        _VERSION_3,
        der.set_of(signer.digest_der),
        der.sequence(_TST_INFO_DER, der.explicit(0, der.octet_string(info_der))),
        signer.certificates_der if with_certificate else b"",
        der.set_of(signer_info),
    )
    return der.sequence(_SIGNED_DATA_DER, der.explicit(0, signed_data))


def granted(token_der: bytes) -> bytes:
    """Write the answer that carries a token."""
    return der.sequence(_GRANTED, token_der)


def refusal(failure: Failure) -> bytes:
    """Write the answer that carries none."""
    reason = der.named_bits(frozenset((int(failure),)))
    return der.sequence(der.sequence(der.integer(2), reason))


def check_token(
    token_der: bytes, info_der: bytes, attributes_der: bytes, signature: bytes, signer: TokenSigner
) -> None:
    """Lint a token before it leaves: its signature, and all of it as the verifier's parser reads it.

    Raises:
        LintError: with the findings.
    """
    check_signature(attributes_der, signature, signer)
    try:
        is_same = load_timestamp(token_der).message.content == info_der
    except VerifyError as exc:
        raise LintError([fault("timestamp-parse", exc)]) from exc
    if not is_same:
        raise LintError([fault("timestamp-written")])


def check_signature(attributes_der: bytes, signature: bytes, signer: TokenSigner) -> None:
    """Check what the token signed, before it leaves.

    Raises:
        LintError: the signature does not fit.
    """
    if not is_signature_valid(signer.public_key, signature, attributes_der):
        raise LintError([fault("timestamp-signature")])


def shape_of(
    request: TimestampRequest, info_der: bytes, attributes_der: bytes, signature: bytes, signer: TokenSigner
) -> tuple[object, ...]:
    """What tokens have in common that are read alike.

    They differ in a hash, a time, a serial, a nonce and a signature, each of the same length.
    """
    nonce_octets, imprint_octets = len(request.nonce_der), len(request.imprint_der)
    lengths = (len(info_der), len(attributes_der), len(signature), nonce_octets, imprint_octets)
    return (signer.certificate_der, request.wants_certificate, *lengths)
