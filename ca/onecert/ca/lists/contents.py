"""The bytes of the newest lists on record, from which any process can write their files again.

A short list stands in its row. A long one is kept in parts by their hashes: most of them are those of the
list before, so that one more revocation writes a part and not the list. Parts that no list of their scope
refers to are removed with the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from onecert.ca.models import authorities, crl_parts, crls
from onecert.server.statements import insert_if_absent

__all__ = ["IN_PARTS_OCTETS", "keep_result", "lock_authority", "missing_parts", "put_parts", "read_content"]

# From this length on, a list is kept in parts.
IN_PARTS_OCTETS = 1 << 20

_OF_LIST = (crls.c.authority == bindparam("a")) & (crls.c.crl_partition == bindparam("p"))
_CONTENT = select(crls.c.crl_der, crls.c.delta_der, crls.c.parts, crls.c.sha256).where(
    _OF_LIST, crls.c.number == bindparam("n")
)
_NEWER = select(func.count()).where(_OF_LIST, crls.c.number > bindparam("n"), crls.c.sha256.is_not(None))
_OF_PARTS = (crl_parts.c.authority == bindparam("a")) & (crl_parts.c.crl_partition == bindparam("p"))
_KNOWN_PARTS = select(crl_parts.c.sha256).where(_OF_PARTS)
_PART = select(crl_parts.c.content).where(_OF_PARTS, crl_parts.c.sha256 == bindparam("h"))
_DROP_PART = delete(crl_parts).where(_OF_PARTS, crl_parts.c.sha256 == bindparam("h"))


def lock_authority(connection: Connection, name: str) -> None:
    """From here to the end of the transaction, nobody else records a list of this authority."""
    connection.execute(select(authorities.c.name).where(authorities.c.name == name).with_for_update())


def read_content(
    connection: Connection, authority: str, partition: int, number: int
) -> tuple[tuple[bytes, ...], bytes | None] | None:
    """Read a list, in pieces, and its delta; None: it is not kept, or not as it was."""
    names = {"a": authority, "p": partition}
    row = connection.execute(_CONTENT, names | {"n": number}).one_or_none()
    if row is None:
        return None
    if row.parts is None:
        return None if row.crl_der is None else ((row.crl_der,), row.delta_der)
    found: list[bytes] = []
    whole = hashlib.sha256()
    for sha256 in row.parts.split():
        part = connection.execute(_PART, names | {"h": sha256}).scalar()
        if part is None:
            return None
        found.append(part)
        whole.update(part)
    return (tuple(found), row.delta_der) if whole.hexdigest() == row.sha256 else None


def missing_parts(
    connection: Connection, authority: str, partition: int, parts: Sequence[tuple[str, bytes]]
) -> dict[str, bytes]:
    """Tell which parts are not kept yet.

    Args:
        parts: of a list, each with its hash.
    """
    known = _known(connection, authority, partition) if parts else set()
    return {sha256: part for sha256, part in parts if sha256 not in known}


def put_parts(
    connection: Connection, authority: str, partition: int, parts: Sequence[tuple[str, bytes]]
) -> None:
    """Keep those parts that are not kept yet."""
    for sha256, part in missing_parts(connection, authority, partition, parts).items():
        row = {"authority": authority, "crl_partition": partition, "sha256": sha256, "content": part}
        insert_if_absent(connection, crl_parts, row)


def keep_result(
    connection: Connection, authority: str, partition: int, number: int, values: Mapping[str, Any]
) -> None:
    """Record what a list became. The connection has the authority locked.

    Only the newest of a scope keeps its bytes: older lists keep number, times and hash as evidence.
    """
    names = {"a": authority, "p": partition}
    of_list = (crls.c.authority == authority) & (crls.c.crl_partition == partition)
    bytes_of = {"crl_der": None, "delta_der": None, "parts": None}
    is_newest = not connection.execute(_NEWER, names | {"n": number}).scalar_one()
    connection.execute(
        update(crls)
        .where(of_list, crls.c.number == number)
        .values(dict(values) if is_newest else dict(values) | bytes_of)
    )
    if is_newest:
        connection.execute(
            update(crls)
            .where(of_list, crls.c.number < number, crls.c.crl_der.is_not(None) | crls.c.parts.is_not(None))
            .values(bytes_of)
        )
        _drop_others(connection, names, (values.get("parts") or "").split())


def _drop_others(connection: Connection, names: dict[str, Any], kept: Collection[str]) -> None:
    surplus = _known(connection, names["a"], names["p"]).difference(kept)
    if surplus:
        connection.execute(_DROP_PART, [names | {"h": sha256} for sha256 in sorted(surplus)])


def _known(connection: Connection, authority: str, partition: int) -> set[str]:
    return set(connection.execute(_KNOWN_PARTS, {"a": authority, "p": partition}).scalars())
