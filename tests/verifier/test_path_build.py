"""Path search: backtracking, bridges, key roll-over, loops, and hostile graphs that must end quickly."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import (
    BudgetError,
    CouldNotCheckError,
    Limits,
    PathValidator,
    RefusedError,
    RevocationEvidence,
    RevokedError,
    VerifyError,
)
from onecert.verifier.path import PathParameters
from onecert.verifier.result import explain
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)
# Processor time that a hostile case may take; a good machine needs a tenth of it.
PATIENCE_S = 1.0


def validator(*roots: Any, cas: Any = (), crls: Any = (), limits: Limits | None = None) -> PathValidator:
    parameters = PathParameters(revocation=RevocationPolicy() if crls else OFF, limits=limits or Limits())
    return PathValidator(
        anchors=[root.anchor for root in roots],
        candidates=[ca.certificate for ca in cas],
        evidence=RevocationEvidence(crls=crls),
        parameters=parameters,
    )


def test_bridge(pki: Any) -> None:
    """ours -> bridge -> province -> CA -> leaf; bridge and province also lead to roots that are not ours."""
    ours, foreign, province = pki.root("Ours"), pki.root("Foreign"), pki.root("Province")
    bridge = pki.root("Bridge")
    from_foreign = pki.issue("Bridge", foreign, key=bridge.key, ca=True)
    from_ours = pki.issue("Bridge", ours, key=bridge.key, ca=True)
    to_province = pki.issue("Province", bridge, key=province.key, ca=True)
    province_by_foreign = pki.issue("Province", foreign, key=province.key, ca=True)
    ca = pki.ca(province)
    cas = [province_by_foreign, from_foreign, foreign, province, bridge, to_province, from_ours, ca]

    for order in (cas, cas[::-1]):
        path = validator(ours, cas=order).validate(pki.leaf(ca).der, at=pki.T)
        assert [c.subject_text for c in path.chain[1:]] == [
            "CN=Issuing CA,C=CN",
            "CN=Province,C=CN",
            "CN=Bridge,C=CN",
        ]


def test_backtracks_over_every_fault(pki: Any) -> None:
    """Two ways up; the one that looks better is expired, revoked or not entitled. The other is found."""
    root, other = pki.root(), pki.root("Other root")
    key = pki.key()
    good = pki.issue("Issuing CA", other, key=key, ca=True, not_after=pki.T + pki.DAY)
    leaf = pki.leaf(good)
    unknown = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    faults: list[dict[str, Any]] = [
        {"not_after": pki.T - pki.DAY},
        {"key_usage": pki.usage("crl_sign")},
        {"ca": False},
        {"extra": [unknown]},
    ]
    for fault in faults:
        bad = pki.issue("Issuing CA", root, **({"key": key, "ca": True} | fault))
        path = validator(root, other, cas=[bad, good]).validate(leaf.der, at=pki.T)
        assert path.anchor.subject == "CN=Other root,C=CN"

    revoked = pki.issue("Issuing CA", root, key=key, ca=True)
    pki.revoke(root, revoked)
    crls = pki.crls(root, other, good)
    path = validator(root, other, cas=[revoked, good], crls=crls).validate(leaf.der, at=pki.T)
    assert path.anchor.subject == "CN=Other root,C=CN"


def test_key_identifiers_are_only_hints(pki: Any) -> None:
    """The leaf names a key identifier that its issuer does not have. Accepted all the same."""
    root = pki.root()
    wrong = x509.AuthorityKeyIdentifier(b"not this key", None, None)
    validator(root).validate(pki.leaf(root, extra=[(wrong, False)]).der, at=pki.T)


def test_key_roll_over(pki: Any) -> None:
    """old root (anchor) -> new root by the old key -> leaf by the new key. Accepted."""
    old = pki.root()
    new = pki.ca(old, "Root")
    assert len(validator(old, cas=[new]).validate(pki.leaf(new).der, at=pki.T).chain) == 2


def test_every_attempt_is_explained(pki: Any) -> None:
    """Two ways up, both bad: the error names both, and the explanation has a line for each."""
    root, other = pki.root(), pki.root("Other root")
    key = pki.key()
    expired = pki.issue("Issuing CA", root, key=key, ca=True, not_after=pki.T - pki.DAY)
    usage = pki.issue("Issuing CA", other, key=key, ca=True, key_usage=pki.usage("crl_sign"))
    with pytest.raises(RefusedError) as caught:
        validator(root, other, cas=[expired, usage]).validate(pki.leaf(usage).der, at=pki.T)
    assert {attempt.error.code for attempt in caught.value.attempts} == {"CERT_EXPIRED", "CA_KEY_USAGE"}
    assert len(explain(caught.value, "zh")) >= 3


def test_not_known_is_not_no(pki: Any) -> None:
    """One way up is revoked, of the other nothing is known: the answer is not known."""
    root, other = pki.root(), pki.root("Other root")
    key = pki.key()
    revoked = pki.issue("Issuing CA", root, key=key, ca=True)
    unknown = pki.issue("Issuing CA", other, key=key, ca=True)
    pki.revoke(root, revoked)
    crls = [pki.crl(root), pki.crl(revoked)]
    with pytest.raises(CouldNotCheckError):
        validator(root, other, cas=[revoked, unknown], crls=crls).validate(pki.leaf(revoked).der, at=pki.T)


def test_loops(pki: Any) -> None:
    """A certifies B, B certifies A, each certifies itself; none leads to an anchor. Refused at once."""
    a, b = pki.root("A"), pki.root("B")
    cas = [a, b, pki.issue("A", b, key=a.key, ca=True), pki.issue("B", a, key=b.key, ca=True)]
    with pytest.raises(RefusedError) as caught:
        validator(pki.root(), cas=cas).validate(pki.leaf(a).der, at=pki.T)
    assert caught.value.code == "ISSUER_UNKNOWN"


def hostile_mesh(pki: Any, count: int) -> tuple[list[Any], Any]:
    """``count`` CAs with keys of their own that certify each other, without key identifiers; and a leaf."""
    plain = [x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier]
    heads = [pki.root(f"Mesh {i}", without=plain) for i in range(count)]
    mesh = [
        pki.issue(b.subject, a, key=b.key, ca=True, without=plain)
        for a, b in itertools.permutations(heads, 2)
    ]
    return mesh, pki.leaf(heads[0], without=plain)


def test_mesh_ends_with_the_budget(pki: Any) -> None:
    """Twelve CAs that all certify each other, and no anchor: 11! paths. Not known, and quickly."""
    mesh, leaf = hostile_mesh(pki, 12)
    check = validator(pki.root(), cas=mesh)
    began = time.process_time()
    with pytest.raises(BudgetError) as caught:
        check.validate(leaf.der, at=pki.T)
    assert time.process_time() - began < PATIENCE_S
    assert caught.value.code == "PATH_BUDGET"


def test_hundred_of_one_name(pki: Any) -> None:
    """100 intermediates of one name certify each other, without key identifiers. Quick either way."""
    plain = [x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier]
    root = pki.root()
    cas = [pki.issue("Namesake", root, ca=True, without=plain)]
    keys = [pki.key() for _ in range(20)]
    cas += [
        pki.issue("Namesake", cas[-1], key=keys[i % 20], ca=True, without=plain, serial=100 + i)
        for i in range(1)
    ]
    for i in range(98):
        cas.append(pki.issue("Namesake", cas[-1], key=keys[i % 20], ca=True, without=plain))
    for target in (pki.leaf(cas[0]), pki.leaf(cas[-1]), pki.leaf(pki.issue("Namesake", ca=True))):
        began = time.process_time()
        try:
            validator(root, cas=cas).validate(target.der, at=pki.T)
        except VerifyError as exc:
            assert exc.code in {"PATH_BUDGET", "ISSUER_UNKNOWN", "CERT_SIGNATURE_INVALID"}  # noqa: PT017
        assert time.process_time() - began < PATIENCE_S


def test_name_constraints_times_names(pki: Any) -> None:
    """2,000 constraints above, 1,000 names in the leaf. The budget ends it."""
    trees = [x509.DNSName(f"x{i}.example") for i in range(1500)]
    root = pki.root()
    ca = pki.ca(root, extra=[(x509.NameConstraints(trees, None), True)])
    names = x509.SubjectAlternativeName([x509.DNSName(f"a.x{i}.example") for i in range(1000)])
    leaf = pki.leaf(ca, extra=[(names, False)])
    began = time.process_time()
    with pytest.raises(BudgetError):
        validator(root, cas=[ca]).validate(leaf.der, at=pki.T)
    assert time.process_time() - began < PATIENCE_S


def test_policies_without_end(pki: Any) -> None:
    """Each level maps every policy to every policy (the tree of RFC 5280 would grow without bound). Quick."""
    root = pki.root()
    oids = [x509.ObjectIdentifier(f"1.2.3.{i}") for i in range(14)]
    policies = x509.CertificatePolicies([x509.PolicyInformation(oid, None) for oid in oids])
    # PolicyMappings has no class in the builder.
    pairs = b"".join(
        pki.tlv(0x30, *(pki.tlv(0x06, b"\x2a\x03" + bytes((i,))) for i in pair))
        for pair in itertools.product(range(14), repeat=2)
    )
    mappings = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), pki.tlv(0x30, pairs))
    cas = [root]
    for i in range(12):
        cas.append(pki.ca(cas[-1], f"CA {i}", extra=[(policies, False), (mappings, True)]))
    leaf = pki.leaf(cas[-1], extra=[(policies, False)])
    began = time.process_time()
    path = validator(root, cas=cas[1:]).validate(leaf.der, at=pki.T)
    assert time.process_time() - began < PATIENCE_S
    assert path.policies == {f"1.2.3.{i}" for i in range(14)}


def test_deep_chain(pki: Any) -> None:
    """A chain of 16 intermediates is followed, one of 17 is not."""
    chain = [pki.root()]
    for i in range(17):
        chain.append(pki.ca(chain[-1], f"CA {i}"))
    check = validator(chain[0], cas=chain[1:])
    assert len(check.validate(pki.leaf(chain[16]).der, at=pki.T).chain) == 17
    with pytest.raises(VerifyError):
        check.validate(pki.leaf(chain[17]).der, at=pki.T)


def test_state_above_the_leaf_is_kept_and_dropped_in_time(pki: Any) -> None:
    """The second leaf of a CA costs no search; outside the state's time the search decides again."""
    root = pki.root()
    ca = pki.ca(root, not_after=pki.T + pki.DAY)
    check = validator(root, cas=[ca])
    leaves = [pki.leaf(ca, f"Clerk {i}") for i in range(3)]
    for leaf in leaves:
        check.validate(leaf.der, at=pki.T)
    with pytest.raises(RefusedError) as caught:
        check.validate(leaves[0].der, at=pki.T + 2 * pki.DAY)
    assert caught.value.code == "CERT_EXPIRED"
    assert caught.value.certificate == ca.certificate


