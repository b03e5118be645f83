"""From a description to DER, by hand: no builder refuses, and the same world is always the same bytes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from diff_keys import ALGORITHMS, key_id, kind, sign, spki
from diff_world import ANY, Cert, CrlSpec, Dn, Entry, Point, Scope, T, Tree, World

POLICY_ARC = "1.3.6.1.4.1.55555.1"
ANY_POLICY = "2.5.29.32.0"
USAGES = {
    "server": "1.3.6.1.5.5.7.3.1",
    "client": "1.3.6.1.5.5.7.3.2",
    "mail": "1.3.6.1.5.5.7.3.4",
    "any": "2.5.29.37.0",
}
_UNKNOWN = "1.3.6.1.4.1.55555.9"
_OTHER_NAME = "1.3.6.1.4.1.55555.8"


@dataclass(frozen=True)
class Built:
    """DER of everything in a world, in its order."""

    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]


def build(world: World) -> Built:
    return Built(
        tuple(certificate(cert, number) for number, cert in enumerate(world.certificates)),
        tuple(crl(spec) for spec in world.crls),
    )


def tlv(tag: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    size = len(body)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, size) if size < 0x80 else (tag, 0x80 | len(octets), *octets)) + body


def integer(value: int, tag: int = 0x02) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str, tag: int = 0x06) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = b""
    for arc in (40 * first + second, *rest):
        part = bytes((arc & 0x7F,))
        while arc := arc >> 7:
            part = bytes((0x80 | arc & 0x7F,)) + part
        body += part
    return tlv(tag, body)


def named_bits(bits: Iterable[int], tag: int = 0x03) -> bytes:
    value = sum(1 << (15 - bit) for bit in bits)
    octets = value.to_bytes(2, "big").rstrip(b"\x00")
    unused = (octets[-1] & -octets[-1]).bit_length() - 1 if octets else 0
    return tlv(tag, bytes((unused,)), octets)


def time(seconds: int) -> bytes:
    return tlv(0x17, (T + timedelta(seconds=seconds)).strftime("%y%m%d%H%M%SZ").encode())


def policy(number: int) -> str:
    return ANY_POLICY if number == ANY else f"{POLICY_ARC}.{number}"


def serial(number: int) -> int:
    return 1000 + number


def name(dn: Dn) -> bytes:
    parts = [_attribute("2.5.4.6", 0x13, "CN"), _string("2.5.4.10", dn.org, dn.spelling)]
    if dn.email:
        parts.append(_attribute("1.2.840.113549.1.9.1", 0x16, dn.email))
    if dn.entity:
        parts.append(_string("2.5.4.3", dn.entity, dn.spelling))
    return tlv(0x30, *parts)


def _string(kind_oid: str, text: str, spelling: str) -> bytes:
    if spelling == "upper":
        text = text.upper()
    if spelling == "blanks":
        text = "  " + text.replace(" ", "   ") + " "
    return _attribute(kind_oid, 0x13 if spelling == "printable" else 0x0C, text)


def _attribute(kind_oid: str, tag: int, text: str) -> bytes:
    return tlv(0x31, tlv(0x30, oid(kind_oid), tlv(tag, text.encode())))


def general_name(tree: Tree, *, base: bool = False) -> bytes:
    value = tree.value
    if tree.kind == "dn":
        return tlv(0xA4, name(Dn("", org=value) if base else Dn("Alias", org=value)))
    if tree.kind == "ip":
        if base:
            network = ipaddress.ip_network(value)
            return tlv(0x87, network.network_address.packed + network.netmask.packed)
        return tlv(0x87, ipaddress.ip_address(value).packed)
    if tree.kind == "rid":
        return oid(value, 0x88)
    if tree.kind == "other":
        return tlv(0xA0, oid(_OTHER_NAME), tlv(0xA0, tlv(0x0C, value.encode())))
    return tlv({"mail": 0x81, "dns": 0x82, "uri": 0x86}[tree.kind], value.encode())


def _extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    return tlv(0x30, oid(dotted), b"\x01\x01\xff" if critical else b"", tlv(0x04, value))


def certificate(cert: Cert, number: int) -> bytes:
    algorithm = ALGORITHMS[kind(cert.signer)]
    extensions = b"".join(_extensions(cert))
    tbs = tlv(
        0x30,
        bytes.fromhex("a003020102") if extensions else b"",
        integer(serial(number)),
        algorithm,
        name(cert.issuer),
        tlv(0x30, time(cert.not_before), time(cert.not_after)),
        name(cert.subject),
        spki(cert.key),
        tlv(0xA3, tlv(0x30, extensions)) if extensions else b"",
    )
    return _signed(tbs, cert.signer, altered=cert.altered)


def _signed(tbs: bytes, signer: int, *, altered: bool) -> bytes:
    signature = sign(signer, tbs)
    if altered:
        signature = signature[:-1] + bytes((signature[-1] ^ 1,))
    return tlv(0x30, tbs, ALGORITHMS[kind(signer)], tlv(0x03, b"\x00", signature))


def _extensions(cert: Cert) -> Iterable[bytes]:
    if cert.subject_key_id:
        yield _extension("2.5.29.14", tlv(0x04, key_id(cert.key)))
    if cert.authority_key_id != "none":
        named = key_id(cert.signer) if cert.authority_key_id == "key" else b"\x00" * 20
        yield _extension("2.5.29.35", tlv(0x30, tlv(0x80, named)))
    if cert.ca is not None:
        length = b"" if cert.path_length is None else integer(cert.path_length)
        value = tlv(0x30, b"\x01\x01\xff" if cert.ca else b"", length if cert.ca else b"")
        yield _extension("2.5.29.19", value, critical=True)
    if cert.usage is not None:
        yield _extension("2.5.29.15", named_bits(cert.usage), critical=True)
    if cert.extended:
        yield _extension("2.5.29.37", tlv(0x30, *(oid(USAGES[usage]) for usage in cert.extended)))
    if cert.permitted or cert.excluded:
        trees = [
            tlv(tag, *(tlv(0x30, general_name(tree, base=True)) for tree in found))
            for tag, found in ((0xA0, cert.permitted), (0xA1, cert.excluded))
            if found
        ]
        yield _extension("2.5.29.30", tlv(0x30, *trees), critical=True)
    if cert.names:
        yield _extension("2.5.29.17", tlv(0x30, *(general_name(each) for each in cert.names)))
    yield from _policy_extensions(cert)
    if cert.points:
        yield _extension("2.5.29.31", tlv(0x30, *(_point(point) for point in cert.points)))
    if cert.unknown:
        yield _extension(_UNKNOWN, b"\x05\x00", critical=cert.unknown == "critical")


def _policy_extensions(cert: Cert) -> Iterable[bytes]:
    if cert.policies is not None:
        yield _extension("2.5.29.32", tlv(0x30, *(tlv(0x30, oid(policy(each))) for each in cert.policies)))
    if cert.mappings:
        pairs = (tlv(0x30, oid(policy(above)), oid(policy(below))) for above, below in cert.mappings)
        yield _extension("2.5.29.33", tlv(0x30, *pairs), critical=True)
    if cert.require_explicit is not None or cert.inhibit_mapping is not None:
        counts = ((cert.require_explicit, 0x80), (cert.inhibit_mapping, 0x81))
        value = tlv(0x30, *(integer(count, tag) for count, tag in counts if count is not None))
        yield _extension("2.5.29.36", value, critical=True)
    if cert.inhibit_any is not None:
        yield _extension("2.5.29.54", integer(cert.inhibit_any), critical=True)


def _point_name(label: str) -> bytes:
    form, text = label[:2], label[2:]
    if form == "r:":
        return tlv(0xA1, tlv(0x30, oid("2.5.4.3"), tlv(0x0C, text.encode())))
    full = tlv(0xA4, name(Dn(text))) if form == "d:" else tlv(0x86, f"http://crl.example/{text}".encode())
    return tlv(0xA0, full)


def _point(point: Point) -> bytes:
    return tlv(
        0x30,
        tlv(0xA0, _point_name(point.name)) if point.name else b"",
        b"" if point.reasons is None else named_bits(point.reasons, 0x81),
        b"" if point.crl_issuer is None else tlv(0xA2, tlv(0xA4, name(point.crl_issuer))),
    )


def _scope(scope: Scope) -> bytes:
    return tlv(
        0x30,
        tlv(0xA0, _point_name(scope.name)) if scope.name else b"",
        b"\x81\x01\xff" if scope.only_user else b"",
        b"\x82\x01\xff" if scope.only_ca else b"",
        b"" if scope.reasons is None else named_bits(scope.reasons, 0x83),
        b"\x84\x01\xff" if scope.indirect else b"",
    )


def _entry(entry: Entry) -> bytes:
    extensions = b""
    if entry.reason is not None:
        extensions += _extension("2.5.29.21", tlv(0x0A, bytes((entry.reason,))))
    if entry.issuer is not None:
        extensions += _extension("2.5.29.29", tlv(0x30, tlv(0xA4, name(entry.issuer))), critical=True)
    if entry.unknown:
        extensions += _extension(_UNKNOWN, b"\x05\x00", critical=True)
    return tlv(
        0x30,
        integer(serial(entry.certificate)),
        time(-7200),
        tlv(0x30, extensions) if extensions else b"",
    )


def crl(spec: CrlSpec) -> bytes:
    extensions = _extension("2.5.29.20", integer(spec.number))
    if spec.authority_key_id:
        extensions += _extension("2.5.29.35", tlv(0x30, tlv(0x80, key_id(spec.signer))))
    if spec.base is not None:
        extensions += _extension("2.5.29.27", integer(spec.base), critical=True)
    if spec.scope is not None:
        extensions += _extension("2.5.29.28", _scope(spec.scope), critical=True)
    if spec.freshest:
        extensions += _extension("2.5.29.46", tlv(0x30, _point(Point("u:delta"))))
    if spec.unknown:
        extensions += _extension(_UNKNOWN, b"\x05\x00", critical=True)
    entries = b"".join(_entry(entry) for entry in spec.entries)
    tbs = tlv(
        0x30,
        integer(1),
        ALGORITHMS[kind(spec.signer)],
        name(spec.issuer),
        time(spec.this_update),
        b"" if spec.next_update is None else time(spec.next_update),
        tlv(0x30, entries) if entries else b"",
        tlv(0xA0, tlv(0x30, extensions)),
    )
    return _signed(tbs, spec.signer, altered=spec.altered)
