"""An open token: makes, finds, lists and destroys keys on it. ``opening.py`` opens it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, ObjectClass, PKCS11Error

from onecert.hsm import certificates, making
from onecert.hsm.algorithms import ALGORITHMS, AlgorithmRow, KeyAlgorithm
from onecert.hsm.cryptoki import CKR_OK, CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, describe
from onecert.hsm.errors import (
    AlgorithmNotSupportedError,
    KeyExistsError,
    KeyNotFoundError,
    KeyUnusableError,
    PinError,
    PinFormError,
    TokenClosedError,
    TokenOperationError,
    TokenUnavailableError,
)
from onecert.hsm.handles import LOST, KeyReference, Worker
from onecert.hsm.keys import PrivateKey, token_key
from onecert.hsm.messages import Reason
from onecert.hsm.module import Module
from onecert.hsm.pool import SessionPool
from onecert.hsm.public import check_protected, read_public_key
from onecert.hsm.sealing import SealingKey

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TokenInfo:
    """What a token says of itself."""

    label: str
    serial: str
    manufacturer: str
    model: str
    module: Path


class Connection:
    """The one login of this process on a token, and what the ``Token`` objects for it share."""

    def __init__(
        self,
        pool: SessionPool,
        lock: Callable[[], AbstractContextManager[None]],
        forget: Callable[[SessionPool], None],
    ) -> None:
        self.pool = pool
        self.lock = lock
        self.forget = forget
        self.references: dict[tuple[ObjectClass, str, bytes], KeyReference] = {}
        self.users = 0


def _stored(object_class: ObjectClass, label: str | None = None) -> dict[Attribute, Any]:
    """A search for keys that are stored on the token, not those unwrapped for the moment."""
    template: dict[Attribute, Any] = {Attribute.TOKEN: True, Attribute.CLASS: object_class}
    return template if label is None else template | {Attribute.LABEL: label}


class Token:
    """An open token. Safe to use from many threads; see ``open_token``."""

    def __init__(self, module: Module, connection: Connection) -> None:
        self._module = module
        self._connection = connection
        self._pool = connection.pool
        self._closed = False

    @property
    def label(self) -> str:
        """The token's label."""
        return self._pool.label

    def info(self) -> TokenInfo:
        """Label, serial number, maker and model."""
        token = self._run("read", lambda worker: self._pool.ask())
        return TokenInfo(
            label=token.label,
            serial=token.serial.decode("ascii", "replace"),
            manufacturer=token.manufacturer_id,
            model=token.model,
            module=self._module.path,
        )

    def check(self) -> None:
        """Readiness: the token answers, we are logged in, and every key that was used is still there.

        Raises:
            TokenUnavailableError: it is gone, or its PIN is no longer right.
        """

        def look(worker: Worker) -> None:
            self._pool.ask()
            for handle in tuple(worker.handles.values()):
                handle[Attribute.LABEL]  # raises when the handle is dead
            next(iter(worker.list_objects(_stored(ObjectClass.PRIVATE_KEY))), None)

        self._run("check", look)

    # --- keys -------------------------------------------------------------------------------------

    def generate_key(self, label: str, algorithm: KeyAlgorithm) -> PrivateKey:
        """Make a key pair whose private part never leaves the token.

        Raises:
            KeyExistsError: the label is taken; nothing was made.
            KeyUnusableError: the label is not allowed.
            AlgorithmNotSupportedError: the token lacks the mechanism; SM2, see ``SealedKeys``.
            TokenUnavailableError, TokenOperationError: nothing usable was made.
        """
        row = self._row(algorithm)
        self._check_label(label)
        with self._writing("make a key") as session:
            if row.generate not in self._pool.ask().slot.get_mechanisms():
                raise AlgorithmNotSupportedError(
                    "MECHANISM_MISSING",
                    label=self.label,
                    algorithm=row.algorithm,
                    mechanism=row.generate.name,
                )
            for object_class in (ObjectClass.PRIVATE_KEY, ObjectClass.SECRET_KEY):
                if list(session.get_objects(_stored(object_class, label))):
                    raise KeyExistsError(label=self.label, key=label)
            self._sweep(session)
            making.remove_orphans(session, label)
            making.make_key_pair(session, self.label, label, row)
        log.info("key generated", extra={"token": self.label, "key": label, "algorithm": row.algorithm.value})
        return self.load_key(label)

    def load_key(self, label: str) -> PrivateKey:
        """The private key of that label.

        Raises:
            KeyNotFoundError: there is none.
            KeyUnusableError: there are two, it is extractable, or its kind is not in our table.
        """
        key = self.find_key(label)
        if key is None:
            raise KeyNotFoundError(label=self.label, key=label)
        return key

    def find_key(self, label: str) -> PrivateKey | None:
        """The private key of that label, or None."""
        self._check_label(label)

        def find(worker: Worker) -> PrivateKey | None:
            private = self._only(worker, ObjectClass.PRIVATE_KEY, label)
            if private is None:
                return None
            check_protected(private, self.label, label)
            algorithm, public = read_public_key(worker.opened, private, self.label, label)
            reference = self._reference(ObjectClass.PRIVATE_KEY, label, private[Attribute.ID])
            return token_key(self._pool, reference, algorithm, public)

        return self._run("find a key", find)

    def key_labels(self) -> list[str]:
        """The labels of all private keys, sorted."""

        def find(worker: Worker) -> list[str]:
            found = worker.list_objects(_stored(ObjectClass.PRIVATE_KEY))
            if not found:
                self._pool.ask()
            # Also left out: what a crash of the module itself left nameless.
            return sorted(label for key in found if making.is_key_label(label := key[Attribute.LABEL]))

        return self._run("list keys", find)

    def destroy_key(self, label: str) -> None:
        """Destroy a key pair or sealing key for good. There is no way back.

        Raises:
            KeyNotFoundError: there is none.
        """
        self._check_label(label)
        with self._writing("destroy a key") as session:
            # The private part first: after a crash the name is free, and no private key is left that nobody
            # sees.
            found = [
                key
                for object_class in (ObjectClass.PRIVATE_KEY, ObjectClass.SECRET_KEY, ObjectClass.PUBLIC_KEY)
                for key in list(session.get_objects(_stored(object_class, label)))
            ]
            if not found:
                raise KeyNotFoundError(label=self.label, key=label)
            for key in found:
                key.destroy()
        log.warning("key destroyed", extra={"token": self.label, "key": label})

    def write_certificates(self, label: str, own: x509.Certificate, chain: list[x509.Certificate]) -> None:
        """Put a certificate beside the key of that label, and its chain; again changes nothing.

        Raises:
            KeyNotFoundError: there is no such key.
            KeyUnusableError: the certificate is for another key.
        """
        encoding, form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        if own.public_key().public_bytes(encoding, form) != self.load_key(label).public_key().public_bytes(
            encoding, form
        ):
            raise KeyUnusableError("CERTIFICATE_OTHER_KEY", label=self.label, key=label)
        with self._writing("write a certificate") as session:
            for key in list(session.get_objects(_stored(ObjectClass.PRIVATE_KEY, label))):
                certificates.write_certificates(session, bytes(key[Attribute.ID]), label, own, chain)

    def certificates(self) -> list[x509.Certificate]:
        """Every certificate on the token, in no order."""
        return self._run("list certificates", lambda worker: certificates.list_certificates(worker.opened))

    def sealing_key(self, label: str) -> SealingKey:
        """The AES-256 key of that label, made when it is missing."""
        self._check_label(label)
        reference = self._find_sealing_key(label)
        if reference is None:
            with self._writing("make a key") as session:
                if not list(
                    session.get_objects(_stored(ObjectClass.SECRET_KEY, label))
                ):  # else another process was quicker
                    self._sweep(session)
                    making.make_sealing_key(session, label)
            reference = self._find_sealing_key(label)
        if reference is None:
            raise KeyNotFoundError(label=self.label, key=label)
        return SealingKey(self._pool, reference)

    def _find_sealing_key(self, label: str) -> KeyReference | None:
        def find(worker: Worker) -> KeyReference | None:
            key = self._only(worker, ObjectClass.SECRET_KEY, label)
            if key is None:
                return None
            check_protected(key, self.label, label)
            return self._reference(ObjectClass.SECRET_KEY, label, key[Attribute.ID])

        return self._run("find a key", find)

    def change_pin(self, old: str, new: str) -> None:
        """Give the token another user PIN.

        Raises:
            PinFormError: the token does not take such a PIN.
            PinError: ``old`` is not its PIN. TokenUnavailableError, TokenOperationError: nothing changed.
        """
        with self._writing("change the PIN") as session:
            handle = session.handle  # type: ignore[attr-defined] # as in _sweep
            rv = self._module.raw.set_pin(handle, old, new)
        if rv in (CKR_PIN_INVALID, CKR_PIN_LEN_RANGE):
            raise PinFormError("PIN_NOT_TAKEN", label=self.label)
        if rv == CKR_PIN_INCORRECT:
            raise PinError(label=self.label, retry_after=timedelta(0))
        if rv != CKR_OK:
            reason = f"C_SetPIN: {describe(rv)}"
            raise TokenOperationError(label=self.label, operation="change the PIN", reason=reason)
        log.warning("PIN changed", extra={"token": self.label})

    # --- close ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the token. The last user of a token in this process logs out."""
        with self._module.lock:
            if self._closed:
                return
            self._closed = True
            self._connection.users -= 1
            if self._connection.users == 0:
                self._connection.forget(self._pool)
                self._pool.close()

    def __enter__(self) -> "Token":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # --- helpers ----------------------------------------------------------------------------------

    def _run(self, operation: str, act: Callable[[Worker], T]) -> T:
        if self._closed:
            raise TokenClosedError(label=self.label)
        return self._pool.run(operation, act)

    def _row(self, algorithm: KeyAlgorithm) -> AlgorithmRow:
        row = ALGORITHMS.get(KeyAlgorithm(algorithm))
        if row is None:
            raise AlgorithmNotSupportedError("SM2_SEALED_ONLY", key=self.label)
        return row

    def _sweep(self, session: pkcs11.Session) -> None:
        """Destroy what a crash has left unfinished. The lock is held: nobody is making a key now."""
        handle = session.handle  # type: ignore[attr-defined] # the implementation has it, its declared type has not
        self._module.raw.destroy_labelled(handle, making.WORKING_LABEL)

    def _check_label(self, label: str) -> None:
        if not making.is_key_label(label):
            raise KeyUnusableError("KEY_LABEL", label=self.label, key=repr(label))

    def _reference(self, object_class: ObjectClass, label: str, key_id: bytes) -> KeyReference:
        reference = KeyReference(object_class, label, key_id)
        return self._connection.references.setdefault((object_class, label, key_id), reference)

    def _only(self, worker: Worker, object_class: ObjectClass, label: str) -> Any | None:
        found = worker.list_objects(_stored(object_class, label))
        if not found:
            self._pool.ask()  # "not found" must not mean "the token is gone" or "logged out"
            return None
        if len(found) > 1:
            raise KeyUnusableError(label=self.label, key=label, reason=Reason("TWICE", count=len(found)))
        return found[0]

    @contextmanager
    def _writing(self, operation: str) -> Iterator[pkcs11.Session]:
        """A read-write session, alone among all processes that use this store."""
        self._run(operation, lambda worker: self._pool.ask())  # finds a lost token before anything is written
        with self._module.lock, self._connection.lock():
            try:
                session = self._pool.write_session()
                try:
                    yield session
                finally:
                    with suppress(PKCS11Error):
                        session.close()
            except PKCS11Error as exc:
                if isinstance(exc, LOST):
                    raise TokenUnavailableError(label=self.label, reason=type(exc).__name__) from exc
                reason = type(exc).__name__
                raise TokenOperationError(label=self.label, operation=operation, reason=reason) from exc
