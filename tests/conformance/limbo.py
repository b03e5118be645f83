"""C2SP/x509-limbo, the cases that say something about an identity verifier.

The suite is written for TLS clients: its anchors are root certificates whose extensions count, and its
purposes are server and client authentication. Host names are not compared here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from report import Outcome, Scope, judge, load

from onecert.verifier import (
    RefusedError,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    TrustAnchor,
    ValidatedPath,
    VerifyError,
    validate_path,
)
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.path import PathParameters
from onecert.verifier.purposes import CLIENT, SERVER

# For the cases that name no time; their certificates live for centuries.
_AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
_TLS_FEATURES = {
    "pedantic-public-suffix-wildcard",
    "pedantic-webpki-eku",
    "pedantic-webpki-subscriber-key",
    "rfc5280-incompatible-with-webpki",
}
# A leaf with a wildcard DNS name under name constraints.
_WILDCARDS = {
    "cve::cve-2025-61727",
    "cve::cve-2025-61727-nc-permits-variant",
    "rfc5280::nc::nc-forbids-dnsname-wildcard-san",
}
# What an issuer must not do, and RFC 5280, section 6, does not ask a verifier to look at.
_STRICT = {
    "crl::crlnumber-missing",
    "crl::crlnumber-critical",
    "rfc5280::aki::critical-aki",
    "rfc5280::aki::leaf-missing-aki",
    "rfc5280::aki::intermediate-missing-aki",
    "rfc5280::aki::cross-signed-root-missing-aki",
    "rfc5280::nc::not-allowed-in-ee-noncritical",
    "rfc5280::nc::not-allowed-in-ee-critical",
    "rfc5280::pc::ica-noncritical-pc",
    "rfc5280::san::noncritical-with-empty-subject",
    "rfc5280::san::underscore-dns",
    "rfc5280::san::ip-in-dns",
    "rfc5280::serial::zero",
    "rfc5280::ski::critical-ski",
    "rfc5280::ski::root-missing-ski",
    "rfc5280::ski::intermediate-missing-ski",
    "rfc5280::root-non-critical-basic-constraints",
    "rfc5280::leaf-ku-keycertsign",
    "rfc5280::ee-critical-aia-invalid",
}


def run(path: Path) -> list[Outcome]:
    """All cases of the core file; those outside the scope are listed with the reason."""
    return [_judge(case) for case in load(path)["testcases"]]


def _judge(case: Mapping[str, Any]) -> Outcome:
    scope, reason = _scope(case)
    code, seconds = judge(partial(_validate, case, strict=scope is Scope.STRICT))
    return Outcome(
        case=case["id"],
        group=case["id"].rpartition("::")[0],
        expected_accept=case["expected_result"] == "SUCCESS",
        code=code,
        seconds=seconds,
        scope=scope,
        reason=reason,
    )


def _scope(case: Mapping[str, Any]) -> tuple[Scope, str]:
    if case["id"].startswith("webpki::") or _TLS_FEATURES & set(case["features"]):
        return Scope.OUTSIDE, "rules of the web PKI"
    if case["id"] in _WILDCARDS:
        return Scope.OUTSIDE, "wildcard DNS names against name constraints"
    try:
        if parse_certificate(case["peer_certificate"].encode()).is_ca:
            return Scope.OUTSIDE, "a CA certificate as target"
    except VerifyError:
        pass
    if case["id"] in _STRICT:
        return Scope.STRICT, ""
    return Scope.COUNTED, ""


def _validate(case: Mapping[str, Any], *, strict: bool) -> ValidatedPath:
    purpose = SERVER if case["validation_kind"] == "SERVER" else CLIENT
    anchors = []
    for pem in case["trusted_certs"]:
        try:
            anchor = TrustAnchor.from_certificate(pem.encode(), use_extensions=True)
        except RefusedError:
            continue  # no anchor
        depth = case["max_chain_depth"]
        if depth is not None and (anchor.max_path_length is None or depth < anchor.max_path_length):
            anchor = replace(anchor, max_path_length=depth)
        anchors.append(anchor)
    mode = RevocationMode.REQUIRE if case["crls"] else RevocationMode.OFF
    return validate_path(
        case["peer_certificate"].encode(),
        candidates=[pem.encode() for pem in case["untrusted_intermediates"]],
        anchors=anchors,
        at=datetime.fromisoformat(case["validation_time"]) if case["validation_time"] else _AT,
        revocation=RevocationEvidence(crls=[pem.encode() for pem in case["crls"]]),
        parameters=PathParameters(purpose=purpose, revocation=RevocationPolicy(mode=mode), strict=strict),
    )
