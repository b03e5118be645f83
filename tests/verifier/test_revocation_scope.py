"""Which lists are about a certificate: several points, relative names, reasons, indirect lists.

RFC 5280, sections 5.2.5 and 6.3.3 (b) to (e). root -> leaf throughout; the root's own status is not asked.
"""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from onecert.verifier import CouldNotCheckError, PathValidator, RevocationEvidence, RevokedError
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

LEAF_ONLY = RevocationPolicy(ca_mode=RevocationMode.OFF)
EVERY = frozenset(x509.ReasonFlags) - {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
COMPROMISE = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})


def point(**fields: Any) -> x509.DistributionPoint:
    values = {"full_name": None, "relative_name": None, "reasons": None, "crl_issuer": None}
    return x509.DistributionPoint(**(values | fields))


def at_uri(text: str, **fields: Any) -> x509.DistributionPoint:
    return point(full_name=[x509.UniformResourceIdentifier(text)], **fields)


def points(*found: x509.DistributionPoint) -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.CRLDistributionPoints(found), False)]


def scope(**fields: Any) -> list[tuple[x509.ExtensionType, bool]]:
    values = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return [(x509.IssuingDistributionPoint(**(values | fields)), True)]


def uri_scope(text: str, **fields: Any) -> list[tuple[x509.ExtensionType, bool]]:
    return scope(full_name=[x509.UniformResourceIdentifier(text)], **fields)


def rdn(text: str) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def causes(caught: pytest.ExceptionInfo[CouldNotCheckError]) -> object:
    assert caught.value.code == "REVOCATION_UNKNOWN"
    return caught.value.facts["causes"]


def test_several_points(pki: Any) -> None:
    """Two points with a list each: either list will do, and the one that names the leaf refuses it."""
    root = pki.root()
    leaf = pki.leaf(root, extra=points(at_uri("http://a/1.crl"), at_uri("http://b/2.crl")))
    one, two = (pki.crl(root, extra=uri_scope(text)) for text in ("http://a/1.crl", "http://b/2.crl"))
    for crls in ([one], [two], [one, two]):
        pki.validate(leaf, root=root, crls=crls)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, crls=[pki.crl(root, extra=uri_scope("http://c/3.crl"))])
    pki.revoke(root, leaf)
    for text in ("http://a/1.crl", "http://b/2.crl"):
        with pytest.raises(RevokedError):
            pki.validate(leaf, root=root, crls=[pki.crl(root, extra=uri_scope(text))])


def test_one_of_several_names_is_enough(pki: Any) -> None:
    root = pki.root()
    names = [x509.UniformResourceIdentifier(f"http://a/{number}") for number in range(4)]
    leaf = pki.leaf(root, extra=points(point(full_name=names[:2])))
    pki.validate(leaf, root=root, crls=[pki.crl(root, extra=scope(full_name=names[1:]))])
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, crls=[pki.crl(root, extra=scope(full_name=names[2:]))])


@pytest.mark.parametrize("in_certificate", ["relative", "full"])
@pytest.mark.parametrize("in_list", ["relative", "full"])
@pytest.mark.parametrize(("text", "good"), [("Part 1", True), ("PART  1", True), ("Part 2", False)])
def test_relative_names(pki: Any, in_certificate: str, in_list: str, text: str, good: bool) -> None:
    """A name relative to the CRL issuer equals the full name below it, compared as names are."""
    root = pki.root()

    def named(form: str, value: str) -> dict[str, Any]:
        if form == "relative":
            return {"relative_name": rdn(value)}
        return {"full_name": [x509.DirectoryName(x509.Name([*root.subject.rdns, rdn(value)]))]}

    leaf = pki.leaf(root, extra=points(point(**named(in_certificate, "Part 1"))))
    crl = pki.crl(root, extra=scope(**named(in_list, text)))
    if good:
        pki.validate(leaf, root=root, crls=[crl])
    else:
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, crls=[crl])
        assert causes(caught) == ("CRL_SCOPE",)


