"""Edits of a DER tree that get past the outer lengths: what parsers and validators trip over.

``edit`` changes one node; whoever decides, the octets of an input or a random generator, decides everything.
"""

from __future__ import annotations

from collections.abc import Callable

from fuzz.choices import Choices, FromRandom, pick
from fuzz.tree import Node, Place, parse, places, tlv, write

# Numbers around every width that somebody might have chosen.
_NUMBERS = """ 00 01 02 7f 80 ff 0080 00ff 0100 7fffffff 80000000 0080000000 00ffffffff 7fffffffffffffff
 8000000000000000 00ffffffffffffffff 0000 ffff"""
INTEGERS = (
    b"",
    *map(bytes.fromhex, _NUMBERS.split()),
    *(b"\x7f" * 20, b"\x00" + b"\xff" * 20, b"\x7f" * 21, b"\x7f" * 2000),
)
BOOLEANS = (b"\x00", b"\xff", b"\x01", b"", b"\xff\xff")
BITS = (b"", *map(bytes.fromhex, ["00", "0780", "0106", "0560", "0186", "03ff", "08ff", "07ff", "0003"]))
_MOMENTS = """261121090000Z 20261121090000Z 20261121090001Z 20261121085959Z 00000101000000Z 00010101000000Z
 99991231235959Z 20500101000000Z 20260229000000Z 20261121090060Z 20261121090000.5Z 20261121090000+0800
 491231235959Z 500101000000Z 2611210900Z \u0662\u0666261121090000Z"""
TIMES = (b"", *(text.encode() for text in _MOMENTS.split()))
_HOSTS = """* *.a.cn a.cn .a.cn a..cn A.CN xn--0.cn x.a.cn u@a.cn "u@v"@a.cn @a.cn http://a.cn/1.crl
 http://u@a.cn:8/ http://[::1]/ ldap: http://1.2.3.4/ _s.a.cn _s 91440300MA5DEM004J 440300190001010015
 10001@0006ZZ191440300MA5DEM004J"""
_UNUSUAL = (
    *("", " ", "a.cn\0.b", "a\u202eb\u2066c", "a\x1b[2Jb\rc", "\u2028", "İıß", "e\u0301"),
    *("\u1100\u1161", "x" * 300, "\ufffe", "\U0010ffff"),
)
TEXTS = (
    *(text.encode() for text in (*_HOSTS.split(), *_UNUSUAL)),
    *(b"\xff", b"\xd8\x00", b"\x00a", b"\x7f\x00\x00\x01", b"\x0a" * 16, bytes(8), bytes(32), b"\xff" * 8),
)
# Extensions, policies, usages, attributes, access methods; then keys, curves, digests, signatures.
_OIDS = """551d0e 551d0f 551d11 551d12 551d13 551d14 551d15 551d18 551d1b 551d1c 551d1d 551d1e 551d1f 551d20
 551d2000 551d21 551d23 551d24 551d25 551d2500 551d2e 551d36 551d37 551d38 550403 550405 550406
 550448 2a0301 2a0302 2b06010505070101 2b0601050507300105 2b0601050507300102 2b0601050507300101
 2b06010505070301 2b06010505070302 2b06010505070309 2b06010505070807 2b06010505070809
 2a864886f70d010901 0992268993f22c640119 2b06010505070106
 2a8648ce3d0201 2a8648ce3d030107 2b81040022 2b8104000a 2a811ccf5501822d 2a811ccf55018375
 2a8648ce3d040302 2a8648ce3d0401 2a864886f70d010101 2a864886f70d01010b 2a864886f70d01010a
 2a864886f70d010108 2b6570 2b6571 608648016503040311 608648016503040201 2b0e03021a 2a8648ce380401"""
