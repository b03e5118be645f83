"""Mutual login: the server signs its challenge, so that the client knows whom it is about to sign for.

    login = Login(verifier, signer=load_signer(Path("tax.pem").read_bytes(), Path("tax.key").read_bytes()))
    challenge = login.challenge(session=session_id, client=nonce, at=now)        # send challenge.as_dict()

    verify_server_challenge(
        message, trust=verifier, application="tax", host="tax.example", client=nonce, at=now
    )

What crosses is the challenge with ``server`` beside it (docs/mutual-login.md). The signed octets are a first
line that nothing else begins with, a line with the client's own random, and the challenge as it stands: its
application, session, expiry and random are all signed. The client's random keeps an answer of yesterday out;
the host name keeps a server in the middle from handing on what another one signed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from onecert.verifier.arguments import check_aware, check_kind, check_offers
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, VerifyError
from onecert.verifier.login_challenge import (
    ALGORITHMS,
    CLOCK_SKEW,
    MAX_TTL,
    Challenge,
    ServerProof,
    base64url,
    default_algorithm,
    read_challenge,
)
from onecert.verifier.purposes import SERVER, Purpose
from onecert.verifier.signatures import load_public_key, verify_signature

__all__ = ["ChallengeSigner", "ServerChallenge", "SigningKey", "load_signer", "verify_server_challenge"]

PREFIX = "OneCert login challenge signed by its server, version 1"
CLIENT_MIN_OCTETS, CLIENT_MAX_OCTETS = 16, 64
_MAX_CERTIFICATES = 8
_MAX_TEXT = 256 * 1024
_PROBE = b"OneCert: does this key belong to this certificate?"
_PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\s*")


class SigningKey(Protocol):
    """A key that signs by itself, such as one in a token; ECDSA and SM2 in the DER form."""

    def sign(self, data: bytes, /) -> bytes:
        """The signature over ``data``, which is hashed here."""
        ...


class Trusting(Protocol):
    """What ``verify_server_challenge`` asks about a certificate; a ``Verifier`` fits."""

    def verify(
        self, certificate: ParsedCertificate, *, at: datetime, purpose: Purpose, candidates: Iterable[bytes]
    ) -> object:
        """Return if the certificate is good, raise a ``VerifyError`` otherwise."""
        ...


class ChallengeSigner:
    """The server's certificate and key.

    Args:
        certificates: the server's own certificate first, then CA certificates that clients may need; DER, PEM
            or objects, at most eight.
        key: of the server's certificate: a private key of ``cryptography`` (RSA, EC, Ed25519), or any object
            with ``sign(data)``.
        algorithm: one of those of a login; by default the usual one of the key.

    Raises:
        ValueError: the key is not that of the certificate, or there are too many certificates.
        MalformedError: a certificate cannot be read.
    """

    def __init__(
        self,
        certificates: Iterable[bytes | x509.Certificate | ParsedCertificate],
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | SigningKey,
        *,
        algorithm: str | None = None,
    ) -> None:
        check_offers(key, ("sign",), "key", "a private key, or an object with sign(data)")
        chain = [as_parsed(each) for each in certificates]
        if not 1 <= len(chain) <= _MAX_CERTIFICATES:
            raise ValueError(f"a signer has 1 to {_MAX_CERTIFICATES} certificates, its own first")
        self.certificates = tuple(each.der for each in chain)
        public_key = load_public_key(chain[0].spki_der)
        self.algorithm = algorithm if algorithm is not None else default_algorithm(public_key)
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"a login cannot be signed with {self.algorithm}")
        self._key: Any = key
        try:
            verify_signature(public_key, self.algorithm, self.sign(_PROBE), _PROBE)
        except VerifyError as exc:
            raise ValueError(f"the key does not sign for this certificate: {exc}") from exc

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``.

        Raises:
            CouldNotCheckError: LOGIN_SERVER_KEY: the key does not sign now.
        """
        try:
            if isinstance(self._key, rsa.RSAPrivateKey):
                way: Any = padding.PKCS1v15()
                if self.algorithm.startswith("rsa-pss-"):
                    way = padding.PSS(padding.MGF1(self._hash()), padding.PSS.DIGEST_LENGTH)
                return self._key.sign(data, way, self._hash())
            if isinstance(self._key, ec.EllipticCurvePrivateKey):
                return self._key.sign(data, ec.ECDSA(self._hash()))
            signature = self._key.sign(data)
        except Exception as exc:  # a token has errors of its own
            raise CouldNotCheckError("LOGIN_SERVER_KEY", detail=f"{type(exc).__name__}: {exc}"[:200]) from exc
        return bytes(signature)

    def prove(self, data: bytes, client: bytes | None) -> ServerProof:
        """What goes beside a challenge; ``client`` is the random that the client has sent."""
        signature = self.sign(_signed(data, client))
        return ServerProof(
            certificates=self.certificates, algorithm=self.algorithm, signature=signature, client=client
        )

    def _hash(self) -> hashes.HashAlgorithm:
        by_end: dict[str, hashes.HashAlgorithm] = {
            "256": hashes.SHA256(),
            "384": hashes.SHA384(),
            "512": hashes.SHA512(),
        }
        return by_end[self.algorithm[-3:]]