def test_relative_to_the_issuer_of_the_list(pki: Any) -> None:
    """root, CRL service: the name is relative to the service named in the point, not to the CA."""
    root = pki.root()
    service = pki.issue("CRL service", root, key_usage=pki.usage("crl_sign"))
    named = point(relative_name=rdn("Part 1"), crl_issuer=[x509.DirectoryName(service.subject)])
    leaf = pki.leaf(root, extra=points(named))
    below = [x509.DirectoryName(x509.Name([*service.subject.rdns, rdn("Part 1")]))]
    wrong = [x509.DirectoryName(x509.Name([*root.subject.rdns, rdn("Part 1")]))]
    inputs = {"root": root, "cas": [service], "revocation_policy": LEAF_ONLY}
    own = pki.crl(root, extra=scope(only_contains_ca_certs=True))
    vouching = [own, pki.crl(root, extra=uri_scope("http://elsewhere/"))]
    soft = RevocationPolicy(mode=RevocationMode.PREFER)
    for full_name, answered in ((below, True), (wrong, False)):
        crl = pki.crl(service, extra=scope(full_name=full_name, indirect_crl=True))
        path = pki.validate(leaf, **{**inputs, "revocation_policy": soft}, crls=[crl, *vouching])
        assert bool(path.evidence) is answered


def test_point_that_names_only_an_issuer(pki: Any) -> None:
    """The list's own name must then be that issuer's (section 6.3.3 (b)(2)(i))."""
    root = pki.root()
    service = pki.issue("CRL service", root, key_usage=pki.usage("crl_sign"), extra=[])
    leaf = pki.leaf(root, extra=points(point(crl_issuer=[x509.DirectoryName(service.subject)])))
    soft = RevocationPolicy(mode=RevocationMode.PREFER)
    for owner, answered in ((service, True), (root, False)):
        name = [x509.DirectoryName(owner.subject)]
        crl = pki.crl(service, extra=scope(full_name=name, indirect_crl=True))
        path = pki.validate(leaf, root=root, cas=[service], crls=[crl], revocation_policy=soft)
        assert bool(path.evidence) is answered


def test_list_of_another_issuer_must_be_indirect(pki: Any) -> None:
    root = pki.root()
    service = pki.issue("CRL service", root, key_usage=pki.usage("crl_sign"))
    leaf = pki.leaf(root, extra=points(point(crl_issuer=[x509.DirectoryName(service.subject)])))
    soft = RevocationPolicy(mode=RevocationMode.PREFER)
    for extra, answered in ((scope(indirect_crl=True), True), ([], False)):
        crl = pki.crl(service, extra=extra)
        path = pki.validate(leaf, root=root, cas=[service], crls=[crl], revocation_policy=soft)
        assert bool(path.evidence) is answered


def test_all_reasons_must_be_covered(pki: Any) -> None:
    """Three partitions by reason; with one of them missing, or stale, nobody is called good."""
    root = pki.root()
    leaf = pki.leaf(root)
    held = frozenset({x509.ReasonFlags.certificate_hold})
    parts = [COMPROMISE, held, EVERY - COMPROMISE - held]
    lists = [pki.crl(root, extra=scope(only_some_reasons=part)) for part in parts]
    path = pki.validate(leaf, root=root, crls=lists)
    assert len(path.evidence) == 1
    for missing in range(3):
        rest = lists[:missing] + lists[missing + 1 :]
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, crls=rest)
        assert causes(caught) == ("CRL_REASONS",)
        stale = pki.crl(root, extra=scope(only_some_reasons=parts[missing]), next_update=pki.T)
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, crls=[*rest, stale])
        assert any("CRL_STALE" in line for line in caught.value.facts["tried"])  # type: ignore[attr-defined]


def test_reasons_of_a_point(pki: Any) -> None:
    """The points of the certificate divide the reasons; a full list of each point is needed."""
    root = pki.root()
    divided = points(
        at_uri("http://a/1.crl", reasons=COMPROMISE), at_uri("http://a/2.crl", reasons=EVERY - COMPROMISE)
    )
    leaf = pki.leaf(root, extra=divided)
    one, two = (pki.crl(root, extra=uri_scope(f"http://a/{number}.crl")) for number in (1, 2))
    pki.validate(leaf, root=root, crls=[one, two])
    for crl in (one, two):
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, crls=[crl])
        assert causes(caught) == ("CRL_REASONS",)


def test_siblings_with_other_points(pki: Any) -> None:
    """What answered for one leaf does not answer for its sibling in another partition."""
    root = pki.root()
    ours, theirs = (
        pki.leaf(root, f"Clerk {number}", extra=points(at_uri(f"http://a/{number}.crl"))) for number in (1, 2)
    )
    evidence = RevocationEvidence(crls=[pki.crl(root, extra=uri_scope("http://a/1.crl"))])
    validator = PathValidator(anchors=[root.anchor], evidence=evidence)
    for _ in range(2):
        validator.validate(ours.der, at=pki.T)
        with pytest.raises(CouldNotCheckError):
            validator.validate(theirs.der, at=pki.T)
