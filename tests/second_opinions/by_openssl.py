"""openssl: parses, verifies each signature with the issuer's certificate, strict about RFC 5280.

Time is left out: the tests' clocks stand where they like. SM2 needs the signer's identifier, which openssl
3.0 takes for `dgst` alone in every case, so SM2 signatures are checked with that.

The commands' own library judges everything (libcrypto.py); the commands judge timestamps and refusals, all
that the library refuses and a sample of what it accepts, and both have to say the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import libcrypto
from artefacts import Artefact, Run
from asn1crypto import tsp
from cryptography import x509
from cryptography.x509 import ocsp
from verdicts import Verdict, both, said_by, version_in

__all__ = ["KINDS", "judge", "missing", "version"]

KINDS = ("certificate", "crl", "ocsp", "timestamp")
_TIMELESS = ("-partial_chain", "-no_check_time")
_SHOW = {
    "certificate": ("x509", "-inform", "DER", "-noout", "-text", "-in"),
    "crl": ("crl", "-inform", "DER", "-noout", "-in"),
    "ocsp": ("ocsp", "-noverify", "-resp_text", "-respin"),
    "timestamp": ("ts", "-reply", "-text", "-in"),
}


_CHECKS = {
    "certificate": libcrypto.check_certificate,
    "crl": libcrypto.check_crl,
    "ocsp": libcrypto.check_ocsp,
}


def missing() -> str:
    """What to install; empty when it is there."""
    return "" if shutil.which("openssl") else "openssl"


def version() -> tuple[int, ...]:
    """Of the command."""
    return version_in(said_by("openssl", "version")[1])


def judge(run: Run, artefacts: Sequence[Artefact]) -> list[Verdict]:
    """One verdict for each."""
    if f"(Library: {libcrypto.version()})" not in said_by("openssl", "version")[1]:
        raise RuntimeError(f"openssl is linked with another library than {libcrypto.version()}")
    return both(artefacts, _by_library, lambda each: _ask(run, each))


def _by_library(each: Artefact) -> str | None:
    if each.is_refusal or each.kind == "timestamp":
        return None
    if each.signer is None or each.issuer is None:
        return "no issuer among the certificates of the run"
    if each.algorithm == "SM2":
        return libcrypto.check_sm2(each.kind, each.der, *_signed(each), each.signer)
    return _CHECKS[each.kind](each.der, each.issuer)


def _ask(run: Run, each: Artefact) -> Verdict:
    if each.is_refusal:
        status, said = said_by("openssl", *_SHOW[each.kind], str(each.path))
        # The command's status says that the answer is an error; that it could read it is in the words.
        is_read = "Responder Error" in said or "Status: Rejected" in said
        return Verdict(each, is_read, said)
    if each.signer is None or each.issuer is None:
        return Verdict(each, False, "no issuer among the certificates of the run")
    if each.algorithm == "SM2" and each.kind != "timestamp":
        return _by_dgst(run, each)
    issuer, path = str(run.pem(each.issuer)), str(each.path)
    match each.kind:
        case "certificate":
            command = ["openssl", "verify", *_TIMELESS, "-x509_strict", "-check_ss_sig", "-trusted"]
            status, said = said_by(*command, issuer, path)
            return Verdict(each, status == 0 and said.endswith(": OK\n"), said)
        case "crl":
            status, said = said_by(
                "openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-CAfile", issuer
            )
            return Verdict(each, status == 0 and "verify OK" in said, said)
        case "ocsp":
            status, said = said_by("openssl", "ocsp", "-respin", path, "-CAfile", issuer, *_TIMELESS)
            return Verdict(each, status == 0 and "Response verify OK" in said, said)
        case _:
            return _timestamp(run, each, issuer)


def _timestamp(run: Run, each: Artefact, issuer: str) -> Verdict:
    token = tsp.TimeStampResp.load(each.der)["time_stamp_token"]["content"]
    imprint = token["encap_content_info"]["content"].parsed["message_imprint"]["hashed_message"].native
    command = ["openssl", "ts", "-verify", "-in", str(each.path), "-digest", imprint.hex(), *_TIMELESS]
    signer = str(run.pem(each.carried or b""))
    status, said = said_by(*command, "-CAfile", issuer, "-untrusted", signer)
    return Verdict(each, status == 0 and "Verification: OK" in said, said)


def _by_dgst(run: Run, each: Artefact) -> Verdict:
    """Read by the command of its kind; the signature by `dgst` with the usual identifier."""
    status, said = said_by("openssl", *_SHOW[each.kind], str(each.path))
    if status != 0 or each.signer is None:
        return Verdict(each, False, said)
    data, signature = _signed(each)
    names = [run.folder / f"{each.sha256}-{part}" for part in ("data", "signature", "key.pem")]
    names[0].write_bytes(data)
    names[1].write_bytes(signature)
    _status, key = said_by("openssl", "x509", "-in", str(run.pem(each.signer)), "-noout", "-pubkey")
    names[2].write_text(key)
    command = ["openssl", "dgst", "-sm3", "-sigopt", "distid:1234567812345678", "-verify", str(names[2])]
    status, said = said_by(*command, "-signature", str(names[1]), str(names[0]))
    return Verdict(each, status == 0 and "Verified OK" in said, said)


def _signed(each: Artefact) -> tuple[bytes, bytes]:
    if each.kind == "certificate":
        certificate = x509.load_der_x509_certificate(each.der)
        return certificate.tbs_certificate_bytes, certificate.signature
    if each.kind == "crl":
        crl = x509.load_der_x509_crl(each.der)
        return crl.tbs_certlist_bytes, crl.signature
    answer = ocsp.load_der_ocsp_response(each.der)
    return answer.tbs_response_bytes, answer.signature