def load_signer(
    certificates_pem: bytes, key_pem: bytes, *, password: bytes | None = None, algorithm: str | None = None
) -> ChallengeSigner:
    """A ``ChallengeSigner`` from PEM: the server's certificate first, further ones behind it; and its key.

    Raises:
        MalformedError: NOT_PEM, or as ``load_certificate``.
        ValueError: the key cannot be read, or is not that of the certificate.
    """
    blocks = _PEM_BLOCK.findall(certificates_pem)
    if not blocks or b"".join(blocks).strip() != certificates_pem.strip():
        raise MalformedError("NOT_PEM", kind="CERTIFICATE")
    try:
        key: Any = load_pem_private_key(key_pem, password)
    except TypeError as exc:  # a password that is missing, or one too many
        raise ValueError(str(exc)) from exc
    return ChallengeSigner(blocks, key, algorithm=algorithm)


@dataclass(frozen=True, kw_only=True)
class ServerChallenge:
    """A challenge whose server is known. ``challenge.data`` is what the holder's key may sign now."""

    challenge: Challenge
    application: str
    certificate: ParsedCertificate


def verify_server_challenge(
    message: Mapping[str, Any],
    *,
    trust: Trusting | bytes | x509.Certificate,
    application: str,
    at: datetime,
    host: str | None = None,
    client: bytes | None = None,
) -> ServerChallenge:
    """Check who asks for a signature, before giving one.

    Args:
        message: the JSON object that the server has sent: ``id``, ``data``, ``server``.
        trust: a ``Verifier`` (the server's certificate comes from a CA on the trust list), or the server's
            own certificate, pinned; DER, PEM or object.
        application: whom the client means to sign in to.
        at: the client's clock.
        host: the name or address that the client is connected to. The certificate must be for it, unless it
            is pinned. Leave it out only where nothing can stand between client and server.
        client: the random octets that the client has sent with its request, 16 to 64.

    Raises:
        MalformedError: LOGIN_SERVER_MALFORMED.
        RefusedError: LOGIN_SERVER_MISSING, LOGIN_SERVER_APPLICATION, LOGIN_CHALLENGE_EXPIRED,
            LOGIN_SERVER_REPLAY, LOGIN_SERVER_CERTIFICATE, LOGIN_SERVER_HOST, LOGIN_SERVER_SIGNATURE,
            LOGIN_ALGORITHM.
        VerifyError: as ``Verifier.verify``, about the server's certificate.
    """
    check_aware(at)
    check_kind(application, str, "application")
    _check_client(client)
    # 1. What it says.
    data, proof = _read(message)
    read = read_challenge(data)
    if read is None or read.id != message.get("id"):
        raise _malformed("data is not a challenge of this id")
    if proof is None:
        raise RefusedError("LOGIN_SERVER_MISSING")
    # 2. It is meant for this client, now.
    if read.application != application:
        raise RefusedError("LOGIN_SERVER_APPLICATION", found=read.application, wanted=application)
    if not at < read.expires_at <= at + MAX_TTL + CLOCK_SKEW:
        raise RefusedError("LOGIN_CHALLENGE_EXPIRED", expires_at=read.expires_at)
    if not hmac.compare_digest(proof.client or b"", client or b""):
        raise RefusedError("LOGIN_SERVER_REPLAY")
    # 3. The certificate: the pinned one, or a good one for this host.
    certificate = _check_certificate(proof.certificates, trust, host, at)
    # 4. The signature by its key over exactly these octets.
    if proof.algorithm not in ALGORITHMS:
        raise RefusedError("LOGIN_ALGORITHM", algorithm=proof.algorithm[:40])
    try:
        key = load_public_key(certificate.spki_der)
        verify_signature(key, proof.algorithm, proof.signature, _signed(data, client), at=at)
    except RefusedError as exc:
        raise RefusedError("LOGIN_SERVER_SIGNATURE", certificate=certificate.certificate) from exc
    challenge = Challenge(id=read.id, data=data, expires_at=read.expires_at, server=proof)
    return ServerChallenge(challenge=challenge, application=read.application, certificate=certificate)


