"""NIST PKITS (2011), every case, from the certificates and CRLs of ``cryptography-vectors``.

``test_pkits_cases.csv`` is our table of the suite's settings and expected results: policies are the numbers
of NIST's test policies, and a refusal names the code, so that no case passes for a wrong reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import cryptography_vectors
import pytest

from onecert.verifier import RevocationEvidence, TrustAnchor, VerifyError, explain_path, validate_path
from onecert.verifier.certificate import parse_certificate as parse
from onecert.verifier.errors import MalformedError
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.path import PathParameters, PolicyInputs
from onecert.verifier.path.validator import AnyCertificate
from onecert.verifier.purposes import ANY
from onecert.verifier.revocation import load_crl
from onecert.verifier.signatures import DEFAULT_ALGORITHMS

T = TypeVar("T")
AT = datetime(2020, 1, 1, tzinfo=UTC)
FOLDER = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
with (Path(__file__).parent / "test_pkits_cases.csv").open(newline="") as _file:
    CASES = list(csv.DictReader(_file))

# The suite has DSA keys of 1024 bits with SHA-1. We know the algorithm and accept it nowhere by default.
ALGORITHMS = replace(
    DEFAULT_ALGORITHMS, algorithms={**DEFAULT_ALGORITHMS.algorithms, "dsa-sha1": None}, dsa_min_bits=1024
)
# RFC 3279, section 2.3.2, lets a CA certificate leave out its DSA parameters and inherit them.
# RFC 5280, section 4.1.1.2, leaves the choice of algorithms open; FIPS 186-5 has withdrawn DSA, and
# `cryptography` reads no DSA key without parameters. No CA of today can issue such a certificate.
EXCEPTIONS = {"4.1.5": "NOT_DER"}
# Verdicts about a certificate that cannot be loaded: then nothing is searched.
UNREADABLE = {"NOT_DER"}


@cache
def load(folder: str, name: str) -> bytes:
    return (FOLDER / folder / (name + {"certs": ".crt", "crls": ".crl"}[folder])).read_bytes()


def readable(load_one: Callable[[bytes], T], path: Path) -> list[T]:
    """The loaded file; empty for the few that break DER on purpose."""
    try:
        return [load_one(path.read_bytes())]
    except MalformedError:
        return []


def inputs(case: dict[str, str]) -> PolicyInputs:
    policies = frozenset(f"2.16.840.1.101.3.2.1.48.{number}" for number in case["policies"].split())
    flags = case["flags"].split()
    return PolicyInputs(
        initial=policies or frozenset({ANY_POLICY}),
        require_explicit="explicit_policy" in flags,
        inhibit_mapping="inhibit_mapping" in flags,
        inhibit_any="inhibit_any" in flags,
    )


def verdict(
    case: dict[str, str],
    candidates: Iterable[AnyCertificate],
    revocation: RevocationEvidence | list[bytes],
) -> str:
    """ "accept", or the code of the refusal with the causes behind it."""
    try:
        if isinstance(revocation, list):
            revocation = RevocationEvidence(crls=revocation)
        validate_path(
            load("certs", case["target"]),
            candidates=candidates,
            anchors=[TrustAnchor.from_certificate(load("certs", "TrustAnchorRootCertificate"))],
            at=AT,
            revocation=revocation,
            parameters=PathParameters(purpose=ANY, policies=inputs(case), algorithms=ALGORITHMS),
        )
    except VerifyError as error:
        causes: Any = error.facts.get("causes")
        return f"{error.code}:{'+'.join(causes)}" if causes else error.code
    return "accept"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_pkits(case: dict[str, str]) -> None:
    """Exactly the case's certificates and CRLs are at hand, as the suite wants it."""
    expected = EXCEPTIONS.get(case["case"], case["expected"])
    certificates = [load("certs", name) for name in case["intermediates"].split()]
    assert verdict(case, certificates, [load("crls", name) for name in case["crls"].split()]) == expected


def test_explain_has_the_verdict_of_validate() -> None:
    """Every case once more: the explanation answers the same, and names the path that the answer rests on."""
    anchor = TrustAnchor.from_certificate(load("certs", "TrustAnchorRootCertificate"))
    without_path = set()
    for case in CASES:
        if case["case"] in EXCEPTIONS or case["expected"] in UNREADABLE:
            continue
        explanation = explain_path(
            load("certs", case["target"]),
            candidates=[load("certs", name) for name in case["intermediates"].split()],
            anchors=[anchor],
            at=AT,
            revocation=RevocationEvidence(crls=[load("crls", name) for name in case["crls"].split()]),
            parameters=PathParameters(purpose=ANY, policies=inputs(case), algorithms=ALGORITHMS),
        )
        answer, chosen = explanation.answer, explanation.chosen
        found = answer.code if isinstance(answer, VerifyError) else "accept"
        assert (case["case"], found) == (case["case"], case["expected"].partition(":")[0])
        assert explanation.complete
        assert explanation.tree_lines("zh")
        if chosen is None:
            without_path.add(found)
        else:
            assert chosen.accepted == explanation.accepted
    assert without_path <= {"ISSUER_UNKNOWN"}


def test_dsa_is_accepted_only_where_a_policy_names_it() -> None:
    """4.1.4 with the default policy: must be refused."""
    with pytest.raises(VerifyError) as caught:
        validate_path(
            load("certs", "ValidDSASignaturesTest4EE"),
            candidates=[load("certs", "DSACACert")],
            anchors=[TrustAnchor.from_certificate(load("certs", "TrustAnchorRootCertificate"))],
            at=AT,
            purpose=ANY,
        )
    assert caught.value.code == "ALGORITHM_NOT_ALLOWED"


def test_the_table_is_whole() -> None:
    assert len(CASES) == len({case["case"] for case in CASES}) == 257
    assert sum(case["expected"] == "accept" for case in CASES) == 120


def test_with_the_whole_suite_at_hand_the_verdicts_stay() -> None:
    """All 405 certificates and 173 CRLs at once, as in a repository: many paths, one verdict."""
    certificates = [cert for path in sorted((FOLDER / "certs").iterdir()) for cert in readable(parse, path)]
    crls = [crl for path in sorted((FOLDER / "crls").iterdir()) for crl in readable(load_crl, path)]
    assert (len(certificates), len(crls)) == (401, 172)
    evidence = RevocationEvidence(crls=crls)

    changed = {}
    for case in CASES:
        found = verdict(case, certificates, evidence)
        if (found == "accept") != (case["expected"] == "accept"):
            changed[case["case"]] = found

    assert changed == {"4.1.5": EXCEPTIONS["4.1.5"]}
