"""Which evidence is asked and believed, how long it serves offline, and what the answer says of it.

root -> leaf throughout; the CRL is the root's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import (
    CouldNotCheckError,
    PathParameters,
    PathValidator,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    RevocationSources,
    RevokedError,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SOURCES = list(RevocationSources)


def kinds(path: Any) -> list[str]:
    return [evidence.kind for evidence in path.evidence]


def causes(caught: pytest.ExceptionInfo[CouldNotCheckError]) -> object:
    assert caught.value.code == "REVOCATION_UNKNOWN"
    return caught.value.facts["causes"]


@pytest.mark.parametrize(
    ("sources", "ocsp_only", "crl_only", "both"),
    [
        ("either", ["ocsp"], ["crl"], ["crl", "ocsp"]),
        ("prefer-ocsp", ["ocsp"], ["crl"], ["ocsp"]),
        ("prefer-crl", ["ocsp"], ["crl"], ["crl"]),
        ("ocsp", ["ocsp"], None, ["ocsp"]),
        ("crl", None, ["crl"], ["crl"]),
        ("both", None, None, ["crl", "ocsp"]),
    ],
)
def test_who_may_say_good(
    pki: Any, sources: str, ocsp_only: list[str] | None, crl_only: list[str] | None, both: list[str]
) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    ocsp, crl = [pki.ocsp(root, leaf)], [pki.crl(root)]
    policy = RevocationPolicy(sources=RevocationSources(sources))
    cases = [({"ocsp": ocsp}, ocsp_only), ({"crls": crl}, crl_only), ({"ocsp": ocsp, "crls": crl}, both)]
    for inputs, expected in cases:
        if expected is None:
            with pytest.raises(CouldNotCheckError):
                pki.validate(leaf, root=root, revocation_policy=policy, **inputs)
        else:
            path = pki.validate(leaf, root=root, revocation_policy=policy, **inputs)
            assert sorted(kinds(path)) == expected
            assert {evidence.age for evidence in path.evidence} == {HOUR}


@pytest.mark.parametrize("sources", SOURCES)
@pytest.mark.parametrize("mode", [RevocationMode.REQUIRE, RevocationMode.PREFER])
def test_revoked_is_heard_whatever_was_chosen(
    pki: Any, sources: RevocationSources, mode: RevocationMode
) -> None:
    """One kind says good, the other revoked: refused, whichever of them is newer or preferred."""
    root = pki.root()
    leaf = pki.leaf(root)
    policy = RevocationPolicy(mode=mode, sources=sources)
    good, bad = pki.ocsp(root, leaf), pki.ocsp(root, leaf, status="revoked")
    for moment in (pki.T - 2 * HOUR, pki.T - MINUTE):
        with pytest.raises(RevokedError):
            pki.validate(
                leaf,
                root=root,
                ocsp=[bad],
                crls=[pki.crl(root, this_update=moment)],
                revocation_policy=policy,
            )
    pki.revoke(root, leaf)
    for moment in (pki.T - 2 * HOUR, pki.T - MINUTE):
        crl = pki.crl(root, this_update=moment)
        with pytest.raises(RevokedError):
            pki.validate(leaf, root=root, ocsp=[good], crls=[crl], revocation_policy=policy)


@pytest.mark.parametrize("sources", SOURCES)
def test_hold_and_release(pki: Any, sources: RevocationSources) -> None:
    """Between a hold and a good answer the newer one counts, whichever is preferred. Where only a list may
    say good, or both must, an answer alone releases nobody."""
    root = pki.root()
    leaf = pki.leaf(root)
    pki.revoke(root, leaf, reason=x509.ReasonFlags.certificate_hold)
    answer = pki.ocsp(root, leaf)
    policy = RevocationPolicy(sources=sources)
    newer = pki.crl(root, this_update=pki.T - MINUTE)
    with pytest.raises(RevokedError) as caught:
        pki.validate(leaf, root=root, ocsp=[answer], crls=[newer], revocation_policy=policy)
    assert caught.value.code == "CERT_HELD"

    older = pki.crl(root, this_update=pki.T - 2 * HOUR)
    inputs = {"root": root, "ocsp": [answer], "crls": [older], "revocation_policy": policy}
    if sources in {RevocationSources.CRL, RevocationSources.BOTH}:
        with pytest.raises(RevokedError):
            pki.validate(leaf, **inputs)
    else:
        assert kinds(pki.validate(leaf, **inputs)) == ["ocsp"]


def test_fall_back(pki: Any) -> None:
    """The preferred kind is there and cannot be believed: the other one answers."""
    root = pki.root()
    leaf = pki.leaf(root)
    stale_answer = pki.ocsp(root, leaf, next_update=pki.T - MINUTE)
    stale_list = pki.crl(root, next_update=pki.T - MINUTE)
    prefer_ocsp = RevocationPolicy(sources=RevocationSources.PREFER_OCSP)
    prefer_crl = RevocationPolicy(sources=RevocationSources.PREFER_CRL)
    path = pki.validate(
        leaf, root=root, ocsp=[stale_answer], crls=[pki.crl(root)], revocation_policy=prefer_ocsp
    )
    assert kinds(path) == ["crl"]
    path = pki.validate(
        leaf, root=root, ocsp=[pki.ocsp(root, leaf)], crls=[stale_list], revocation_policy=prefer_crl
    )
    assert kinds(path) == ["ocsp"]


def test_sources_of_cas(pki: Any) -> None:
    """root -> CA -> leaf: an OCSP answer for the leaf, a list for the CA, each demanded by itself."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    inputs = {"root": root, "cas": [ca], "crls": [pki.crl(root)], "ocsp": [pki.ocsp(ca, leaf)]}
    policy = RevocationPolicy(sources=RevocationSources.OCSP, ca_sources=RevocationSources.CRL)
    assert kinds(pki.validate(leaf, **inputs, revocation_policy=policy)) == ["crl", "ocsp"]
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, **inputs, revocation_policy=RevocationPolicy(sources=RevocationSources.OCSP))


