"""Remembers the certificates of holders that were accepted, and finds holders by any part of their names.

Who a certificate belongs to is known when it is verified, and wanted when it no longer can be: the official
has left and the CA has revoked it, or a newer one has come. A name is found through its endings
(docs/decisions/0012-names-by-their-endings.md): any part of it is the beginning of one of them.
"""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, select

from onecert.pmi.holders.identity import HolderIdentity, HolderVerifier
from onecert.pmi.models import holder_names, holders
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.statements import insert_once

__all__ = ["KnownHolder", "SeenHolders", "find_by_name", "find_holder", "folded", "of_identity", "remember"]

log = logging.getLogger(__name__)

PART = 8
NAME_MAX = 64
_KEPT_IN_MEMORY = 100_000
_INSERT_HOLDER = insert_once(holders)
_INSERT_NAME = insert_once(holder_names)


@dataclass(frozen=True, kw_only=True)
class KnownHolder:
    """A certificate that was accepted once, and whose it is. ``person`` is empty for the entity itself."""

    sha256: str
    key_sha256: str
    entity: str
    person: str
    name: str
    certificate_der: bytes
    not_before: datetime
    not_after: datetime

    def is_same_holder(self, other: KnownHolder | HolderIdentity) -> bool:
        """Whether both belong to one person of one entity, or to one entity itself."""
        return (self.entity, self.person) == (other.entity, other.person)


class SeenHolders:
    """A ``HolderVerifier`` that writes down, once, whose each accepted certificate is."""

    def __init__(self, verifier: HolderVerifier, database: Database, clock: Clock) -> None:
        self._verifier = verifier
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def verify(self, certificate: bytes, at: datetime) -> HolderIdentity:
        """See ``HolderVerifier``."""
        identity = self._verifier.verify(certificate, at)
        digest = hashlib.sha256(identity.certificate.der).digest()
        if digest not in self._seen:
            self._write(identity, digest)
        return identity

    def check(self) -> None:
        """See ``HolderVerifier``."""
        self._verifier.check()

    def _write(self, identity: HolderIdentity, digest: bytes) -> None:
        try:
            with self._database.reading() as connection:
                is_known = find_holder(connection, digest.hex()) is not None
            if not is_known:
                with self._database.transaction() as connection:
                    remember(connection, identity, self._clock.now())
        except ServiceError:
            # What needs the database fails by itself; the next time it is written down.
            log.warning("holder not written down", extra={"sha256": digest.hex()})
            return
        self._seen[digest] = None
        if len(self._seen) > _KEPT_IN_MEMORY:
            self._seen.popitem(last=False)


def remember(connection: Connection, identity: HolderIdentity, at: datetime) -> None:
    """Write down whose this certificate is, and what its holder is called; once."""
    certificate = identity.certificate
    sha256 = hashlib.sha256(certificate.der).hexdigest()
    name = (identity.name or certificate.subject_text)[:512]
    values = {
        "sha256": sha256,
        "key_sha256": hashlib.sha256(certificate.spki_der).hexdigest(),
        "entity": identity.entity,
        "person": identity.person,
        "name": name,
        "certificate_der": certificate.der,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "seen_at": at,
        "checked_at": None,
    }
    if _INSERT_HOLDER.run(connection, values) == 1:
        rows = [{"part": part, "sha256": sha256} for part in _endings(name)]
        _INSERT_NAME.run_many(connection, rows)


def find_holder(connection: Connection, sha256: str) -> KnownHolder | None:
    """Return what is known of a certificate by its SHA-256, in hexadecimal."""
    row = connection.execute(select(holders).where(holders.c.sha256 == sha256)).mappings().first()
    return None if row is None else _known(row)


def of_identity(
    connection: Connection, *, entity: str = "", person: str | None = None, most: int = 1000
) -> Sequence[KnownHolder]:
    """Return the certificates of an entity, of a person, or of a person in an entity; the newest first.

    Args:
        person: with an entity, empty means the entity itself, None everybody in it.
    """
    chosen = select(holders).order_by(holders.c.not_before.desc(), holders.c.sha256).limit(most)
    if entity:
        chosen = chosen.where(holders.c.entity == entity)
    if person is not None:
        chosen = chosen.where(holders.c.person == person)
    return [_known(row) for row in connection.execute(chosen).mappings()]


def find_by_name(connection: Connection, text: str, *, most: int) -> list[str]:
    """Return the SHA-256 of certificates whose holder's name has this text anywhere, ``most`` at most."""
    wanted = folded(text)
    if not wanted:
        return []
    first = wanted[:PART]
    column = holder_names.c.part
    found = (
        select(holder_names.c.sha256)
        .where(column >= first, column < first + "\U0010ffff")
        .order_by(column, holder_names.c.sha256)
    )
    if len(wanted) <= PART:
        return list(dict.fromkeys(connection.scalars(found.limit(most))))
    # What is longer than a part is compared; as many are looked at as fit into a list.
    rows = connection.execute(
        select(holders.c.sha256, holders.c.name).where(holders.c.sha256.in_(found.limit(4 * most)))
    )
    return sorted(row.sha256 for row in rows if wanted in folded(row.name))[:most]


def folded(name: str) -> str:
    """One spelling of a name: full-width digits, capitals and blanks make no difference."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _endings(name: str) -> list[str]:
    whole = folded(name)
    return sorted({whole[at : at + PART] for at in range(min(len(whole), NAME_MAX))})


def _known(row: RowMapping) -> KnownHolder:
    values = {name: row[name] for name in KnownHolder.__dataclass_fields__}
    return KnownHolder(**{**values, "certificate_der": bytes(row["certificate_der"])})
