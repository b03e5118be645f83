"""What a relying party pulls: the live attribute certificates of one holder, and what leads up to them.

With the certificates come the delegations above them, up to a source of authority, the certificates of all
their authorities, and where their status is published. Nothing is secret here, and nothing is believed there:
a relying party verifies every certificate itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, union

from onecert.pmi.authorities.directory import ACTIVE, SOURCE, Authorities, Authority
from onecert.pmi.holders.seen import find_holder, of_identity
from onecert.pmi.models import certificates
from onecert.pmi.repository.search import STATE
from onecert.verifier.certificate import as_parsed

__all__ = ["MOST", "Pulled", "delegations_above", "pull_holder"]

MOST = 64
_MAX_DEPTH = 16
_FEW = 1000


@dataclass(frozen=True)
class Pulled:
    """What is live at a time, all DER.

    Args:
        delegations: pairs of the delegation and the certificate of the authority it was given to.
        authorities: of every certificate here, by name.
    """

    certificates: Sequence[bytes]
    delegations: Sequence[tuple[bytes, bytes]]
    authorities: Sequence[Authority]

    def as_json(self) -> Mapping[str, Any]:
        """For relying parties; DER in base64."""
        return {
            "certificates": [_text(each) for each in self.certificates],
            "delegations": [
                {"certificate": _text(der), "holder_certificate": _text(holder)}
                for der, holder in self.delegations
            ],
            "authorities": [
                {
                    "name": each.name,
                    "kind": each.kind,
                    "certificate": _text(each.certificate.der),
                    "acrl": each.acrl_url,
                    "ocsp": each.template.ocsp_url,
                }
                for each in self.authorities
            ],
        }


def pull_holder(
    connection: Connection,
    directory: Authorities,
    holder_sha256: str,
    at: datetime,
    *,
    key_sha256: str = "",
    entity: str = "",
) -> Pulled:
    """Return what is live for the holder of this certificate.

    Args:
        holder_sha256: of the holder's certificate, hexadecimal.
        key_sha256: of its SubjectPublicKeyInfo, for a certificate that nobody has seen here.
        entity: canonical id of a legal entity: what names the entity itself, and nothing else of it.
    """
    columns = certificates.c
    # The few are found first, so that no engine reads all that is live in the order of its end.
    few = _of_holder(connection, holder_sha256, key_sha256, entity)
    if not few:
        return Pulled([], [], [])
    chosen = (
        select(columns.certificate_der, columns.authority)
        .where(
            columns.serial.in_(few),
            columns.kind == "grant",
            STATE == "issued",
            columns.not_before <= at,
            columns.not_after >= at,
        )
        .order_by(columns.issued_at.desc(), columns.serial)
        .limit(MOST)
    )
    rows = connection.execute(chosen).all()
    delegations, authorities = delegations_above(connection, directory, {row.authority for row in rows}, at)
    return Pulled([bytes(row.certificate_der) for row in rows], delegations, authorities)


def delegations_above(
    connection: Connection, directory: Authorities, names: Iterable[str], at: datetime
) -> tuple[list[tuple[bytes, bytes]], list[Authority]]:
    """Return the live delegations from sources of authority down to these, and all their authorities."""
    columns = certificates.c
    keys = directory.every_key(connection)
    wanted, done = set(names), set[str]()
    found: dict[bytes, bytes] = {}
    for _depth in range(_MAX_DEPTH):
        new = sorted(wanted - done)
        done |= wanted
        holders = {
            sha256(each.certificate.der).hexdigest(): each.certificate.der
            for each in keys
            if each.name in new and each.kind != SOURCE
        }
        if not holders:
            break
        chosen = select(columns.certificate_der, columns.holder_sha256, columns.authority).where(
            columns.holder_sha256.in_(sorted(holders)),
            columns.kind == "delegation",
            STATE == "issued",
            columns.not_before <= at,
            columns.not_after >= at,
        )
        for row in connection.execute(chosen.order_by(columns.serial)):
            found[bytes(row.certificate_der)] = holders[row.holder_sha256]
            wanted.add(row.authority)
    involved = [each for each in keys if each.name in done | wanted and each.state == ACTIVE]
    return sorted(found.items()), involved


def _of_holder(connection: Connection, holder_sha256: str, key_sha256: str, entity: str) -> list[str]:
    """Serial numbers; each way of naming a holder by its own index."""
    columns = certificates.c
    conditions: list[ColumnElement[bool]] = [columns.holder_sha256 == holder_sha256]
    known = find_holder(connection, holder_sha256)
    if known is not None:
        key_sha256 = known.key_sha256
        subject = as_parsed(known.certificate_der).subject_der
        same = [
            each.sha256
            for each in of_identity(connection, entity=known.entity, person=known.person)
            if as_parsed(each.certificate_der).subject_der == subject
        ]
        conditions.append(and_(columns.holder_sha256.in_(same), columns.holder_form == "name"))
        # The entity itself is named only for certificates in which nobody acts for it.
        if not known.person:
            entity = known.entity
    if key_sha256:
        conditions.append(and_(columns.key_sha256 == key_sha256, columns.holder_form == "key"))
    if entity:
        conditions.append(and_(columns.entity == entity, columns.holder_form == "entity"))
    found = union(*(select(columns.serial).where(condition) for condition in conditions))
    return list(connection.scalars(found.limit(_FEW)))


def _text(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")