@pytest.mark.parametrize("kind", ["crl", "ocsp"])
def test_offline(pki: Any, kind: str) -> None:
    """Evidence that ended an hour ago serves for two more hours if so allowed, and says how old it is."""
    root = pki.root()
    leaf = pki.leaf(root)
    times = {"this_update": pki.T - 5 * HOUR, "next_update": pki.T - HOUR}
    inputs: dict[str, Any] = {"root": root}
    if kind == "crl":
        inputs["crls"] = [pki.crl(root, **times)]
    else:
        inputs["ocsp"] = [pki.ocsp(root, leaf, produced_at=pki.T - 5 * HOUR, **times)]
    path = pki.validate(leaf, **inputs, revocation_policy=RevocationPolicy(allow_offline=2 * HOUR))
    assert [warning.code for warning in path.warnings] == ["REVOCATION_STALE"]
    assert "5:00:00" in path.warnings[0].text("en")
    assert "5:00:00" in path.warnings[0].text("zh")
    assert [evidence.age for evidence in path.evidence] == [5 * HOUR]
    assert path.valid_until == pki.T + HOUR

    for allowed in (timedelta(0), HOUR):
        with pytest.raises(CouldNotCheckError):
            pki.validate(leaf, **inputs, revocation_policy=RevocationPolicy(allow_offline=allowed))


def test_offline_without_next_update(pki: Any) -> None:
    """An OCSP answer without nextUpdate is good for a day; then the allowance begins."""
    root = pki.root()
    leaf = pki.leaf(root)
    made = pki.T - timedelta(hours=26)
    answer = pki.ocsp(root, leaf, this_update=made, produced_at=made, next_update=None)
    policy = RevocationPolicy(allow_offline=3 * HOUR)
    path = pki.validate(leaf, root=root, ocsp=[answer], revocation_policy=policy)
    assert path.valid_until == pki.T + HOUR
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, ocsp=[answer], at=pki.T + HOUR, revocation_policy=policy)


