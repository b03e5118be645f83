"""List officers: an account, a person, a signing key on a token of the officer's own.

With SoftHSM each officer has one more token in the store; with real tokens the settings name the module, and
the label of the token is the prefix and the officer's id. Only the officer knows its PIN: it is typed for
each signature and is in no file, so that neither a stolen session nor this machine alone can sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, insert, select, update

from onecert.hsm import (
    KeyAlgorithm,
    PersonalToken,
    PinError,
    PinFormError,
    PrivateKey,
    ServiceToken,
    TokenError,
)
from onecert.server.folders import make_private_folder
from onecert.server.languages import current_language
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.errors import (
    OfficerExistsError,
    OfficerUnknownError,
    PinRefusedError,
    TokenNotReadyError,
)
from onecert.supervision.models import officers
from onecert.verifier.certificate import decode_pem
from onecert.verifier.jws import key_id
from onecert.verifier.signatures import PublicKey, load_public_key
from onecert.verifier.trust_list import RoleKeys

__all__ = [
    "LIST_OFFICER",
    "Officer",
    "OfficerKeys",
    "TokenOfficerKeys",
    "add_officer",
    "all_officers",
    "list_keys",
    "load_officer",
    "remove_officer",
]

LIST_OFFICER = "list.officer"
KEY_LABEL = "trust-list"
# The label of a PKCS#11 token has 32 octets.
_TOKEN_ID = re.compile(r"[a-z][a-z0-9.-]{0,23}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Officer:
    """An officer's registered key."""

    id: str
    kid: str
    spki_pem: str
    token_label: str
    added_at: datetime

    @property
    def public_key(self) -> PublicKey:
        """The key that signs lists."""
        return load_public_key(decode_pem(self.spki_pem.encode("ascii"), "PUBLIC KEY"))


class OfficerKeys(Protocol):
    """Gives an officer's private key for the length of a block. Tests hand in keys in software."""

    def token_label(self, officer: str) -> str:
        """The label of this officer's token."""
        ...

    def key(self, officer: str, *, pin: str, create: bool = False) -> AbstractContextManager[PrivateKey]:
        """Open the officer's token. ``create`` makes the key when there is none."""
        ...

    def change_pin(self, officer: str, *, old: str, new: str) -> None:
        """Give the officer's token another PIN."""
        ...

    def forget_wrong_pins(self, officer: str) -> None:
        """Let PINs be tried again after too many wrong ones."""
        ...


class TokenOfficerKeys:
    """Keys on PKCS#11 tokens, opened only while they sign."""

    def __init__(self, config: SupervisionConfig, *, folder: Path, store: Path) -> None:
        self._config = config
        self._folder = folder
        self._store = store
        self._audit_token = self._token(config.audit_token_label, folder / "token.pin")

    def token_label(self, officer: str) -> str:
        """See ``OfficerKeys``."""
        if _TOKEN_ID.fullmatch(officer) is None:
            raise OfficerUnknownError(officer)
        return self._config.officer_token_prefix + officer

    @contextmanager
    def key(self, officer: str, *, pin: str, create: bool = False) -> Iterator[PrivateKey]:
        """See ``OfficerKeys``.

        Raises:
            PinRefusedError: not this PIN, or not now.
            TokenNotReadyError: the token or the key cannot be used.
        """
        token = self._officer_token(officer)
        with _translated(officer):
            if create:
                token.make(pin)
            with token.open(pin) as opened:
                found = opened.find_key(KEY_LABEL) if create else opened.load_key(KEY_LABEL)
                yield found or opened.generate_key(KEY_LABEL, KeyAlgorithm.P_256)

    def change_pin(self, officer: str, *, old: str, new: str) -> None:
        """See ``OfficerKeys``.

        Raises:
            PinRefusedError, TokenNotReadyError: as ``key``; the token has its old PIN.
        """
        with _translated(officer):
            self._officer_token(officer).change_pin(old, new)
        # Officers of earlier versions had their PIN in a file.
        (self._folder / "officers" / f"{officer}.pin").unlink(missing_ok=True)

    def forget_wrong_pins(self, officer: str) -> None:
        """See ``OfficerKeys``."""
        with _translated(officer):
            self._officer_token(officer).forget_wrong_pins()

    def audit_key(self) -> PrivateKey | None:
        """The key that signs the heads of the audit trail; None while its token is away."""
        try:
            return self._audit_token.find_or_make("audit", KeyAlgorithm.P_256)[0]
        except TokenError:
            return None

    def timestamp_key(self, label: str, *, create: bool = False) -> PrivateKey:
        """See ``TimestampKeys``: a key of its own beside the audit key, on the service's token."""
        with _translated():
            if create:
                return self._audit_token.find_or_make(label, KeyAlgorithm.P_256)[0]
            return self._audit_token.key(label)

    def check(self) -> None:
        """Readiness of the audit token. Officers' tokens are theirs; nobody else opens them.

        Raises:
            TokenNotReadyError: it does not answer.
        """
        with _translated():
            self._audit_token.check()

    def close(self) -> None:
        """Close the audit token."""
        self._audit_token.close()

    def _officer_token(self, officer: str) -> PersonalToken:
        return PersonalToken(
            self.token_label(officer),
            notes=make_private_folder(self._folder / "officers"),
            module=self._config.token_module,
            store=self._store,
        )

    def _token(self, label: str, pin_file: Path) -> ServiceToken:
        return ServiceToken(label, pin_file, module=self._config.token_module, store=self._store)


