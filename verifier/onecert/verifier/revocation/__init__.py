"""Revocation: lists, OCSP answers, and what is asked of them."""

from onecert.verifier.revocation.crl import Crl, IssuingDistributionPoint, RevokedEntry, load_crl
from onecert.verifier.revocation.evidence import RevocationEvidence
from onecert.verifier.revocation.ocsp import OcspResponse, SingleAnswer, load_ocsp
from onecert.verifier.revocation.policy import RevocationMode, RevocationPolicy, RevocationSources

__all__ = [
    "Crl",
    "IssuingDistributionPoint",
    "OcspResponse",
    "RevocationEvidence",
    "RevocationMode",
    "RevocationPolicy",
    "RevocationSources",
    "RevokedEntry",
    "SingleAnswer",
    "load_crl",
    "load_ocsp",
]