def test_fresh_before_stale(pki: Any) -> None:
    """What is stale is not used, and not warned of, where the other kind is fresh."""
    root = pki.root()
    leaf = pki.leaf(root)
    stale_answer = pki.ocsp(root, leaf, next_update=pki.T - MINUTE)
    for sources in (RevocationSources.EITHER, RevocationSources.PREFER_OCSP):
        policy = RevocationPolicy(sources=sources, allow_offline=pki.DAY)
        path = pki.validate(
            leaf, root=root, ocsp=[stale_answer], crls=[pki.crl(root)], revocation_policy=policy
        )
        assert (kinds(path), path.warnings) == (["crl"], ())


def test_age_at_each_call(pki: Any) -> None:
    """root -> CA -> leaf, with what is remembered about the CA: the warning about its list grows older."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    evidence = RevocationEvidence(crls=[pki.crl(root, next_update=pki.T), pki.crl(ca)])
    parameters = PathParameters(revocation=RevocationPolicy(allow_offline=pki.DAY))
    validator = PathValidator(
        anchors=[root.anchor], candidates=[ca.certificate], evidence=evidence, parameters=parameters
    )
    assert validator.validate(leaf.der, at=pki.T - MINUTE).warnings == ()
    for hours in (0, 1, 5):
        path = validator.validate(leaf.der, at=pki.T + hours * HOUR)
        (warning,) = path.warnings
        assert dict(warning.facts)["age"] == (hours + 1) * HOUR
        assert [evidence.age for evidence in path.evidence] == [(hours + 1) * HOUR] * 2


def test_stale_answer_still_revokes(pki: Any) -> None:
    """An answer that ended long ago says revoked: so it stays. A hold may have been lifted."""
    root = pki.root()
    leaf = pki.leaf(root)
    old = pki.T - 9 * pki.DAY
    times = {"this_update": old, "produced_at": old, "next_update": old + pki.DAY}
    soft = RevocationPolicy(mode=RevocationMode.PREFER)
    with pytest.raises(RevokedError):
        pki.validate(
            leaf, root=root, ocsp=[pki.ocsp(root, leaf, status="revoked", **times)], revocation_policy=soft
        )
    for answer in (
        pki.ocsp(root, leaf, status="revoked", reason=6, **times),
        pki.ocsp(root, leaf, status="revoked", responder=pki.leaf(root, "Stranger"), **times),
    ):
        path = pki.validate(leaf, root=root, ocsp=[answer], revocation_policy=soft)
        assert [warning.code for warning in path.warnings] == ["REVOCATION_NOT_CHECKED"]


def test_what_was_tried(pki: Any) -> None:
    """Two lists and an answer were at hand, none of use: the refusal and the warning name each of them."""
    root = pki.root()
    leaf = pki.leaf(root)
    lists = [pki.crl(root, next_update=pki.T - MINUTE), pki.crl(root, key=pki.key(), this_update=pki.T)]
    answer = pki.ocsp(root, leaf, produced_at=pki.T + HOUR)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, crls=lists, ocsp=[answer])
    assert causes(caught) == ("OCSP_FUTURE", "CRL_SIGNER")
    tried = caught.value.facts["tried"]
    assert isinstance(tried, tuple)
    assert [line.rpartition(": ")[2] for line in tried] == ["OCSP_FUTURE", "CRL_SIGNER", "CRL_STALE"]
    assert tried[1] == "crl of CN=Root,C=CN: CRL_SIGNER"

    soft = RevocationPolicy(mode=RevocationMode.PREFER)
    path = pki.validate(leaf, root=root, crls=lists, revocation_policy=soft)
    (warning,) = path.warnings
    for language in ("zh", "en"):
        assert "crl of CN=Root,C=CN: CRL_STALE" in warning.text(language)
        assert "ocsp: NO_EVIDENCE" in warning.text(language)


@pytest.mark.parametrize("field", ["allow_offline", "ocsp_max_age", "clock_skew"])
def test_durations_are_not_negative(field: str) -> None:
    with pytest.raises(ValueError, match="negative"):
        RevocationPolicy(**{field: -MINUTE})
