"""Key handles on sessions: where a key lies, one session's cache of handles, and which errors mean "lost"."""

from typing import Any

import pkcs11
from pkcs11 import Attribute, ObjectClass

from onecert.hsm.cryptoki import Cryptoki

# What says "the session, the login or the token is lost", and not "this request is wrong".
LOST = (
    pkcs11.exceptions.ObjectHandleInvalid,
    pkcs11.exceptions.KeyHandleInvalid,
    pkcs11.exceptions.SessionHandleInvalid,
    pkcs11.exceptions.SessionClosed,
    pkcs11.exceptions.UserNotLoggedIn,
    pkcs11.exceptions.DeviceError,
    pkcs11.exceptions.DeviceRemoved,
    pkcs11.exceptions.TokenNotPresent,
    pkcs11.exceptions.TokenNotRecognised,
    pkcs11.exceptions.SlotIDInvalid,
    pkcs11.exceptions.OperationActive,
    pkcs11.exceptions.OperationNotInitialized,
    pkcs11.exceptions.GeneralError,
    pkcs11.exceptions.FunctionFailed,
)


class KeyReference:
    """Where a key lies on the token.

    There is one object for each key, so that a session finds its cached handle by identity, which is fast.
    """

    __slots__ = ("key_id", "label", "object_class")

    def __init__(self, object_class: ObjectClass, label: str, key_id: bytes) -> None:
        self.object_class = object_class
        self.label = label
        self.key_id = key_id

    def locate(self, worker: "Worker") -> Any | None:
        """The key's handle on this session, or None.

        The ID is part of the search: a new key that took over a destroyed key's label must not be used in
        its name.
        """
        template = {
            Attribute.TOKEN: True,
            Attribute.CLASS: self.object_class,
            Attribute.LABEL: self.label,
            Attribute.ID: self.key_id,
        }
        return next(iter(worker.list_objects(template)), None)

    def release(self, handle: Any) -> None:
        """The handle is no longer cached. A key that is stored on the token stays."""


class Worker:
    """One session and the key handles known on it. ``session`` is None while the token is lost."""

    __slots__ = ("_raw", "generation", "handles", "session")

    def __init__(self, raw: Cryptoki) -> None:
        self._raw = raw
        self.session: pkcs11.Session | None = None
        self.handles: dict[KeyReference, Any] = {}
        self.generation = 0

    @property
    def opened(self) -> pkcs11.Session:
        """The session; a PKCS#11 error while the token is lost."""
        if self.session is None:
            raise pkcs11.exceptions.SessionClosed
        return self.session

    def list_objects(self, template: dict[Attribute, Any]) -> list[Any]:
        """All objects that match, as handles on this session.

        The session is asked first: when a search cannot even begin, python-pkcs11 leaves an exception behind
        that nobody can catch.
        """
        session: Any = self.opened
        if not self._raw.is_user(session.handle):
            raise pkcs11.exceptions.UserNotLoggedIn
        return list(session.get_objects(template))
