"""DER as a tree that may be broken on purpose: parsed leniently, edited, written with lengths that fit again.

What an OCTET STRING or BIT STRING wraps is taken apart too, because extensions and keys hide there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_DEPTH_MAX = 32
_NODES_MAX = 4000
_CONSTRUCTED, _BIT_STRING, _OCTET_STRING = 0x20, 0x03, 0x04


@dataclass
class Node:
    """One TLV. ``children`` is ``None`` for a primitive one; ``length`` replaces the honest length octets."""

    tag: int
    contents: bytes = b""
    children: list[Node] | None = None
    prefix: bytes = b""  # the count of unused bits, where a BIT STRING wraps DER
    length: bytes | None = None

    def to_der(self) -> bytes:
        """The octets, header included."""
        body = self.contents if self.children is None else self.prefix + write(self.children)
        return bytes((self.tag,)) + (length_of(len(body)) if self.length is None else self.length) + body

    def copy(self) -> Node:
        """A deep copy."""
        children = None if self.children is None else [child.copy() for child in self.children]
        return Node(self.tag, self.contents, children, self.prefix, self.length)


@dataclass
class Place:
    """Where a node stands: the list that holds it, and its index there."""

    siblings: list[Node]
    index: int

    @property
    def node(self) -> Node:
        return self.siblings[self.index]


@dataclass
class _Parser:
    data: bytes
    count: int = field(default=0)

    def run(self, pos: int, end: int, depth: int) -> list[Node] | None:
        """All TLVs between two offsets; ``None`` unless they fill the room exactly."""
        nodes = []
        while pos < end:
            header = _header(self.data, pos, end)
            self.count += 1
            if header is None or self.count > _NODES_MAX:
                return None
            start, stop = header
            nodes.append(self._node(self.data[pos], start, stop, depth))
            pos = stop
        return nodes

    def _node(self, tag: int, start: int, stop: int, depth: int) -> Node:
        node = Node(tag, self.data[start:stop])
        if depth < _DEPTH_MAX and stop > start:
            if tag & _CONSTRUCTED or tag == _OCTET_STRING:
                node.children = self.run(start, stop, depth + 1) or None
            elif tag == _BIT_STRING and self.data[start] == 0 and self.data[start + 1 : start + 2] == b"\x30":
                node.children = self.run(start + 1, stop, depth + 1) or None
                node.prefix = b"\x00"
        return node


def _header(data: bytes, pos: int, end: int) -> tuple[int, int] | None:
    if pos + 2 > end or data[pos] & 0x1F == 0x1F:
        return None
    length, start = data[pos + 1], pos + 2
    if length >= 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or start + octets > end:
            return None
        length, start = int.from_bytes(data[start : start + octets], "big"), start + octets
    return (start, start + length) if start + length <= end else None


def parse(data: bytes) -> list[Node] | None:
    """The TLVs of ``data`` one after the other; ``None`` when they do not fill it."""
    return _Parser(data).run(0, len(data), 0)


def write(nodes: list[Node]) -> bytes:
    """The octets of several nodes."""
    return b"".join([node.to_der() for node in nodes])


def length_of(size: int) -> bytes:
    """The shortest length octets."""
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def tlv(tag: int, *contents: bytes) -> bytes:
    """One DER TLV."""
    body = b"".join(contents)
    return bytes((tag,)) + length_of(len(body)) + body


def places(nodes: list[Node]) -> list[Place]:
    """Every node with its place, outermost first."""
    return list(_places(nodes))


def _places(nodes: list[Node]) -> Iterator[Place]:
    for index, node in enumerate(nodes):
        yield Place(nodes, index)
        if node.children is not None:
            yield from _places(node.children)
