"""Attribute certificates of RFC 5755: read, verified against a holder, and turned into proved roles."""

from onecert.verifier.attribute_certificate.acrl import RevocationList, RevocationLists, StatusSource
from onecert.verifier.attribute_certificate.delegation import Constraints, Limits
from onecert.verifier.attribute_certificate.delegation_source import Delegation, Delegations, DelegationSource
from onecert.verifier.attribute_certificate.delegation_walk import DelegationStep
from onecert.verifier.attribute_certificate.extensions import TargetIdentity, Targets
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.attribute_certificate.holder import Holder, is_issued_to
from onecert.verifier.attribute_certificate.parse import Attribute, AttributeCertificate, parse
from onecert.verifier.attribute_certificate.roles import Role
from onecert.verifier.attribute_certificate.status import AnswerSource, ListHistory
from onecert.verifier.attribute_certificate.trust import AttributeTrust, PathCheck, TrustedAuthority
from onecert.verifier.attribute_certificate.trust_paths import AuthorityPaths
from onecert.verifier.attribute_certificate.verify import (
    AttributeCertificateVerifier,
    Candidate,
    Dropped,
    Explanation,
    VerifiedAttributeCertificate,
)

__all__ = [
    "AnswerSource",
    "Attribute",
    "AttributeCertificate",
    "AttributeCertificateVerifier",
    "AttributeTrust",
    "AuthorityPaths",
    "Candidate",
    "Code",
    "Constraints",
    "Delegation",
    "DelegationSource",
    "DelegationStep",
    "Delegations",
    "Dropped",
    "Explanation",
    "Finding",
    "GeneralName",
    "Holder",
    "Limits",
    "ListHistory",
    "PathCheck",
    "RevocationList",
    "RevocationLists",
    "Role",
    "StatusSource",
    "TargetIdentity",
    "Targets",
    "TrustedAuthority",
    "VerifiedAttributeCertificate",
    "is_issued_to",
    "parse",
]
