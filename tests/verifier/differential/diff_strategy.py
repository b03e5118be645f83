"""Worlds drawn by hypothesis: a graph of authorities, valid by default, then a few features of one theme.

What is drawn first is the plainest (``sampled_from`` shrinks to its first value), so a failing example ends
as the smallest hierarchy with the fewest features that still fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from diff_crls import draw_crls
from diff_features import with_names, with_path_features, with_policies
from diff_keys import ED25519, RSA, RSA_KEYS
from diff_world import LEAF_USAGE, Cert, Dn, Inputs, World
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

THEMES = ("paths", "policies", "names", "revocation", "mixed")


@dataclass
class Graph:
    """Who certifies whom, as (issuer, its key, subject, its key); ``keys`` are the keys of each authority."""

    edges: list[tuple[str, int, str, int]] = field(default_factory=list)
    keys: dict[str, list[int]] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)

    def key(self, entity: str, generation: int = 0) -> int:
        keys = self.keys.setdefault(entity, [])
        while len(keys) <= generation:
            keys.append(sum(len(found) for found in self.keys.values()))
        return keys[generation]

    def certify(self, issuer: str, subject: str, issuer_key: int = 0, subject_key: int = 0) -> None:
        self.edges.append((issuer, self.key(issuer, issuer_key), subject, self.key(subject, subject_key)))

    def root(self, entity: str) -> None:
        self.roots.append(entity)
        self.certify(entity, entity)


def _straight(draw: Draw) -> Graph:
    graph = Graph()
    graph.root("Root 1")
    above = "Root 1"
    for number in range(draw(st.sampled_from((1, 0, 2, 3)))):
        graph.certify(above, f"CA {number}")
        above = f"CA {number}"
    graph.certify(above, "Leaf")
    return graph


def _crossed(draw: Draw) -> Graph:
    """Two roots certify the same authority, perhaps at different heights."""
    graph = Graph()
    graph.root("Root 1")
    graph.root("Root 2")
    graph.certify("Root 1", "CA 0")
    if draw(st.booleans()):
        graph.certify("Root 2", "CA 1")
        graph.certify("CA 1", "CA 0")
    else:
        graph.certify("Root 2", "CA 0")
    graph.certify("CA 0", "Leaf")
    return graph


def _bridge(draw: Draw) -> Graph:
    graph = Graph()
    graph.root("Root 1")
    graph.root("Root 2")
    graph.certify("Root 1", "Bridge")
    graph.certify("Bridge", "Root 1")
    graph.certify("Bridge", "Root 2")
    graph.certify("Root 2", "Bridge")
    graph.certify("Root 2", "CA 0")
    graph.certify("CA 0", "Leaf")
    return graph


def _roll_over(draw: Draw) -> Graph:
    """RFC 4210, section 4.4: new with old and old with new, self-issued, at the root or below it."""
    graph = Graph()
    graph.root("Root 1")
    subject = draw(st.sampled_from(("CA 0", "Root 1")))
    if subject == "CA 0":
        graph.certify("Root 1", "CA 0", 0, draw(st.sampled_from((0, 1))))
    graph.certify(subject, subject, 0, 1)
    if draw(st.booleans()):
        graph.certify(subject, subject, 1, 0)
    graph.certify(subject, "Leaf", draw(st.sampled_from((1, 0))))
    return graph


def _loop(draw: Draw) -> Graph:
    graph = Graph()
    graph.root("Root 1")
    graph.certify("Root 1", "CA 0")
    graph.certify("CA 0", "CA 1")
    graph.certify("CA 1", "CA 0")
    graph.certify(draw(st.sampled_from(("CA 1", "CA 0"))), "Leaf")
    return graph


def _mesh(draw: Draw) -> Graph:
    graph = Graph()
    roots = [f"Root {number + 1}" for number in range(draw(st.integers(1, 3)))]
    for root in roots:
        graph.root(root)
    entities = [*roots, *(f"CA {number}" for number in range(draw(st.integers(1, 3))))]
    pairs = [(a, b) for a in entities for b in entities if a != b]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=6, unique=True))
    for issuer, subject in chosen:
        graph.certify(issuer, subject)
    graph.certify(draw(st.sampled_from([subject for _, subject in chosen])), "Leaf")
    return graph


_SHAPES = (_straight, _crossed, _roll_over, _bridge, _loop, _mesh)


@st.composite
def worlds(draw: Draw, theme: str = "") -> World:
    """One world; the target is its last certificate."""
    theme = theme or draw(st.sampled_from(THEMES))
    graph = draw(st.sampled_from(_SHAPES))(draw)
    certs = [
        Cert(Dn(subject), Dn(issuer), subject_key, issuer_key)
        if subject != "Leaf"
        else Cert(Dn(subject), Dn(issuer), subject_key, issuer_key, ca=None, usage=LEAF_USAGE)
        for issuer, issuer_key, subject, subject_key in graph.edges
    ]
    inputs = Inputs()
    anchors = [
        number
        for number, (issuer, _, subject, _) in enumerate(graph.edges)
        if issuer == subject in graph.roots
    ][: len(graph.roots)]
    if len(anchors) > 1:
        anchors = sorted(draw(st.sets(st.sampled_from(anchors), min_size=1, max_size=2)))
    elif theme == "paths" and len(certs) > 2 and draw(st.integers(0, 11)) == 11:
        anchors = [draw(st.integers(0, len(certs) - 2))]  # an issuing CA may be an anchor
    certs = _with_algorithms(draw, certs)
    if theme in {"paths", "mixed"}:
        certs, inputs = with_path_features(draw, certs, inputs)
    if theme == "policies" or (theme == "mixed" and draw(st.booleans())):
        certs, inputs = with_policies(draw, certs, inputs)
    if theme == "names" or (theme == "mixed" and draw(st.booleans())):
        certs = with_names(draw, certs)
    if theme in {"names", "mixed", "paths"}:
        inputs = replace(inputs, anchor_extensions=draw(st.sampled_from((False, False, True))))
    world = World(tuple(certs), tuple(anchors), (), inputs)
    if theme == "revocation" or (theme == "mixed" and draw(st.booleans())):
        world = draw_crls(draw, world)
    return world


def _with_algorithms(draw: Draw, certs: list[Cert]) -> list[Cert]:
    """Mostly P-256; now and then one authority has another kind of key."""
    numbers = sorted({cert.key for cert in certs})
    kinds = draw(st.lists(st.sampled_from((0, 0, 0, ED25519, RSA)), max_size=len(numbers)))
    swapped: dict[int, int] = {}
    rsa_keys = 0
    for number, kind in zip(numbers, kinds, strict=False):
        if kind == RSA and rsa_keys < RSA_KEYS:
            swapped[number] = RSA + rsa_keys
            rsa_keys += 1
        elif kind == ED25519:
            swapped[number] = ED25519 + number
    return [
        replace(cert, key=swapped.get(cert.key, cert.key), signer=swapped.get(cert.signer, cert.signer))
        for cert in certs
    ]
