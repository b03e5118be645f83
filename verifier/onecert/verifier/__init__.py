"""Accept the certificates of every licensed CA: paths, revocation, trust list, identity, logins.

The public names below are loaded at first use, so that a program pays only for what it touches.
"""

from __future__ import annotations

from importlib import import_module

# Public name -> module that holds it. Everything that is not listed may change.
_PUBLIC = {
    # certificates, signatures, documents
    "load_certificate": "certificate",
    "parse_certificate": "certificate",
    "ParsedCertificate": "certificate",
    "verify_signature": "signatures",
    "load_public_key": "signatures",
    "AlgorithmPolicy": "signatures",
    "key_id": "signatures",
    "verify_document": "jws",
    "Limits": "limits",
    # paths
    "TrustAnchor": "anchors",
    "Purpose": "purposes",
    "PathParameters": "path",
    "PathValidator": "path",
    "PolicyInputs": "path",
    "validate_path": "path",
    "ValidatedPath": "result",
    "ValidPolicies": "path.qualifiers",
    "PolicyQualifier": "path.qualifiers",
    "explain": "result",
    "explain_path": "path",
    "Explanation": "explanation",
    "CandidatePath": "explanation",
    # revocation
    "Crl": "revocation",
    "OcspResponse": "revocation",
    "RevocationEvidence": "revocation",
    "RevocationMode": "revocation",
    "RevocationPolicy": "revocation",
    "RevocationSources": "revocation",
    "load_crl": "revocation",
    "load_ocsp": "revocation",
    # the façade: trust list, evidence, identity, login
    "open_verifier": "department",
    "Verifier": "verifier",
    "VerifiedCertificate": "verifier",
    "Login": "login",
    "Challenge": "login",
    "MemoryStore": "login_store",
    "SqliteStore": "login_store",
    "CrlFolder": "evidence",
    "CrlFetcher": "fetch",
    "HttpFetch": "fetch",
    "TrustListUrl": "fetch",
    "listed_fetch": "fetch",
    "FetchCache": "fetch",
    "FetchRules": "fetch",
    "FetchingValidator": "fetch",
    "FollowRules": "fetch",
    "TrustListFile": "trust_list",
    "TrustList": "trust_list",
    "FileState": "trust_list",
    "MemoryState": "trust_list",
    "load_list_keys": "trust_list",
    "load_trust_list": "trust_list",
    "Identity": "identity",
    "load_pairwise_key": "identity",
    # errors
    "VerifyError": "errors",
    "RefusedError": "errors",
    "MalformedError": "errors",
    "SignatureInvalidError": "errors",
    "RevokedError": "errors",
    "CouldNotCheckError": "errors",
    "RevocationUnknownError": "errors",
    "BudgetError": "errors",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605  a plain list at run time


def __getattr__(name: str) -> object:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
