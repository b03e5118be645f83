"""openssl's libcrypto, asked as the commands `verify`, `crl`, `ocsp` and `dgst` of the same package ask it.

Each function takes DER and returns an empty text, or why libcrypto refuses. Objects are freed when a question
has been answered, certificates of issuers are kept: few sign much.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from ctypes import byref, c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from functools import cache
from typing import Any

from debian_libraries import declare, library_of

__all__ = ["check_certificate", "check_crl", "check_ocsp", "check_sm2", "version"]

# X509_V_FLAG_…: -partial_chain, -no_check_time, -x509_strict and -check_ss_sig of the commands.
_PARTIAL_CHAIN, _NO_CHECK_TIME, _STRICT, _CHECK_SS_SIGNATURE = 0x80000, 0x200000, 0x20, 0x4000
_TIMELESS = _PARTIAL_CHAIN | _NO_CHECK_TIME
# The signer's identifier that GB/T 35276 gives where nothing else is agreed.
_SM2_IDENTIFIER = b"1234567812345678"
_POINTER, _DATA = c_void_p, (c_void_p, c_void_p, c_long)
_FUNCTIONS = {
    "OpenSSL_version": (c_char_p, (c_int,)),
    "ERR_get_error": (c_ulong, ()),
    "ERR_error_string_n": (None, (c_ulong, c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
    "d2i_X509": (_POINTER, _DATA),
    "d2i_X509_CRL": (_POINTER, _DATA),
    "d2i_OCSP_RESPONSE": (_POINTER, _DATA),
    "X509_free": (None, (_POINTER,)),
    "X509_CRL_free": (None, (_POINTER,)),
    "OCSP_RESPONSE_free": (None, (_POINTER,)),
    "OCSP_BASICRESP_free": (None, (_POINTER,)),
    "X509_get0_pubkey": (_POINTER, (_POINTER,)),
    "X509_get_subject_name": (_POINTER, (_POINTER,)),
    "X509_NAME_cmp": (c_int, (_POINTER, _POINTER)),
    "X509_CRL_get_issuer": (_POINTER, (_POINTER,)),
    "X509_CRL_verify": (c_int, (_POINTER, _POINTER)),
    "X509_STORE_new": (_POINTER, ()),
    "X509_STORE_free": (None, (_POINTER,)),
    "X509_STORE_add_cert": (c_int, (_POINTER, _POINTER)),
    "X509_STORE_set_flags": (c_int, (_POINTER, c_ulong)),
    "OPENSSL_sk_new_null": (_POINTER, ()),
    "OPENSSL_sk_push": (c_int, (_POINTER, _POINTER)),
    "OPENSSL_sk_free": (None, (_POINTER,)),
    "X509_STORE_CTX_new": (_POINTER, ()),
    "X509_STORE_CTX_free": (None, (_POINTER,)),
    "X509_STORE_CTX_init": (c_int, (_POINTER, _POINTER, _POINTER, _POINTER)),
    "X509_STORE_CTX_set0_trusted_stack": (None, (_POINTER, _POINTER)),
    "X509_STORE_CTX_get_error": (c_int, (_POINTER,)),
    "X509_verify_cert": (c_int, (_POINTER,)),
    "X509_verify_cert_error_string": (c_char_p, (c_long,)),
    "OCSP_response_status": (c_int, (_POINTER,)),
    "OCSP_response_get1_basic": (_POINTER, (_POINTER,)),
    "OCSP_basic_verify": (c_int, (_POINTER, _POINTER, _POINTER, c_ulong)),
    "BIO_s_null": (_POINTER, ()),
    "BIO_new": (_POINTER, (_POINTER,)),
    "BIO_free": (c_int, (_POINTER,)),
    "X509_print": (c_int, (_POINTER, _POINTER)),
    "X509_CRL_print": (c_int, (_POINTER, _POINTER)),
    "OCSP_RESPONSE_print": (c_int, (_POINTER, _POINTER, c_ulong)),
    "EVP_sm3": (_POINTER, ()),
    "EVP_MD_CTX_new": (_POINTER, ()),
    "EVP_MD_CTX_free": (None, (_POINTER,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (_POINTER, _POINTER)),
    "EVP_PKEY_CTX_new": (_POINTER, (_POINTER, _POINTER)),
    "EVP_PKEY_CTX_free": (None, (_POINTER,)),
    "EVP_PKEY_CTX_set1_id": (c_int, (_POINTER, c_char_p, c_int)),
    "EVP_DigestVerifyInit": (c_int, (_POINTER,) * 5),
    "EVP_DigestVerify": (c_int, (_POINTER, c_char_p, c_size_t, c_char_p, c_size_t)),
}


def version() -> str:
    """As `openssl version` names its library: ``OpenSSL 3.0.19 27 Jan 2026``."""
    text: bytes = _library().OpenSSL_version(0)
    return text.decode()


def check_certificate(certificate_der: bytes, issuer_der: bytes) -> str:
    """As `openssl verify -x509_strict -check_ss_sig -partial_chain -no_check_time -trusted ISSUER`."""
    library = _library()
    with ExitStack() as kept:
        certificate = _read(kept, "X509", certificate_der)
        if not certificate:
            return _said("no certificate")
        trusted = _new(kept, library.OPENSSL_sk_new_null(), library.OPENSSL_sk_free)
        library.OPENSSL_sk_push(trusted, _issuer(issuer_der))
        store = _new(kept, library.X509_STORE_new(), library.X509_STORE_free)
        library.X509_STORE_set_flags(store, _TIMELESS | _STRICT | _CHECK_SS_SIGNATURE)
        context = _new(kept, library.X509_STORE_CTX_new(), library.X509_STORE_CTX_free)
        if library.X509_STORE_CTX_init(context, store, certificate, None) != 1:
            return _said("nothing to verify with")
        library.X509_STORE_CTX_set0_trusted_stack(context, trusted)
        is_verified = library.X509_verify_cert(context) == 1
        error = library.X509_STORE_CTX_get_error(context)
        if is_verified and error == 0:
            return ""
        return _said(library.X509_verify_cert_error_string(error).decode())


def check_crl(crl_der: bytes, issuer_der: bytes) -> str:
    """As `openssl crl -CAfile ISSUER`, and printed."""
    library = _library()
    with ExitStack() as kept:
        crl, issuer = _read(kept, "X509_CRL", crl_der), _issuer(issuer_der)
        if not crl:
            return _said("no list")
        if not _is_printed(kept, library.X509_CRL_print, crl):
            return _said("it cannot be printed")
        if library.X509_NAME_cmp(library.X509_CRL_get_issuer(crl), library.X509_get_subject_name(issuer)):
            return "issued by another name"
        is_verified = library.X509_CRL_verify(crl, library.X509_get0_pubkey(issuer)) == 1
        return "" if is_verified else _said("verify failure")


def check_ocsp(response_der: bytes, issuer_der: bytes) -> str:
    """As `openssl ocsp -partial_chain -no_check_time -CAfile ISSUER -respin`, and printed."""
    library = _library()
    with ExitStack() as kept:
        response = _read(kept, "OCSP_RESPONSE", response_der)
        if not response:
            return _said("no answer")
        if not _is_printed(kept, library.OCSP_RESPONSE_print, response, 0):
            return _said("it cannot be printed")
        if library.OCSP_response_status(response) != 0:
            return "the answer is an error"
        basic = _new(kept, library.OCSP_response_get1_basic(response), library.OCSP_BASICRESP_free)
        if not basic:
            return _said("no basic response")
        store = _new(kept, library.X509_STORE_new(), library.X509_STORE_free)
        library.X509_STORE_set_flags(store, _TIMELESS)
        library.X509_STORE_add_cert(store, _issuer(issuer_der))
        return "" if library.OCSP_basic_verify(basic, None, store, 0) == 1 else _said("verify failure")


def check_sm2(kind: str, content_der: bytes, signed: bytes, signature: bytes, signer_der: bytes) -> str:
    """Read and printed as its kind; the signature as by `openssl dgst -sm3 -sigopt distid:… -verify`.

    openssl 3.0 gives SM2 signatures of lists and answers no identifier: its own commands cannot check them.
    """
    library = _library()
    with ExitStack() as kept:
        name, print_it, more = _KINDS[kind]
        content = _read(kept, name, content_der)
        if not content or not _is_printed(kept, getattr(library, print_it), content, *more):
            return _said("it cannot be read")
        key = library.X509_get0_pubkey(_issuer(signer_der))
        asked = _new(kept, library.EVP_PKEY_CTX_new(key, None), library.EVP_PKEY_CTX_free)
        digest = _new(kept, library.EVP_MD_CTX_new(), library.EVP_MD_CTX_free)
        library.EVP_PKEY_CTX_set1_id(asked, _SM2_IDENTIFIER, len(_SM2_IDENTIFIER))
        library.EVP_MD_CTX_set_pkey_ctx(digest, asked)
        if library.EVP_DigestVerifyInit(digest, None, library.EVP_sm3(), None, key) != 1:
            return _said("no key of SM2")
        done = library.EVP_DigestVerify(digest, signature, len(signature), signed, len(signed))
        return "" if done == 1 else _said("verification failure")


_KINDS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "certificate": ("X509", "X509_print", ()),
    "crl": ("X509_CRL", "X509_CRL_print", ()),
    "ocsp": ("OCSP_RESPONSE", "OCSP_RESPONSE_print", (0,)),
}


@cache
def _library() -> ctypes.CDLL:
    library = library_of("openssl", "libcrypto.so")
    declare(library, _FUNCTIONS)
    return library


@cache
def _issuer(certificate_der: bytes) -> int:
    """A certificate that stays in memory."""
    loaded = _parsed("X509", certificate_der)
    if not loaded:
        raise ValueError(_said("no issuer's certificate"))
    return loaded


def _parsed(name: str, content: bytes) -> int | None:
    """The object in DER, the whole of it; None when libcrypto cannot read it."""
    library = _library()
    library.ERR_clear_error()
    held = ctypes.create_string_buffer(content, len(content))
    place = c_void_p(ctypes.addressof(held))
    found: int | None = getattr(library, f"d2i_{name}")(None, byref(place), len(content))
    is_whole = place.value == ctypes.addressof(held) + len(content)
    if found and not is_whole:
        getattr(library, f"{name}_free")(found)
        return None
    return found


def _read(kept: ExitStack, name: str, content: bytes) -> int | None:
    return _new(kept, _parsed(name, content), getattr(_library(), f"{name}_free"))


def _new(kept: ExitStack, made: int | None, free: Callable[[int], Any]) -> int | None:
    if made:
        kept.callback(free, made)
    return made


def _is_printed(kept: ExitStack, print_it: Callable[..., int], content: int, *more: int) -> bool:
    """Printing decodes what reading leaves alone: keys, names and extensions."""
    library = _library()
    nowhere = _new(kept, library.BIO_new(library.BIO_s_null()), library.BIO_free)
    return print_it(nowhere, content, *more) == 1


def _said(what: str) -> str:
    """With everything in libcrypto's queue of errors."""
    library, reasons = _library(), [what]
    while code := library.ERR_get_error():
        text = ctypes.create_string_buffer(256)
        library.ERR_error_string_n(code, text, len(text))
        reasons.append(text.value.decode(errors="replace"))
    return "; ".join(reasons)
