"""Policy sets and qualifiers in the answer: RFC 5280, section 6.1.5 (g), RFC 9618, section 5.6."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import PathValidator, PolicyInputs
from onecert.verifier.path import PathParameters
from onecert.verifier.path.qualifiers import PolicyQualifier, parse_qualifiers
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)
ONE, TWO, ANY = "1.2.3.1", "1.2.3.2", "2.5.29.32.0"


def policies(**qualifiers: Any) -> tuple[x509.CertificatePolicies, bool]:
    """``one="http://…"`` is policy 1.2.3.1 with this address; ``None`` is a policy without qualifiers."""
    oids = {"one": ONE, "two": TWO, "any": ANY}
    return x509.CertificatePolicies(
        [
            x509.PolicyInformation(x509.ObjectIdentifier(oids[name]), [value] if value else None)
            for name, value in qualifiers.items()
        ]
    ), False


def answer(pki: Any, *levels: dict[str, Any], inputs: PolicyInputs | None = None, mapping: Any = ()) -> Any:
    """root -> one CA for each level but the last -> leaf, with these policies."""
    party = root = pki.root()
    cas = []
    for i, level in enumerate(levels[:-1]):
        extra = [policies(**level), *(mapping if i == 0 else ())]
        party = pki.ca(party, f"CA {i}", extra=extra)
        cas.append(party)
    leaf = pki.leaf(party, extra=[policies(**levels[-1])])
    return pki.validate(
        leaf,
        root=root,
        cas=cas,
        parameters=PathParameters(revocation=OFF, policies=inputs or PolicyInputs()),
    )


def uris(path: Any) -> dict[str, list[str]]:
    return {policy: [row.uri for row in rows] for policy, rows in path.policy.qualifiers.items()}


def test_qualifiers_of_every_level(pki: Any) -> None:
    """Both certificates name policy one, each with an address: both count, the CA's first."""
    path = answer(pki, {"one": "http://a/"}, {"one": "http://b/"})
    assert path.policies == path.policy.authority == {ONE}
    assert uris(path) == {ONE: ["http://a/", "http://b/"]}
    assert path.as_dict()["policy_qualifiers"] == {
        ONE: [{"kind": "cps", "uri": "http://a/"}, {"kind": "cps", "uri": "http://b/"}]
    }


def test_any_policy_above_gives_its_qualifiers(pki: Any) -> None:
    """anyPolicy in the CA is an ancestor of the leaf's policy."""
    assert uris(answer(pki, {"any": "http://any/"}, {"one": "http://b/"})) == {
        ONE: ["http://any/", "http://b/"]
    }


def test_any_policy_below_stands_for_what_is_named(pki: Any) -> None:
    """(d)(2): the leaf's anyPolicy continues policy one, with its own qualifiers."""
    assert uris(answer(pki, {"one": None}, {"any": "http://any/"})) == {ONE: ["http://any/"]}


def test_user_constrained_set(pki: Any) -> None:
    """The authority allows one and any, the caller wants two: anyPolicy covers it, with its qualifiers."""
    inputs = PolicyInputs(initial=frozenset({TWO}))
    path = answer(pki, {"one": "http://one/", "any": "http://any/"}, {"any": None}, inputs=inputs)
    assert path.policies == {TWO}
    assert path.policy.authority == {ONE, ANY}
    assert uris(path) == {TWO: ["http://any/"]}


def test_branches_that_end_count_for_nothing(pki: Any) -> None:
    """The CA names one and two, the leaf only two: what stood beside one is left out."""
    path = answer(pki, {"one": "http://one/", "two": "http://two/"}, {"two": None})
    assert path.policy.authority == {TWO}
    assert uris(path) == {TWO: ["http://two/"]}


def test_mapped_policy_answers_in_the_anchors_terms(pki: Any) -> None:
    """The CA maps one to two; the leaf's address for two is an address of policy one."""
    value = pki.tlv(
        0x30,
        pki.tlv(0x30, bytes.fromhex("0603 2a0301".replace(" ", "")), bytes.fromhex("06032a0302")),
    )
    mapping = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value), True)]
    path = answer(pki, {"one": "http://a/"}, {"two": "http://b/"}, mapping=mapping)
    assert uris(path) == {ONE: ["http://a/", "http://b/"]}


def test_no_policies(pki: Any) -> None:
    root = pki.root()
    path = pki.validate(pki.leaf(root), root=root, revocation_policy=OFF)
    assert (path.policies, path.policy.authority, dict(path.policy.qualifiers)) == (set(), set(), {})


def test_siblings_share_the_answer(pki: Any) -> None:
    """A further leaf with the same policies costs no further work: it has the same object."""
    root = pki.root()
    check = PathValidator(anchors=[root.anchor], parameters=PathParameters(revocation=OFF))
    first, second = (pki.leaf(root, f"Clerk {i}", extra=[policies(one="http://a/")]) for i in range(2))
    assert check.validate(first.der, at=pki.T).policy is check.validate(second.der, at=pki.T).policy


def test_user_notice(pki: Any) -> None:
    notice = x509.UserNotice(x509.NoticeReference("Example office", [1, 7]), "仅供政务使用\x1b[31m\u202e")
    (row,) = answer(pki, {"one": None}, {"one": notice}).policy.qualifiers[ONE]
    assert row == PolicyQualifier(
        kind="user_notice",
        text="仅供政务使用\ufffd[31m\ufffd",
        organization="Example office",
        numbers=(1, 7),
    )


def test_texts_are_limited(pki: Any) -> None:
    """RFC 5280 allows 200 characters; a longer text of a careless CA is cut, not refused."""
    notice = x509.UserNotice(None, "x" * 5000)
    (row,) = answer(pki, {"one": notice}).policy.qualifiers[ONE]
    assert len(row.text) == 200


@pytest.mark.parametrize(
    ("der", "kinds"),
    [
        ("3000", []),
        ("0500", []),
        ("3006 3004 06032a03", []),  # truncated
        ("3006 3004 0602 2a03", ["1.2.3"]),  # a kind of its own
        ("300f 300d 06082b06010505070201 0c0161", ["1.3.6.1.5.5.7.2.1"]),  # an address of the wrong type
        ("300f 300d 06082b06010505070202 300101", ["1.3.6.1.5.5.7.2.2"]),
        ("3011 300f 06082b06010505070202 30031e0161", ["1.3.6.1.5.5.7.2.2"]),  # half a BMP character
    ],
)
def test_unreadable_qualifiers_never_raise(der: str, kinds: list[str]) -> None:
    assert [row.kind for row in parse_qualifiers(bytes.fromhex(der.replace(" ", "")))] == kinds
