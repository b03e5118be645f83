"""The few PKCS#11 calls that python-pkcs11 lacks or makes unsafely, through ctypes (PKCS#11 v2.40, section
5).

python-pkcs11 calls ``C_Initialize(NULL)``, upon which SoftHSM leaves its mutexes out, and then lets go of the
GIL in each call: threads crash it. Here the module is initialised with ``CKF_OS_LOCKING_OK``. Login is here
too, because a refused PIN in python-pkcs11 leaves a session open that nobody can close.
"""

import ctypes
from pathlib import Path
from typing import Any

CKR_OK = 0x00
CKR_FUNCTION_FAILED = 0x06
CKR_PIN_INCORRECT = 0xA0
CKR_PIN_INVALID = 0xA1
CKR_PIN_LEN_RANGE = 0xA2
CKR_PIN_LOCKED = 0xA4
CKR_USER_ALREADY_LOGGED_IN = 0x100
CKR_USER_PIN_NOT_INITIALIZED = 0x102
CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191

CKU_SO = 0
CKU_USER = 1
CKF_OS_LOCKING_OK = 0x02
CKA_TOKEN = 0x01
CKA_LABEL = 0x03
CKS_USER = (1, 3)  # CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS

_FUNCTIONS = (
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetFunctionList",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_GetMechanismInfo",
    "C_InitToken",
    "C_InitPIN",
    "C_SetPIN",
    "C_OpenSession",
    "C_CloseSession",
    "C_CloseAllSessions",
    "C_GetSessionInfo",
    "C_GetOperationState",
    "C_SetOperationState",
    "C_Login",
    "C_Logout",
    "C_CreateObject",
    "C_CopyObject",
    "C_DestroyObject",
    "C_GetObjectSize",
    "C_GetAttributeValue",
    "C_SetAttributeValue",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
)


class _SessionInfo(ctypes.Structure):
    _fields_ = [
        ("slot", ctypes.c_ulong),
        ("state", ctypes.c_ulong),
        ("flags", ctypes.c_ulong),
        ("error", ctypes.c_ulong),
    ]


class _Attribute(ctypes.Structure):
    _fields_ = [("type", ctypes.c_ulong), ("value", ctypes.c_void_p), ("length", ctypes.c_ulong)]


_Argument = ctypes.c_ulong | ctypes.c_char_p | ctypes.c_void_p


class _FunctionList(ctypes.Structure):
    """The beginning of CK_FUNCTION_LIST; the order of its members is fixed by the standard."""

    _fields_ = [("version", ctypes.c_ubyte * 2), *((name, ctypes.c_void_p) for name in _FUNCTIONS)]


class _InitializeArgs(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("create", "destroy", "lock", "unlock")),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    ]


class Cryptoki:
    """Raw calls on one loaded module. Each returns the CK_RV; a refusal of the module raises nothing here."""

    def __init__(self, path: Path) -> None:
        """Load the shared library.

        Raises:
            OSError: it is not a shared library, or not a PKCS#11 module.
        """
        self._library = ctypes.CDLL(str(path))
        functions = ctypes.POINTER(_FunctionList)()
        try:
            get_functions = self._library.C_GetFunctionList
        except AttributeError as exc:
            raise OSError("it has no C_GetFunctionList") from exc
        if get_functions(ctypes.byref(functions)) != CKR_OK:
            raise OSError("C_GetFunctionList failed")
        self._functions = functions.contents

    def _call(self, name: str, *arguments: _Argument) -> int:
        prototype = ctypes.CFUNCTYPE(ctypes.c_ulong, *[type(argument) for argument in arguments])
        return int(prototype(getattr(self._functions, name))(*arguments))

    def initialize(self) -> int:
        """C_Initialize, asking for the operating system's locks."""
        arguments = _InitializeArgs(flags=CKF_OS_LOCKING_OK)
        return self._call("C_Initialize", _pointer(arguments))

    def finalize(self) -> int:
        """C_Finalize: every session and handle of this process ends."""
        return self._call("C_Finalize", ctypes.c_void_p(None))

    def init_token(self, slot: int, so_pin: str, label: str) -> int:
        """C_InitToken on a slot without a token; the label is padded with blanks to its 32 bytes."""
        pin = so_pin.encode()
        return self._call(
            "C_InitToken",
            ctypes.c_ulong(slot),
            ctypes.c_char_p(pin),
            ctypes.c_ulong(len(pin)),
            ctypes.c_char_p(label.encode().ljust(32)),
        )

    def init_pin(self, session: int, pin: str) -> int:
        """C_InitPIN: set the user's PIN, on a session in which the security officer is logged in."""
        return self._with_pin("C_InitPIN", pin, ctypes.c_ulong(session))

    def login(self, session: int, user: int, pin: str) -> int:
        """C_Login."""
        return self._with_pin("C_Login", pin, ctypes.c_ulong(session), ctypes.c_ulong(user))

    def set_pin(self, session: int, old: str, new: str) -> int:
        """C_SetPIN: the user changes the own PIN, on a read-write session."""
        octets = new.encode()
        tail = (ctypes.c_char_p(octets), ctypes.c_ulong(len(octets)))
        before = old.encode()
        return self._call(
            "C_SetPIN", ctypes.c_ulong(session), ctypes.c_char_p(before), ctypes.c_ulong(len(before)), *tail
        )

    def _with_pin(self, name: str, pin: str, *arguments: _Argument) -> int:
        octets = pin.encode()
        return self._call(name, *arguments, ctypes.c_char_p(octets), ctypes.c_ulong(len(octets)))

    def is_user(self, session: int) -> bool:
        """Whether the user is logged in, by C_GetSessionInfo; also False for a session that is lost."""
        info = _SessionInfo()
        rv = self._call("C_GetSessionInfo", ctypes.c_ulong(session), _pointer(info))
        return rv == CKR_OK and info.state in CKS_USER

    def destroy_labelled(self, session: int, label: str) -> None:
        """Destroy every stored object of this label, by its handle alone.

        python-pkcs11 reads attributes of what it finds, and fails on an object that a crash left without any.
        """
        octets, stored = ctypes.create_string_buffer(label.encode(), len(label.encode())), ctypes.c_ubyte(1)
        template = (_Attribute * 2)(
            _Attribute(CKA_TOKEN, ctypes.addressof(stored), 1),
            _Attribute(CKA_LABEL, ctypes.addressof(octets), len(octets)),
        )
        rv = self._call("C_FindObjectsInit", ctypes.c_ulong(session), _pointer(template), ctypes.c_ulong(2))
        if rv != CKR_OK:
            return
        found, count = (ctypes.c_ulong * 100)(), ctypes.c_ulong()
        rv = self._call(
            "C_FindObjects", ctypes.c_ulong(session), _pointer(found), ctypes.c_ulong(100), _pointer(count)
        )
        self._call("C_FindObjectsFinal", ctypes.c_ulong(session))
        for handle in found[: count.value if rv == CKR_OK else 0]:
            self._call("C_DestroyObject", ctypes.c_ulong(session), ctypes.c_ulong(handle))

    def logout(self, session: int) -> int:
        """C_Logout: ends the login of the whole process on that token."""
        return self._call("C_Logout", ctypes.c_ulong(session))


def _pointer(target: ctypes.Structure | ctypes.Array[Any] | ctypes.c_ulong) -> ctypes.c_void_p:
    return ctypes.cast(ctypes.byref(target), ctypes.c_void_p)


def describe(rv: int) -> str:
    """A CK_RV for people who look it up in the standard."""
    return f"CKR 0x{rv:08x}"