OIDS = (b"", b"\xff", b"\x80", b"\x2a" + b"\xff" * 70 + b"\x7f", *map(bytes.fromhex, _OIDS.split()))
_UNIVERSAL = "01 02 03 04 05 06 0a 0c 12 13 14 16 17 18 1a 1c 1e 1f 30 31 23 24 60"
TAGS = (*bytes.fromhex(_UNIVERSAL), *range(0x80, 0x8A), *range(0xA0, 0xA6))
_BY_TAG = {
    0x01: BOOLEANS, 0x02: INTEGERS, 0x03: BITS, 0x06: OIDS, 0x0A: INTEGERS, 0x17: TIMES, 0x18: TIMES,
    0x80: (*TEXTS, *INTEGERS), 0x81: (*TEXTS, *INTEGERS), 0x82: (*TEXTS, *INTEGERS), 0x83: BITS,
    0x88: OIDS,
}  # fmt: skip
_LENGTHS = tuple(
    bytes.fromhex(text) for text in ("80", "81 05", "82 0005", "84 7fffffff", "00", "01", "7f", "ff")
)
_SIZE_MAX = 60_000


def edit(nodes: list[Node], choices: Choices) -> None:
    """Change one node of the tree, in place."""
    found = places(nodes)
    if found:
        place = found[choices.below(len(found))]
        pick(choices, _EDITS)(place, choices, found)


def mutate(data: bytes, seed: int) -> bytes | None:
    """Some edits of DER; ``None`` when the octets are no DER at all, so that others must have a go."""
    nodes = parse(data)
    if not nodes:
        return None
    choices = FromRandom(seed)
    for _ in range(1 + choices.below(4)):
        edit(nodes, choices)
    return write(nodes)


def _value(place: Place, choices: Choices, _: list[Place]) -> None:
    node = place.node
    node.contents = pick(choices, _BY_TAG.get(node.tag, TEXTS))
    node.children = None


def _octet(place: Place, choices: Choices, _: list[Place]) -> None:
    node = place.node
    where = choices.below(len(node.contents) or 1)
    node.contents = node.contents[:where] + choices.octets(1) + node.contents[where + 1 :]
    node.children = None


def _resize(place: Place, choices: Choices, _: list[Place]) -> None:
    node = place.node
    where, added = choices.below(len(node.contents) + 1), choices.octets(choices.below(4))
    node.contents = node.contents[:where] + added
    node.children = None


def _delete(place: Place, _: Choices, __: list[Place]) -> None:
    del place.siblings[place.index]


def _duplicate(place: Place, choices: Choices, _: list[Place]) -> None:
    count = pick(choices, (1, 1, 1, 2, 17, 300))
    if count * len(place.node.to_der()) < _SIZE_MAX:
        place.siblings[place.index : place.index] = [place.node.copy() for _ in range(count)]


def _swap(place: Place, choices: Choices, _: list[Place]) -> None:
    other = choices.below(len(place.siblings))
    siblings, index = place.siblings, place.index
    siblings[index], siblings[other] = siblings[other], siblings[index]


def _tag(place: Place, choices: Choices, _: list[Place]) -> None:
    place.node.tag = pick(choices, TAGS)


def _length(place: Place, choices: Choices, _: list[Place]) -> None:
    place.node.length = pick(choices, _LENGTHS)


def _splice(place: Place, choices: Choices, found: list[Place]) -> None:
    copied = found[choices.below(len(found))].node.copy()
    if choices.below(2):
        place.siblings[place.index] = copied
    else:
        place.siblings.insert(place.index, copied)


def _wrap(place: Place, choices: Choices, _: list[Place]) -> None:
    for _level in range(pick(choices, (1, 1, 1, 2, 40, 300))):
        place.siblings[place.index] = Node(place.node.tag, place.node.to_der())
    place.siblings[place.index].tag = pick(choices, TAGS)


def _unwrap(place: Place, _: Choices, __: list[Place]) -> None:
    if place.node.children:
        place.siblings[place.index : place.index + 1] = place.node.children


def _extension(place: Place, choices: Choices, _: list[Place]) -> None:
    """A new extension, or whatever an OID with a value is here."""
    value = tlv(pick(choices, TAGS), pick(choices, (*TEXTS, *INTEGERS)))
    critical = (b"", b"\x01\x01\xff")[choices.below(2)]
    added = parse(tlv(0x30, tlv(0x06, pick(choices, OIDS)), critical, tlv(0x04, value)))
    place.siblings[place.index : place.index] = added or []


_EDITS: tuple[Callable[[Place, Choices, list[Place]], None], ...] = (
    *(_value, _octet, _value, _resize, _delete, _duplicate, _swap, _tag, _length),
    *(_splice, _wrap, _unwrap, _extension),
)
