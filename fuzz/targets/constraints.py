"""Names under constraints, policies and key usages, straight from the DER of extension values.

An input is a run of TLVs, the values of extensions of a CA and a leaf in a fixed order; they are put into
certificates with good signatures, and several validations of the same pair are compared with each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from fuzz.material import ANY_POLICY, ECDSA_SHA256, POLICY_1, T, hierarchy, integer, name, signed, spki
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import parse, tlv
from onecert.verifier import (
    RevocationMode,
    RevocationPolicy,
    TrustAnchor,
    ValidatedPath,
    explain,
    parse_certificate,
    validate_path,
)
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.path import PathParameters, PolicyInputs
from onecert.verifier.purposes import ANY

IS_DER = True

# Which value stands where: the subject of the leaf first, then (on the CA?, extension).
_PLACES = (
    (True, "551d1e"),  # name constraints
    (False, "551d11"),  # subject alternative name
    (True, "551d20"),  # policies
    (False, "551d20"),
    (True, "551d21"),  # policy mappings
    (True, "551d24"),  # policy constraints
    (True, "551d36"),  # inhibit anyPolicy
    (True, "551d13"),  # basic constraints
    (False, "551d0f"),  # key usage
    (False, "551d25"),  # extended key usage
)
_CONSTRAINTS_OID = "2.5.29.30"
_VALIDITY = tlv(0x30, tlv(0x17, b"261101000000Z"), tlv(0x17, b"271101000000Z"))
_BASIC = bytes.fromhex("30030101ff")
_OFF = RevocationPolicy(mode=RevocationMode.OFF)
_EMPTY = b"\x05\x00"  # in the place of an extension that is left out


def _names(*names: bytes) -> bytes:
    return tlv(0x30, *names)


def _subtrees(permitted: Iterable[bytes], excluded: Iterable[bytes]) -> bytes:
    lists = [
        tlv(0xA0 + i, *(tlv(0x30, base) for base in bases))
        for i, bases in enumerate((permitted, excluded))
        if bases
    ]
    return tlv(0x30, *lists)


def _policies(*contents: str) -> bytes:
    return tlv(0x30, *(tlv(0x30, tlv(0x06, bytes.fromhex(each))) for each in contents))


def seeds() -> Iterable[bytes]:
    """One for each form of names, and one for policies."""
    directory = tlv(0xA4, name("Leaf").public_bytes())
    mailbox = tlv(0xA0, bytes.fromhex("06082b06010505070809"), tlv(0xA0, tlv(0x0C, b"u@a.cn")))
    service = tlv(0xA0, bytes.fromhex("06082b06010505070807"), tlv(0xA0, tlv(0x16, b"_s.a.cn")))
    pairs = (
        (tlv(0x82, b"a.cn"), tlv(0x82, b"x.a.cn")),
        (tlv(0x81, b"a.cn"), tlv(0x81, b"u@a.cn")),
        (tlv(0x81, b"a.cn"), mailbox),
        (tlv(0x86, b".a.cn"), tlv(0x86, b"http://x.a.cn/1")),
        (tlv(0x87, bytes((10, 0, 0, 0, 255, 0, 0, 0))), tlv(0x87, bytes((10, 0, 0, 1)))),
        (directory, directory),
        (tlv(0x88, b"\x2a\x03"), tlv(0x88, b"\x2a\x03\x01")),
        (service, service),
    )
    subject = name("Leaf").public_bytes()
    for base, other in pairs:
        for subtrees in (_subtrees([base], []), _subtrees([], [base])):
            yield subject + subtrees + _names(other)
    either = _policies("2a0301", "2a0302", "551d2000")
    mappings = tlv(0x30, tlv(0x30, tlv(0x06, b"\x2a\x03\x01"), tlv(0x06, b"\x2a\x03\x02")))
    limits = tlv(0x30, tlv(0x80, b"\x00"), tlv(0x81, b"\x01"))
    common = (subject, _EMPTY, _EMPTY, either)
    yield b"".join((*common, _policies("2a0302"), mappings, limits, integer(0), _BASIC))
    yield b"".join((*common, either, _EMPTY, limits, integer(1), _BASIC, bytes.fromhex("03020780")))


def run(data: bytes) -> None:
    """Build the pair, validate it in several ways, and compare."""
    nodes = parse(data)
    if not nodes:
        return
    subject, *values = [node.to_der() for node in nodes]
    built = answer(lambda: _pair(subject, values)), answer(lambda: _pair(subject, values, constrained=False))
    pair, free = built
    if pair is None or free is None:
        return
    path = _validate(pair)
    at_large = _validate(free)
    if path is not None:
        check_json(path.as_dict())
        check_texts(explain(path))
        require(at_large is not None, "what constraints allow is refused without them")
        _narrower(pair, path)
    constraints = pair[0].extension_value(_CONSTRAINTS_OID)
    if constraints is not None and at_large is not None and not pair[1].is_self_issued:
        # The caller's constraints bind the CA as well; its own name is free of them only here.
        ours = answer(
            lambda: _run(free, PathParameters(purpose=ANY, revocation=_OFF, constraints_der=constraints))
        )
        require(path is not None or ours is None, "constraints bind less when the caller states them")


def _validate(pair: tuple[ParsedCertificate, ParsedCertificate]) -> ValidatedPath | None:
    return answer(lambda: _run(pair, PathParameters(purpose=ANY, revocation=_OFF)))


def _run(pair: tuple[ParsedCertificate, ParsedCertificate], parameters: PathParameters) -> ValidatedPath:
    ca, leaf = pair
    return validate_path(leaf, candidates=[ca], anchors=[_anchor()], at=T, parameters=parameters)


@cache
def _anchor() -> TrustAnchor:
    return TrustAnchor.from_certificate(hierarchy().root_a.certificate)


def _narrower(pair: tuple[ParsedCertificate, ParsedCertificate], path: ValidatedPath) -> None:
    """Asking for one policy answers with no more than asking for any."""
    for explicit in (False, True):
        inputs = PolicyInputs(initial=frozenset({POLICY_1}), require_explicit=explicit, inhibit_any=explicit)
        asked = answer(_run, pair, PathParameters(purpose=ANY, revocation=_OFF, policies=inputs))
        if asked is not None:
            require(asked.policies <= {POLICY_1}, "a policy that nobody asked for")
            require(asked.policies or not explicit, "no policy, though one was required")
            if asked.policies:
                require(path.policies & {POLICY_1, ANY_POLICY}, "a policy that the whole answer lacks")


def _pair(
    subject: bytes, values: list[bytes], *, constrained: bool = True
) -> tuple[ParsedCertificate, ParsedCertificate]:
    extensions: dict[bool, bytes] = {True: b"", False: b""}
    seen_basic = False
    for (on_ca, oid), value in zip(_PLACES, values, strict=False):
        if value == _EMPTY or (oid == "551d1e" and not constrained):
            continue
        seen_basic |= oid == "551d13"
        extensions[on_ca] += tlv(0x30, tlv(0x06, bytes.fromhex(oid)), b"\x01\x01\xff", tlv(0x04, value))
    if not seen_basic:
        extensions[True] += tlv(0x30, tlv(0x06, bytes.fromhex("551d13")), b"\x01\x01\xff", tlv(0x04, _BASIC))
    issuer, ca_name = hierarchy().root_a, name("CA 3").public_bytes()
    ca = _certificate(ca_name, 31, issuer.subject.public_bytes(), issuer.number, extensions[True])
    leaf = _certificate(subject, 32, ca_name, 31, extensions[False])
    return parse_certificate(ca), parse_certificate(leaf)


def _certificate(subject: bytes, number: int, issuer: bytes, issuer_number: int, extensions: bytes) -> bytes:
    tail = tlv(0xA3, tlv(0x30, extensions)) if extensions else b""
    version = bytes.fromhex("a003020102")
    tbs = tlv(
        0x30, version, integer(0x3000 + number), ECDSA_SHA256, issuer, _VALIDITY, subject, spki(number), tail
    )
    return signed(tbs, issuer_number)
