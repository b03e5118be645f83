"""Who is applied for, and whether they already have what they ask for.

The rule: one entity has at most one open application or live certificate of one type at one authority. The
same entity at another authority is normal, that is what a licensed market is, and is shown to the reviewer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from onecert.ra.applications.records import Application, load_application
from onecert.ra.content.fields import Kind
from onecert.ra.errors import DuplicateError, KeyRepeatedError
from onecert.ra.life.machine import HAS_CERTIFICATE, OPEN, State
from onecert.ra.models import applications, certificates, claims
from onecert.ra.operators.scopes import Scope

__all__ = [
    "Elsewhere",
    "duplicate_error",
    "entity_key",
    "find_duplicate",
    "find_key_holder",
    "key_error",
    "list_elsewhere",
    "list_same",
    "pass_claim",
    "release_claim",
    "take_claim",
    "take_key",
]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """The same entity at another authority, or with another type of certificate."""

    application_id: str  # empty for what is out of the reader's reach: at another point
    authority: str
    kind: Kind
    state: State
    not_after: datetime | None = None  # of its certificate, once there is one

    @property
    def is_in_reach(self) -> bool:
        """Whether the reader may open it."""
        return bool(self.application_id)


def entity_key(kind: Kind, values: Mapping[str, str], idcard_hmac: str | None) -> str | None:
    """What is counted as one entity: the firm, the person, this person at this firm, or this device of it;
    None when unknown yet."""
    uscc = values.get("uscc")
    if kind is Kind.DEVICE:
        device = values.get("device_name")
        return f"device:{uscc}:{device}" if uscc and device else None
    if kind is Kind.ORGANISATION:
        return f"uscc:{uscc}" if uscc else None
    if not idcard_hmac:
        return None
    if kind is Kind.CITIZEN:
        return f"idcard:{idcard_hmac}"
    return f"uscc:{uscc}+idcard:{idcard_hmac}" if uscc else None


def _same(key: str, authority: str, kind: Kind, *, follows: bool) -> tuple[ColumnElement[bool], ...]:
    """The claim on a certificate, or (`follows`) the claim on being its successor."""
    word = f"{kind.value}+" if follows else kind.value
    return claims.c.entity_key == key, claims.c.authority == authority, claims.c.kind == word


def find_duplicate(
    connection: Connection,
    *,
    key: str,
    authority: str,
    kind: Kind,
    besides: str | None,
    at: datetime,
    follows: bool = False,
) -> Application | None:
    """The application that already holds this claim, unless its certificate is no longer live.

    `follows`: the claim of renewals, changes and replacements, of which one is open at a time.
    """
    same = _same(key, authority, kind, follows=follows)
    holder = connection.scalar(select(claims.c.application_id).where(*same))
    if holder is None or holder == besides:
        return None
    application = load_application(connection, holder)
    if application.state in OPEN or (
        application.state in HAS_CERTIFICATE and _has_live_certificate(connection, holder, at)
    ):
        return application
    return None


def take_claim(
    connection: Connection,
    *,
    key: str,
    authority: str,
    kind: Kind,
    application_id: str,
    at: datetime,
    scope: Scope,
    follows: str | None = None,
) -> None:
    """Hold the entity for this application, within the transaction that submits it.

    Args:
        scope: of who submits; an application out of it is not named.
        follows: the application whose certificate this one follows; it keeps its own claim until the new
            certificate exists.

    Raises:
        DuplicateError: another application has it; also when that one was only a moment quicker.
    """
    is_following = follows is not None
    same = _same(key, authority, kind, follows=is_following)
    holder = connection.scalar(select(claims.c.application_id).where(*same))
    for besides, of_followers in ((application_id, is_following), (follows, not is_following)):
        found = find_duplicate(
            connection,
            key=key,
            authority=authority,
            kind=kind,
            besides=besides,
            at=at,
            follows=of_followers,
        )
        if found is not None:
            raise duplicate_error(found, scope)
    # Only the claim that was just seen to be stale goes; on PostgreSQL another one may have been committed
    # since.
    if holder is not None:
        connection.execute(delete(claims).where(*same, claims.c.application_id == holder))
    word = f"{kind.value}+" if is_following else kind.value
    row = insert(claims).values(entity_key=key, authority=authority, kind=word, application_id=application_id)
    try:
        with connection.begin_nested():
            connection.execute(row)
    except IntegrityError:
        found = find_duplicate(
            connection,
            key=key,
            authority=authority,
            kind=kind,
            besides=application_id,
            at=at,
            follows=is_following,
        )
        if found is None:
            raise
        raise duplicate_error(found, scope) from None


def pass_claim(connection: Connection, application: Application) -> None:
    """The successor's certificate exists: from now on the entity is held by its application."""
    key, authority, kind = application.entity_key, application.authority, application.kind
    if application.follows_serial is None or key is None:
        return
    follower = _same(key, authority, kind, follows=True)
    connection.execute(delete(claims).where(*follower, claims.c.application_id == application.id))
    connection.execute(delete(claims).where(*_same(key, authority, kind, follows=False)))
    connection.execute(
        insert(claims).values(
            entity_key=key, authority=authority, kind=kind.value, application_id=application.id
        )
    )


