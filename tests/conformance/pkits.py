"""NIST PKITS with the settings and expected results of the vectors' own file.

The ordinary test run has the same suite with a table of ours; here the table is somebody else's.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from report import Outcome, Scope, judge, load

from onecert.verifier import RevocationEvidence, TrustAnchor, ValidatedPath, validate_path
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.path import PathParameters, PolicyInputs
from onecert.verifier.purposes import ANY
from onecert.verifier.signatures import DEFAULT_ALGORITHMS

_ALGORITHMS = replace(
    DEFAULT_ALGORITHMS, algorithms={**DEFAULT_ALGORITHMS.algorithms, "dsa-sha1": None}, dsa_min_bits=1024
)
_EXCEPTIONS = {
    "4.1.5": "DSA parameters inherited from the issuer (RFC 3279, section 2.3.2): RFC 5280, section 4.1.1.2, "
    "leaves algorithms open, FIPS 186-5 has withdrawn DSA, cryptography reads no key without parameters",
}


def run(path: Path) -> list[Outcome]:
    """All 257 cases."""
    suite = load(path)
    blobs = {name: base64.b64decode(value) for name, value in suite["blobs"].items()}
    outcomes = []
    for case in suite["cases"]:
        code, seconds = judge(partial(_validate, case, blobs))
        reason = _EXCEPTIONS.get(case["id"].partition("-")[0], "")
        outcomes.append(
            Outcome(
                case=case["id"],
                group=f"{case['section']} {case['category']}"[:21],
                expected_accept=case["expected"] == "accept",
                code=code,
                seconds=seconds,
                scope=Scope.EXCEPTION if reason else Scope.COUNTED,
                reason=reason,
            )
        )
    return outcomes


def _validate(case: Mapping[str, Any], blobs: Mapping[str, bytes]) -> ValidatedPath:
    policies = PolicyInputs(
        initial=frozenset(case["policies"] or {ANY_POLICY}),
        require_explicit=case["explicit_policy"],
        inhibit_mapping=case["inhibit_mapping"],
        inhibit_any=case["inhibit_any"],
    )
    return validate_path(
        blobs[case["leaf"]],
        candidates=[blobs[name] for name in case["intermediates"]],
        anchors=[TrustAnchor.from_certificate(blobs[name]) for name in case["roots"]],
        at=datetime.fromisoformat(case["time"]),
        revocation=RevocationEvidence(crls=[blobs[name] for name in case["crls"]]),
        parameters=PathParameters(purpose=ANY, policies=policies, algorithms=_ALGORITHMS),
    )
