"""What the certificate of an authority says beyond its profile: its exact name, and what it is bound to.

RFC 5280, sections 4.2.1.5 (policy mappings), 4.2.1.10 (name constraints), 4.2.1.11 (policy constraints) and
4.2.1.14 (inhibit anyPolicy). Written here for drafts; `find_faults` reads a certificate back with another
parser, for the lint. The name of another CA is taken as its own certificate or request spells it, because
names in a path are compared, and nothing that we would write anew is sure to compare equal everywhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from cryptography import x509

from onecert.ca import der
from onecert.ca.certificates.lint_rules import fault

__all__ = ["ANY_POLICY", "AuthorityTerms", "NameRange", "terms_from_json"]

ANY_POLICY = "2.5.29.32.0"
MAPPINGS, NAMES, CONSTRAINTS, INHIBIT_ANY = "2.5.29.33", "2.5.29.30", "2.5.29.36", "2.5.29.54"


@dataclass(frozen=True, kw_only=True)
class NameRange:
    """One subtree of names.

    Args:
        form: `dns`, `email`, `ip` or `dn`.
        value: a host name with all below it, a mailbox, host or `.domain`, a network such as `10.0.0.0/8`; of
            a directory name its DER in hex.
    """

    form: str
    value: str

    @property
    def general_name_der(self) -> bytes:
        """The base of the subtree as GeneralName (RFC 5280, section 4.2.1.6)."""
        match self.form:
            case "email":
                return der.implicit(1, self.value.encode("ascii"))
            case "dns":
                return der.implicit(2, self.value.encode("ascii"))
            case "dn":
                return der.explicit(4, bytes.fromhex(self.value))
        network = ipaddress.ip_network(self.value)
        return der.implicit(7, network.network_address.packed + network.netmask.packed)


@dataclass(frozen=True, kw_only=True)
class AuthorityTerms:
    """What stands in the certificate of an authority, checked; empty fields are not said.

    Args:
        subject_der: the name, DER.
        validity: first and last second, when they do not follow from the moment of issue and the profile: a
            key roll-over certificate has those of another certificate (RFC 9810, section 4.4).
    """

    subject_der: bytes
    policy_mappings: tuple[tuple[str, str], ...] = ()
    require_explicit_policy: int | None = None
    inhibit_policy_mapping: int | None = None
    inhibit_any_policy: int | None = None
    permitted: tuple[NameRange, ...] = ()
    excluded: tuple[NameRange, ...] = ()
    validity: tuple[datetime, datetime] | None = None

    def as_json(self) -> dict[str, Any]:
        """What was reviewed, for the record."""
        data = asdict(self) | {"subject_der": self.subject_der.hex()}
        if self.validity is not None:
            data["validity"] = [moment.isoformat() for moment in self.validity]
        return data

    @cached_property
    def extensions(self) -> dict[str, bytes]:
        """The value of each extension by its OID, DER. All of them are critical."""
        found = {}
        if self.permitted or self.excluded:
            found[NAMES] = der.sequence(_subtrees(0, self.permitted), _subtrees(1, self.excluded))
        if self.policy_mappings:
            pairs = (der.sequence(der.oid(ours), der.oid(theirs)) for ours, theirs in self.policy_mappings)
            found[MAPPINGS] = der.sequence(*pairs)
        skips = ((0, self.require_explicit_policy), (1, self.inhibit_policy_mapping))
        if any(skip is not None for _tag, skip in skips):
            found[CONSTRAINTS] = der.sequence(
                *(der.implicit(tag, _number(skip)) for tag, skip in skips if skip is not None)
            )
        if self.inhibit_any_policy is not None:
            found[INHIBIT_ANY] = der.integer(self.inhibit_any_policy)
        return found

    @property
    def extensions_der(self) -> list[bytes]:
        """The extensions as they stand in a certificate."""
        return [der.extension(oid, value, critical=True) for oid, value in self.extensions.items()]

    def find_faults(self, certificate: x509.Certificate) -> Iterator[str]:
        """Name what a certificate says otherwise than these terms; its extensions are there and critical."""
        present = {extension.oid.dotted_string: extension.value for extension in certificate.extensions}
        if MAPPINGS in present and _read_mappings(present[MAPPINGS]) != list(self.policy_mappings):
            yield fault("certificate-mappings")
        if CONSTRAINTS in present:
            value = present[CONSTRAINTS]
            if not isinstance(value, x509.PolicyConstraints) or (
                (value.require_explicit_policy, value.inhibit_policy_mapping)
                != (self.require_explicit_policy, self.inhibit_policy_mapping)
            ):
                yield fault("certificate-policy-constraints")
        if INHIBIT_ANY in present:
            value = present[INHIBIT_ANY]
            if not isinstance(value, x509.InhibitAnyPolicy) or value.skip_certs != self.inhibit_any_policy:
                yield fault("certificate-inhibit-any")
        if NAMES in present:
            value = present[NAMES]
            if not isinstance(value, x509.NameConstraints) or (
                _read_names(value.permitted_subtrees) != [(each.form, each.value) for each in self.permitted]
                or _read_names(value.excluded_subtrees) != [(each.form, each.value) for each in self.excluded]
            ):
                yield fault("certificate-name-constraints")


def terms_from_json(data: Mapping[str, Any]) -> AuthorityTerms:
    """Read what `AuthorityTerms.as_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it did not write that.
    """
    ranges = {key: tuple(NameRange(**each) for each in data[key]) for key in ("permitted", "excluded")}
    moments = data["validity"]
    return AuthorityTerms(
        **{
            **data,
            **ranges,
            "subject_der": bytes.fromhex(data["subject_der"]),
            "policy_mappings": tuple((ours, theirs) for ours, theirs in data["policy_mappings"]),
            "validity": None if moments is None else tuple(map(datetime.fromisoformat, moments)),
        }
    )


def _number(value: int) -> bytes:
    return der.content_of(der.integer(value), der.INTEGER)


def _subtrees(tag: int, ranges: tuple[NameRange, ...]) -> bytes:
    # minimum is 0, the default, and maximum is absent (RFC 5280, section 4.2.1.10).
    return der.explicit(tag, *(der.sequence(each.general_name_der) for each in ranges)) if ranges else b""


def _read_mappings(value: object) -> list[tuple[str, str]]:
    if isinstance(value, x509.UnrecognizedExtension):
        pairs = []
        for _tag, content, _whole in der.elements(der.content_of(value.value)):
            (_t1, _c1, ours), (_t2, _c2, theirs) = der.elements(content)
            pairs.append((_dotted(ours), _dotted(theirs)))
        return pairs
    return []


def _dotted(oid_der: bytes) -> str:
    content = der.content_of(oid_der, der.OID)
    first, arcs, value = True, [], 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if octet & 0x80:
            continue
        if first:
            head = min(value // 40, 2)
            arcs += [head, value - 40 * head]
            first = False
        else:
            arcs.append(value)
        value = 0
    return ".".join(str(arc) for arc in arcs)


def _read_names(names: list[x509.GeneralName] | None) -> list[tuple[str, str]]:
    read = []
    for name in names or []:
        match name:
            case x509.DNSName():
                read.append(("dns", name.value))
            case x509.RFC822Name():
                read.append(("email", name.value))
            case x509.IPAddress():
                read.append(("ip", str(name.value)))
            case x509.DirectoryName():
                read.append(("dn", name.value.public_bytes().hex()))
            case _:
                read.append(("?", repr(name)))
    return read