def release_claim(connection: Connection, application_id: str) -> None:
    """Give the entity free again: rejected, withdrawn."""
    connection.execute(delete(claims).where(claims.c.application_id == application_id))


def take_key(connection: Connection, *, key_sha256: str, application_id: str, scope: Scope) -> None:
    """Hold the public key for this application: a key serves one certificate, also after its revocation.

    Raises:
        KeyRepeatedError: another application, open or issued, has it.
    """
    same = (claims.c.entity_key == f"key:{key_sha256}", claims.c.authority == "*", claims.c.kind == "*")
    holder = connection.scalar(select(claims.c.application_id).where(*same))
    if holder == application_id:
        return
    row = insert(claims).values(
        entity_key=f"key:{key_sha256}", authority="*", kind="*", application_id=application_id
    )
    if holder is None:
        try:
            with connection.begin_nested():
                connection.execute(row)
        except IntegrityError:
            holder = connection.scalar(select(claims.c.application_id).where(*same))
            if holder is None:
                raise
    if holder is not None:
        raise key_error(load_application(connection, holder), scope)


def find_key_holder(connection: Connection, key_sha256: str, besides: str | None) -> Application | None:
    """The application that already uses this public key."""
    holder = connection.scalar(
        select(claims.c.application_id).where(claims.c.entity_key == f"key:{key_sha256}")
    )
    return None if holder is None or holder == besides else load_application(connection, holder)


def list_elsewhere(
    connection: Connection, application: Application, scope: Scope, *, at: datetime
) -> list[Elsewhere]:
    """Open applications and live certificates of the same firm or person, besides this one."""
    return list_same(
        connection,
        scope,
        uscc=application.uscc,
        idcard_hmac=application.idcard_hmac,
        besides=application.id,
        at=at,
    )


def list_same(
    connection: Connection,
    scope: Scope,
    *,
    uscc: str | None,
    idcard_hmac: str | None,
    besides: str | None,
    at: datetime,
) -> list[Elsewhere]:
    """What this firm, or else this person, applies for or holds at any authority.

    Another point's records are named by authority, type and state alone: that there is one concerns the
    reviewer, whose it is and where does not.
    """
    if uscc:
        same = applications.c.uscc == uscc
    elif idcard_hmac:
        same = applications.c.idcard_hmac == idcard_hmac
    else:
        return []
    here = applications.outerjoin(certificates, certificates.c.application_id == applications.c.id)
    live = or_(
        applications.c.state.in_([state.value for state in OPEN]),
        and_(
            applications.c.state.in_([state.value for state in HAS_CERTIFICATE]),
            certificates.c.status != "revoked",
            certificates.c.not_after > at,
        ),
    )
    rows = connection.execute(
        select(
            applications.c.id,
            applications.c.authority,
            applications.c.kind,
            applications.c.state,
            applications.c.point,
            certificates.c.not_after,
        )
        .select_from(here)
        .where(same, applications.c.id != (besides or ""), live)
        .order_by(applications.c.seq.desc())
        .limit(20)
    )
    return [
        Elsewhere(
            application_id=row.id if scope.covers(row.point, row.authority, row.kind) else "",
            authority=row.authority,
            kind=Kind(row.kind),
            state=State(row.state),
            not_after=row.not_after,
        )
        for row in rows
    ]


def _has_live_certificate(connection: Connection, application_id: str, at: datetime) -> bool:
    row = connection.execute(
        select(certificates.c.serial_hex).where(
            certificates.c.application_id == application_id,
            certificates.c.status != "revoked",
            certificates.c.not_after > at,
        )
    ).first()
    return row is not None


def duplicate_error(found: Application, scope: Scope) -> DuplicateError:
    """It names the other application only to somebody whose scope covers it."""
    is_known = scope.covers(found.point, found.authority, found.kind.value)
    return DuplicateError(
        authority=found.authority,
        kind=found.kind.value,
        number=found.number if is_known else "",
        application=found.id if is_known else "",
    )


def key_error(holder: Application, scope: Scope) -> KeyRepeatedError:
    """The same of a key."""
    is_known = scope.covers(holder.point, holder.authority, holder.kind.value)
    return KeyRepeatedError(number=holder.number if is_known else "")
