"""The status of a certificate as the world sees it: its CRL and its OCSP responder are asked for real.

The addresses are the ones inside the certificate, the same that departments use, so this shows what they
see and not what our database believes. Signatures and dates are checked; "could not" is shown as such. RFC
5280, section 5; RFC 6960. Left out: delta CRLs and partitions, which the certificate page does not need to
be right.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

__all__ = ["Sighting", "World"]

MAX_CRL_OCTETS = 64 * 1024 * 1024
MAX_OCSP_OCTETS = 64 * 1024
_HELD = x509.ReasonFlags.certificate_hold
_FAULTS = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What one source says. `state`: good, hold, revoked, unknown, or could-not with the reason in
    `detail`."""

    source: str  # crl | ocsp | verifier
    url: str
    state: str
    since: datetime | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None
    detail: str = ""


class World:
    """Asks status sources. `get` opens an HTTP client; every call is bounded in time and size."""

    def __init__(self, open_client: Callable[[], httpx.Client], *, timeout_s: float) -> None:
        self._open_client = open_client
        self._timeout_s = timeout_s

    def look(
        self,
        certificate_pem: str,
        chain_pem: str,
        *,
        at: datetime,
        sources: Collection[str] = ("ocsp", "crl"),
    ) -> list[Sighting]:
        """Ask every source of these kinds that the certificate names; never raises."""
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
        issuers = x509.load_pem_x509_certificates(chain_pem.encode("ascii")) if chain_pem else []
        if not issuers:
            return []
        issuer = issuers[0]
        with self._open_client() as client:
            return [
                *(
                    ask(client, url, certificate, issuer, at)
                    for source, ask, urls in (
                        ("ocsp", self._ask_ocsp, _ocsp_urls),
                        ("crl", self._ask_crl, _crl_urls),
                    )
                    if source in sources
                    for url in urls(certificate)
                )
            ]

    def _ask_crl(
        self,
        client: httpx.Client,
        url: str,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        at: datetime,
    ) -> Sighting:
        try:
            data = _fetch(client, "GET", url, MAX_CRL_OCTETS, self._timeout_s)
            crl = x509.load_der_x509_crl(data)
            if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]  # issuers sign: a signing key
                return _could_not("crl", url, "signature")
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            next_update = crl.next_update_utc
        except _FAULTS as exc:
            return _could_not("crl", url, type(exc).__name__)
        except httpx.HTTPError as exc:
            return _could_not("crl", url, type(exc).__name__)
        if next_update is None or next_update <= at:
            return _could_not("crl", url, "outdated")
        state, since = "good", None
        if entry is not None:
            state = "hold" if _entry_reason(entry) is _HELD else "revoked"
            since = entry.revocation_date_utc
        return Sighting(
            source="crl",
            url=url,
            state=state,
            since=since,
            this_update=crl.last_update_utc,
            next_update=next_update,
        )

    def _ask_ocsp(
        self,
        client: httpx.Client,
        url: str,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        at: datetime,
    ) -> Sighting:
        request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, SHA256()).build()
        try:
            data = _fetch(
                client,
                "POST",
                url,
                MAX_OCSP_OCTETS,
                self._timeout_s,
                content=request.public_bytes(Encoding.DER),
                headers={"Content-Type": "application/ocsp-request"},
            )
            response = ocsp.load_der_ocsp_response(data)
            if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
                return _could_not("ocsp", url, response.response_status.name.lower())
            if response.serial_number != certificate.serial_number:
                return _could_not("ocsp", url, "other serial")
            _check_responder(response, issuer)
        except _FAULTS as exc:
            return _could_not("ocsp", url, type(exc).__name__)
        except httpx.HTTPError as exc:
            return _could_not("ocsp", url, type(exc).__name__)
        if response.next_update_utc is not None and response.next_update_utc <= at:
            return _could_not("ocsp", url, "outdated")
        state, since = "unknown", None
        if response.certificate_status is ocsp.OCSPCertStatus.GOOD:
            state = "good"
        elif response.certificate_status is ocsp.OCSPCertStatus.REVOKED:
            state = "hold" if response.revocation_reason is _HELD else "revoked"
            since = response.revocation_time_utc
        return Sighting(
            source="ocsp",
            url=url,
            state=state,
            since=since,
            this_update=response.this_update_utc,
            next_update=response.next_update_utc,
        )


def _fetch(
    client: httpx.Client, method: str, url: str, max_octets: int, timeout_s: float, **options: Any
) -> bytes:
    data = b""
    with client.stream(method, url, timeout=timeout_s, **options) as response:
        if response.status_code != 200:
            raise httpx.HTTPError(f"HTTP {response.status_code}")
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > max_octets:
                raise ValueError("answer too long")
    return data


def _check_responder(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> None:
    """The answer is signed by the issuer, or by a responder that the issuer's key appointed (RFC 6960,
    4.2.2.2)."""
    signers = [issuer]
    for candidate in response.certificates:
        candidate.verify_directly_issued_by(issuer)
        usage = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.OCSP_SIGNING in usage:
            signers.append(candidate)
    for signer in signers:
        try:
            _verify(signer.public_key(), response)
        except InvalidSignature:
            continue
        return
    raise InvalidSignature


def _verify(key: Any, response: ocsp.OCSPResponse) -> None:
    algorithm = response.signature_hash_algorithm
    if isinstance(key, RSAPublicKey) and algorithm:
        key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
    elif isinstance(key, EllipticCurvePublicKey) and algorithm:
        key.verify(response.signature, response.tbs_response_bytes, ECDSA(algorithm))
    else:
        raise InvalidSignature


def _entry_reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None


def _ocsp_urls(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    return [
        description.access_location.value
        for description in access
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    ]


def _crl_urls(certificate: x509.Certificate) -> list[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    return [
        name.value
        for point in points
        for name in point.full_name or []
        if isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(("http://", "https://"))
    ]


def _could_not(source: str, url: str, detail: str) -> Sighting:
    return Sighting(source=source, url=url, state="could-not", detail=detail)
