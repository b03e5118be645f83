"""Attribute certificates and their revocation lists: as they come, and signed anew."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from cryptography import x509

from fuzz.material import (
    DAY,
    ECDSA_SHA256,
    HOUR,
    Party,
    T,
    crl,
    hierarchy,
    integer,
    issue,
    scope,
    sign,
    time,
    usage,
)
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import Node, parse, tlv
from onecert.verifier import parse_certificate
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    RevocationLists,
    TrustedAuthority,
)
from onecert.verifier.attribute_certificate import parse as parse_attribute_certificate
from onecert.verifier.messages import LANGUAGES

IS_DER = True

_ROLE = "urn:onecert:role:tax.approver"
_KEY = 41


@cache
def _authority() -> Party:
    key_usage = usage("digital_signature", "crl_sign")
    return issue("Authority", _KEY, hierarchy().ca_1, extra=[(key_usage, True)])


@cache
def _trust() -> AttributeTrust:
    authority = TrustedAuthority.from_certificate(_authority().certificate, roles={"urn:onecert:role:tax.*"})
    return AttributeTrust(authorities=(authority,))


def _acrl(*serials: int) -> bytes:
    return crl(
        _authority(),
        *((serial, [x509.CRLReason(x509.ReasonFlags.privilege_withdrawn)]) for serial in serials),
        extra=[(scope(only_contains_attribute_certs=True), True)],
    )


def _extension(oid: str, value: bytes, critical: bytes = b"") -> bytes:
    return tlv(0x30, tlv(0x06, bytes.fromhex(oid)), critical, tlv(0x04, value))


def _certificate(holder: bytes, *extensions: bytes, serial: int = 0x1234) -> bytes:
    authority = _authority()
    key_id = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    role = tlv(0x30, tlv(0xA1, tlv(0x86, _ROLE.encode())))
    group = tlv(0x30, tlv(0x0C, b"group"))
    attributes = (
        tlv(0x30, tlv(0x06, bytes.fromhex("550448")), tlv(0x31, role)),
        tlv(0x30, tlv(0x06, bytes.fromhex("2b06010505070a04")), tlv(0x31, group)),
    )
    info = tlv(
        0x30,
        integer(1),
        holder,
        tlv(0xA0, tlv(0x30, tlv(0xA4, authority.subject.public_bytes()))),
        ECDSA_SHA256,
        integer(serial),
        tlv(0x30, time(T - DAY), time(T + HOUR)),
        tlv(0x30, *attributes),
        tlv(0x30, _extension("551d23", tlv(0x30, tlv(0x80, key_id))), *extensions),
    )
    return tlv(0x30, info, ECDSA_SHA256, tlv(0x03, b"\x00", sign(info, _KEY)))


def seeds() -> Iterable[bytes]:
    """A certificate for each way to name a holder, one that cannot be revoked, and lists."""
    leaf = hierarchy().leaf
    issuer = tlv(0x30, tlv(0xA4, leaf.certificate.issuer.public_bytes()))
    base = tlv(0xA0, issuer, integer(leaf.certificate.serial_number))
    entity = tlv(0xA1, tlv(0xA4, leaf.subject.public_bytes()))
    digest = x509.SubjectKeyIdentifier.from_public_key(leaf.certificate.public_key()).digest
    sha256 = tlv(0x30, bytes.fromhex("0609608648016503040201"))
    by_digest = tlv(0xA2, tlv(0x0A, b"\x01"), sha256, tlv(0x03, b"\x00", digest.ljust(32)))
    targets = tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0x86, b"urn:onecert:service:tax"))))
    for holder in (base, entity, by_digest, base + entity):
        yield _certificate(tlv(0x30, holder))
    yield _certificate(tlv(0x30, base), _extension("551d38", b"\x05\x00"))
    yield _certificate(tlv(0x30, base), _extension("551d37", targets, b"\x01\x01\xff"))
    yield _certificate(tlv(0x30, base), serial=0x99)
    yield _acrl()
    yield _acrl(0x99, 0x77)


@cache
def _genuine() -> frozenset[bytes]:
    return frozenset(seeds())


def run(data: bytes) -> None:
    """As it is, and then with a signature that fits."""
    _certificates(data, is_genuine=False)
    _lists(data, is_genuine=False)
    again = _signed_anew(data)
    if again is not None:
        _certificates(again, is_genuine=True)
        _lists(again, is_genuine=True)


def _signed_anew(data: bytes) -> bytes | None:
    nodes = parse(data)
    if not nodes or nodes[0].children is None or len(nodes[0].children) < 3:
        return None
    body = nodes[0].children
    body[2] = Node(0x03, b"\x00" + sign(body[0].to_der(), _KEY))
    return nodes[0].to_der()


@cache
def _verifier() -> AttributeCertificateVerifier:
    return AttributeCertificateVerifier(trust=_trust(), status=RevocationLists(_trust(), [_acrl(0x99)]))


def _certificates(data: bytes, *, is_genuine: bool) -> None:
    certificate = answer(lambda: parse_attribute_certificate(data))
    if certificate is not None:
        require(certificate.der == data, "the octets are not those that were loaded")
        check_texts([certificate.serial_hex, str(certificate.issuer or "")])
    holder = parse_certificate(hierarchy().leaf.der)
    verified = answer(lambda: _verifier().verify(data, holder=holder, at=T))
    explained = _verifier().explain(data, holder=holder, at=T)
    require((verified is None) == (explained.verified is None), "verify and explain disagree")
    require((verified is None) == bool(explained.findings), "a verdict without its findings")
    for finding in explained.findings:
        for language in LANGUAGES:
            check_texts([finding.text(language), finding.hint(language)])
    if verified is not None:
        require(is_genuine or data in _genuine(), "a certificate that nobody signed is accepted")
        for role in verified.roles:
            require(role.name.startswith("urn:onecert:role:tax."), "a role that the authority may not assign")
            check_texts([role.name, *role.authority])
        check_texts(f"{each.oid} {each.value} {each.reason}" for each in verified.dropped)
        check_json([role.name for role in verified.roles])


def _lists(data: bytes, *, is_genuine: bool) -> None:
    lists = RevocationLists(_trust())
    loaded = answer(lambda: lists.add(data, at=T))
    if loaded is not None:
        require(is_genuine or data in _genuine(), "a list that nobody signed is accepted")
        require(lists.find_list(loaded.authority) is loaded, "a list that was added is not found")
        loaded.find(0x99)