@contextmanager
def _translated(officer: str = "") -> Iterator[None]:
    """The token layer's error becomes ours, its own words in the reader's language as the reason."""
    try:
        yield
    except PinError as exc:
        raise PinRefusedError(
            exc.code,
            officer=officer,
            left=exc.attempts_left,
            seconds=max(1, round(exc.retry_after.total_seconds())),
            final=exc.is_final_try,
        ) from exc
    except PinFormError as exc:
        raise PinRefusedError(exc.code, officer=officer) from exc
    except TokenError as exc:
        raise TokenNotReadyError(exc.text(current_language())) from exc


def add_officer(
    connection: Connection, officer: str, key: PublicKey, *, token_label: str, at: datetime
) -> Officer:
    """Register the key of an officer whose account exists.

    Raises:
        OfficerExistsError: the officer has a key already.
    """
    if any(each.id == officer for each in all_officers(connection, removed=True)):
        raise OfficerExistsError(officer)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    values = {
        "id": officer,
        "kid": key_id(key),
        "spki_pem": pem,
        "token_label": token_label,
        "added_at": at,
    }
    connection.execute(insert(officers).values(**values, removed_at=None))
    return load_officer(connection, officer)


def remove_officer(connection: Connection, officer: str, *, at: datetime) -> Officer:
    """An officer leaves; the key counts at departments until the next root says otherwise.

    Raises:
        OfficerUnknownError: nobody of this id is an officer.
    """
    found = load_officer(connection, officer)
    connection.execute(update(officers).where(officers.c.id == officer).values(removed_at=at))
    return found


def load_officer(connection: Connection, officer: str) -> Officer:
    """One officer.

    Raises:
        OfficerUnknownError: nobody of this id is an officer.
    """
    found = _find(connection, officer)
    if found is None:
        raise OfficerUnknownError(officer)
    return found


def all_officers(connection: Connection, *, removed: bool = False) -> list[Officer]:
    """Every officer whose key counts, by id; with ``removed``, also those who have left."""
    query = select(officers).order_by(officers.c.id)
    rows = connection.execute(query if removed else query.where(officers.c.removed_at.is_(None)))
    return [
        Officer(
            id=row.id, kid=row.kid, spki_pem=row.spki_pem, token_label=row.token_label, added_at=row.added_at
        )
        for row in rows
    ]


def _find(connection: Connection, officer: str) -> Officer | None:
    return next((each for each in all_officers(connection) if each.id == officer), None)


def list_keys(connection: Connection, threshold: int) -> RoleKeys:
    """The keys that verifiers are given."""
    return RoleKeys(threshold, {each.kid: each.public_key for each in all_officers(connection)})
