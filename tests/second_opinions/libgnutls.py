"""GnuTLS's library, asked as the commands `certtool` and `ocsptool` of the same package ask it.

Each function takes DER and returns an empty text, or why GnuTLS refuses. What it says of time is left out:
it compares with this machine's clock, and the tests' clocks stand where they like.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_void_p
from functools import cache
from typing import Any

from debian_libraries import declare, library_of

__all__ = ["check_certificate", "check_crl", "check_ocsp", "version"]

_DER = 0
_DO_NOT_ALLOW_SAME = 1 << 2  # GNUTLS_VERIFY_DO_NOT_ALLOW_SAME, as certtool sets it
# gnutls_certificate_status_t: not active yet, expired, revocation data superseded, or issued in future.
# INVALID accompanies any of them.
_OF_TIME = 1 << 9 | 1 << 10 | 1 << 12 | 1 << 15
_INVALID = 1 << 1


class _Datum(ctypes.Structure):
    _fields_ = (("data", c_char_p), ("size", c_uint))


_POINTER, _PLACE, _DATUM, _NUMBER = c_void_p, POINTER(c_void_p), POINTER(_Datum), POINTER(c_uint)
_FUNCTIONS = {
    "gnutls_check_version": (c_char_p, (c_char_p,)),
    "gnutls_strerror": (c_char_p, (c_int,)),
    "gnutls_x509_crt_init": (c_int, (_PLACE,)),
    "gnutls_x509_crt_deinit": (None, (_POINTER,)),
    "gnutls_x509_crt_import": (c_int, (_POINTER, _DATUM, c_int)),
    "gnutls_x509_crl_init": (c_int, (_PLACE,)),
    "gnutls_x509_crl_deinit": (None, (_POINTER,)),
    "gnutls_x509_crl_import": (c_int, (_POINTER, _DATUM, c_int)),
    "gnutls_x509_crl_verify": (c_int, (_POINTER, _PLACE, c_uint, c_uint, _NUMBER)),
    "gnutls_x509_trust_list_init": (c_int, (_PLACE, c_uint)),
    "gnutls_x509_trust_list_deinit": (None, (_POINTER, c_uint)),
    "gnutls_x509_trust_list_add_cas": (c_int, (_POINTER, _PLACE, c_uint, c_uint)),
    "gnutls_x509_trust_list_verify_crt": (c_int, (_POINTER, _PLACE, c_uint, c_uint, _NUMBER, _POINTER)),
    "gnutls_ocsp_resp_init": (c_int, (_PLACE,)),
    "gnutls_ocsp_resp_deinit": (None, (_POINTER,)),
    "gnutls_ocsp_resp_import": (c_int, (_POINTER, _DATUM)),
    "gnutls_ocsp_resp_verify_direct": (c_int, (_POINTER, _POINTER, _NUMBER, c_uint)),
}


class _RefusedError(Exception):
    """GnuTLS returned an error code; the text is what it says of it."""


def version() -> str:
    """Of the library: ``3.7.9``."""
    text: bytes = _library().gnutls_check_version(None)
    return text.decode()


def check_certificate(certificate_der: bytes, issuer_der: bytes) -> str:
    """As `certtool --verify --load-ca-certificate ISSUER`."""
    return _answer(_certificate, certificate_der, issuer_der)


def check_crl(crl_der: bytes, issuer_der: bytes) -> str:
    """As `certtool --verify-crl --load-ca-certificate ISSUER`."""
    return _answer(_crl, crl_der, issuer_der)


def check_ocsp(response_der: bytes, signer_der: bytes) -> str:
    """As `ocsptool --verify-response --load-signer SIGNER`."""
    return _answer(_ocsp, response_der, signer_der)


def _answer(check: Callable[[ExitStack, bytes, bytes], str], content: bytes, signer: bytes) -> str:
    try:
        with ExitStack() as kept:
            return check(kept, content, signer)
    except _RefusedError as exc:
        return str(exc)


def _certificate(kept: ExitStack, content: bytes, issuer: bytes) -> str:
    library, status = _library(), c_uint()
    certificate = _imported(kept, "x509_crt", content, _DER)
    trusted = _new(kept, "x509_trust_list", 0)
    _done(library.gnutls_x509_trust_list_add_cas(trusted, byref(_kept_certificate(issuer)), 1, 0))
    arguments = (trusted, byref(certificate), 1, _DO_NOT_ALLOW_SAME, byref(status), None)
    _done(library.gnutls_x509_trust_list_verify_crt(*arguments))
    return _without_time(status.value)


def _crl(kept: ExitStack, content: bytes, issuer: bytes) -> str:
    library, status = _library(), c_uint()
    crl = _imported(kept, "x509_crl", content, _DER)
    _done(library.gnutls_x509_crl_verify(crl, byref(_kept_certificate(issuer)), 1, 0, byref(status)))
    return _without_time(status.value)


def _ocsp(kept: ExitStack, content: bytes, signer: bytes) -> str:
    library, status = _library(), c_uint()
    response = _imported(kept, "ocsp_resp", content)
    _done(library.gnutls_ocsp_resp_verify_direct(response, _kept_certificate(signer), byref(status), 0))
    return f"verify status {status.value}" if status.value else ""


def _without_time(status: int) -> str:
    if not status & _OF_TIME:
        return f"status {status:#x}" if status else ""
    rest = status & ~_OF_TIME & ~_INVALID
    return f"status {status:#x}" if rest else ""


@cache
def _library() -> ctypes.CDLL:
    library = library_of("certtool", "libgnutls.so")
    declare(library, _FUNCTIONS)
    return library


@cache
def _kept_certificate(certificate_der: bytes) -> c_void_p:
    """A signer's certificate, which stays in memory: few sign much."""
    return _imported(ExitStack(), "x509_crt", certificate_der, _DER)


def _imported(kept: ExitStack, kind: str, content: bytes, *form: int) -> c_void_p:
    made = _new(kept, kind)
    datum = _Datum(content, len(content))
    _done(getattr(_library(), f"gnutls_{kind}_import")(made, byref(datum), *form))
    return made


def _new(kept: ExitStack, kind: str, *size: int) -> c_void_p:
    library, made = _library(), c_void_p()
    _done(getattr(library, f"gnutls_{kind}_init")(byref(made), *size))
    # A trust list leaves the certificates in it alone: they are freed by themselves.
    more: tuple[Any, ...] = (0,) if kind == "x509_trust_list" else ()
    kept.callback(getattr(library, f"gnutls_{kind}_deinit"), made, *more)
    return made


def _done(code: int) -> None:
    if code < 0:
        text: bytes = _library().gnutls_strerror(code)
        raise _RefusedError(text.decode())