def _signed(data: bytes, client: bytes | None) -> bytes:
    _check_client(client)
    return f"{PREFIX}\nclient: {base64url(client or b'')}\n".encode("ascii") + data


def _check_client(client: bytes | None) -> None:
    if client is None:
        return
    check_kind(client, bytes, "client")
    if not CLIENT_MIN_OCTETS <= len(client) <= CLIENT_MAX_OCTETS:
        raise ValueError(f"a client's random has {CLIENT_MIN_OCTETS} to {CLIENT_MAX_OCTETS} octets")


def _check_certificate(
    chain: tuple[bytes, ...], trust: Any, host: str | None, at: datetime
) -> ParsedCertificate:
    presented = as_parsed(chain[0])
    if hasattr(trust, "verify") and not isinstance(trust, (bytes, x509.Certificate)):
        trust.verify(presented, at=at, purpose=SERVER, candidates=chain[1:])
        if host is not None and not _is_for(presented, host):
            raise RefusedError(
                "LOGIN_SERVER_HOST",
                certificate=presented.certificate,
                source="RFC 9525, section 6",
                host=host,
            )
        return presented
    if not hmac.compare_digest(as_parsed(trust).der, presented.der):
        raise RefusedError("LOGIN_SERVER_CERTIFICATE", certificate=presented.certificate)
    return presented


def _is_for(certificate: ParsedCertificate, host: str) -> bool:
    """RFC 9525: names of the extension only, and here without wildcards."""
    try:
        names = certificate.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.UnsupportedGeneralNameType, ValueError):
        return False  # also a list with kinds of names that cannot be read beside others
    wanted = host.strip("[]").rstrip(".").lower()
    try:
        return ipaddress.ip_address(wanted) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        found = names.get_values_for_type(x509.DNSName)
        return wanted in {name.rstrip(".").lower() for name in found}


def _read(message: Any) -> tuple[bytes, ServerProof | None]:
    if not isinstance(message, Mapping):
        raise _malformed("not an object")
    data = _octets(message, "data")
    said = message.get("server")
    if said is None:
        return data, None
    if not isinstance(said, Mapping):
        raise _malformed("server is not an object")
    listed, algorithm = said.get("certificates"), said.get("algorithm")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MAX_CERTIFICATES:
        raise _malformed("certificates is not a list of 1 to 8")
    if not isinstance(algorithm, str):
        raise _malformed("algorithm is not a text")
    certificates = tuple(_octets({"certificates": each}, "certificates") for each in listed)
    client = _octets(said, "client") if said.get("client") else None
    signature = _octets(said, "signature")
    proof = ServerProof(certificates=certificates, algorithm=algorithm, signature=signature, client=client)
    return data, proof


def _octets(place: Mapping[str, Any], name: str) -> bytes:
    value = place.get(name)
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise _malformed(f"{name} is not a text")
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise _malformed(f"{name} is not base64") from None


def _malformed(detail: str) -> MalformedError:
    return MalformedError("LOGIN_SERVER_MALFORMED", detail=detail)
