"""Accept the certificates of every licensed CA: paths, revocation, trust list, identity, logins.

The public names below are loaded at first use, so that a program pays only for what it touches.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

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
    "Attempt": "result",
    "Evidence": "result",
    "Notice": "result",
    "ValidPolicies": "path.qualifiers",
    "PolicyQualifier": "path.qualifiers",
    "explain": "result",
    "explain_path": "path",
    "Explanation": "explanation",
    "CandidatePath": "explanation",
    "Step": "explanation",
    "Node": "explanation",
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
    "RootFolder": "trust_list.root_folder",
    "Verifier": "verifier",
    "VerifiedCertificate": "verifier",
    "Login": "login",
    "Challenge": "login",
    "ChallengeSigner": "login_server",
    "load_signer": "login_server",
    "verify_server_challenge": "login_server",
    "ServerChallenge": "login_server",
    "MemoryStore": "login_store",
    "SqliteStore": "login_store",
    "CrlFolder": "evidence",
    "CrlFetcher": "fetch",
    "HttpFetch": "fetch",
    "ClockWatch": "fetch",
    "TrustListUrl": "fetch",
    "listed_fetch": "fetch",
    "follow_by_url": "fetch",
    "FetchCache": "fetch",
    "FetchRules": "fetch",
    "FetchingValidator": "fetch",
    "FollowRules": "fetch",
    "TrustListFolder": "trust_list",
    "PointedTrustLists": "trust_list",
    "TrustRoot": "trust_list",
    "TrustTimestamp": "trust_list",
    "TrustList": "trust_list",
    "FileState": "trust_list",
    "MemoryState": "trust_list",
    "RoleKeys": "trust_list",
    "load_trust_root": "trust_list",
    "next_trust_root": "trust_list",
    "load_trust_timestamp": "trust_list",
    "load_trust_list": "trust_list",
    "load_trusted_list": "trust_list",
    "IssuanceRecordFile": "issuances",
    "IssuanceRecordUrl": "fetch",
    "Issuances": "issuances",
    "open_offline_verifier": "bundle",
    "OfflineVerifier": "bundle",
    "load_bundle": "bundle",
    "import_bundle": "bundle",
    "Bundle": "bundle",
    "Identity": "identity",
    "ClosedEntities": "identity",
    "RegistryEntry": "identity",
    "RegistrySnapshot": "identity.registry_snapshot",
    "RegistryUnavailableError": "identity.registry",
    "load_pairwise_key": "identity",
    # signed forms
    "verify_form": "signed_form",
    "FormPolicy": "signed_form",
    "SignedForm": "signed_form",
    "RawSignature": "signed_form",
    "JwsSignature": "signed_form",
    "XmlSignature": "signed_form",
    "PdfSignature": "signed_form",
    "TimestampTrust": "signed_form",
    "PathTrust": "signed_form",
    "TimestampClient": "signed_form",
    "make_evidence": "signed_form",
    "check_evidence": "signed_form",
    "renew_evidence": "signed_form",
    "EvidenceTrust": "signed_form",
    "walk_roots": "signed_form",
    "CheckedEvidence": "signed_form",
    "canonicalise": "signed_form",
    # errors
    "error_catalogue": "error_codes",
    "CatalogueEntry": "error_codes",
    "Compatibility": "error_codes",
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


# The same for type checkers, which do not follow __getattr__; a test compares the two.
# isort: off
if TYPE_CHECKING:
    from onecert.verifier.certificate import (
        load_certificate as load_certificate,
        parse_certificate as parse_certificate,
        ParsedCertificate as ParsedCertificate,
    )
    from onecert.verifier.signatures import (
        verify_signature as verify_signature,
        load_public_key as load_public_key,
        AlgorithmPolicy as AlgorithmPolicy,
        key_id as key_id,
    )
    from onecert.verifier.jws import verify_document as verify_document
    from onecert.verifier.limits import Limits as Limits
    from onecert.verifier.anchors import TrustAnchor as TrustAnchor
    from onecert.verifier.purposes import Purpose as Purpose
    from onecert.verifier.path import (
        PathParameters as PathParameters,
        PathValidator as PathValidator,
        PolicyInputs as PolicyInputs,
        validate_path as validate_path,
        explain_path as explain_path,
    )
    from onecert.verifier.result import (
        ValidatedPath as ValidatedPath,
        Attempt as Attempt,
        Evidence as Evidence,
        Notice as Notice,
        explain as explain,
    )
    from onecert.verifier.path.qualifiers import (
        ValidPolicies as ValidPolicies,
        PolicyQualifier as PolicyQualifier,
    )
    from onecert.verifier.explanation import (
        Explanation as Explanation,
        CandidatePath as CandidatePath,
        Step as Step,
        Node as Node,
    )
    from onecert.verifier.revocation import (
        Crl as Crl,
        OcspResponse as OcspResponse,
        RevocationEvidence as RevocationEvidence,
        RevocationMode as RevocationMode,
        RevocationPolicy as RevocationPolicy,
        RevocationSources as RevocationSources,
        load_crl as load_crl,
        load_ocsp as load_ocsp,
    )
    from onecert.verifier.department import open_verifier as open_verifier
    from onecert.verifier.trust_list.root_folder import RootFolder as RootFolder
    from onecert.verifier.verifier import Verifier as Verifier, VerifiedCertificate as VerifiedCertificate
    from onecert.verifier.login import Login as Login, Challenge as Challenge
    from onecert.verifier.login_server import (
        ChallengeSigner as ChallengeSigner,
        load_signer as load_signer,
        verify_server_challenge as verify_server_challenge,
        ServerChallenge as ServerChallenge,
    )
    from onecert.verifier.login_store import MemoryStore as MemoryStore, SqliteStore as SqliteStore
    from onecert.verifier.evidence import CrlFolder as CrlFolder
    from onecert.verifier.fetch import (
        CrlFetcher as CrlFetcher,
        HttpFetch as HttpFetch,
        ClockWatch as ClockWatch,
        TrustListUrl as TrustListUrl,
        IssuanceRecordUrl as IssuanceRecordUrl,
        listed_fetch as listed_fetch,
        follow_by_url as follow_by_url,
        FetchCache as FetchCache,
        FetchRules as FetchRules,
        FetchingValidator as FetchingValidator,
        FollowRules as FollowRules,
    )
    from onecert.verifier.trust_list import (
        TrustListFolder as TrustListFolder,
        PointedTrustLists as PointedTrustLists,
        TrustRoot as TrustRoot,
        TrustTimestamp as TrustTimestamp,
        TrustList as TrustList,
        FileState as FileState,
        MemoryState as MemoryState,
        RoleKeys as RoleKeys,
        load_trust_root as load_trust_root,
        next_trust_root as next_trust_root,
        load_trust_timestamp as load_trust_timestamp,
        load_trust_list as load_trust_list,
        load_trusted_list as load_trusted_list,
    )
    from onecert.verifier.issuances import IssuanceRecordFile as IssuanceRecordFile, Issuances as Issuances
    from onecert.verifier.bundle import (
        open_offline_verifier as open_offline_verifier,
        OfflineVerifier as OfflineVerifier,
        load_bundle as load_bundle,
        import_bundle as import_bundle,
        Bundle as Bundle,
    )
    from onecert.verifier.identity import (
        Identity as Identity,
        ClosedEntities as ClosedEntities,
        RegistryEntry as RegistryEntry,
        load_pairwise_key as load_pairwise_key,
    )
    from onecert.verifier.identity.registry import RegistryUnavailableError as RegistryUnavailableError
    from onecert.verifier.identity.registry_snapshot import RegistrySnapshot as RegistrySnapshot
    from onecert.verifier.signed_form import (
        verify_form as verify_form,
        FormPolicy as FormPolicy,
        SignedForm as SignedForm,
        RawSignature as RawSignature,
        JwsSignature as JwsSignature,
        XmlSignature as XmlSignature,
        PdfSignature as PdfSignature,
        TimestampTrust as TimestampTrust,
        PathTrust as PathTrust,
        TimestampClient as TimestampClient,
        make_evidence as make_evidence,
        check_evidence as check_evidence,
        renew_evidence as renew_evidence,
        EvidenceTrust as EvidenceTrust,
        walk_roots as walk_roots,
        CheckedEvidence as CheckedEvidence,
        canonicalise as canonicalise,
    )
    from onecert.verifier.error_codes import (
        error_catalogue as error_catalogue,
        CatalogueEntry as CatalogueEntry,
        Compatibility as Compatibility,
    )
    from onecert.verifier.errors import (
        VerifyError as VerifyError,
        RefusedError as RefusedError,
        MalformedError as MalformedError,
        SignatureInvalidError as SignatureInvalidError,
        RevokedError as RevokedError,
        CouldNotCheckError as CouldNotCheckError,
        RevocationUnknownError as RevocationUnknownError,
        BudgetError as BudgetError,
    )
else:
    # isort: on

    def __getattr__(name: str) -> object:
        module = _PUBLIC.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{module}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return list(__all__)
