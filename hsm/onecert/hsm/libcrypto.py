"""SM2 in OpenSSL 3's libcrypto, through ctypes: make a key, take its halves out, bring it back, sign, verify.

GB/T 32918.2 with SM3; signatures are the DER ``SEQUENCE`` of r and s. Every call lets go of the interpreter's
lock. Secrets stand in buffers of our own, which are overwritten as soon as they have been used; libcrypto
overwrites its own when it frees them.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NoReturn

from onecert.hsm.errors import AlgorithmNotSupportedError

POINT, SCALAR = 64, 32  # octets: the coordinates x and y, the private number
_SIGNATURE_MAX = 80
_KEY_PAIR, _PUBLIC_KEY = 0x87, 0x86  # EVP_PKEY_KEYPAIR, EVP_PKEY_PUBLIC_KEY
_NUMBER, _TEXT, _OCTETS = 2, 4, 5  # OSSL_PARAM_UNSIGNED_INTEGER, …_UTF8_STRING, …_OCTET_STRING
_NAMES = ("libcrypto.so.3", "libcrypto.3.dylib", "libcrypto-3-x64.dll")

_P, _INT, _SIZE, _TEXT_P = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "EVP_PKEY_CTX_new_from_name": (_P, (_P, _TEXT_P, _TEXT_P)),
    "EVP_PKEY_CTX_new_from_pkey": (_P, (_P, _P, _TEXT_P)),
    "EVP_PKEY_CTX_free": (None, (_P,)),
    "EVP_PKEY_CTX_set1_id": (_INT, (_P, _TEXT_P, _INT)),
    "EVP_PKEY_keygen_init": (_INT, (_P,)),
    "EVP_PKEY_generate": (_INT, (_P, _P)),
    "EVP_PKEY_fromdata_init": (_INT, (_P,)),
    "EVP_PKEY_fromdata": (_INT, (_P, _P, _INT, _P)),
    "EVP_PKEY_pairwise_check": (_INT, (_P,)),
    "EVP_PKEY_public_check": (_INT, (_P,)),
    "EVP_PKEY_get_bn_param": (_INT, (_P, _TEXT_P, _P)),
    "EVP_PKEY_get_octet_string_param": (_INT, (_P, _TEXT_P, _P, _SIZE, _P)),
    "EVP_PKEY_free": (None, (_P,)),
    "EVP_MD_CTX_new": (_P, ()),
    "EVP_MD_CTX_free": (None, (_P,)),
    "EVP_DigestSignInit_ex": (_INT, (_P, _P, _TEXT_P, _P, _TEXT_P, _P, _P)),
    "EVP_DigestSign": (_INT, (_P, _P, _P, _TEXT_P, _SIZE)),
    "EVP_DigestVerifyInit_ex": (_INT, (_P, _P, _TEXT_P, _P, _TEXT_P, _P, _P)),
    "EVP_DigestVerify": (_INT, (_P, _TEXT_P, _SIZE, _TEXT_P, _SIZE)),
    "BN_bn2binpad": (_INT, (_P, _P, _INT)),
    "BN_clear_free": (None, (_P,)),
    "ERR_clear_error": (None, ()),
}


class LibcryptoError(Exception):
    """A call failed: what was given is not a key, or libcrypto could not."""


class _Parameter(ctypes.Structure):
    """OSSL_PARAM."""

    _fields_ = [
        ("key", ctypes.c_char_p),
        ("type", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("returned", ctypes.c_size_t),
    ]


@cache
def _library() -> Any:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
            for call, (result, arguments) in _CALLS.items():
                function = getattr(library, call)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return library
    raise AlgorithmNotSupportedError("SM2_LIBRARY", key="sm2", reason=_NAMES[0])


def check_available() -> None:
    """Ask whether SM2 keys can be used on this machine.

    Raises:
        AlgorithmNotSupportedError: there is no libcrypto of OpenSSL 3.
    """
    _library()


def wipe(secret: bytes) -> None:
    """Overwrite bytes that only the caller knows of.

    Bytes are immutable to programs, not to memory: CPython keeps their content at the end of the object.
    """
    if len(secret) > 1:  # shorter ones are shared by the whole interpreter
        ctypes.memset(id(secret) + bytes.__basicsize__ - 1, 0, len(secret))


class EvpKey:
    """One EVP_PKEY. libcrypto counts its users, so that freeing it disturbs no signature under way."""

    __slots__ = ("_library", "_pointer")

    def __init__(self, pointer: int) -> None:
        self._pointer: int | None = pointer
        self._library = _library()

    def free(self) -> None:
        """Let libcrypto overwrite and free the key. Safe to repeat."""
        pointer, self._pointer = self._pointer, None
        if pointer:
            self._library.EVP_PKEY_free(pointer)

    def __del__(self) -> None:
        self.free()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not to be copied")

    def point(self) -> bytes:
        """x and y, 64 octets."""
        buffer, size = ctypes.create_string_buffer(1 + POINT), _SIZE()
        _check(
            self._library.EVP_PKEY_get_octet_string_param(
                self._pointer, b"pub", buffer, len(buffer), ctypes.byref(size)
            )
        )
        if size.value != 1 + POINT or buffer.raw[0] != 0x04:
            raise LibcryptoError("not an uncompressed point")
        return buffer.raw[1:]

    def scalar(self) -> bytes:
        """The private number, 32 octets. The caller wipes it."""
        library, number = self._library, _P()
        _check(library.EVP_PKEY_get_bn_param(self._pointer, b"priv", ctypes.byref(number)))
        buffer = ctypes.create_string_buffer(SCALAR)
        try:
            if library.BN_bn2binpad(number, buffer, SCALAR) != SCALAR:
                raise LibcryptoError("a number of another size")
            return buffer.raw
        finally:
            library.BN_clear_free(number)
            ctypes.memset(buffer, 0, SCALAR)

    def sign(self, data: bytes, identifier: bytes) -> bytes:
        """Sign with SM3 and the signer's identifier."""
        library = self._library
        with _digesting(library.EVP_DigestSignInit_ex, self._pointer, identifier) as context:
            signature, size = ctypes.create_string_buffer(_SIGNATURE_MAX), _SIZE(_SIGNATURE_MAX)
            _check(library.EVP_DigestSign(context, signature, ctypes.byref(size), data, len(data)))
        return signature.raw[: size.value]

    def verifies(self, signature: bytes, data: bytes, identifier: bytes) -> bool:
        """Whether this is a signature of the key; whatever is not, is not."""
        library = self._library
        with _digesting(library.EVP_DigestVerifyInit_ex, self._pointer, identifier) as context:
            found = library.EVP_DigestVerify(context, signature, len(signature), data, len(data))
        if found != 1:
            library.ERR_clear_error()
        return bool(found == 1)


