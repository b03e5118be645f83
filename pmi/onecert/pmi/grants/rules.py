"""Who may give what to whom: the catalogue, the delegations, the state of the authority, separation of duty.

Asked when a grant is requested, and again in the transaction in which its certificate is put on record:
between the two an authority may have been suspended, or the holder been given something else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Boolean, Connection, bindparam, func, literal, or_, select

from onecert.pmi.authorities.delegations import Delegations
from onecert.pmi.authorities.directory import SOURCE, Authority
from onecert.pmi.catalogue.content import (
    ANY,
    ENTITY,
    PERSON,
    ROLE,
    Catalogue,
    CatalogueAttribute,
    CatalogueRole,
)
from onecert.pmi.catalogue.errors import (
    AttributeNotAssignableError,
    AttributeValueError,
    HolderUnfitError,
)
from onecert.pmi.catalogue.store import Catalogues
from onecert.pmi.errors import RequestWrongError, RoleNotAssignableError
from onecert.pmi.grants.errors import DutySeparatedError
from onecert.pmi.grants.request import DELEGATION, Wanted, canonical
from onecert.pmi.holders.identity import HolderIdentity
from onecert.pmi.issuing.attributes import EncodedAttributes, constraints_from_json, encode_attributes
from onecert.pmi.issuing.encode import ENTITY_URN, Under
from onecert.pmi.models import certificate_attributes, certificates, holders
from onecert.server.languages import _
from onecert.server.statements import Statement
from onecert.verifier.attribute_certificate.delegation import Constraints
from onecert.verifier.certificate import ParsedCertificate

__all__ = ["Rules", "Terms", "holder_kind"]

_ENTITY_ID = re.compile(r"[a-z]+:[A-Za-z0-9\-]{1,64}")
# The classes of holders whose certificate is a person's, also inside of an organisation.
_PERSONS = {"employee", "citizen"}

# What a holder has, by whichever certificate of theirs and from whichever authority. Certificates whose
# person nobody has written down count as everybody's in that entity.
_LIVE = or_(*(certificates.c.state == state for state in ("intended", "issued", "held")))
_PERSON = Statement(select(holders.c.person).where(holders.c.sha256 == bindparam("wanted")))
_ROLES_HELD = Statement(
    select(certificates.c.serial, certificate_attributes.c.value)
    .join(certificate_attributes, certificate_attributes.c.serial == certificates.c.serial)
    .outerjoin(holders, holders.c.sha256 == certificates.c.holder_sha256)
    .where(
        certificates.c.entity == bindparam("entity"),
        or_(
            literal(True) == bindparam("anybody", type_=Boolean),
            holders.c.person.is_(None),
            holders.c.person == bindparam("person"),
        ),
        certificates.c.kind != DELEGATION,
        _LIVE,
        certificates.c.not_after >= bindparam("at"),
        certificate_attributes.c.name == ROLE,
    )
    .order_by(certificates.c.serial)
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which terms something may be given."""

    attributes: EncodedAttributes
    needs_approval: bool
    longest: timedelta
    constraints: Constraints | None
    # As long as the delegations allow, when nobody has asked for an end; None: they do not limit it.
    latest: datetime | None
    catalogue: Catalogue


