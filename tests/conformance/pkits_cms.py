"""The S/MIME messages of NIST PKITS, split into content and CMS, each judged with its signer's path.

Ten more have an altered content. The CRLs are those of the path suite's file. PKITS says nothing about
timestamps, so that every signer is judged at the time of the case.
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

from onecert.verifier import RevocationEvidence, TrustAnchor, parse_certificate
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.path import PathParameters, PolicyInputs
from onecert.verifier.purposes import ANY
from onecert.verifier.signatures import DEFAULT_ALGORITHMS
from onecert.verifier.signed_form import FormPolicy, PathTrust, SignedForm
from onecert.verifier.signed_form.form import judge_form
from onecert.verifier.signed_form.signers import AnchoredSigners

# Both are of 2011: DSA with SHA-1 in the paths, and signatures with SHA-1.
_ALGORITHMS = replace(
    DEFAULT_ALGORITHMS,
    algorithms={**DEFAULT_ALGORITHMS.algorithms, "dsa-sha1": None},
    dsa_min_bits=1024,
)
_EXCEPTIONS = {
    "4.1.5": "DSA parameters inherited from the issuer (RFC 3279, section 2.3.2): RFC 5280, section 4.1.1.2, "
    "leaves algorithms open, FIPS 186-5 has withdrawn DSA, cryptography reads no key without parameters",
}


def run(path: Path) -> list[Outcome]:
    """All 227 cases."""
    suite = load(path)
    blobs = load(path.parent / "pkits.json.xz")["blobs"] | suite["blobs"]
    decoded = {name: base64.b64decode(value) for name, value in blobs.items()}
    outcomes = []
    for case in suite["cases"]:
        code, seconds = judge(partial(_verify, case, decoded))
        reason = _EXCEPTIONS.get(case["pkits"].partition("-")[0], "")
        outcomes.append(
            Outcome(
                case=case["id"],
                group=case["category"][:21],
                expected_accept=case["expected"] == "accept",
                code=code,
                seconds=seconds,
                scope=Scope.EXCEPTION if reason else Scope.COUNTED,
                reason=reason,
            )
        )
    return outcomes


def _verify(case: Mapping[str, Any], blobs: Mapping[str, bytes]) -> SignedForm:
    policies = PolicyInputs(
        initial=frozenset(case["policies"] or {ANY_POLICY}),
        require_explicit=case["explicit_policy"],
        inhibit_mapping=case["inhibit_mapping"],
        inhibit_any=case["inhibit_any"],
    )
    trust = PathTrust(
        anchors=tuple(TrustAnchor.from_certificate(blobs[name]) for name in case["roots"]),
        candidates=tuple(parse_certificate(blobs[name]) for name in case["intermediates"]),
        evidence=RevocationEvidence(crls=[blobs[name] for name in case["crls"]]),
        parameters=PathParameters(policies=policies, algorithms=_ALGORITHMS),
    )
    return judge_form(
        blobs[case["content"]],
        blobs[case["cms"]],
        judge=AnchoredSigners(trust, purpose=ANY),
        timestamps=None,
        policy=FormPolicy(),
        at=datetime.fromisoformat(case["time"]),
    )
