"""One transaction under a role of the database that the person has proved, on a connection of a pool.

    with session_role(connection, "tax_approver", proved=proved.roles, roles=config.roles):
        connection.execute("UPDATE declaration SET ...")

The pool's own login role is a member of every role that may be taken, and should have ``NOINHERIT``, so that
without a proved role it may do nothing. The role ends with the transaction, whatever happens in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from onecert.verifier.enforce.postgresql.config import RoleMap
from onecert.verifier.enforce.postgresql.plan import quoted
from onecert.verifier.errors import RefusedError

__all__ = ["session_role"]

# Through whatever the role is a member of: what SET ROLE could reach.
_POWERS = """
WITH RECURSIVE reached(oid) AS (
    SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s
  UNION
    SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN reached ON m.member = reached.oid
)
SELECT count(*), count(*) FILTER (WHERE rolsuper OR rolreplication OR rolbypassrls OR rolcreaterole
    OR rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
FROM pg_catalog.pg_roles JOIN reached USING (oid)"""


class _Connection(Protocol):
    """What is needed of a ``psycopg.Connection``."""

    def execute(self, query: Any, params: Any = None) -> Any: ...

    def transaction(self) -> Any: ...


@contextmanager
def session_role(
    connection: _Connection, role: str, *, proved: Iterable[str], roles: RoleMap
) -> Iterator[None]:
    """Take a role of the database for one transaction.

    Args:
        connection: of psycopg 3, outside of any transaction.
        proved: URIs of the roles that the person has proved, such as ``Proved.roles``.
        roles: which of them is which role of the database.

    Raises:
        RefusedError: ``SESSION_ROLE``: nothing that was proved gives this role. ``SESSION_ROLE_POWERFUL``: it
            would be more than an ordinary role, or it is not there.
    """
    if role not in roles.granted(proved):
        raise RefusedError("SESSION_ROLE", role=role)
    with connection.transaction():
        there, powerful = connection.execute(_POWERS, [role]).fetchone()
        if not there or powerful:
            raise RefusedError("SESSION_ROLE_POWERFUL", role=role)
        connection.execute(f"SET LOCAL ROLE {quoted(role)}".encode())
        yield
