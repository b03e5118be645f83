"""Whole validations of edited hierarchies.

An input is a list of decisions: what is asked, then edits of certificates, lists and answers, each of which
is signed again by its issuer, by a stranger, or not at all. Whatever is accepted must stand on pieces that
their issuers have signed as they are: that is known here, and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509

from fuzz.choices import FromBytes, pick
from fuzz.material import ANY_POLICY, DAY, POLICY_1, POLICY_2, T, hierarchy, sign, spki
from fuzz.mutator import edit
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import Node, parse, tlv, write
from onecert.verifier import (
    PathValidator,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    RevocationSources,
    TrustAnchor,
    ValidatedPath,
    explain,
)
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.path import PathParameters, PolicyInputs
from onecert.verifier.purposes import ANY, CRL_SIGNING, LOGIN, OCSP_SIGNING, SERVER
from onecert.verifier.revocation import Crl, OcspResponse, load_crl, load_ocsp

IS_DER = False

_EDITS_MAX = 8
_PURPOSES = (ANY, LOGIN, SERVER, CRL_SIGNING, OCSP_SIGNING)
_TIMES = (
    T,
    T + timedelta(microseconds=1),
    T + 2 * DAY,
    T - 40 * DAY,
    T + 366 * DAY,
    datetime.max.replace(tzinfo=T.tzinfo),
)
_MODES = (RevocationMode.REQUIRE, RevocationMode.PREFER, RevocationMode.OFF)
_SOURCES = tuple(RevocationSources)
_KINDS = {
    RevocationSources.CRL: {"crl"},
    RevocationSources.OCSP: {"ocsp"},
    RevocationSources.BOTH: {"crl", "ocsp"},
}
_POLICY_SETS = (frozenset({ANY_POLICY}), frozenset({POLICY_1}), frozenset({POLICY_2}), frozenset[str]())
_CONSTRAINTS = (None, tlv(0x30, tlv(0xA0, tlv(0x30, tlv(0x82, b"a.cn")))))
_STRANGER = 99


@dataclass
class Piece:
    """One certificate, list or answer: its octets, and whose key signs it."""

    kind: str  # "certificate", "crl" or "ocsp"
    der: bytes
    number: int


@cache
def _pieces() -> tuple[Piece, ...]:
    h = hierarchy()
    signers = ((h.ca_1, h.root_a), (h.cross, h.root_b), (h.ca_2, h.ca_1), (h.signer, h.ca_1))
    leaves = ((h.leaf, h.ca_2), (h.revoked, h.ca_2), (h.responder, h.ca_2), (h.covered, h.ca_1))
    lists = (
        (h.crl_a, h.root_a),
        (h.crl_b, h.root_b),
        (h.crl_1, h.ca_1),
        (h.crl_2, h.ca_2),
        (h.delta_2, h.ca_2),
        (h.plain_2, h.ca_2),
        (h.indirect, h.signer),
    )
    return (
        *(Piece("certificate", party.der, issuer.number) for party, issuer in (*leaves, *signers)),
        *(Piece("crl", der, issuer.number) for der, issuer in lists),
        Piece("ocsp", h.good, h.ca_2.number),
        Piece("ocsp", h.delegated, h.responder.number),
        Piece("ocsp", h.bad, h.ca_2.number),
    )


@cache
def _signed_at_first() -> frozenset[tuple[bytes, int]]:
    return frozenset((_tbs(piece), piece.number) for piece in _pieces())


_LEAVES = 4


def seeds() -> Iterable[bytes]:
    """Every leaf as it is, under several questions, and one edit of every piece."""
    for leaf in range(_LEAVES):
        for purpose in range(len(_PURPOSES)):
            yield bytes((leaf, purpose, *bytes(8)))
        yield bytes((leaf, *bytes(6), 0x10, 0, 0))
        # Each kind of evidence for the leaf, whichever there is for the CAs.
        for sources in range(len(_SOURCES)):
            yield bytes((leaf, *bytes(5), len(_SOURCES) + sources << 2, 0, 0, 0))
    for piece in range(len(_pieces())):
        yield bytes((*bytes(7), 0x10, 0, 0, piece, 0, 9, 0, 0))


def run(data: bytes) -> None:
    """Decide, edit, validate twice, and compare what was accepted with what was signed."""
    choices = FromBytes(data)
    leaf = choices.below(_LEAVES)
    parameters, at = _question(choices)
    left_out = int.from_bytes(choices.octets(3), "big")
    pieces = [replace(piece) for piece in _pieces()]
    signed_tbs = set(_signed_at_first())
    for _ in range(_EDITS_MAX):
        if not choices:
            break
        _edit(pieces, choices, signed_tbs)
    target: ParsedCertificate | None = answer(lambda: _load(pieces[leaf]))
    if target is None:
        return
    loaded: dict[str, list[Any]] = {"certificate": [], "crl": [], "ocsp": []}
    for index, piece in enumerate(pieces):
        if not left_out >> index & 1:
            found = answer(_load, piece)
            loaded[piece.kind] += [] if found is None else [found]
    evidence = RevocationEvidence(crls=loaded["crl"])
    validator = PathValidator(anchors=_anchors(), evidence=evidence, parameters=parameters)
    material: dict[str, Any] = {"at": at, "candidates": loaded["certificate"], "ocsp": loaded["ocsp"]}
    results = [answer(lambda: validator.validate(target, **material)) for _ in range(2)]
    require((results[0] is None) == (results[1] is None), "the second validation decides otherwise")
    if left_out & _EXPLAIN:
        explained = validator.explain(target, **material)
        require(explained.accepted == (results[0] is not None), "explain and validate disagree")
        check_json(explained.as_dict())
        check_texts([*explained.lines("zh"), *explained.tree_lines("en")])
    for path in results:
        if path is not None:
            _check_accepted(path, signed_tbs, parameters, at)


def _load(piece: Piece) -> Any:
    return _load_known(piece.kind, piece.der) if piece.der in _ders() else _LOADERS[piece.kind](piece.der)


_LOADERS: dict[str, Callable[[bytes], Any]] = {
    "certificate": parse_certificate,
    "crl": load_crl,
    "ocsp": load_ocsp,
}
# A bit of the pieces that are left out, beyond the last piece.
_EXPLAIN = 1 << 20


@cache
def _load_known(kind: str, der: bytes) -> Any:
    return _LOADERS[kind](der)


@cache
def _ders() -> frozenset[bytes]:
    return frozenset(piece.der for piece in _pieces())


def _question(choices: FromBytes) -> tuple[PathParameters, datetime]:
    purpose = pick(choices, _PURPOSES)
    at = pick(choices, _TIMES)
    bits = choices.below(256)
    mode = pick(choices, _MODES)
    inputs = PolicyInputs(
        initial=pick(choices, _POLICY_SETS),
        require_explicit=bool(bits >> 4 & 1),
        inhibit_mapping=bool(bits >> 5 & 1),
        inhibit_any=bool(bits >> 6 & 1),
    )
    more = choices.below(256)
    sources, of_cas = more >> 2, (more >> 2) // len(_SOURCES)
    revocation = RevocationPolicy(
        mode=mode,
        ca_mode=(None, *_MODES)[bits & 3],
        sources=_SOURCES[sources % len(_SOURCES)],
        ca_sources=(None, *_SOURCES)[of_cas % (len(_SOURCES) + 1)],
        allow_offline=(timedelta(0), 3 * DAY)[bits >> 2 & 1],
        use_deltas=not bits >> 3 & 1,
    )
    parameters = PathParameters(
        purpose=purpose,
        policies=inputs,
        revocation=revocation,
        constraints_der=_CONSTRAINTS[bits >> 7],
        strict=more % 4 == 1,
    )
    return parameters, at


@cache
def _anchors() -> tuple[TrustAnchor, ...]:
    h = hierarchy()
    return (
        TrustAnchor.from_certificate(h.root_a.certificate, label="A"),
        TrustAnchor.from_certificate(h.root_b.certificate, label="B", use_extensions=True),
    )


def _edit(pieces: list[Piece], choices: FromBytes, signed_tbs: set[tuple[bytes, int]]) -> None:
    piece = pick(choices, pieces)
    how = choices.below(8)
    if how == 7:  # octets, not TLVs
        where = choices.below(1 << 16) % max(len(piece.der), 1)
        piece.der = piece.der[:where] + choices.octets(1) + piece.der[where + 1 :]
        return
    nodes = parse(piece.der)
    body = None if nodes is None else _body(piece, nodes)
    if nodes is None or body is None:
        return
    if how == 6:  # anything, the signature too
        edit(nodes, choices)
        piece.der = write(nodes)
        return
    # The signed part, and then a signature that fits (mostly) or is somebody else's or stale.
    assert body.children is not None
    edit(body.children[:1] if how == 5 else _inside(body.children[0]), choices)
    if how != 4:
        number = _STRANGER if how == 3 else piece.number
        tbs = body.children[0].to_der()
        _sign(body, tbs, number)
        signed_tbs.add((tbs, number))
    piece.der = write(nodes)


def _inside(node: Node) -> list[Node]:
    return node.children if node.children else [node]


def _body(piece: Piece, nodes: list[Node]) -> Node | None:
    """The SEQUENCE of what is signed, algorithm and signature."""
    try:
        node = nodes[0]
        if piece.kind == "ocsp":
            node = node.children[1].children[0].children[1].children[0]  # type: ignore[index]
        if node.children is not None and len(node.children) >= 3:
            return node
    except (IndexError, TypeError):
        pass
    return None


def _sign(body: Node, tbs: bytes, number: int) -> None:
    assert body.children is not None
    body.children[2] = Node(0x03, b"\x00" + sign(tbs, number))


def _tbs(piece: Piece) -> bytes:
    nodes = parse(piece.der)
    body = None if nodes is None else _body(piece, nodes)
    assert body is not None
    assert body.children is not None
    return body.children[0].to_der()


@cache
def _number_of(spki_der: bytes) -> int:
    numbers = {spki(party.number): party.number for party in hierarchy().certificates} | {
        spki(_STRANGER): _STRANGER
    }
    return numbers.get(spki_der, -1)


def _check_accepted(
    path: ValidatedPath, signed_tbs: set[tuple[bytes, int]], parameters: PathParameters, at: datetime
) -> None:
    check_json(path.as_dict())
    for language in ("zh", "en"):
        check_texts(explain(path, language))
    at = at.replace(microsecond=0)
    issuers = [*(certificate.spki_der for certificate in path.chain[1:]), path.anchor.public_key_der]
    names = [*(certificate.subject for certificate in path.chain[1:]), path.anchor.name]
    for certificate, issuer, name in zip(path.chain, issuers, names, strict=True):
        require(
            (certificate.tbs, _number_of(issuer)) in signed_tbs,
            "a certificate that nobody signed is accepted",
        )
        require(certificate.issuer == name, "names do not chain")
        require(certificate.not_before <= at <= certificate.not_after, "outside its validity")
    for depth, certificate in enumerate(path.chain[1:]):
        require(certificate.is_ca, "an issuer that is no CA")
        require(certificate.key_usage is None or 5 in certificate.key_usage, "an issuer that may not sign")
        basic = certificate.basic_constraints
        below = sum(not each.is_self_issued for each in path.chain[1 : 1 + depth])
        require(
            basic is None or basic.path_length is None or below <= basic.path_length, "the path is too long"
        )
    for source in path.sources:
        # Which of several keys it was is the library's affair; some key of this world signed these octets.
        tbs = _signed_part(source.answer)
        require(any(tbs == made for made, _ in signed_tbs), "evidence that nobody signed is relied upon")
        require(source.this_update <= at + parameters.revocation.clock_skew, "evidence of the future")
    _check_sources(path, parameters.revocation)
    if parameters.revocation.mode is RevocationMode.REQUIRE:
        require(path.sources, "accepted without evidence")
    inputs = parameters.policies
    if ANY_POLICY not in inputs.initial:
        require(path.policies <= inputs.initial, "a policy that nobody asked for")
    require(path.policies or not inputs.require_explicit, "no policy, though one was required")


def _check_sources(path: ValidatedPath, policy: RevocationPolicy) -> None:
    """Whatever says "good" is of the kinds that were asked for."""
    for certificate in path.chain:
        kinds = {source.kind for source in path.sources if source.certificate.der == certificate.der}
        wanted = policy.sources_for(is_ca=certificate.is_ca)
        if kinds and wanted in _KINDS:
            require(kinds == _KINDS[wanted], f"{wanted} was asked, {sorted(kinds)} has answered")
        if kinds and wanted in {RevocationSources.PREFER_CRL, RevocationSources.PREFER_OCSP}:
            require(len(kinds) == 1, "two kinds answer where one is preferred")


def _signed_part(answer_: Crl | OcspResponse) -> bytes:
    if isinstance(answer_, OcspResponse):
        return answer_.tbs
    return x509.load_der_x509_crl(answer_.der).tbs_certlist_bytes