def test_warm_refuses_what_cold_refuses(pki: Any) -> None:
    """A validator that already knows the CA is as strict as a new one."""
    root = pki.root()
    ca = pki.ca(root)
    leaf, bad, altered = pki.leaf(ca), pki.leaf(ca, "Bad"), pki.leaf(ca).der.replace(b"Clerk", b"Klerk")
    pki.revoke(ca, bad)
    check = validator(root, cas=[ca], crls=pki.crls(root, ca))
    check.validate(leaf.der, at=pki.T)
    with pytest.raises(RevokedError):
        check.validate(bad.der, at=pki.T)
    with pytest.raises(RefusedError) as caught:
        check.validate(altered, at=pki.T)
    assert caught.value.code == "CERT_SIGNATURE_INVALID"


def test_threads_share_a_validator(pki: Any) -> None:
    root = pki.root()
    ca = pki.ca(root)
    evidence_crls = pki.crls(root, ca)
    check = validator(root, cas=[ca], crls=evidence_crls)
    leaves = [pki.leaf(ca, f"Clerk {i}").der for i in range(20)]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for leaf in leaves * 5:
                check.validate(leaf, at=pki.T)
                check.evidence.add_crl(evidence_crls[0])
        except BaseException as exc:  # handed to the test below
            failures.append(exc)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
