"""Revocation for a world: one layout of lists for each authority, and a few certificates that are on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from diff_world import CRL_SIGN, DAY, Cert, CrlSpec, Dn, Entry, Point, Scope, World
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

HOLD, REMOVE = 6, 8
_SOME = frozenset({1, 2, 6})
_REST = frozenset({3, 4, 5, 7, 8})
_SIGNER_KEY = 60


@dataclass
class _Authority:
    """One issuer, with the certificates it issued, and what is made for it."""

    name: str
    keys: list[int]
    issued: list[int]
    entries: tuple[Entry, ...] = ()
    crls: list[CrlSpec] = field(default_factory=list)

    def crl(self, **changes: Any) -> CrlSpec:
        made = CrlSpec(Dn(self.name), **({"signer": self.keys[0], "entries": self.entries} | changes))
        self.crls.append(made)
        return made


def draw_crls(draw: Draw, world: World) -> World:
    """Lists for all authorities of ``world``; distribution points and CRL signers are added to it."""
    certs = list(world.certificates)
    authorities: dict[str, _Authority] = {}
    for number, cert in enumerate(certs):
        found = authorities.setdefault(cert.issuer.entity, _Authority(cert.issuer.entity, [], []))
        if cert.signer not in found.keys:
            found.keys.append(cert.signer)
        if number not in world.anchors:
            found.issued.append(number)
    signers: list[Cert] = []
    for authority in authorities.values():
        if len(authority.keys) > 1:
            authority.keys = draw(st.permutations(authority.keys))
        if authority.issued:
            authority.entries = tuple(
                draw(st.lists(_entries(authority.issued), max_size=2)) if draw(st.integers(0, 2)) == 2 else ()
            )
        draw(st.sampled_from(_LAYOUTS))(draw, authority, certs, signers)
    crls = [crl for authority in authorities.values() for crl in authority.crls]
    if draw(st.integers(0, 7)) == 7 and crls:
        spoiled = draw(st.integers(0, len(crls) - 1))
        crls[spoiled] = replace(crls[spoiled], **draw(st.sampled_from(_SPOILED)))
    if draw(st.integers(0, 5)) == 5:
        crls = list(draw(st.permutations(crls)))
    inputs = replace(world.inputs, crls=True, deltas=draw(st.sampled_from((True, True, True, False))))
    return World(
        (*certs[:-1], *signers, certs[-1]),
        world.anchors,
        tuple(_renumber(crls, len(certs), len(signers))),
        inputs,
    )


def _renumber(crls: list[CrlSpec], count: int, added: int) -> list[CrlSpec]:
    """The target stays the last certificate, so its number grows by the signers that come before it."""
    return [
        replace(
            crl,
            entries=tuple(
                replace(entry, certificate=entry.certificate + added)
                if entry.certificate == count - 1
                else entry
                for entry in crl.entries
            ),
        )
        for crl in crls
    ]


_SPOILED: tuple[dict[str, Any], ...] = (
    {"next_update": 0},
    {"next_update": -1},
    {"next_update": 1},
    {"next_update": None},
    {"this_update": 0},
    {"this_update": 1},
    {"altered": True},
    {"unknown": True},
    {"signer": 91},
    {"authority_key_id": False},
)


def _entries(issued: list[int]) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        # The target is the last that was issued: shrink towards it.
        st.sampled_from(issued[::-1]),
        st.sampled_from((None, 1, 3, HOLD, 5)),
        st.none(),
        st.sampled_from((False,) * 9 + (True,)),
    )


def _full(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    for key in authority.keys if draw(st.booleans()) else authority.keys[:1]:
        authority.crl(signer=key)


def _missing(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    """No list."""


def _delta(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    scope = draw(st.sampled_from((None, None, Scope(name="u:a"))))
    number = draw(st.sampled_from((5, 4, 6)))
    authority.crl(number=5, freshest=draw(st.sampled_from((True, True, False))), scope=scope)
    released = draw(st.sampled_from((False, True)))
    entries = tuple(replace(entry, reason=REMOVE) for entry in authority.entries) if released else ()
    if not released and authority.issued and draw(st.booleans()):
        entries = (Entry(authority.issued[-1], draw(st.sampled_from((1, HOLD)))),)
    other = draw(st.sampled_from((scope, scope, scope, Scope(name="u:b"))))
    fresh = draw(st.sampled_from((DAY, DAY, DAY, -1)))
    authority.crl(
        number=draw(st.sampled_from((6, 5, 7))), base=number, entries=entries, scope=other, next_update=fresh
    )
    if scope is not None:
        _point_at(certs, authority, Point("u:a"))


def _by_kind(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    made = draw(st.sampled_from(((True, True), (True, False), (False, True))))
    if made[0]:
        authority.crl(scope=Scope(only_user=True))
    if made[1]:
        authority.crl(scope=Scope(only_ca=True))


def _by_reason(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    names = draw(st.sampled_from((("", ""), ("u:a", "u:b"), ("d:a", "d:b"), ("r:a", "r:b"))))
    parts = draw(st.sampled_from(((_SOME, _REST), (_SOME,), (_SOME, _SOME))))
    points = []
    for name, reasons in zip(names, parts, strict=False):
        inside = tuple(entry for entry in authority.entries if entry.reason in reasons)
        authority.crl(scope=Scope(name=name, reasons=reasons), entries=inside)
        points.append(Point(name, reasons if draw(st.booleans()) else None))
    if names[0]:
        _point_at(certs, authority, *points)


def _named(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    form = draw(st.sampled_from("udr"))
    pointed = draw(st.sampled_from(("a", "b")))
    authority.crl(scope=Scope(name=f"{form}:a"))
    if draw(st.booleans()):
        authority.crl(scope=Scope(name=f"{form}:b"), entries=())
    if draw(st.booleans()):
        _point_at(certs, authority, Point(f"{form}:{pointed}"))


def _indirect(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    """Another authority signs the list, and entries name the issuer, or leave it to the entry before."""
    subjects = {cert.subject.entity: cert.key for cert in certs[:-1]}
    other = draw(st.sampled_from(("CRL", *sorted(subjects))))
    key = subjects.get(other, _SIGNER_KEY)
    if other == "CRL" and not any(signer.subject.entity == "CRL" for signer in signers):
        signers.append(
            Cert(Dn("CRL"), Dn(authority.name), key, authority.keys[0], ca=None, usage=frozenset({CRL_SIGN}))
        )
        authority.crl()  # for the signer itself
    issuer = Dn(authority.name, spelling=draw(st.sampled_from(("plain", "plain", "upper"))))
    named = draw(st.sampled_from(("all", "first", "none")))
    entries = tuple(
        replace(entry, issuer=issuer if named == "all" or (named == "first" and not place) else None)
        for place, entry in enumerate(authority.entries)
    )
    scope = Scope(
        name=draw(st.sampled_from(("", "u:a"))), indirect=draw(st.sampled_from((True, True, True, False)))
    )
    authority.crls.append(CrlSpec(Dn(other), key, entries, scope=scope))
    if draw(st.sampled_from((True, True, True, False))):
        _point_at(certs, authority, Point(scope.name, crl_issuer=Dn(other)))


def _signer(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    """A key of its own for lists, certified by the authority under its own name."""
    usage = draw(st.sampled_from((frozenset({CRL_SIGN}), frozenset({0}), None)))
    key = _SIGNER_KEY + 1 + len(signers)
    signers.append(Cert(Dn(authority.name), Dn(authority.name), key, authority.keys[0], ca=None, usage=usage))
    authority.crl(signer=key)
    if draw(st.booleans()):
        authority.crl(scope=Scope(only_ca=True), signer=authority.keys[0])


def _two(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    """An older list and a newer one; a certificate is on only one of them."""
    older, newer = (authority.entries, ()) if draw(st.booleans()) else ((), authority.entries)
    authority.crl(number=1, this_update=-7200, entries=older, next_update=draw(st.sampled_from((DAY, -1))))
    authority.crl(number=2, entries=newer)


def _usurped(draw: Draw, authority: _Authority, certs: list[Cert], signers: list[Cert]) -> None:
    """The authority has a list; a newer one in its name is signed by whom another authority certified."""
    subjects = {cert.subject.entity: cert.key for cert in certs[:-1]}
    by = draw(st.sampled_from(sorted(subjects)))
    key = _SIGNER_KEY + 1 + len(signers)
    signers.append(Cert(Dn(authority.name), Dn(by), key, subjects[by], ca=None, usage=frozenset({CRL_SIGN})))
    if draw(st.sampled_from((True, True, False))):
        authority.crl(number=1)
    authority.crl(signer=key, number=2, this_update=-60, entries=())


# The plain layout several times: with many authorities, one with something odd is enough.
_LAYOUTS = (
    _full,
    _full,
    _full,
    _full,
    _delta,
    _by_kind,
    _by_reason,
    _named,
    _indirect,
    _signer,
    _two,
    _usurped,
    _missing,
)


def _point_at(certs: list[Cert], authority: _Authority, *points: Point) -> None:
    for number in authority.issued:
        certs[number] = replace(certs[number], points=points)
