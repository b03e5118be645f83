"""Security officers of the CA: an operator's account, a person, a signing key on a token of their own.

A mass revocation that two of them ask for is signed by both; so is a version of a profile, by two operators
with the role for that, who are in the same register. Only the officer knows the PIN: it is typed for each
signature and is in no file, so that neither a user name nor this machine alone can sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from sqlalchemy import Connection, Row, insert, select, update

from onecert.ca.errors import OfficerTokenError, SecurityOfficerError
from onecert.ca.revocation.mass_models import security_officers
from onecert.hsm import KeyAlgorithm, PersonalToken, PinError, PinFormError, PrivateKey, TokenError
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.server.folders import make_private_folder
from onecert.server.languages import current_language
from onecert.server.operators import Operator, Operators, check_role, check_usable
from onecert.verifier.jws import key_id
from onecert.verifier.signatures import PublicKey

__all__ = ["PROFILE_OFFICER", "SECURITY_OFFICER", "OfficerTokens", "SecurityOfficer", "SecurityOfficers"]

SECURITY_OFFICER, PROFILE_OFFICER = "ca.security", "ca.profiles"
KEY_LABEL = "security"
# The label of a PKCS#11 token has 32 octets.
_TOKEN_ID = re.compile(r"[a-z][a-z0-9.-]{0,19}", re.ASCII)
_PREFIX = "ca-officer-"


@dataclass(frozen=True, kw_only=True)
class SecurityOfficer:
    """An officer's registered key, and the account that it belongs to."""

    operator: Operator
    key_id: str
    public_key: PublicKey
    token_label: str
    added_at: datetime

    @property
    def id(self) -> str:
        return self.operator.id


class SecurityOfficers:
    """The register. Every document reads it anew, so that a removal or a suspension counts at once."""

    def __init__(self, database: Database, audit: AuditTrail, clock: Clock, operators: Operators) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._operators = operators

    def find_by_key(self, kid: str) -> SecurityOfficer | None:
        """The officer who has this key, whether or not the account may act now; see `check_may_act`."""
        query = select(security_officers).where(
            security_officers.c.kid == kid, security_officers.c.removed_at.is_(None)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else self._officer(connection, row)

    def check_may_act(self, officer: SecurityOfficer) -> None:
        """Check the account behind a key.

        Raises:
            OperatorError: suspended, ended, or without the role.
        """
        check_usable(officer.operator, at=self._clock.now())
        check_role(officer.operator, SECURITY_OFFICER)

    def everyone(self) -> list[SecurityOfficer]:
        """Every officer whose key counts, by id."""
        query = select(security_officers).where(security_officers.c.removed_at.is_(None))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(security_officers.c.id)).all()
            return [self._officer(connection, row) for row in rows]

    def add(self, officer: str, key: PublicKey, *, token_label: str, actor: str) -> None:
        """Register the key of an officer whose account exists and has one of the two roles.

        Raises:
            SecurityOfficerError: has a key already. OperatorError: no such account, or without the role.
        """
        pem = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")
        with self._database.transaction() as connection:
            check_role(self._operators.load(connection, officer), SECURITY_OFFICER, PROFILE_OFFICER)
            known = select(security_officers.c.id).where(security_officers.c.id == officer)
            if connection.execute(known).first() is not None:
                raise SecurityOfficerError(officer, known=True)
            connection.execute(
                insert(security_officers).values(
                    id=officer,
                    kid=key_id(key),
                    key_pem=pem,
                    token_label=token_label,
                    added_at=self._clock.now(),
                    removed_at=None,
                )
            )
            self._audit.record(
                connection,
                event="security-officer.added",
                actor=actor,
                subject=f"operator:{officer}",
                details={"kid": key_id(key)},
            )

    def remove(self, officer: str, *, actor: str) -> None:
        """An officer leaves; what the key signs from now on counts no more.

        Raises:
            SecurityOfficerError: nobody of this id is an officer.
        """
        with self._database.transaction() as connection:
            done = connection.execute(
                update(security_officers)
                .where(security_officers.c.id == officer, security_officers.c.removed_at.is_(None))
                .values(removed_at=self._clock.now())
            )
            if done.rowcount != 1:
                raise SecurityOfficerError(officer, known=False)
            self._audit.record(
                connection, event="security-officer.removed", actor=actor, subject=f"operator:{officer}"
            )

    def _officer(self, connection: Connection, row: Row[tuple[object, ...]]) -> SecurityOfficer:
        return SecurityOfficer(
            operator=self._operators.load(connection, row.id),
            key_id=row.kid,
            # Only what this class has written is read here.
            public_key=serialization.load_pem_public_key(row.key_pem.encode("ascii")),  # type: ignore[arg-type]
            token_label=row.token_label,
            added_at=row.added_at,
        )


class OfficerTokens:
    """Personal tokens, opened only while they sign: with SoftHSM one more token in the store for each.

    Args:
        folder: where wrong PINs are counted when `module` has the tokens.
        store: with SoftHSM, the folder of the store.
    """

    def __init__(self, *, module: Path | None, folder: Path, store: Path) -> None:
        self._module = module
        self._folder = folder
        self._store = store

    def label(self, officer: str) -> str:
        """The label of this officer's token.

        Raises:
            SecurityOfficerError: the id can be no token's.
        """
        if _TOKEN_ID.fullmatch(officer) is None:
            raise SecurityOfficerError(officer[:64], known=False)
        return _PREFIX + officer

    def signed(self, officer: str, content: Mapping[str, Any], *, typ: str, pin: str, at: datetime) -> bytes:
        """Sign a document as the officer.

        Args:
            content: what it says beside who signs and when, which is added.

        Raises:
            OfficerTokenError: not this PIN, not now, or no key.
        """
        named = {"officer": officer, "created_at": at.isoformat(), **content}
        with self.key(officer, pin=pin) as key:
            return sign_document(named, typ=typ, keys=[key])

    @contextmanager
    def key(self, officer: str, *, pin: str, create: bool = False) -> Iterator[PrivateKey]:
        """Open the officer's token for the length of a block.

        Args:
            create: make the token (SoftHSM) and the key when there is none.

        Raises:
            OfficerTokenError: not this PIN, not now, or no key.
        """
        token = PersonalToken(
            self.label(officer),
            notes=make_private_folder(self._folder),
            module=self._module,
            store=self._store if self._module is None else None,
        )
        try:
            if create:
                token.make(pin)
            with token.open(pin) as opened:
                found = opened.find_key(KEY_LABEL) if create else opened.load_key(KEY_LABEL)
                yield found or opened.generate_key(KEY_LABEL, KeyAlgorithm.P_256)
        except (PinError, PinFormError) as exc:
            raise OfficerTokenError(exc.code, exc.text(current_language()), refused=True) from exc
        except TokenError as exc:
            raise OfficerTokenError(exc.code, exc.text(current_language()), refused=False) from exc
