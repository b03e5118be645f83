"""What may be special about certificates and inputs: path rules, policies, names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from diff_keys import ED25519
from diff_world import (
    ANY,
    CA_USAGE,
    CRL_SIGN,
    KEY_CERT_SIGN,
    LEAF_USAGE,
    SPELLINGS,
    Cert,
    Inputs,
    Tree,
)
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

# (field, values): what may be odd about one certificate.
_ODD: Sequence[tuple[str, Sequence[Any]]] = (
    ("path_length", (0, 1, 2)),
    ("not_after", (0, -1, 1)),
    ("not_before", (0, 1, -1)),
    ("usage", (None, frozenset({CRL_SIGN}), frozenset({KEY_CERT_SIGN}), CA_USAGE, LEAF_USAGE)),
    ("ca", (True, False, None)),
    ("unknown", ("critical", "ignorable")),
    ("altered", (True,)),
    ("authority_key_id", ("none", "wrong")),
    ("subject_key_id", (False,)),
    ("subject", SPELLINGS[1:]),
    ("issuer", SPELLINGS[1:]),
    ("extended", (("client",), ("server",), ("any",), ("client", "server"), ("mail", "any"))),
    ("key", (ED25519 + 90, 90)),
    ("signer", (91,)),
)


def with_path_features(draw: Draw, certs: list[Cert], inputs: Inputs) -> tuple[list[Cert], Inputs]:
    certs = list(certs)
    for _ in range(draw(st.sampled_from((1, 0, 2, 3, 4)))):
        number = draw(st.integers(0, len(certs) - 1))
        name, values = draw(st.sampled_from(_ODD))
        value = draw(st.sampled_from(values))
        if name in {"subject", "issuer"}:
            value = replace(getattr(certs[number], name), spelling=value)
        certs[number] = replace(certs[number], **{name: value})
    return certs, replace(inputs, client=draw(st.sampled_from((False, False, False, True))))


def with_policies(draw: Draw, certs: list[Cert], inputs: Inputs) -> tuple[list[Cert], Inputs]:
    some = st.sampled_from(((1,), (1, 2), (ANY,), (2,), (1, ANY), (2, 3), (1, 2, 3), None))
    counts = st.sampled_from((None, None, None, None, None, 0, 1, 2))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    changed = []
    for number, cert in enumerate(certs):
        features: dict[str, Any] = {"policies": draw(some)}
        if number < len(certs) - 1:
            if draw(st.integers(0, 2)) == 2:
                mappings = draw(st.lists(pairs, min_size=1, max_size=3, unique=True))
                if draw(st.integers(0, 19)) == 19:
                    mappings = [(ANY, 1)]
                features["mappings"] = tuple(sorted(mappings))
            features["inhibit_any"] = draw(counts)
        features |= {"require_explicit": draw(counts), "inhibit_mapping": draw(counts)}
        changed.append(replace(cert, **features))
    inputs = replace(
        inputs,
        policies=draw(st.sampled_from((frozenset({ANY}), frozenset({1}), frozenset({1, 2}), frozenset({3})))),
        explicit=draw(st.booleans()),
        inhibit_mapping=draw(st.sampled_from((False, False, True))),
        inhibit_any=draw(st.sampled_from((False, False, True))),
    )
    return changed, inputs


# Of each kind: (names, bases).
_NAMES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "dns": (
        ("a.example", "x.a.example", "A.Example", "b.example", "*.a.example"),
        ("a.example", "example", "x.a.example", "b.example", "A.EXAMPLE"),
    ),
    "mail": (
        ("u@a.example", "u@x.a.example", "U@A.example", "v@b.example"),
        ("a.example", ".a.example", "u@a.example", "b.example", "example"),
    ),
    "uri": (
        (
            "http://a.example/p",
            "http://x.a.example",
            "http://A.example:80/",
            "ldap://b.example/x",
            "http://10.0.0.1/",
            "urn:x:y",
        ),
        ("a.example", ".a.example", ".example", "b.example"),
    ),
    "ip": (
        ("10.0.0.1", "10.1.0.1", "192.0.2.1", "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.0/16", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"),
    ),
    "dn": (("City", "Other"), ("City", "Other")),
    "rid": (("1.3.6.1.4.1.55555.7.1",), ("1.3.6.1.4.1.55555.7", "1.3.6.1.4.1.55555.6")),
    "other": (("x",), ("x", "y")),
}


def _trees(kinds: Sequence[str], *, base: bool) -> st.SearchStrategy[tuple[Tree, ...]]:
    flat = [Tree(kind, value) for kind in kinds for value in _NAMES[kind][base]]
    return st.lists(st.sampled_from(flat), min_size=1, max_size=2, unique=True).map(tuple)


def with_names(draw: Draw, certs: list[Cert]) -> list[Cert]:
    """Names of one or two kinds, so that they meet."""
    kinds = sorted(
        draw(
            st.sets(
                st.sampled_from(("dns", "dn", "mail", "uri", "ip", "rid", "other")), min_size=1, max_size=2
            )
        )
    )
    bases, names = _trees(kinds, base=True), _trees(kinds, base=False)
    changed = []
    for number, cert in enumerate(certs):
        target = number == len(certs) - 1
        features: dict[str, Any] = {}
        if not target:
            what = draw(st.sampled_from(("", "", "permitted", "excluded", "both")))
            if what in {"permitted", "both"}:
                features["permitted"] = draw(bases)
            if what in {"excluded", "both"}:
                features["excluded"] = draw(bases)
        if draw(st.integers(0, 1 if target else 5)) == (0 if target else 5):
            features["names"] = draw(names)
        subject = cert.subject
        if "dn" in kinds and target:
            org = draw(st.sampled_from(("City", "Other", "City West")))
            subject = replace(subject, org=org, spelling=draw(st.sampled_from(SPELLINGS)))
        if "mail" in kinds and target and draw(st.booleans()):
            subject = replace(subject, email=draw(st.sampled_from(_NAMES["mail"][0])))
        changed.append(replace(cert, subject=subject, **features))
    return changed
