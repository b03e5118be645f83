"""The status as the world sees it: CRL and OCSP asked at the certificate's own addresses."""

from datetime import timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from ra_fakes import DAY, T

from onecert.ra.certificates.world import World

CRL_URL, OCSP_URL = "http://status.test/pearl.crl", "http://status.test/pearl/ocsp"
HOUR = timedelta(hours=1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Pki:
    """An issuer, one certificate with both addresses, and a status service that can be broken."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.issuer = self.certify(name("pearl"), self.key, ca=True)
        self.leaf_key = ec.generate_private_key(ec.SECP256R1())
        self.leaf = self.certify(name("holder"), self.leaf_key)
        self.revoked: x509.ReasonFlags | None = None
        self.next_update = T + HOUR
        self.signer = self.key
        self.responder: x509.Certificate | None = None
        self.answers: dict[str, httpx.Response] = {}

    def certify(self, subject, key, *, ca=False, usage=None) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name("pearl"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(T - DAY)
            .not_valid_after(T + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        location = x509.UniformResourceIdentifier
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location(OCSP_URL))
        point = x509.DistributionPoint([location(CRL_URL)], None, None, None)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def crl(self) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(name("pearl"))
        builder = builder.last_update(T - HOUR).next_update(self.next_update)
        if self.revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(self.leaf.serial_number)
            entry = entry.revocation_date(T - HOUR).add_extension(
                x509.CRLReason(self.revoked), critical=False
            )
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.signer, hashes.SHA256()).public_bytes(Encoding.DER)

    def ocsp(self) -> bytes:
        status = ocsp.OCSPCertStatus.REVOKED if self.revoked else ocsp.OCSPCertStatus.GOOD
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=self.leaf,
            issuer=self.issuer,
            algorithm=hashes.SHA256(),
            cert_status=status,
            this_update=T - HOUR,
            next_update=self.next_update,
            revocation_time=T - HOUR if self.revoked else None,
            revocation_reason=self.revoked,
        )
        responder = self.responder or self.issuer
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
        if self.responder:
            builder = builder.certificates([self.responder])
        return builder.sign(self.signer, hashes.SHA256()).public_bytes(Encoding.DER)

    def look(self) -> dict[str, str]:
        def answer(request: httpx.Request) -> httpx.Response:
            url = str(request.url)
            if url in self.answers:
                return self.answers[url]
            return httpx.Response(200, content=self.crl() if url == CRL_URL else self.ocsp())

        world = World(lambda: httpx.Client(transport=httpx.MockTransport(answer)), timeout_s=1)
        leaf = self.leaf.public_bytes(Encoding.PEM).decode()
        chain = self.issuer.public_bytes(Encoding.PEM).decode()
        return {seen.source: seen.state for seen in world.look(leaf, chain, at=T)}


@pytest.fixture
def pki() -> Pki:
    return Pki()


def test_a_good_certificate_is_good_at_both(pki) -> None:
    """Nothing is revoked."""
    assert pki.look() == {"ocsp": "good", "crl": "good"}


def test_revoked_and_held_are_told_apart(pki) -> None:
    """keyCompromise is revoked, certificateHold is on hold, at both sources."""
    pki.revoked = x509.ReasonFlags.key_compromise
    assert pki.look() == {"ocsp": "revoked", "crl": "revoked"}
    pki.revoked = x509.ReasonFlags.certificate_hold
    assert pki.look() == {"ocsp": "hold", "crl": "hold"}


def test_outdated_answers_are_not_believed(pki) -> None:
    """nextUpdate was a minute ago. Must be "could not", never "good"."""
    pki.next_update = T - timedelta(minutes=1)
    assert pki.look() == {"ocsp": "could-not", "crl": "could-not"}


def test_answers_signed_by_somebody_else_are_not_believed(pki) -> None:
    """The signature is not the issuer's."""
    pki.signer = ec.generate_private_key(ec.SECP256R1())
    assert pki.look() == {"ocsp": "could-not", "crl": "could-not"}


def test_a_delegated_responder_needs_the_right_usage(pki) -> None:
    """A responder certificate with id-kp-OCSPSigning is believed; one with clientAuth is not."""
    key = ec.generate_private_key(ec.SECP256R1())
    pki.responder = pki.certify(name("responder"), key, usage=x509.OID_OCSP_SIGNING)
    pki.signer = key
    assert pki.look()["ocsp"] == "good"
    pki.responder = pki.certify(name("responder"), key, usage=x509.OID_CLIENT_AUTH)
    assert pki.look()["ocsp"] == "could-not"


@pytest.mark.parametrize(
    "answer", [httpx.Response(500), httpx.Response(200, content=b"<html>"), httpx.Response(200, content=b"")]
)
def test_nonsense_is_could_not(pki, answer) -> None:
    """A broken status service shows as such and raises nothing."""
    pki.answers = {CRL_URL: answer, OCSP_URL: answer}
    assert pki.look() == {"ocsp": "could-not", "crl": "could-not"}