def generate() -> EvpKey:
    """Make a key pair with libcrypto's random numbers."""
    library, made = _library(), _P()
    with _context(library.EVP_PKEY_CTX_new_from_name, b"SM2", None) as context:
        _check(library.EVP_PKEY_keygen_init(context))
        _check(library.EVP_PKEY_generate(context, ctypes.byref(made)))
    return EvpKey(made.value or 0)


def private_key(point: bytes, scalar: bytes) -> EvpKey:
    """Bring a key pair back.

    Raises:
        LibcryptoError: the halves do not belong together.
    """
    # libcrypto takes the number in the byte order of the machine, which is little everywhere we run.
    number = ctypes.create_string_buffer(scalar[::-1], SCALAR)
    try:
        key = _from_data(point, _Parameter(b"priv", _NUMBER, ctypes.addressof(number), SCALAR, 0))
    finally:
        ctypes.memset(number, 0, SCALAR)
    _check_key(key, "EVP_PKEY_pairwise_check")
    return key


def public_key(point: bytes) -> EvpKey:
    """A key that verifies only.

    Raises:
        LibcryptoError: the point is not on the curve.
    """
    key = _from_data(point, None)
    _check_key(key, "EVP_PKEY_public_check")
    return key


def _from_data(point: bytes, private: _Parameter | None) -> EvpKey:
    library, made = _library(), _P()
    public = ctypes.create_string_buffer(b"\x04" + point, 1 + POINT)
    curve = ctypes.create_string_buffer(b"SM2")
    parameters = [
        _Parameter(b"group", _TEXT, ctypes.addressof(curve), 3, 0),
        _Parameter(b"pub", _OCTETS, ctypes.addressof(public), 1 + POINT, 0),
        *([private] if private is not None else []),
        _Parameter(),
    ]
    array = (_Parameter * len(parameters))(*parameters)
    selection = _PUBLIC_KEY if private is None else _KEY_PAIR
    with _context(library.EVP_PKEY_CTX_new_from_name, b"SM2", None) as context:
        _check(library.EVP_PKEY_fromdata_init(context))
        _check(library.EVP_PKEY_fromdata(context, ctypes.byref(made), selection, array))
    return EvpKey(made.value or 0)


def _check_key(key: EvpKey, call: str) -> None:
    library = _library()
    with _context(library.EVP_PKEY_CTX_new_from_pkey, key._pointer, None) as context:
        _check(getattr(library, call)(context))


def _check(result: int) -> None:
    if result != 1:
        # What is left in the queue would be taken for an error of the next TLS connection of this thread.
        _library().ERR_clear_error()
        raise LibcryptoError("libcrypto refused")


@contextmanager
def _context(new: Callable[..., int | None], *arguments: Any) -> Iterator[int]:
    context = new(None, *arguments)
    if not context:
        _check(0)
    try:
        yield context or 0
    finally:
        _library().EVP_PKEY_CTX_free(context)


@contextmanager
def _digesting(begin: Callable[..., int], key: int | None, identifier: bytes) -> Iterator[int]:
    """A digest context that has begun with a key; it holds the key until it is freed."""
    library = _library()
    if not key:
        raise LibcryptoError("the key was freed")
    context, key_context = library.EVP_MD_CTX_new(), _P()
    try:
        _check(begin(context, ctypes.byref(key_context), b"SM3", None, None, key, None))
        # Z, which stands before the data, is made from it (GB/T 32918.2, section 5.5).
        _check(library.EVP_PKEY_CTX_set1_id(key_context, identifier, len(identifier)))
        yield context
    finally:
        library.EVP_MD_CTX_free(context)
