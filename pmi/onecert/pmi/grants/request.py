"""What is asked for, and what is on record: a grant, its content and the hash that freezes it.

Everything here is about form. What may be given to whom is said by the catalogue and by delegations, in
``rules``.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from onecert.pmi.catalogue.content import ROLE
from onecert.pmi.errors import GrantConflictError, RequestWrongError
from onecert.pmi.holders.identity import HolderIdentity
from onecert.server.languages import Message, _
from onecert.server.statements import Values
from onecert.verifier.certificate import ParsedCertificate, as_parsed, parse_certificate

__all__ = [
    "DELEGATION",
    "DRAWN",
    "GRANT",
    "HOLDER_FORMS",
    "STATES",
    "Grant",
    "GrantRequest",
    "Wanted",
    "canonical",
    "content_sha256",
    "grant_of",
]

GRANT, DELEGATION = "grant", "delegation"
# How a certificate names its holder, RFC 5755, section 4.2.2; "entity" is our URI of a legal entity.
HOLDER_FORMS = ("certificate", "key", "digest", "name", "entity")
# As ``audit_identity`` of a request: we draw one.
DRAWN = "drawn"

STATES: dict[str, Message] = {
    "waiting": _("waiting for approval"),
    "approved": _("approved, not yet issued"),
    "issued": _("issued"),
    "refused": _("refused"),
}
MAX_TARGETS = 32
MAX_ATTRIBUTES = 32
MAX_VALUES = 32
MAX_DEPTH = 16
MAX_NAMES = 32
# RFC 5755, section 4.3.1: at most 20 octets.
AUDIT_IDENTITY_OCTETS = 20

_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-~]{1,500}")
_AUDIT_IDENTITY = re.compile(r"([0-9a-f]{2}){1,20}")
_SOURCE = re.compile(r"((batch|renewal|rebinding):[0-9a-f\-]{1,40})?")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
# What an approver sees and agrees to; with the holder, the recipient and the period.
_CONTENT = (
    "id",
    "kind",
    "authority",
    "entity",
    "holder_name",
    "holder_form",
    "attributes",
    "constraints",
    "targets",
    "target_groups",
    "short_lived",
    "audit_identity",
    "source",
)
_JSON = ("attributes", "constraints", "targets", "target_groups")


@dataclass(frozen=True, kw_only=True)
class GrantRequest:
    """What an officer asks for.

    Args:
        authority: the name of the authority that is to give it.
        holder: the holder's certificate, DER or PEM; of a delegation, the sub-authority's.
        attributes: name in the catalogue -> values, as JSON; ``"role"`` is one of the names.
        roles: URIs of roles, added to ``attributes``.
        targets, target_groups: URIs of the applications where it may be used; none: everywhere.
        holder_form: one of HOLDER_FORMS.
        short_lived: no revocation (noRevAvail); at most 24 hours.
        audit_identity: stands for the holder in logs of relying parties: hexadecimal, at most 20 octets;
            ``DRAWN``: one is drawn; empty: none.
        recipient: the certificate of the one who may read encrypted attributes, DER or PEM.
        not_before, not_after: aware; None: from now, for as long as is allowed.
        id: a UUID that makes it safe to ask twice.
        kind: ``"grant"``, or ``"delegation"`` with its ``constraints``: ``{"depth": 0, "permitted": [DN…],
            "excluded": [DN…]}``, names in the form of RFC 4514; no depth: no limit of its own.
        source: ``renewal:<serial>``, ``rebinding:<serial>``, ``batch:<id>``, or empty.
    """

    authority: str
    holder: bytes
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    target_groups: tuple[str, ...] = ()
    holder_form: str = "certificate"
    short_lived: bool = False
    audit_identity: str = ""
    recipient: bytes = b""
    not_before: datetime | None = None
    not_after: datetime | None = None
    id: str = ""
    kind: str = GRANT
    constraints: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A grant as it is on record."""

    id: str
    authority: str
    state: str
    content_sha256: str
    holder: ParsedCertificate
    holder_name: str
    entity: str
    targets: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    needs_approval: bool
    requested_by: str
    requested_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    serial: str | None
    kind: str = GRANT
    holder_form: str = "certificate"
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    constraints: Mapping[str, Any] = field(default_factory=dict)
    target_groups: tuple[str, ...] = ()
    short_lived: bool = False
    audit_identity: str = ""
    recipient: ParsedCertificate | None = None
    source: str = ""
    batch_id: str | None = None
    refused_by: str | None = None
    refused_at: datetime | None = None
    refused_why: str = ""

    @property
    def roles(self) -> tuple[str, ...]:
        """The URIs of the roles among the attributes."""
        return tuple(self.attributes.get(ROLE, ()))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A request whose form has been checked, in the one order in which it is recorded."""

    id: str
    authority: str
    attributes: Mapping[str, Sequence[Any]]
    targets: Sequence[str]
    target_groups: Sequence[str]
    holder_form: str
    short_lived: bool
    audit_identity: str
    recipient: ParsedCertificate | None
    not_before: datetime | None
    not_after: datetime | None
    kind: str
    constraints: Mapping[str, Any]
    source: str

    @classmethod
    def of(cls, asked: GrantRequest) -> Wanted:
        """Check the form of a request.

        Raises:
            RequestWrongError: naming the field.
            VerifyError: the recipient's certificate cannot be read.
        """
        if asked.holder_form not in HOLDER_FORMS:
            raise RequestWrongError("holder_form", _("unknown"))
        if asked.kind not in (GRANT, DELEGATION):
            raise RequestWrongError("kind", _("unknown"))
        if asked.kind == GRANT and asked.constraints:
            raise RequestWrongError("constraints", _("only a delegation has them"))
        if asked.kind == DELEGATION and asked.short_lived:
            raise RequestWrongError("short_lived", _("a delegation can be revoked"))
        if not _SOURCE.fullmatch(asked.source):
            raise RequestWrongError("source", _("unknown"))
        return cls(
            id=_grant_id(asked.id),
            authority=asked.authority,
            attributes=_attributes(asked),
            targets=_uris(asked.targets, "targets"),
            target_groups=_uris(asked.target_groups, "target_groups"),
            holder_form=asked.holder_form,
            short_lived=asked.short_lived,
            audit_identity=_audit_identity(asked.audit_identity),
            recipient=parse_certificate(asked.recipient) if asked.recipient else None,
            not_before=_moment(asked.not_before, "not_before"),
            not_after=_moment(asked.not_after, "not_after"),
            kind=asked.kind,
            constraints=_constraints(asked.constraints),
            source=asked.source,
        )

    @property
    def roles(self) -> Sequence[str]:
        """The URIs of the roles among the attributes."""
        return self.attributes.get(ROLE, ())

    def as_columns(self) -> dict[str, Any]:
        """Return what of this stands in the row of a grant as it is."""
        return {
            "id": self.id,
            "authority": self.authority,
            "kind": self.kind,
            "holder_form": self.holder_form,
            "attributes": canonical(self.attributes),
            "constraints": canonical(self.constraints),
            "targets": canonical(self.targets),
            "target_groups": canonical(self.target_groups),
            "short_lived": self.short_lived,
            "audit_identity": self.audit_identity,
            "recipient_der": None if self.recipient is None else self.recipient.der,
            "source": self.source,
        }

    def check_same(self, known: Values, holder: HolderIdentity) -> Values:
        """Return the grant on record if it is what is asked now. Raises GrantConflictError.

        What was asked the first time counts; period and audit identity may have been filled in by us then.
        """
        again = {
            **self.as_columns(),
            "holder_der": holder.certificate.der,
            "not_before": self.not_before or known["not_before"],
            "not_after": self.not_after or known["not_after"],
        }
        if self.audit_identity == DRAWN and known["audit_identity"]:
            again["audit_identity"] = known["audit_identity"]
        if any(known[name] != value for name, value in again.items()):
            raise GrantConflictError(known["id"])
        return known


def canonical(value: Any) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def draw_audit_identity() -> str:
    """Draw an audit identity: 20 random octets in hexadecimal."""
    return secrets.token_hex(AUDIT_IDENTITY_OCTETS)


def content_sha256(values: Values) -> str:
    """Return the hash of what is approved: of the row of a grant."""
    content = {name: values[name] for name in _CONTENT}
    content["holder"] = hashlib.sha256(values["holder_der"]).hexdigest()
    if values["recipient_der"] is not None:
        content["recipient"] = hashlib.sha256(values["recipient_der"]).hexdigest()
    for name in ("not_before", "not_after"):
        content[name] = str(values[name])
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def grant_of(row: Values | RowMapping, holder: ParsedCertificate | None = None) -> Grant:
    """Build a grant from its row.

    Args:
        holder: what the row holds as ``holder_der``, when it has been read already.
    """
    values = {name: row[name] for name in Grant.__dataclass_fields__ if name not in {"holder", "recipient"}}
    recipient = row["recipient_der"]
    for name in _JSON:
        values[name] = json.loads(row[name])
    for name in ("targets", "target_groups"):
        values[name] = tuple(values[name])
    return Grant(
        **values,
        holder=holder or as_parsed(bytes(row["holder_der"])),
        recipient=None if recipient is None else as_parsed(bytes(recipient)),
    )


def _grant_id(given: str) -> str:
    if not given:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(given))
    except ValueError as exc:
        raise RequestWrongError("id", _("not a UUID")) from exc


def _attributes(asked: GrantRequest) -> dict[str, list[Any]]:
    given: dict[str, Any] = dict(asked.attributes)
    if asked.roles:
        if ROLE in given:
            raise RequestWrongError("roles", _("the attributes name roles as well"))
        given[ROLE] = asked.roles
    if not given:
        raise RequestWrongError("attributes", _("choose at least one attribute"))
    if len(given) > MAX_ATTRIBUTES:
        raise RequestWrongError("attributes", _("more than 32 attributes"))
    return {name: _values(name, given[name]) for name in sorted(given)}


def _values(name: str, values: Any) -> list[Any]:
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise RequestWrongError("attributes", _("the name of an attribute has other characters than letters"))
    if not isinstance(values, list | tuple) or not 0 < len(values) <= MAX_VALUES:
        raise RequestWrongError("attributes", _("an attribute has 1 to 32 values"))
    try:
        by_text = {canonical(value): value for value in values}
    except (TypeError, ValueError, RecursionError) as exc:
        raise RequestWrongError("attributes", _("a value is not JSON")) from exc
    if len(by_text) != len(values):
        raise RequestWrongError("attributes", _("a value occurs twice"))
    return [by_text[text] for text in sorted(by_text)]


def _uris(given: Sequence[str], field_name: str) -> list[str]:
    if len(given) > MAX_TARGETS or not all(_TARGET.fullmatch(each) for each in given):
        raise RequestWrongError(field_name, _("these are not URIs, or more than 32"))
    return sorted(set(given))


def _audit_identity(given: str) -> str:
    if given in ("", DRAWN):
        return given
    if not _AUDIT_IDENTITY.fullmatch(given.lower()):
        raise RequestWrongError("audit_identity", _("not 1 to 20 octets in hexadecimal"))
    return given.lower()


def _moment(given: datetime | None, field_name: str) -> datetime | None:
    if given is None:
        return None
    if given.tzinfo is None:
        raise RequestWrongError(field_name, _("a time without its zone"))
    # In UTC, as the record holds it: the hash of the content is taken before and after.
    return given.astimezone(UTC).replace(microsecond=0)


def _constraints(given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = given.keys() - {"depth", "permitted", "excluded"}
    depth = given.get("depth")
    is_depth = depth is None or (
        isinstance(depth, int) and not isinstance(depth, bool) and 0 <= depth <= MAX_DEPTH
    )
    if unknown or not is_depth:
        raise RequestWrongError("constraints", _("a depth of 0 to 16, and lists of names"))
    found: dict[str, Any] = {} if depth is None else {"depth": depth}
    for name in ("permitted", "excluded"):
        names = given.get(name, ())
        if not isinstance(names, list | tuple) or len(names) > MAX_NAMES:
            raise RequestWrongError("constraints", _("a depth of 0 to 16, and lists of names"))
        if not all(isinstance(each, str) and 0 < len(each) <= 500 for each in names):
            raise RequestWrongError("constraints", _("a depth of 0 to 16, and lists of names"))
        if names:
            found[name] = sorted(set(names))
    return found
