"""Other verifiers on the same certificates, each as its documentation would have one use it.

Warm means for all of them: the issuing CA is the trust anchor and is loaded, the leaf comes as DER. None of
them remembers a path, so that this is how they check one signature only. Cold: everything comes as DER.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.x509 import verification
from OpenSSL import crypto
from pki import NOW, Pki
from pyhanko_certvalidator import CertificateValidator, ValidationContext

OPENSSL = "pyOpenSSL X509StoreContext"
CERTVALIDATOR = "pyhanko-certvalidator"
CRYPTOGRAPHY = "cryptography x509.verification"
USAGE = {"digital_signature"}


def openssl_warm(made: Pki, crl: bytes | None) -> Callable[[], None]:
    """OpenSSL's chain check; a partial chain may end at the issuing CA."""
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(made.issuing))
    flags = crypto.X509StoreFlags.PARTIAL_CHAIN
    if crl is not None:
        store.add_crl(x509.load_der_x509_crl(crl))
        flags |= crypto.X509StoreFlags.CRL_CHECK
    store.set_flags(flags)
    store.set_time(NOW)
    leaves = itertools.cycle(made.leaves_der)

    def verify() -> None:
        leaf = crypto.load_certificate(crypto.FILETYPE_ASN1, next(leaves))
        crypto.X509StoreContext(store, leaf).verify_certificate()

    return verify


def openssl_cold(made: Pki) -> Callable[[], None]:
    """The same from the root on."""
    leaves = itertools.cycle(made.leaves_der)

    def verify() -> None:
        root, issuing, leaf = (
            crypto.load_certificate(crypto.FILETYPE_ASN1, data)
            for data in (made.root_der, made.issuing_der, next(leaves))
        )
        store = crypto.X509Store()
        store.add_cert(root)
        store.set_time(NOW)
        crypto.X509StoreContext(store, leaf, [issuing]).verify_certificate()

    return verify


def certvalidator_warm(made: Pki, crl: bytes | None) -> Callable[[], None]:
    """One context for all leaves, nothing fetched. With lists it starts from the root: it takes none that an
    issuing CA has signed as an anchor.
    """
    if crl is None:
        anchor, lists, mode = made.issuing_der, [], "soft-fail"
    else:
        anchor, lists, mode = made.root_der, [crl, made.root_crl], "require"
    context = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(anchor)],
        other_certs=[asn1_x509.Certificate.load(made.issuing_der)],
        moment=NOW,
        crls=lists,
        revocation_mode=mode,
    )
    leaves = itertools.cycle(made.leaves_der)
    loop = asyncio.new_event_loop()

    def verify() -> None:
        leaf = asn1_x509.Certificate.load(next(leaves))
        loop.run_until_complete(
            CertificateValidator(leaf, validation_context=context).async_validate_usage(USAGE)
        )

    return verify


def certvalidator_cold(made: Pki) -> Callable[[], None]:
    """A context for each leaf."""
    leaves = itertools.cycle(made.leaves_der)
    loop = asyncio.new_event_loop()

    def verify() -> None:
        root, issuing, leaf = (
            asn1_x509.Certificate.load(data) for data in (made.root_der, made.issuing_der, next(leaves))
        )
        context = ValidationContext(trust_roots=[root], other_certs=[issuing], moment=NOW)
        loop.run_until_complete(
            CertificateValidator(leaf, validation_context=context).async_validate_usage(USAGE)
        )

    return verify


def cryptography_warm(made: Pki, crl: bytes | None) -> Callable[[], None]:
    """Profile of the web: leaves have a DNS name and clientAuth. It knows no CRL: one looks up by oneself."""
    verifier = _client_verifier(made.issuing)
    listed = None if crl is None else x509.load_der_x509_crl(crl)
    leaves = itertools.cycle(made.web_leaves_der)

    def verify() -> None:
        leaf = x509.load_der_x509_certificate(next(leaves))
        verifier.verify(leaf, [])
        if listed is not None and listed.get_revoked_certificate_by_serial_number(leaf.serial_number):
            raise AssertionError("no leaf is listed")

    return verify


def cryptography_cold(made: Pki) -> Callable[[], None]:
    """The same from the root on."""
    leaves = itertools.cycle(made.web_leaves_der)

    def verify() -> None:
        root, issuing, leaf = (
            x509.load_der_x509_certificate(data) for data in (made.root_der, made.issuing_der, next(leaves))
        )
        _client_verifier(root).verify(leaf, [issuing])

    return verify


def _client_verifier(anchor: x509.Certificate) -> verification.ClientVerifier:
    return verification.PolicyBuilder().store(verification.Store([anchor])).time(NOW).build_client_verifier()
