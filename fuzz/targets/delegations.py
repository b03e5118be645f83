"""Attribute certificates that sub-authorities issue: their delegations, lists and encrypted attributes.

An input is a SEQUENCE of four: the certificate, a SEQUENCE of delegations, a SEQUENCE of revocation lists,
and what is encrypted: an envelope, or the clear attributes that are put into one here. The pieces go in as
they are, and then each signed anew by the one whom it names as its issuer. What is accepted is compared with
the delegations of the way that the library took, by rules written anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from fuzz.material import (
    DAY,
    ECDSA_SHA256,
    Party,
    T,
    crl,
    hierarchy,
    integer,
    issue,
    key,
    name,
    scope,
    sign,
    time,
    usage,
)
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import Node, parse, tlv
from onecert.verifier import MalformedError, parse_certificate
from onecert.verifier.attribute_certificate import (
    Attribute,
    AttributeCertificate,
    AttributeCertificateVerifier,
    AttributeTrust,
    Delegation,
    Delegations,
    RevocationLists,
    TrustedAuthority,
    VerifiedAttributeCertificate,
)
from onecert.verifier.attribute_certificate import parse as parse_attribute_certificate
from onecert.verifier.attribute_certificate.encrypted import open_encrypted
from onecert.verifier.attribute_certificate.enveloped import envelop
from onecert.verifier.attribute_certificate.values import STANDARD, decode_value, encode_value
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.messages import LANGUAGES

IS_DER = True

_ENCRYPTED = ObjectIdentifier("1.3.6.1.5.5.7.10.6")
_GROUP, _ROLE = ObjectIdentifier("1.3.6.1.5.5.7.10.4"), ObjectIdentifier("2.5.4.72")
_CONTENT_TYPE = bytes.fromhex("060b2a864886f70d010910010e")
_NUMBERS = {"Authority": 41, "Bureau": 42, "Branch": 43}
_RECIPIENT = 44
_PIECES = 4
_MAX_DELEGATIONS = 12
_MAX_LISTS = 6
# Made once for the certificate of _RECIPIENT; what is inside names issuer and serial number of seed 0.
_ENVELOPE = bytes.fromhex(
    "3082015b06092a864886f70d010703a082014c308201480201023181c2a181bf020103a051a14f300906072a8648ce3d0201"
    "034200048764a6bdd43adb70efe0473b7d43a7472f2a00be8c974990e3e4de7ce33c341801959a9ecb9b960a6264ee767715"
    "84321d9d93e530028ee01f8074b0beafc456301506062b8104010b01300b060960864801650304012d3050304e3022301c31"
    "0b300906035504061302434e310d300b06035504030c04434120310202102c0428662ef08d4886098c6feb1b89cba017457c"
    "ea86803b216ce89f6b1c0750d33d541d2f5afb8cb0b6c2307e060b2a864886f70d010910010e301d06096086480165030401"
    "2a04107448e00f37e718d6925a2a6867ecb1cd80500b4b1ca842c0e6b9f510f8b44c2a92e58151d018400b9a99cfd71d0f81"
    "1cb031e27f7c661e7a75e5f5bf76b61aa22aff2c16d2fc2bbef56f548ecf12862160694b5eafe9d7d372fd3f49a6a76032ed"
    "82"
)


@cache
def _party(label: str) -> Party:
    return issue(
        label, _NUMBERS[label], hierarchy().ca_1, extra=[(usage("digital_signature", "crl_sign"), True)]
    )


@cache
def _recipient() -> Party:
    return issue("Recipient", _RECIPIENT, hierarchy().ca_1, extra=[(usage("key_agreement"), True)])


def _role(rest: str) -> bytes:
    return tlv(0x30, tlv(0xA1, tlv(0x86, f"urn:onecert:role:tax.{rest}".encode())))


def _attribute(oid: str, *values: bytes) -> bytes:
    return tlv(0x30, tlv(0x06, bytes.fromhex(oid)), tlv(0x31, *sorted(values)))


def _extension(oid: str, value: bytes, critical: bytes = b"") -> bytes:
    return tlv(0x30, tlv(0x06, bytes.fromhex(oid)), critical, tlv(0x04, value))


_CRITICAL = b"\x01\x01\xff"
_SECRET = "2b06010505070a03"
_GROUPS = tlv(0x30, tlv(0x30, tlv(0x0C, b"a"), tlv(0x0C, b"b")))


def _certificate(
    label: str,
    holder: x509.Certificate,
    serial: int,
    *more: bytes,
    roles: Sequence[str] = ("a", "b"),
    days: int = 1,
    encrypted: bytes = b"",
) -> bytes:
    issuer = _party(label)
    base = tlv(0xA0, tlv(0x30, tlv(0xA4, holder.issuer.public_bytes())), integer(holder.serial_number))
    attributes = [_attribute("2b06010505070a04", _GROUPS), _attribute("550448", *map(_role, roles))]
    if encrypted:
        attributes.append(_attribute("2b06010505070a06", encrypted))
    if more:  # delegations hold what is encrypted elsewhere
        attributes.append(_attribute(_SECRET, _GROUPS))
    key_id = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    info = tlv(
        0x30,
        integer(1),
        tlv(0x30, base),
        tlv(0xA0, tlv(0x30, tlv(0xA4, issuer.subject.public_bytes()))),
        ECDSA_SHA256,
        integer(serial),
        tlv(0x30, time(T - days * DAY), time(T + days * DAY)),
        tlv(0x30, *attributes),
        tlv(0x30, _extension("551d23", tlv(0x30, tlv(0x80, key_id))), *more),
    )
    return tlv(0x30, info, ECDSA_SHA256, tlv(0x03, b"\x00", sign(info, issuer.number)))


def _delegation(
    giver: str, receiver: str, serial: int, depth: int, *, days: int, roles: str = "abc"
) -> bytes:
    basic = _extension("551d29", tlv(0x30, _CRITICAL, integer(depth)), _CRITICAL)
    tree = tlv(0x30, tlv(0xA4, x509.Name([name("x").rdns[0]]).public_bytes()))
    names = _extension("551d2a", tlv(0x30, tlv(0xA0, tree)), _CRITICAL)
    holder = _party(receiver).certificate
    return _certificate(giver, holder, serial, basic, names, roles=tuple(roles), days=days)


def _list(label: str, *serials: int) -> bytes:
    reason = x509.CRLReason(x509.ReasonFlags.certificate_hold)
    extra = [(scope(only_contains_attribute_certs=True), True)]
    return crl(_party(label), *((serial, [reason]) for serial in serials), extra=extra)


def _clear(label: str = "Branch", serial: int = 0x51) -> bytes:
    issuer = tlv(0xA4, _party(label).subject.public_bytes())
    return tlv(0x30, issuer, integer(serial), tlv(0x30, _attribute(_SECRET, _GROUPS)))


def seeds() -> Iterable[bytes]:
    """One, two and three ways, revoked and on hold, with an envelope and with clear attributes."""
    leaf = hierarchy().leaf.certificate
    up = _delegation("Authority", "Bureau", 0x61, 3, days=20)
    down = _delegation("Bureau", "Branch", 0x62, 0, days=10)
    other = _delegation("Authority", "Branch", 0x63, 0, days=5, roles="c")
    round_about = _delegation("Branch", "Bureau", 0x64, 9, days=5)
    lists = [_list(label, 0x99) for label in _NUMBERS]
    two = _certificate("Branch", leaf, 0x51, encrypted=_ENVELOPE)
    direct = _certificate("Authority", leaf, 0x52)
    one = _certificate("Bureau", leaf, 0x53)
    hold = [lists[0], _list("Bureau", 0x62), lists[2]]
    for certificate, delegations, given, secret in (
        (two, [up, down], lists, _ENVELOPE),
        (two, [up, down, other, round_about], lists, _clear()),
        (two, [up, down], hold, _clear()),
        (two, [other], lists, _ENVELOPE),
        (one, [up], lists, _clear("Bureau", 0x53)),
        (direct, [], lists, _clear("Authority", 0x52)),
    ):
        yield tlv(0x30, certificate, tlv(0x30, *delegations), tlv(0x30, *given), secret)


@cache
def _genuine() -> frozenset[bytes]:
    found = []
    for seed in seeds():
        certificate, delegations, lists, _ = parse(seed)[0].children or []  # type: ignore[index]  # our own
        found += [certificate, *(delegations.children or []), *(lists.children or [])]
    return frozenset(node.to_der() for node in found)


def run(data: bytes) -> None:
    """As it is, and then with signatures that fit."""
    nodes = parse(data)
    if not nodes or nodes[0].children is None or len(nodes[0].children) < _PIECES:
        answer(lambda: parse_attribute_certificate(data))
        return
    certificate, delegations, lists, secret = nodes[0].children[:_PIECES]
    certificates = [certificate, *(delegations.children or [])[:_MAX_DELEGATIONS]]
    given = (lists.children or [])[:_MAX_LISTS]
    as_it_is = [each.to_der() for each in certificates], [each.to_der() for each in given]
    verified = _verify(*as_it_is)
    if verified is not None:
        used = [verified.certificate.der, *(step.certificate.der for step in verified.path)]
        require(_genuine().issuperset(used), "what nobody signed is accepted")
    anew = [_signed_anew(each) for each in certificates], [_signed_anew(each) for each in given]
    verified = _verify(*anew, is_explained=True)
    if verified is not None:
        _is_lawful(verified, anew[0])
        _open(verified, secret.to_der())


def _signed_anew(node: Node) -> bytes:
    """The piece with the signature of the one who is named in it, if one of ours is named."""
    if node.children is None or len(node.children) < 3:
        return node.to_der()
    info, algorithm, _, *rest = (child.to_der() for child in node.children)
    number = next((own for label, own in _NUMBERS.items() if _names(info, label)), 0)
    signature = tlv(0x03, b"\x00" + sign(info, number)) if number else node.children[2].to_der()
    return tlv(node.tag, info, algorithm, signature, *rest)


@cache
def _name(label: str) -> bytes:
    return _party(label).subject.public_bytes()


def _names(info: bytes, label: str) -> bool:
    # A holder's certificate is named by CA 1, so that our names stand in the field of the issuer only.
    return _name(label) in info


@cache
def _receivers() -> tuple[ParsedCertificate, ...]:
    return tuple(parse_certificate(_party(label).der) for label in ("Bureau", "Branch"))


@cache
def _trust() -> AttributeTrust:
    authority = TrustedAuthority.from_certificate(
        _party("Authority").certificate,
        roles={"urn:onecert:role:tax.*"},
        attributes={each.oid.dotted_string for each in STANDARD.values()} | {_ENCRYPTED.dotted_string},
    )
    return AttributeTrust(authorities=(authority,), check_path=lambda certificate, at: None)


def _verify(
    certificates: Sequence[bytes], lists: Sequence[bytes], *, is_explained: bool = False
) -> VerifiedAttributeCertificate | None:
    data, *others = certificates
    holders = _receivers()
    delegations = Delegations(Delegation(each, holder) for each in others for holder in holders)
    known = RevocationLists(_trust(), delegations=delegations)
    for each in lists:
        answer(known.add, each)
    verifier = AttributeCertificateVerifier(trust=_trust(), status=known, delegations=delegations)
    holder = parse_certificate(hierarchy().leaf.der)
    verified = answer(lambda: verifier.verify(data, holder=holder, at=T))
    if not is_explained:
        return verified
    explained = verifier.explain(data, holder=holder, at=T)
    require((verified is None) == (explained.verified is None), "verify and explain disagree")
    for finding in explained.findings:
        for language in LANGUAGES:
            check_texts([finding.text(language), finding.hint(language)])
    for way in explained.candidates:
        check_texts(way.authorities)
    if explained.certificate is not None:
        _values(explained.certificate.attributes)
    return verified


def _is_lawful(verified: VerifiedAttributeCertificate, certificates: Sequence[bytes]) -> None:
    """Every rule of delegation again, in other words."""
    certificate = verified.certificate
    for index, step in enumerate(verified.path):
        require(step.certificate.der in certificates[1:], "a delegation that nobody gave")
        below = [each.certificate for each in verified.path[index + 1 :]] + [certificate]
        for each in below:
            require(_roles(each) <= _roles(step.certificate), "a role that the delegation does not have")
            require(_within(each, step.certificate), "longer than the delegation")
        limit = step.limits.depth
        require(limit is None or limit >= len(verified.path) - index - 1, "deeper than the delegation")
    source = verified.path[0].authority if verified.path else verified.authority
    require(source.label == "CN=Authority,C=CN", "the way does not begin at the authority")
    for role in verified.roles:
        require(role.name.startswith("urn:onecert:role:tax."), "a role that the authority may not assign")
    check_texts(f"{each.oid} {each.value} {each.reason}" for each in verified.dropped)


def _roles(certificate: AttributeCertificate) -> set[bytes]:
    return {value for each in certificate.attributes if each.oid == _ROLE for value in each.values}


def _within(inner: AttributeCertificate, outer: AttributeCertificate) -> bool:
    times = (outer.not_before, inner.not_before, inner.not_after, outer.not_after)
    present = [each for each in times if each is not None]
    return len(present) == 4 and present == sorted(present)


def _values(attributes: Iterable[Attribute]) -> None:
    """What is read as JSON is written as the same octets."""
    syntaxes = {each.oid: each.syntax for each in STANDARD.values()}
    for attribute in attributes:
        syntax = syntaxes.get(attribute.oid)
        for value in attribute.values if syntax is not None else ():
            try:
                read = decode_value(str(syntax), value)
            except MalformedError as exc:
                check_texts([exc.text("zh"), exc.text("en")])
                continue
            check_json(read)
            require(encode_value(str(syntax), read) == value, "a value that is written otherwise")


def _open(verified: VerifiedAttributeCertificate, secret: bytes) -> None:
    recipient = parse_certificate(_recipient().der)
    envelopes = [secret]
    if len(secret) <= 16 * 1024:
        envelopes.append(envelop(secret, _CONTENT_TYPE, [recipient]))
    own = [each for each in verified.attributes if each.oid != _ENCRYPTED]
    for envelope in envelopes:
        given = replace(verified, attributes=(*own, Attribute(_ENCRYPTED, (envelope,))))
        opened = answer(open_encrypted, given, recipient=recipient, key=key(_RECIPIENT))
        if opened is not None and verified.path:
            held = {value for each in verified.path[0].certificate.attributes for value in each.values}
            found = {value for each in opened.attributes if each.oid != _GROUP for value in each.values}
            require(found <= held | {envelope}, "an encrypted attribute that nobody delegated")
        if opened is not None:
            _values(opened.attributes)
