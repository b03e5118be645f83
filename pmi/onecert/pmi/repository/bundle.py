"""Makes the offline bundle that ``onecert.verifier.attribute_certificate.bundle`` opens.

Live certificates (of all applications, or of one), their delegations and authorities, the newest revocation
list of each, catalogue and policy; the manifest is signed by the policy key. It may be used until the first
of its lists ends: a department without network for longer needs a newer bundle, not an older list.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy import Connection, select

from onecert.hsm import PrivateKey
from onecert.pmi.authorities.directory import ACTIVE, Authorities, Authority
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.store import Catalogues
from onecert.pmi.errors import AcrlFaultError
from onecert.pmi.models import certificates, grants
from onecert.pmi.repository.pull import delegations_above
from onecert.pmi.repository.search import STATE
from onecert.pmi.status.acrl import AcrlPublisher
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.server.languages import _
from onecert.verifier.attribute_certificate.bundle import (
    BUNDLE_TYP,
    CATALOGUE,
    CERTIFICATES,
    DELEGATIONS,
    MANIFEST,
    RULES,
)
from onecert.verifier.certificate import as_parsed
from onecert.verifier.strict_json import format_time

__all__ = ["BundleMaker"]

_PAGE = 1000
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
# APPNOTE.TXT, section 4.4.6: the first day there is, so that the same content is the same file.
_DATE = 0x0021


class BundleMaker:
    """Makes bundles.

    Args:
        key: the policy key; asked for when a bundle is made.
        rules: the signed document of what is in force; raises ServiceError when there is no policy.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        directory: Authorities,
        catalogues: Catalogues,
        publisher: AcrlPublisher,
        key: Callable[[], PrivateKey],
        rules: Callable[[], bytes],
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._catalogues = catalogues
        self._publisher = publisher
        self._key = key
        self._rules = rules

    def make(self, out: BinaryIO, *, target: str = "") -> dict[str, Any]:
        """Write a bundle and return what its manifest says.

        Args:
            out: a new file.
            target: URI of an application: certificates for other applications stay out. Empty: all.

        Raises:
            ServiceError: there is no policy, no key or no list now.
        """
        at = self._clock.now().replace(microsecond=0)
        rules = self._rules()
        with self._database.reading() as connection:
            # Also keys before the present one, as long as certificates under them live.
            every = [*self._directory.all(connection), *self._directory.earlier(connection, at)]
            authorities = [each for each in every if each.state == ACTIVE]
            catalogue = self._catalogues.find(connection) or Catalogue()
            members = {RULES: rules, CATALOGUE: catalogue.to_json().encode()}
            use_until = None
            for each in authorities:
                newest = self._publisher.newest(connection, each.name, each.generation)
                if newest is None or newest.next_update <= at:
                    raise AcrlFaultError(each.name, _("there is no list that is good now"))
                use_until = min(use_until or newest.next_update, newest.next_update)
                members[f"acrls/{_stem(each)}.acrl"] = newest.der
                members[f"authorities/{_stem(each)}.cer"] = each.certificate.der
            delegations, _above = delegations_above(
                connection, self._directory, [each.name for each in authorities], at
            )
            members[DELEGATIONS] = b"".join(map(_delegation_row, delegations))
            members[CERTIFICATES] = b"".join(_certificate_rows(connection, target, at))
        manifest = {
            "made_at": format_time(at),
            "use_until": format_time(use_until or at),
            **({"target": target} if target else {}),
            "authorities": [_authority_row(each, catalogue) for each in authorities],
            "members": [
                {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                for name, data in sorted(members.items())
            ],
        }
        signed = sign_document(manifest, typ=BUNDLE_TYP, keys=[self._key()])
        _write_archive(out, {MANIFEST: signed, **members})
        return manifest


def _authority_row(authority: Authority, catalogue: Catalogue) -> dict[str, Any]:
    roles = sorted(role.uri for role in catalogue.assignable_by(authority.name))
    attributes = sorted(each.oid for each in catalogue.attributes_of(authority.name))
    return {"name": _stem(authority), "kind": authority.kind, "roles": roles, "attributes": attributes}


def _stem(authority: Authority) -> str:
    """One name for each key, as for the published lists."""
    if authority.generation == 1:
        return authority.name
    return f"{authority.name}.{authority.generation}"


def _delegation_row(pair: tuple[bytes, bytes]) -> bytes:
    der, holder = pair
    return _line({"certificate": _text(der), "holder_certificate": _text(holder)})


def _certificate_rows(connection: Connection, target: str, at: datetime) -> Iterator[bytes]:
    """A row for each live certificate, read along the primary key."""
    columns = certificates.c
    after = ""
    while True:
        chosen = (
            select(
                columns.serial,
                columns.holder_sha256,
                columns.key_sha256,
                columns.holder_form,
                columns.entity,
                columns.certificate_der,
                grants.c.targets,
                grants.c.holder_der,
            )
            .join(grants, grants.c.id == columns.grant_id)
            .where(
                columns.serial > after,
                columns.kind == "grant",
                STATE == "issued",
                columns.not_after >= at,
            )
            .order_by(columns.serial)
            .limit(_PAGE)
        )
        rows = connection.execute(chosen).all()
        if not rows:
            return
        after = rows[-1].serial
        for row in rows:
            targets = json.loads(row.targets)
            if target and targets and target not in targets:
                continue
            found = {
                "holder": row.holder_sha256,
                "key": row.key_sha256,
                "form": row.holder_form,
                "certificate": _text(bytes(row.certificate_der)),
            }
            if row.holder_form == "name":
                subject = as_parsed(bytes(row.holder_der)).subject_der
                found["subject"] = hashlib.sha256(subject).hexdigest()
            if row.holder_form == "entity":
                found["entity"] = row.entity
            yield _line(found)


def _line(row: dict[str, str]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode("ascii") + b"\n"


def _text(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")


def _write_archive(out: BinaryIO, members: dict[str, bytes]) -> None:
    """Stored members and nothing that the strict reader does not want."""
    directory = b""
    offset = 0
    for name, data in members.items():
        octets = name.encode("ascii")
        common = (20, 0, 0, 0, _DATE, zlib.crc32(data), len(data), len(data), len(octets), 0)
        header = _LOCAL.pack(b"PK\x03\x04", *common) + octets
        out.write(header + data)
        directory += _CENTRAL.pack(b"PK\x01\x02", 20, *common, 0, 0, 0, 0, offset) + octets
        offset += len(header) + len(data)
    out.write(directory)
    end = (0, 0, len(members), len(members), len(directory), offset, 0)
    out.write(_END.pack(b"PK\x05\x06", *end))
