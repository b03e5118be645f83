"""``PathValidator.explain``: every candidate path, each with its verdict and its steps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import (
    BudgetError,
    Limits,
    MalformedError,
    PathValidator,
    RefusedError,
    RevocationEvidence,
    ValidatedPath,
    VerifyError,
    explain,
    explain_path,
)
from onecert.verifier.path import PathParameters
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)


def validator(*roots: Any, cas: Any = (), crls: Any = (), **parameters: Any) -> PathValidator:
    if not crls:
        parameters.setdefault("revocation", OFF)
    return PathValidator(
        anchors=[root.anchor for root in roots],
        candidates=[ca.certificate for ca in cas],
        evidence=RevocationEvidence(crls=crls),
        parameters=PathParameters(**parameters),
    )


def verdicts(explanation: Any) -> list[tuple[int, str, str]]:
    """Length, anchor and code of each path, in the order of the search."""
    return [
        (
            len(path.steps),
            "" if path.anchor is None else path.anchor.subject,
            "" if path.error is None else path.error.code,
        )
        for path in explanation.paths
    ]


class Bridge:
    """One leaf and every kind of way up.

    leaf -> good CA -> root                       accepted
         -> the same by other root                its certificate is revoked
         -> the same, expired                     refused at sight
         -> the same by a stranger                no anchor above
    """

    def __init__(self, pki: Any) -> None:
        self.root, self.other, stranger = pki.root(), pki.root("Other root"), pki.root("Stranger")
        key = pki.key()
        self.good = pki.issue("Issuing CA", self.root, key=key, ca=True)
        self.revoked = pki.issue("Issuing CA", self.other, key=key, ca=True)
        self.expired = pki.issue("Issuing CA", self.root, key=key, ca=True, not_after=pki.T - pki.DAY)
        self.stray = pki.issue("Issuing CA", stranger, key=key, ca=True)
        self.leaf = pki.leaf(self.good)
        pki.revoke(self.other, self.revoked)
        self.cas = [self.revoked, self.expired, self.stray, self.good, self.root, self.other]
        self.crls = pki.crls(self.root, self.other, self.good)
        self.validator = validator(self.root, self.other, cas=self.cas, crls=self.crls)


@pytest.fixture
def bridge(pki: Any) -> Bridge:
    return Bridge(pki)


def test_all_ways_of_an_accepted_certificate(pki: Any, bridge: Bridge) -> None:
    explanation = bridge.validator.explain(bridge.leaf.der, at=pki.T)
    assert explanation.accepted
    assert explanation.complete
    assert sorted(verdicts(explanation)) == [
        (2, "", "CERT_EXPIRED"),
        (2, "", "ISSUER_UNKNOWN"),
        (2, "CN=Other root,C=CN", "CERT_REVOKED"),
        (2, "CN=Root,C=CN", ""),
    ]
    chosen = explanation.chosen
    assert chosen is not None
    assert isinstance(explanation.answer, ValidatedPath)
    assert chosen.certificates == explanation.answer.chain
    assert [path.chosen for path in explanation.paths].count(True) == 1


def test_the_answer_is_that_of_validate(pki: Any, bridge: Bridge) -> None:
    """Whatever the question: the same path, or the same code."""
    for at in (pki.T, pki.T + 400 * pki.DAY, pki.T + 2 * pki.DAY):
        for roots in ((bridge.root,), (bridge.other,), (bridge.root, bridge.other), ()):
            one = validator(*roots, cas=bridge.cas, crls=bridge.crls)
            answer = one.explain(bridge.leaf.der, at=at).answer
            two = validator(*roots, cas=bridge.cas, crls=bridge.crls)
            if isinstance(answer, ValidatedPath):
                assert two.validate(bridge.leaf.der, at=at).chain == answer.chain
                continue
            with pytest.raises(VerifyError) as caught:
                two.validate(bridge.leaf.der, at=at)
            assert (answer.code, answer.certificate) == (caught.value.code, caught.value.certificate)


def test_steps_name_key_policies_and_evidence(pki: Any, bridge: Bridge) -> None:
    explanation = bridge.validator.explain(bridge.leaf.der, at=pki.T)
    target, ca = explanation.chosen.steps  # type: ignore[union-attr]
    assert [step.outcome for step in (target, ca)] == ["accepted", "accepted"]
    assert target.algorithm == "ecdsa-sha256"
    assert len(target.signed_by) == 64
    assert target.signed_by != ca.signed_by
    assert [(e.kind, e.issuer, e.age) for e in target.evidence] == [
        ("crl", "CN=Issuing CA,C=CN", pki.DAY / 24)
    ]
    assert [e.issuer for e in ca.evidence] == ["CN=Root,C=CN"]
    assert target.policies == frozenset()

    failed = next(path for path in explanation.paths if path.error and path.error.code == "CERT_REVOKED")
    target, ca = failed.steps
    assert (ca.outcome, target.outcome) == ("refused", "not_reached")
    assert ca.error is failed.error
    assert ca.error.certificate == bridge.revoked.certificate
    assert ca.error.source == "RFC 5280, section 6.1.3 (a)(3)"
    # Who signed is known, although the path was given up above.
    assert target.signed_by


def test_policies_of_each_step(pki: Any) -> None:
    """The CA maps nothing and names two policies, the leaf one of them."""
    oids = ["1.2.3.1", "1.2.3.2"]
    both = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(o), None) for o in oids])
    one = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oids[0]), None)])
    root = pki.root()
    ca = pki.ca(root, extra=[(both, False)])
    leaf = pki.leaf(ca, extra=[(one, False)])
    (path,) = validator(root, cas=[ca]).explain(leaf.der, at=pki.T).paths
    assert [step.policies for step in path.steps] == [frozenset(oids[:1]), frozenset(oids)]
    assert any(
        "1.2.3.1, 1.2.3.2" in line
        for line in validator(root, cas=[ca]).explain(leaf.der, at=pki.T).tree_lines()
    )


def test_a_bad_target_is_searched_for_all_the_same(pki: Any) -> None:
    """The leaf has expired and one of its CAs is no CA: one answer names both."""
    root, other = pki.root(), pki.root("Other root")
    key = pki.key()
    good = pki.issue("Issuing CA", root, key=key, ca=True)
    bad = pki.issue("Issuing CA", other, key=key, ca=False)
    leaf = pki.leaf(good, not_after=pki.T - pki.DAY)
    explanation = validator(root, other, cas=[good, bad]).explain(leaf.der, at=pki.T)
    assert sorted(verdicts(explanation)) == [(2, "", "NOT_A_CA"), (2, "CN=Root,C=CN", "CERT_EXPIRED")]
    assert isinstance(explanation.answer, RefusedError)
    assert explanation.answer.code == "CERT_EXPIRED"
    assert explanation.chosen is not None
    assert explanation.chosen.anchor is not None
    assert explanation.chosen.steps[0].error is explanation.answer


def test_altered_signature(pki: Any) -> None:
    """The signature fails under the right name and key: the step says refused, and no key has signed."""
    root = pki.root()
    altered = pki.leaf(root).der.replace(b"Clerk", b"Klerk")
    (path,) = validator(root).explain(altered, at=pki.T).paths
    assert path.error.code == "CERT_SIGNATURE_INVALID"
    assert (path.steps[0].outcome, path.steps[0].signed_by) == ("refused", "")


def test_namesakes_with_another_key_are_shown(pki: Any) -> None:
    """A CA of the same name whose key was never meant: not a finding, but shown."""
    root = pki.root()
    namesake = pki.ca(root, "Issuing CA")
    ca = pki.ca(root)
    explanation = validator(root, cas=[namesake, ca]).explain(pki.leaf(ca).der, at=pki.T)
    assert sorted(verdicts(explanation)) == [(2, "", "CERT_SIGNATURE_INVALID"), (2, "CN=Root,C=CN", "")]


def test_unknown_issuer(pki: Any) -> None:
    explanation = validator(pki.root("Ours")).explain(pki.leaf(pki.root()).der, at=pki.T)
    assert verdicts(explanation) == [(1, "", "ISSUER_UNKNOWN")]
    assert not explanation.accepted


def test_mesh_ends_with_the_budget(pki: Any) -> None:
    """Eight CAs that certify each other: the explanation ends with the budget and says so."""
    plain = [x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier]
    heads = [pki.root(f"Mesh {i}", without=plain) for i in range(8)]
    mesh = [
        pki.issue(b.subject, a, key=b.key, ca=True, without=plain) for a in heads for b in heads if a is not b
    ]
    leaf = pki.leaf(heads[0], without=plain)
    explanation = validator(pki.root(), cas=mesh).explain(leaf.der, at=pki.T)
    assert isinstance(explanation.answer, BudgetError)
    assert not explanation.complete
    assert explanation.tree_lines()[-1] == "the search was stopped before its end; there may be further paths"
    # With an anchor in the mesh one path is found, and the rest of the search may still be cut.
    explanation = validator(heads[1], cas=mesh, limits=Limits(path_steps=500)).explain(leaf.der, at=pki.T)
    assert explanation.accepted
    assert not explanation.complete


def test_too_deep(pki: Any) -> None:
    chain = [pki.root()]
    for i in range(3):
        chain.append(pki.ca(chain[-1], f"CA {i}"))
    check = validator(chain[0], cas=chain[1:], limits=Limits(path_max_intermediates=2))
    explanation = check.explain(pki.leaf(chain[-1]).der, at=pki.T)
    assert verdicts(explanation) == [(3, "", "PATH_TOO_DEEP")]


def test_tree_text_in_both_languages(pki: Any, bridge: Bridge) -> None:
    explanation = bridge.validator.explain(bridge.leaf.der, at=pki.T)
    for language, word in (("en", "accepted"), ("zh", "接受")):
        lines = explanation.tree_lines(language)
        assert lines[0].startswith(word)
        assert lines[2].startswith("CN=Clerk 7,C=CN  (")
        assert sum(line.startswith(("├─ ", "└─ ")) for line in lines) == 4
        assert sum("CERT_REVOKED" in line for line in lines) == 2
        (decisive,) = [line for line in lines if ("结论依据" in line or "rests on" in line)]
        assert "[CN=Root,C=CN]" in decisive
    assert len(explain(explanation, "zh")) == 5


def test_json(pki: Any, bridge: Bridge) -> None:
    value = json.loads(json.dumps(bridge.validator.explain(bridge.leaf.der, at=pki.T).as_dict()))
    assert (value["schema"], value["accepted"], value["complete"]) == (1, True, True)
    assert len(value["paths"]) == 4
    assert value["result"]["path"][0]["subject"] == "CN=Clerk 7,C=CN"
    # The tree points at the paths by their number, and names each of them once.
    numbers = [number for node in value["tree"]["issuers"] for number in node["paths"]]
    assert sorted(numbers + value["tree"]["paths"]) == [0, 1, 2, 3]
    refused = next(path for path in value["paths"] if path["error"] and path["anchor"])
    assert refused["error"]["code"] == "CERT_REVOKED"
    assert refused["error"]["text"]["zh"] != refused["error"]["text"]["en"]
    assert refused["steps"][1]["error"]["certificate"] == f"{bridge.revoked.certificate.serial_number:x}"


def test_explain_path(pki: Any) -> None:
    """The function with explicit inputs; bytes that are no certificate raise, as everywhere."""
    root = pki.root()
    inputs = {"anchors": [root.anchor], "at": pki.T, "revocation_policy": OFF}
    assert explain_path(pki.leaf(root).der, **inputs).accepted
    with pytest.raises(MalformedError):
        explain_path(b"nothing", **inputs)
    with pytest.raises(ValueError, match="aware"):
        explain_path(pki.leaf(root).der, **inputs | {"at": pki.T.replace(tzinfo=None)})


def test_hostile_names_stay_on_their_line(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root, "Eve\n└─ [Root]: accepted\u202e\x1b[31m")
    text = "\n".join(validator(pki.root("Ours")).explain(leaf.der, at=pki.T).tree_lines())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Eve\n" not in text
