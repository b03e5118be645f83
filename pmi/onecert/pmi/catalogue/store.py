"""Published versions of the catalogue: on record, in force, never changed."""

from __future__ import annotations

import json

from sqlalchemy import Connection, bindparam, insert, select

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.reading import load_catalogue
from onecert.pmi.errors import CatalogueWrongError, NoCatalogueError
from onecert.pmi.models import catalogues
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.statements import Statement

__all__ = ["Catalogues"]

_NEWEST = Statement(select(catalogues.c.version).order_by(catalogues.c.version.desc()).limit(1))
_CONTENT = Statement(select(catalogues.c.content).where(catalogues.c.version == bindparam("wanted")))


class Catalogues:
    """Published catalogues of one service."""

    def __init__(self, *, audit: AuditTrail, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._kept: Catalogue | None = None

    def publish(self, connection: Connection, catalogue: Catalogue, *, actor: str) -> Catalogue:
        """Put a catalogue in force as the next version. The same content again changes nothing.

        Raises:
            CatalogueWrongError: an attribute has another identifier or syntax than in an earlier version.
        """
        newest = self.find(connection)
        if newest is not None and newest.sha256 == catalogue.sha256:
            return newest
        version = 1 if newest is None else newest.version + 1
        self.check_stable(connection, catalogue)
        connection.execute(
            insert(catalogues).values(
                version=version,
                content=catalogue.to_json(),
                sha256=catalogue.sha256,
                published_at=self._clock.now(),
                published_by=actor,
            )
        )
        self._audit.record(
            connection,
            event="catalogue.published",
            actor=actor,
            subject=f"catalogue:{version}",
            details={
                "sha256": catalogue.sha256,
                "roles": len(catalogue.roles),
                "attributes": len(catalogue.attributes),
                "exclusions": len(catalogue.exclusions),
            },
        )
        return Catalogue(catalogue.roles, version, catalogue.attributes, catalogue.exclusions)

    def check_stable(self, connection: Connection, catalogue: Catalogue) -> None:
        """Check that each attribute is what it was: certificates and grants name it by its name.

        Raises:
            CatalogueWrongError: with every attribute that is not.
        """
        faults: dict[str, str] = {}
        for (text,) in connection.execute(select(catalogues.c.content)):
            for row in json.loads(text).get("attributes", ()):
                now = catalogue.attributes.get(row["name"])
                if now is not None and (now.oid, now.syntax) != (row["oid"], row["syntax"]):
                    was = f"{row['oid']} ({row['syntax']})"
                    faults[now.name] = f"the attribute {now.name} was {was} before and keeps that for good"
        if faults:
            raise CatalogueWrongError(faults.values())

    def find(self, connection: Connection) -> Catalogue | None:
        """Return the catalogue in force, or None."""
        row = _NEWEST.first(connection, {})
        if row is None:
            return None
        kept = self._kept
        if kept is None or kept.version != row["version"]:
            # Its text is read once; a version is never changed.
            kept = self._kept = self._read(connection, row["version"])
        return kept

    def load(self, connection: Connection, version: int | None = None) -> Catalogue:
        """Return the catalogue in force, or one version of it. Raises NoCatalogueError."""
        found = self.find(connection) if version is None else self._find_version(connection, version)
        if found is None:
            raise NoCatalogueError
        return found

    def _find_version(self, connection: Connection, version: int) -> Catalogue | None:
        row = _CONTENT.first(connection, {"wanted": version})
        return None if row is None else load_catalogue(json.loads(row["content"]), version=version)

    def _read(self, connection: Connection, version: int) -> Catalogue:
        found = self._find_version(connection, version)
        if found is None:
            raise NoCatalogueError
        return found
