"""Rows of the corpus about delegation (ITU-T X.509, sections 16.6 and 17.5).

The authority aa-p256 gives to the bureau, the bureau to its branch, the branch to its station; each may give
what it holds and no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from corpus_keys import EcKey, Key, integer, tlv
from corpus_row import Row
from corpus_world import (
    APPROVER,
    CLERK,
    DAY,
    GROUP,
    HELD,
    HOUR,
    NO_REVOCATION,
    REVOKED,
    ROLE,
    TARGETS,
    Party,
    T,
    attribute,
    base_id,
    certify,
    digest_info,
    directory,
    extension,
    name,
    parties,
    parts,
    role,
    validity,
)
from cryptography import x509
from cryptography.x509.oid import NameOID

_BASIC, _NAMES, _HINT = "2.5.29.41", "2.5.29.42", "2.5.29.38"
_X509 = "X.509, section "
_LEVELS = 9
# Nobody publishes a list for these: a certificate that lives for hours.
_SHORT: dict[str, Any] = {
    "validity": validity(T - HOUR, T + HOUR),
    "extensions": (extension(NO_REVOCATION, b"\x05\x00"),),
}


def _basic(depth: int | None, *, is_authority: bool = True) -> bytes:
    length = b"" if depth is None else integer(depth)
    value = tlv(0x30, b"\x01\x01\xff" if is_authority else b"", length)
    return extension(_BASIC, value, critical=True)


def _space(organization: str) -> bytes:
    """An organisation, or without one the whole country."""
    parts_of_name = [x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")]
    if organization:
        parts_of_name.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    base = x509.Name(parts_of_name).public_bytes()
    trees = tlv(0xA0, tlv(0x30, directory(base)))
    return extension(_NAMES, tlv(0x30, trees), critical=True)


def given(
    slug: str,
    giver: str | Party,
    receiver: str | Party,
    *,
    roles: Iterable[str] = (APPROVER, CLERK),
    depth: int | None = 0,
    organization: str = "",
    begin: int = -20,
    end: int = 60,
    basic: bytes | None = None,
    more: tuple[bytes, ...] = (),
    **pieces: Any,
) -> bytes:
    """A delegation: who gave, who received, and within which limits; days count from T."""
    party = parties()[receiver] if isinstance(receiver, str) else receiver
    constraints = _basic(depth) if basic is None else basic
    space = _space(organization) if organization else b""
    usual: dict[str, Any] = {
        "holder": tlv(0x30, base_id(party)),
        "validity": validity(T + begin * DAY, T + end * DAY),
        "attributes": (attribute(ROLE, *(role(each) for each in roles)),),
        "extensions": (*(each for each in (constraints, space) if each), *more),
    }
    return parts(slug, authority=giver, **{**usual, **pieces}).sign()


def _row(
    slug: str,
    code: str,
    rule: str,
    source: str,
    *delegations: tuple[str | bytes, str],
    by: str | Party = "bureau",
    more: dict[str, Any] | None = None,
    files: dict[str, bytes] | None = None,
    **pieces: Any,
) -> Row:
    """A certificate that a sub-authority issued, with its delegations: a file already made, or its octets."""
    extra, pairs = dict(files or {}), []
    for number, (delegation, certificate) in enumerate(delegations):
        file = delegation if isinstance(delegation, str) else f"{slug}-{number}.der"
        if isinstance(delegation, bytes):
            extra[file] = delegation
        inside = certificate if "." in certificate else f"certificates/{certificate}.cer"
        pairs.append((f"delegations/{file}", inside))
    return Row(
        slug=slug,
        der=parts(slug, authority=by, **pieces).sign(),
        code=code,
        rule=rule,
        source=_X509 + source,
        authority=by if isinstance(by, str) else "bureau",
        delegations=tuple(pairs),
        extra_files=extra,
        **{"kind": "forbidden" if code else "good", **(more or {})},
    )


def delegation_rows() -> Iterator[Row]:
    """Good ways first, then each rule broken."""
    yield from _good()
    yield from _exceeding()
    yield from _broken()
    yield from _forks_and_loops()
    yield _too_deep()


@cache
def _usual() -> dict[str, bytes]:
    return {
        "to-bureau.der": given("to-bureau", "aa-p256", "bureau"),
        "to-bureau-deep.der": given("to-bureau-deep", "aa-p256", "bureau", depth=2),
        "to-branch.der": given("to-branch", "bureau", "branch", depth=1, end=50),
        "to-station.der": given("to-station", "branch", "station", depth=0, end=40),
        "to-bureau-approver.der": given(
            "to-bureau-approver", "aa-p256", "bureau", roles=(APPROVER,), depth=2
        ),
        "to-bureau-space.der": given(
            "to-bureau-space", "aa-p256", "bureau", depth=2, organization="深圳市示例局"
        ),
    }


_BUREAU = ("to-bureau.der", "bureau")
_DEEP = ("to-bureau-deep.der", "bureau")
_BRANCH = ("to-branch.der", "branch")


def _good() -> Iterator[Row]:
    files = _usual()
    yield _row("delegated-good", "", "within what the bureau was given", "16.6", _BUREAU, files=files)
    yield _row("delegated-good-two", "", "two levels", "16.6", _DEEP, _BRANCH, by="branch")
    yield _row(
        "delegated-good-three",
        "",
        "three levels",
        "16.6",
        _DEEP,
        _BRANCH,
        ("to-station.der", "station"),
        by="station",
    )
    yield _row(
        "delegated-good-space",
        "",
        "a holder inside the name space",
        "17.5.2.2",
        ("to-bureau-space.der", "bureau"),
        more={"holder": "holder-bureau"},
        holder=tlv(0x30, base_id(parties()["holder-bureau"])),
    )
    digest = digest_info(0, hashlib.sha256(parties()["bureau"].key.spki).digest())
    by_key = given("to-bureau-key", "aa-p256", "bureau", holder=tlv(0x30, digest))
    yield _row("delegated-good-key", "", "a delegation to a key", "16.6", (by_key, "bureau"))
    hint = tlv(0x30, tlv(0x30, tlv(0x30, directory(name("别处的权威"))), integer(7)))
    yield _row(
        "delegated-good-hint",
        "",
        "authorityAttributeIdentifier is a hint and no proof",
        "17.5.2.4",
        _BUREAU,
        extensions=(extension(_HINT, hint),),
    )


def _exceeding() -> Iterator[Row]:
    code = "EXCEEDS_DELEGATION"
    approver = ("to-bureau-approver.der", "bureau")
    clerk = (attribute(ROLE, role(CLERK)),)
    yield _row(
        "exceeds-role", code, "nobody gives a role that he does not hold", "16.6", approver, attributes=clerk
    )
    group = (attribute(ROLE, role(APPROVER)), attribute(GROUP, tlv(0x30, tlv(0x30, tlv(0x0C, b"staff")))))
    yield _row(
        "exceeds-type",
        code,
        "nobody gives an attribute that he does not hold",
        "16.6",
        _BUREAU,
        attributes=group,
    )
    shallow = given("exceeds-depth-branch", "bureau", "branch", end=50)
    yield _row(
        "exceeds-depth",
        code,
        "no deeper than the delegation says",
        "17.5.2.1",
        _BUREAU,
        (shallow, "branch"),
        by="branch",
    )
    unsaid = given("exceeds-depth-unsaid-branch", "bureau", "branch", depth=None, end=50)
    yield _row(
        "exceeds-depth-unsaid",
        code,
        "no deeper than the delegation says, however deep the next one is",
        "17.5.2.1",
        _BUREAU,
        (unsaid, "branch"),
        by="branch",
    )
    deeper = given("exceeds-more-depth-branch", "bureau", "branch", depth=5, end=50)
    yield _row(
        "exceeds-more-depth",
        code,
        "no depth beyond one's own",
        "17.5.2.1",
        _DEEP,
        (deeper, "branch"),
        by="branch",
    )
    yield _row(
        "exceeds-space",
        code,
        "no holder outside the name space",
        "17.5.2.2",
        ("to-bureau-space.der", "bureau"),
    )
    inside = parties()["holder-bureau"]
    # The holder lies in both spaces, so that nothing is wrong but the delegation itself.
    wider = given("exceeds-wider-space", "bureau", "branch", depth=1, end=50, more=(_space(""),))
    yield _row(
        "exceeds-wider-space",
        code,
        "no name space beyond one's own",
        "17.5.2.2",
        ("to-bureau-space.der", "bureau"),
        (wider, "branch"),
        by="branch",
        more={"holder": "holder-bureau"},
        holder=tlv(0x30, base_id(inside)),
    )
    more = given("exceeds-chain-branch", "bureau", "branch", depth=1, end=50)
    yield _row(
        "exceeds-chain",
        code,
        "nobody delegates what he does not hold",
        "16.6",
        approver,
        (more, "branch"),
        by="branch",
    )
    yield _row(
        "exceeds-end",
        code,
        "not longer than the delegation",
        "16.6",
        _BUREAU,
        validity=validity(T - DAY, T + 61 * DAY),
    )
    yield _row(
        "exceeds-begin",
        code,
        "not earlier than the delegation",
        "16.6",
        _BUREAU,
        validity=validity(T - 21 * DAY, T + DAY),
    )


def _broken() -> Iterator[Row]:
    missing = "the issuer has a delegation"
    yield _row("delegation-missing", "UNTRUSTED", missing, "16.6")
    yield _row("delegation-of-others", "UNTRUSTED", missing, "16.6", _DEEP, by="branch")
    by_stranger = given("delegation-of-stranger", "aa-unknown", "bureau")
    yield _row(
        "delegation-of-stranger",
        "UNTRUSTED",
        "the way ends at an authority that we trust",
        "16.6",
        (by_stranger, "bureau"),
    )
    states: dict[str, tuple[str, str, dict[str, Any]]] = {
        "expired": ("DELEGATION_INVALID", "it has not ended", {"end": -1}),
        "future": ("DELEGATION_INVALID", "it has begun", {"begin": 1}),
        "revoked": ("DELEGATION_REVOKED", "it was not revoked", {"serial": integer(REVOKED)}),
        "hold": ("DELEGATION_ON_HOLD", "it is not on hold", {"serial": integer(HELD)}),
        "not-authority": (
            "NOT_A_DELEGATION",
            "its holder is an authority",
            {"basic": _basic(None, is_authority=False)},
        ),
        "plain": ("NOT_A_DELEGATION", "its holder is an authority", {"basic": b""}),
        "key": ("DELEGATION_INVALID", "its signature is right", {"signer": EcKey(99)}),
        "holder": (
            "DELEGATION_INVALID",
            "it was given to the one who issued",
            {"holder": tlv(0x30, base_id(parties()["branch"]))},
        ),
        "empty-holder": ("DELEGATION_INVALID", "it was given to somebody", {"holder": tlv(0x30)}),
        "version": ("DELEGATION_INVALID", "it has the form of RFC 5755", {"version": integer(0)}),
        "critical": (
            "DELEGATION_INVALID",
            "its critical extensions are enforced",
            {"more": (extension("1.2.3.4", b"\0", critical=True),)},
        ),
        "target": (
            "DELEGATION_INVALID",
            "it is meant for us",
            {
                "more": (
                    extension(
                        TARGETS, tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0x82, b"land.example")))), critical=True
                    ),
                )
            },
        ),
    }
    for slug, (code, rule, pieces) in states.items():
        made = given(f"delegation-{slug}", "aa-p256", "bureau", **pieces)
        local = slug in {"expired", "future", "revoked", "hold", "target", "holder"}
        yield _row(
            f"delegation-{slug}",
            code,
            rule,
            "16.6",
            (made, "bureau"),
            more={"kind": "local" if local else "forbidden"},
        )
    yield _row(
        "delegation-status",
        "DELEGATION_UNKNOWN",
        "its status is known",
        "16.6",
        _BUREAU,
        more={"lists": ("bureau.acrl",), "kind": "local"},
    )
    yield _row("delegation-der", "DELEGATION_INVALID", "it can be read", "16.6", (b"0\0", "bureau"))
    yield _row(
        "delegation-issuer-revoked",
        "REVOKED",
        "what the bureau gave was not revoked",
        "16.6",
        _BUREAU,
        more={"kind": "local"},
        serial=integer(REVOKED),
    )
    yield _row(
        "delegation-signature", "SIGNATURE", "the bureau's own key signed", "16.6", _BUREAU, signer=EcKey(98)
    )
    above = given("delegation-middle-expired", "aa-p256", "bureau-expired", depth=2)
    below = given("delegation-below-expired", "bureau-expired", "branch", depth=1, end=50)
    yield _row(
        "delegation-middle",
        "AA_PATH",
        "every authority of the way meets the rules",
        "16.6",
        (above, "bureau-expired"),
        (below, "branch"),
        by="branch",
        more={"lists": ("aa-p256.acrl", "branch.acrl", "bureau-expired.acrl"), "kind": "local"},
    )
    twin = _with_key(parties()["bureau"], EcKey(97))
    yield _row(
        "delegation-other-key",
        "DELEGATION_INVALID",
        "the key is that of the certificate it was given to",
        "16.6",
        ("to-bureau.der", "delegations/bureau-twin.cer"),
        by=twin,
        files={"bureau-twin.cer": twin.der},
        **_SHORT,
    )
    for kind, code in (("aa-ca", "AA_IS_CA"), ("aa-usage", "AA_KEY_USAGE"), ("aa-expired", "AA_PATH")):
        made = given(f"delegation-to-{kind}", "aa-p256", kind)
        # These three are named by the configuration as well; so are they refused under any name.
        yield _row(
            f"delegation-to-{kind}",
            code,
            "a sub-authority meets the rules of every authority",
            "16.6",
            (made, kind),
            by=kind,
        )


def _with_key(party: Party, key: Key) -> Party:
    """Somebody else's key under the same name: another certificate of the same CA."""
    return certify(party.name, key, parties()["ca-root"], serial=0x7777)


