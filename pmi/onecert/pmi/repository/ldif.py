"""Writes the repository as LDIF (RFC 2849) in the standard schema of X.509 for privilege management.

Holders are ``pmiUser`` with ``attributeCertificateAttribute;binary``; authorities ``pmiAA``, sources of
authority also ``pmiSOA``, with ``aACertificate;binary`` of the delegations they hold and
``attributeCertificateRevocationList;binary``. These classes are auxiliary: an entry of our own has a
structural class beside them; where the entries stand in a directory already, changes are written instead.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, select

from onecert.pmi.authorities.directory import SOURCE, Authorities
from onecert.pmi.holders.seen import find_holder
from onecert.pmi.models import certificates, holders
from onecert.pmi.repository.search import STATE
from onecert.pmi.status.acrl import AcrlPublisher
from onecert.verifier.certificate import as_parsed

__all__ = ["SCHEMA", "ldif_lines", "write_ldif"]

_PAGE = 1000
_WIDTH = 76
# RFC 2849: SAFE-STRING. What is not safe is written in base64.
_UNSAFE_FIRST = frozenset(" :<")

# X.509 (2019), clause 20, in the form of OpenLDAP; certificates are not taken apart by the directory.
SCHEMA = """\
attributetype ( 2.5.4.58 NAME 'attributeCertificateAttribute'
    DESC 'X.509: attribute certificate of a holder, ;binary'
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.5 )
attributetype ( 2.5.4.59 NAME 'attributeCertificateRevocationList'
    DESC 'X.509: revocation list of attribute certificates, ;binary'
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.5 )
attributetype ( 2.5.4.61 NAME 'aACertificate'
    DESC 'X.509: attribute certificate of an attribute authority, ;binary'
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.5 )
attributetype ( 2.5.4.62 NAME 'attributeDescriptorCertificate'
    DESC 'X.509: attribute descriptor certificate, ;binary'
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.5 )
attributetype ( 2.5.4.63 NAME 'attributeAuthorityRevocationList'
    DESC 'X.509: revocation list of attribute authorities, ;binary'
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.5 )
objectclass ( 2.5.6.24 NAME 'pmiUser' SUP top AUXILIARY
    MAY ( attributeCertificateAttribute ) )
objectclass ( 2.5.6.25 NAME 'pmiAA' SUP top AUXILIARY
    MAY ( aACertificate $ attributeCertificateRevocationList $ attributeAuthorityRevocationList ) )
objectclass ( 2.5.6.26 NAME 'pmiSOA' SUP top AUXILIARY
    MAY ( attributeCertificateRevocationList $ attributeAuthorityRevocationList $
        attributeDescriptorCertificate ) )
"""


def write_ldif(
    connection: Connection,
    directory: Authorities,
    publisher: AcrlPublisher,
    at: datetime,
    *,
    as_changes: bool = False,
) -> Iterator[str]:
    """Write every authority, then every holder of a live certificate; lines with their ends.

    Args:
        as_changes: modifications of entries that are there already, instead of the entries.
    """
    yield "version: 1\n"
    for authority in directory.all(connection):
        classes = ["pmiAA", "pmiSOA"] if authority.kind == SOURCE else ["pmiAA"]
        sha256 = hashlib.sha256(authority.certificate.der).hexdigest()
        newest = publisher.newest(connection, authority.name)
        values = [("aACertificate;binary", each) for each in _live(connection, sha256, "delegation", at)]
        if newest is not None:
            values.append(("attributeCertificateRevocationList;binary", newest.der))
        name = authority.certificate.certificate.subject
        yield from ldif_lines(name, ["applicationProcess", *classes], values, as_changes=as_changes)
    for name, ders in _holders(connection, at):
        values = [("attributeCertificateAttribute;binary", der) for der in ders]
        yield from ldif_lines(name, [_structural(name), "pmiUser"], values, as_changes=as_changes)


def ldif_lines(
    name: x509.Name, classes: Iterable[str], values: Iterable[tuple[str, bytes]], *, as_changes: bool
) -> Iterator[str]:
    """Write one entry, or the changes that make an entry hold these values and no others."""
    structural, *auxiliary = classes
    yield "\n"
    yield from _line("dn", name.rfc4514_string())
    if not as_changes:
        for each in ("top", structural, *auxiliary):
            yield from _line("objectClass", each)
        yield from _naming(name, structural)
        for attribute, value in values:
            yield from _line(attribute, value)
        return
    yield from _line("changetype", "modify")
    by_name: dict[str, list[bytes]] = {}
    for attribute, value in values:
        by_name.setdefault(attribute, []).append(value)
    for attribute, several in by_name.items():
        yield from _line("replace", attribute)
        for value in several:
            yield from _line(attribute, value)
        yield "-\n"


def _structural(name: x509.Name) -> str:
    return "person" if name.get_attributes_for_oid(NameOID.COMMON_NAME) else "organization"


def _naming(name: x509.Name, structural: str) -> Iterator[str]:
    """What the structural class must have, from the name itself."""
    first = name.get_attributes_for_oid(
        NameOID.ORGANIZATION_NAME if structural == "organization" else NameOID.COMMON_NAME
    )
    text = str(first[0].value) if first else name.rfc4514_string()
    if structural == "organization":
        yield from _line("o", text)
        return
    yield from _line("cn", text)
    if structural == "person":
        yield from _line("sn", text)


def _live(connection: Connection, holder_sha256: str, kind: str, at: datetime) -> list[bytes]:
    columns = certificates.c
    chosen = select(columns.certificate_der).where(
        columns.holder_sha256 == holder_sha256,
        columns.kind == kind,
        STATE == "issued",
        columns.not_after >= at,
    )
    return [bytes(der) for der in connection.scalars(chosen.order_by(columns.serial))]


def _holders(connection: Connection, at: datetime) -> Iterator[tuple[x509.Name, list[bytes]]]:
    """Each name with what is live for it: one entry, however many certificates the holder has had."""
    columns = certificates.c
    names: dict[bytes, list[str]] = {}
    after = ""
    while True:
        live = select(columns.holder_sha256).where(
            columns.holder_sha256 > after,
            columns.kind == "grant",
            STATE == "issued",
            columns.not_after >= at,
        )
        chosen = live.distinct().order_by(columns.holder_sha256).limit(_PAGE)
        hashes = list(connection.scalars(chosen))
        if not hashes:
            break
        after = hashes[-1]
        seen = select(holders.c.sha256, holders.c.certificate_der).where(holders.c.sha256.in_(hashes))
        for row in connection.execute(seen.order_by(holders.c.sha256)):
            names.setdefault(as_parsed(bytes(row.certificate_der)).subject_der, []).append(row.sha256)
    for hashes in names.values():
        found = find_holder(connection, hashes[0])
        if found is not None:
            name = as_parsed(found.certificate_der).certificate.subject
            yield name, [der for each in hashes for der in _live(connection, each, "grant", at)]


def _line(attribute: str, value: str | bytes) -> Iterator[str]:
    """One attribute, folded (RFC 2849, note 2)."""
    data = value.encode() if isinstance(value, str) else value
    text = data.decode("ascii", "replace")
    is_safe = isinstance(value, str) and data.isascii() and value.isprintable()
    if is_safe and value and text[0] not in _UNSAFE_FIRST and not text.endswith(" "):
        whole = f"{attribute}: {text}"
    else:
        whole = f"{attribute}:: {base64.b64encode(data).decode('ascii')}"
    yield whole[:_WIDTH] + "\n"
    for begin in range(_WIDTH, len(whole), _WIDTH - 1):
        yield " " + whole[begin : begin + _WIDTH - 1] + "\n"
