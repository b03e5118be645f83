"""What the extensions of a service say about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from onecert.verifier.algorithms import ALGORITHMS
from onecert.verifier.identity.profile import IdentityProfile, parse_profile
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.fields import read_extensions, read_oids, read_url
from onecert.verifier.trust_list.model import AllowedAlgorithm, Contact, ServiceLevel
from onecert.verifier.trust_list.parts import Part, PartReader

__all__ = ["EXTENSIONS", "Description", "read_algorithms", "read_description", "read_service_level"]

EXTENSIONS = "ServiceInformationExtensions"
_KNOWN = (
    v.EXT_IDENTITY_PROFILE,
    v.EXT_STATUS_TERMS,
    v.EXT_ISSUANCE_LOG,
    v.EXT_CONTACT,
    v.EXT_POLICIES,
    v.EXT_ALGORITHMS,
    v.EXT_SERVICE_LEVEL,
)
_ALGORITHM = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_NO_CONTACT = Contact()


@dataclass(frozen=True, kw_only=True)
class Description:
    """The extensions of a service. The terms are read with the status that they belong to."""

    identity_profile: IdentityProfile | None = None
    issuance_log_required: bool = False
    contact: Contact = _NO_CONTACT
    policies: tuple[str, ...] = ()
    algorithms: tuple[AllowedAlgorithm, ...] = ()
    service_level: ServiceLevel | None = None
    terms: object = None
    terms_where: str = ""

    def as_arguments(self) -> dict[str, Any]:
        """For ``TrustedService``."""
        return {
            "identity_profile": self.identity_profile,
            "issuance_log_required": self.issuance_log_required,
            "contact": self.contact,
            "policies": self.policies,
            "algorithms": self.algorithms,
            "service_level": self.service_level,
        }

    def terms_node(self) -> Node | None:
        """The terms of the present status, not read yet."""
        return None if self.terms is None else Node(self.terms, self.terms_where)


def read_description(value: object, where: str, parts: PartReader | None) -> Description:
    """Read the extensions, found in the object at ``where``.

    Args:
        value: decoded JSON, or a part, which may have been read before.
    """
    if parts is not None and isinstance(value, Part):
        return parts.read(value, EXTENSIONS, lambda found: _read(found, where))
    return _read(value, where)


def _read(value: object, where: str) -> Description:
    found = read_extensions(Node({EXTENSIONS: value}, where), EXTENSIONS, known=_KNOWN)
    terms = found.get(v.EXT_STATUS_TERMS)
    return Description(
        identity_profile=_profile(found.get(v.EXT_IDENTITY_PROFILE)),
        issuance_log_required=_issuance_log(found.get(v.EXT_ISSUANCE_LOG)),
        contact=_contact(found.get(v.EXT_CONTACT)),
        policies=_policies(found.get(v.EXT_POLICIES)),
        algorithms=_algorithms(found.get(v.EXT_ALGORITHMS)),
        service_level=read_service_level(found.get(v.EXT_SERVICE_LEVEL)),
        terms=None if terms is None else terms.raw,
        terms_where="" if terms is None else terms.where,
    )


def _profile(value: Node | None) -> IdentityProfile | None:
    return None if value is None else parse_profile(value.raw, value.where)


def _issuance_log(value: Node | None) -> bool:
    if value is None:
        return False
    with value:
        return value.boolean("required")


def _contact(value: Node | None) -> Contact:
    if value is None:
        return Contact()
    with value:
        return Contact(
            hotline=value.text("hotline", default="", max_length=64),
            email=value.text("email", default="", max_length=128),
            website=read_url(value, "website") if value.has("website") else "",
        )


def _policies(value: Node | None) -> tuple[str, ...]:
    if value is None:
        return ()
    with value:
        return read_oids(value, "accepted")


def _algorithms(value: Node | None) -> tuple[AllowedAlgorithm, ...]:
    if value is None:
        return ()
    with value:
        return read_algorithms(value, "accepted")


def read_algorithms(node: Node, key: str, *, writing: bool = False) -> tuple[AllowedAlgorithm, ...]:
    """At least one algorithm, each once.

    Args:
        writing: whoever writes a list may name only what is known here, because a slip of the pen would shut
            the CA out of every department. Who reads one may be older than its algorithms: a name that it
            does not know allows nothing to it, and costs nobody else the list.
    """
    rows = tuple(_algorithm(item, writing) for item in node.nodes(key, low=1, high=64))
    if len({row.name for row in rows}) != len(rows):
        raise StrictJsonError(node.place(key), "an algorithm occurs twice")
    return rows


def _algorithm(node: Node, writing: bool) -> AllowedAlgorithm:
    with node:
        name = node.text("name", max_length=40)
        if _ALGORITHM.fullmatch(name) is None:
            raise StrictJsonError(node.place("name"), "a name has lower-case letters, digits and -")
        if writing and name not in ALGORITHMS:
            near = get_close_matches(name, ALGORITHMS, n=2)
            known = ", ".join(dict.fromkeys((*near, *sorted(ALGORITHMS))))
            raise StrictJsonError(node.place("name"), f"{name!r} is none of {known}")
        return AllowedAlgorithm(
            name=name,
            until=node.time("until", default=None),
            rsa_min_bits=_optional(node, "rsa_min_bits", low=512, high=16_384),
        )


def read_service_level(value: Node | None) -> ServiceLevel | None:
    """What the operator has promised."""
    if value is None:
        return None
    with value:
        return ServiceLevel(
            revocation_hours=_optional(value, "revocation_hours", low=1, high=8760),
            crl_hours=_optional(value, "crl_hours", low=1, high=8760),
            ocsp_permille=_optional(value, "ocsp_permille", low=0, high=1000),
            statement=read_url(value, "statement") if value.has("statement") else "",
        )


def _optional(node: Node, key: str, *, low: int, high: int) -> int | None:
    return node.integer(key, low=low, high=high) if node.has(key) else None