def _forks_and_loops() -> Iterator[Row]:
    source = "19"
    expired = given("fork-expired", "aa-p256", "bureau", end=-1)
    approver = given("fork-clerk", "aa-p256", "bureau", roles=(CLERK,))
    forged = given("fork-forged", "aa-p256", "bureau", signer=EcKey(99))
    yield _row(
        "fork-good",
        "",
        "one good way is enough",
        source,
        (expired, "bureau"),
        (approver, "bureau"),
        (forged, "bureau"),
        _BUREAU,
    )
    yield _row("fork-bad", "EXCEEDS_DELEGATION", "no way is good", source, (approver, "bureau"))
    yield _row(
        "fork-two-bad",
        "DELEGATION_INVALID",
        "no way is good",
        source,
        (expired, "bureau"),
        (forged, "bureau"),
    )
    half = given("fork-halves-a", "aa-p256", "bureau", roles=(APPROVER,))
    other = given("fork-halves-b", "aa-p256", "bureau", roles=(CLERK,))
    yield _row(
        "fork-halves",
        "EXCEEDS_DELEGATION",
        "two halves are no whole: one way must hold all of it",
        source,
        (half, "bureau"),
        (other, "bureau"),
        attributes=(attribute(ROLE, role(APPROVER), role(CLERK)),),
    )
    there = given("loop-there", "branch", "bureau", depth=None)
    back = given("loop-back", "bureau", "branch", depth=None)
    yield _row(
        "loop", "DELEGATION_LOOP", "a way does not go round", source, (there, "bureau"), (back, "branch")
    )
    own = given("loop-own", "bureau", "bureau", depth=None)
    yield _row("loop-own", "DELEGATION_LOOP", "nobody delegates to himself", source, (own, "bureau"))
    yield _row(
        "loop-good",
        "",
        "a loop beside a good way does no harm",
        source,
        (there, "bureau"),
        (back, "branch"),
        _BUREAU,
    )


def _too_deep() -> Row:
    """Nine authorities one under the other; each allows any depth."""
    root = parties()["ca-root"]
    levels = [
        certify(name(f"第{number}层"), EcKey(60 + number), root, serial=0x600 + number)
        for number in range(_LEVELS)
    ]
    files = {f"level-{number}.cer": each.der for number, each in enumerate(levels)}
    pairs: list[tuple[str | bytes, str]] = []
    giver: str | Party = "aa-p256"
    for number, each in enumerate(levels):
        made = given(f"level-{number}", giver, each, depth=None)
        pairs.append((made, f"delegations/level-{number}.cer"))
        giver = each
    return _row(
        "levels-nine",
        "DELEGATION_LIMIT",
        "at most 8 levels",
        "19",
        *pairs,
        by=levels[-1],
        files=files,
        **_SHORT,
    )
