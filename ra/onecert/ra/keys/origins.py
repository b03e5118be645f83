"""Which application's key was made where; who made it with their own software has no row."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from onecert.ra.keys.tables import key_origins
from onecert.server.languages import _

__all__ = ["BROWSER", "ORIGIN_NAMES", "TOKEN", "KeyOrigin", "find_origin", "note_origin", "token_of"]

TOKEN, BROWSER = "token", "browser"
ORIGIN_NAMES = {
    TOKEN: _("On a token, at the counter"),
    BROWSER: _("In the applicant's browser (low assurance)"),
}


@dataclass(frozen=True, kw_only=True)
class KeyOrigin:
    """Where a key was made; `key_sha256` is that of its SubjectPublicKeyInfo, hex."""

    origin: str
    key_sha256: str
    token_number: str | None
    made_at: datetime
    made_by: str


def note_origin(connection: Connection, application_id: str, origin: KeyOrigin) -> None:
    """Keep it; a key that was made before is forgotten."""
    connection.execute(delete(key_origins).where(key_origins.c.application_id == application_id))
    connection.execute(
        insert(key_origins).values(
            application_id=application_id,
            origin=origin.origin,
            key_sha256=origin.key_sha256,
            token_number=origin.token_number,
            made_at=origin.made_at,
            made_by=origin.made_by,
        )
    )


def find_origin(connection: Connection, application_id: str, key_sha256: str | None) -> KeyOrigin | None:
    """Where this key of the application was made; None: by the applicant's own software."""
    row = connection.execute(
        select(key_origins).where(
            key_origins.c.application_id == application_id, key_origins.c.key_sha256 == key_sha256
        )
    ).one_or_none()
    if row is None:
        return None
    values = row._asdict()
    del values["application_id"]
    return KeyOrigin(**values)


def token_of(connection: Connection, application_id: str, key_sha256: str | None) -> str | None:
    """The serial number of the token that this key of the application is on."""
    found = find_origin(connection, application_id, key_sha256)
    return None if found is None else found.token_number