class Rules:
    """Judges grants. One object per process; safe to share between threads."""

    def __init__(self, *, catalogues: Catalogues, delegations: Delegations, lifetime_max: timedelta) -> None:
        self._catalogues = catalogues
        self._delegations = delegations
        self._lifetime_max = lifetime_max

    def judge(
        self,
        connection: Connection,
        authority: Authority,
        wanted: Wanted,
        holder: HolderIdentity,
        at: datetime,
        *,
        again: bool = False,
        locks: bool = True,
    ) -> Terms:
        """Say on which terms this may be given; what was delegated is asked with its period, afterwards.

        Args:
            authority: as ``Authorities.load_to_issue`` returned it in this transaction.
            again: it was requested before, and the record does not say of what kind its holder is.
            locks: whether it is given in this transaction, so that others for this holder must wait.

        Raises:
            PmiError: it may not; the code says why.
        """
        # 1. What a source gives is its own; of others, the delegation is asked in ``check_delegated``.
        is_source = authority.kind == SOURCE
        catalogue = self._catalogues.load(connection)
        entries = list(_entries(catalogue, authority.name, wanted, is_source=is_source))
        # 2. The values are of the syntax, and among those that may be given.
        encoded = encode_attributes(catalogue, wanted.attributes)
        for entry in entries:
            if isinstance(entry, CatalogueAttribute):
                _check_values(entry, wanted.attributes[entry.name])
        if bool(encoded.secret) != (wanted.recipient is not None):
            reason = _("there is nothing to encrypt") if wanted.recipient else _("missing")
            raise RequestWrongError("recipient", reason)
        # 3. The holder is somebody who may have it.
        constraints = None
        if wanted.kind == DELEGATION:
            constraints = _constraints(wanted)
            # By a digest alone: a name or a serial number binds nobody who has not been told the CA's path.
            if wanted.holder_form not in {"key", "digest"}:
                reason = _("a delegation names a key, or a certificate by digest")
                raise RequestWrongError("holder_form", reason)
        else:
            if wanted.holder_form == "entity" and not again:
                _check_entity(holder)
            for entry in entries if not again else ():
                _check_holder(entry, holder)
            self.check_duties(connection, catalogue, wanted.roles, holder, at, again=again, locks=locks)
        days = [] if wanted.kind == DELEGATION else [timedelta(days=entry.max_days) for entry in entries]
        return Terms(
            attributes=encoded,
            # What lets somebody else give is never given by one person alone.
            needs_approval=wanted.kind == DELEGATION or any(entry.second_person for entry in entries),
            longest=min([self._lifetime_max, *days]),
            constraints=constraints,
            latest=None
            if wanted.not_after
            else self._delegations.latest_end(
                connection,
                authority,
                attributes=encoded.clear + encoded.secret,
                holder=holder.certificate,
                start=wanted.not_before or at.replace(microsecond=0),
                at=at,
                constraints=constraints,
            ),
            catalogue=catalogue,
        )

    def check_delegated(
        self,
        connection: Connection,
        authority: Authority,
        terms: Terms,
        *,
        holder: ParsedCertificate,
        period: tuple[datetime, datetime],
        at: datetime,
    ) -> Under | None:
        """Check what is to be given against what was delegated; return the delegation, None for a source.

        Raises:
            NoDelegationError: nothing is delegated to the authority now.
            DelegationExceededError: ``EXCEEDS_DELEGATION``, as a verifier would say later.
            DelegationLoopError: it would come back to who gives it.
        """
        held = self._delegations.choose(
            connection,
            authority,
            attributes=terms.attributes.clear + terms.attributes.secret,
            holder=holder,
            period=period,
            at=at,
            constraints=terms.constraints,
        )
        return None if held is None else Under(held.giver.certificate.subject_der, int(held.serial, 16))

    def check_duties(
        self,
        connection: Connection,
        catalogue: Catalogue,
        roles: Sequence[str],
        holder: HolderIdentity,
        at: datetime,
        *,
        again: bool = False,
        locks: bool = True,
    ) -> None:
        """Static separation of duty, over all that the holder has from whomever; see ``judge``."""
        entity, certificate = holder.entity, holder.certificate
        given = catalogue.with_included(roles)
        if not any(rule.kind == "static" and given.intersection(rule.roles) for rule in catalogue.exclusions):
            return
        for rule in catalogue.broken_exclusions(roles):
            raise DutySeparatedError(rule.title("en"), sorted(given.intersection(rule.roles)), "")
        if locks and connection.dialect.name == "postgresql":
            # Two grants for one holder at the same moment wait for each other; SQLite's writers always do.
            key = int.from_bytes(hashlib.sha256(entity.encode()).digest()[:8], "big", signed=True)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        held: dict[str, str] = {}
        person: str | None = holder.person
        if again:
            row = _PERSON.first(connection, {"wanted": hashlib.sha256(certificate.der).hexdigest()})
            person = None if row is None else row["person"]
        whose = {"entity": entity, "anybody": person is None, "person": person or ""}
        for row in _ROLES_HELD.all(connection, {**whose, "at": at}):
            held.setdefault(row["value"], row["serial"])
        for role, serial in held.items():
            for rule in catalogue.broken_exclusions([role, *roles]):
                both = catalogue.with_included([role, *roles]).intersection(rule.roles)
                raise DutySeparatedError(rule.title("en"), sorted(both), serial)


def holder_kind(holder: HolderIdentity) -> str:
    """Tell whether a holder is a legal ENTITY or a natural PERSON; an employee is a person."""
    holder_class = holder.attributes.get("holder_class")
    if holder_class in _PERSONS or holder.entity.startswith("person:"):
        return PERSON
    return ENTITY


def _entries(
    catalogue: Catalogue, authority: str, wanted: Wanted, *, is_source: bool
) -> Iterator[CatalogueRole | CatalogueAttribute]:
    for name, values in wanted.attributes.items():
        if name != ROLE:
            entry = catalogue.attribute(name)
            if is_source and authority not in entry.authorities:
                raise AttributeNotAssignableError(name, authority)
            yield entry
            continue
        for uri in values:
            if not isinstance(uri, str):
                raise AttributeValueError(ROLE, canonical(uri), _("not the URI of a role"))
            role = catalogue.role(uri)
            if is_source and authority not in role.authorities:
                raise RoleNotAssignableError(uri, authority)
            yield role


def _check_values(entry: CatalogueAttribute, values: Sequence[object]) -> None:
    if len(values) > 1 and not entry.multiple:
        raise AttributeValueError(entry.name, canonical(values), _("it has one value only"))
    allowed = {canonical(value) for value in entry.values}
    for value in values:
        if allowed and canonical(value) not in allowed:
            raise AttributeValueError(entry.name, canonical(value), _("the catalogue does not list it"))


def _check_holder(entry: CatalogueRole | CatalogueAttribute, holder: HolderIdentity) -> None:
    if entry.holders not in (ANY, holder_kind(holder)):
        raise HolderUnfitError(entry.en, entry.holders)


def _check_entity(holder: HolderIdentity) -> None:
    if holder_kind(holder) != ENTITY or not _ENTITY_ID.fullmatch(holder.entity):
        raise HolderUnfitError(f"{ENTITY_URN}…", ENTITY)


def _constraints(wanted: Wanted) -> Constraints:
    try:
        return constraints_from_json(wanted.constraints)
    except ValueError as exc:
        raise RequestWrongError("constraints", _("a name is not in the form CN=…,O=…,C=CN")) from exc
