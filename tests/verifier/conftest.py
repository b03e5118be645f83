"""A small PKI in memory: everything valid at ``T`` by default, a test changes one thing.

Keys come from a pool that is made once a session; certificates are issued anew for each test.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from onecert.verifier import RevocationEvidence, TrustAnchor, ValidatedPath, validate_path

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def usage(*names: str) -> x509.KeyUsage:
    """A KeyUsage with these bits, by the names of ``cryptography``."""
    bits = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    bits += ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{bit: bit in names for bit in bits})


def name(common_name: str | x509.Name) -> x509.Name:
    """``CN=…,C=CN``, or the name itself."""
    if isinstance(common_name, x509.Name):
        return common_name
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass
class Party:
    """A certificate and its key; ``revoked`` are the entries of the CRL it would sign."""

    certificate: x509.Certificate
    key: Any
    revoked: list[x509.RevokedCertificate] = field(default_factory=list)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def subject(self) -> x509.Name:
        return self.certificate.subject

    @property
    def anchor(self) -> TrustAnchor:
        return TrustAnchor.from_certificate(self.certificate)


class Pki:
    """Builders."""

    T = T
    DAY = DAY
    usage = staticmethod(usage)
    name = staticmethod(name)
    party = Party

    def __init__(self, keys: Sequence[Any]) -> None:
        self._keys = itertools.cycle(keys)
        self._serials = itertools.count(0x1001)
        self._numbers = itertools.count(1)

    def key(self) -> Any:
        """The next key of the pool; two parties of one test never share one, unless a test has 24 parties."""
        return next(self._keys)

    def issue(
        self,
        subject: str | x509.Name,
        issuer: Party | None = None,
        *,
        key: Any = None,
        ca: bool = False,
        path_length: int | None = None,
        key_usage: x509.KeyUsage | None = None,
        extended: Sequence[x509.ObjectIdentifier] = (),
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
        without: Iterable[type[x509.ExtensionType]] = (),
        serial: int | None = None,
        not_before: datetime = T - 30 * DAY,
        not_after: datetime = T + 365 * DAY,
        hash_algorithm: Any = None,
        issuer_name: x509.Name | None = None,
    ) -> Party:
        """Issue a certificate; self-signed without an issuer."""
        key = key or self.key()
        signing_key = issuer.key if issuer else key
        authority = issuer.certificate.public_key() if issuer else key.public_key()
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), False),
            (x509.BasicConstraints(ca=ca, path_length=path_length), True),
        ]
        default = usage("key_cert_sign", "crl_sign") if ca else usage("digital_signature")
        extensions.append((key_usage or default, True))
        if extended:
            extensions.append((x509.ExtendedKeyUsage(extended), False))
        extra = list(extra)
        dropped = {type(value) for value, _ in extra} | set(without)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(issuer_name or (issuer.subject if issuer else name(subject)))
            .public_key(key.public_key())
            .serial_number(next(self._serials) if serial is None else serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
        )
        for value, critical in [*(item for item in extensions if type(item[0]) not in dropped), *extra]:
            builder = builder.add_extension(value, critical)
        return Party(builder.sign(signing_key, hash_algorithm or hashes.SHA256()), key)

    def root(self, subject: str = "Root", **changes: Any) -> Party:
        return self.issue(subject, ca=True, **changes)

    def ca(self, issuer: Party, subject: str | x509.Name = "Issuing CA", **changes: Any) -> Party:
        return self.issue(subject, issuer, ca=True, **changes)

    def leaf(self, issuer: Party, subject: str | x509.Name = "Clerk 7", **changes: Any) -> Party:
        return self.issue(subject, issuer, **changes)

    def revoke(
        self,
        issuer: Party,
        party: Party,
        *,
        at: datetime = T - DAY,
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> None:
        """Put a certificate on the next CRL of ``issuer``."""
        builder = x509.RevokedCertificateBuilder(party.certificate.serial_number, at)
        if reason is not None:
            builder = builder.add_extension(x509.CRLReason(reason), False)
        for value, critical in extra:
            builder = builder.add_extension(value, critical)
        issuer.revoked.append(builder.build())

    def crl(
        self,
        issuer: Party,
        *,
        key: Any = None,
        this_update: datetime = T - DAY / 24,
        next_update: datetime | None = T + DAY,
        number: int | None = None,
        extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
        entries: Sequence[x509.RevokedCertificate] | None = None,
        issuer_name: x509.Name | None = None,
        authority_key_id: bool = True,
    ) -> bytes:
        """Sign a CRL, DER."""
        key = key or issuer.key
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=issuer_name or issuer.subject,
            last_update=this_update,
            next_update=next_update,
            revoked_certificates=list(issuer.revoked if entries is None else entries),
        )
        builder = builder.add_extension(x509.CRLNumber(number or next(self._numbers)), False)
        if authority_key_id:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False
            )
        for value, critical in extra:
            builder = builder.add_extension(value, critical)
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    def crls(self, *issuers: Party) -> list[bytes]:
        return [self.crl(issuer) for issuer in issuers]

    def responder(self, issuer: Party, *, no_check: bool = True, **changes: Any) -> Party:
        """A delegated OCSP responder of this CA."""
        changes.setdefault("extended", [ExtendedKeyUsageOID.OCSP_SIGNING])
        if no_check:
            changes.setdefault("extra", [(x509.OCSPNoCheck(), False)])
        return self.issue(changes.pop("subject", "Responder"), issuer, **changes)

    def ocsp(
        self,
        issuer: Party,
        party: Party,
        *,
        responder: Party | None = None,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        revoked_at: datetime | None = None,
        reason: x509.ReasonFlags | None = None,
        this_update: datetime = T - DAY / 24,
        next_update: datetime | None = T + DAY,
        hash_algorithm: Any = None,
        nonce: bytes | None = None,
        by_name: bool = False,
        include: bool = True,
        produced_at: datetime = T,
    ) -> bytes:
        """Sign an OCSP answer, DER. ``produced_at`` is fixed by freezing the builder's clock."""
        signer = responder or issuer
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=party.certificate,
            issuer=issuer.certificate,
            algorithm=hash_algorithm or hashes.SHA1(),
            cert_status=status,
            this_update=this_update,
            next_update=next_update,
            revocation_time=revoked_at,
            revocation_reason=reason,
        )
        encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
        builder = builder.responder_id(encoding, signer.certificate)
        if responder is not None and include:
            builder = builder.certificates([responder.certificate])
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), False)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def validate(
        self,
        target: Party | x509.Certificate | bytes,
        *,
        root: Party | Sequence[Party],
        cas: Sequence[Party] = (),
        crls: Iterable[bytes] = (),
        ocsp: Iterable[bytes] = (),
        at: datetime = T,
        **inputs: Any,
    ) -> ValidatedPath:
        """``validate_path`` over parties."""
        roots = [root] if isinstance(root, Party) else root
        return validate_path(
            target.certificate if isinstance(target, Party) else target,
            candidates=[party.certificate for party in cas],
            anchors=[party.anchor for party in roots],
            at=at,
            revocation=RevocationEvidence(crls=crls, ocsp=ocsp),
            **inputs,
        )


@pytest.fixture(scope="session")
def key_pool() -> list[Any]:
    return [ec.generate_private_key(ec.SECP256R1()) for _ in range(24)]


@pytest.fixture
def pki(key_pool: list[Any]) -> Pki:
    """A new PKI builder."""
    return Pki(key_pool)
