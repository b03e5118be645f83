"""GnuTLS: certtool for certificates and lists, ocsptool for OCSP answers; signatures by the issuer's key.

Both always compare with this machine's clock; the tests' clocks stand where they like, so what they say of
time is left out of account. Of timestamps GnuTLS knows nothing.

The commands' own library judges everything (libgnutls.py); the commands judge refusals, all that the library
refuses and a sample of what it accepts, and both have to say the same.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

import libgnutls
from artefacts import Artefact, Run
from verdicts import Verdict, both, said_by, version_in

__all__ = ["KINDS", "judge", "missing", "version"]

KINDS = ("certificate", "crl", "ocsp")
_NOT_TRUSTED = "The certificate is NOT trusted."
# Each is about time, and each is said beside what else is wrong.
_OF_TIME = (
    "The certificate chain uses expired certificate.",
    "The certificate chain uses not yet valid certificate.",
    "The revocation or OCSP data are issued with a future date.",
    "The revocation or OCSP data are old and have been superseded.",
)
_TRUSTED = "Verified. The certificate is trusted."
_OUTPUT = re.compile(r"[Vv]erification output: (?:Not verified\.)?(.*)")


def missing() -> str:
    """What to install; empty when it is there."""
    return "" if shutil.which("certtool") and shutil.which("ocsptool") else "gnutls-bin"


def version() -> tuple[int, ...]:
    """Of certtool."""
    return version_in(said_by("certtool", "--version")[1])


def judge(run: Run, artefacts: Sequence[Artefact]) -> list[Verdict]:
    """One verdict for each."""
    if version_in(libgnutls.version()) != version():
        raise RuntimeError(f"certtool is linked with another library than {libgnutls.version()}")
    return both(artefacts, _by_library, lambda each: _ask(run, each))


def _by_library(each: Artefact) -> str | None:
    if each.is_refusal:
        return None
    if each.signer is None or each.issuer is None:
        return "no issuer among the certificates of the run"
    match each.kind:
        case "certificate":
            return libgnutls.check_certificate(each.der, each.issuer)
        case "crl":
            return libgnutls.check_crl(each.der, each.issuer)
        case _:
            return libgnutls.check_ocsp(each.der, each.signer)


def _ask(run: Run, each: Artefact) -> Verdict:
    path = str(each.path)
    if each.is_refusal:
        status, said = said_by("ocsptool", "--response-info", "--load-response", path)
        return Verdict(each, status == 0 and "Response Status:" in said, said)
    if each.issuer is None or each.signer is None:
        return Verdict(each, False, "no issuer among the certificates of the run")
    issuer = str(run.pem(each.issuer))
    match each.kind:
        case "certificate":
            return _verified(
                each, "--verify", "--load-ca-certificate", issuer, "--infile", str(run.pem(each.der))
            )
        case "crl":
            # With --inder the issuer's certificate, too, has to be DER.
            issuer = str(run.file(each.issuer))
            return _verified(
                each, "--verify-crl", "--load-ca-certificate", issuer, "--inder", "--infile", path
            )
        case _:
            signer = str(run.pem(each.signer))
            status, said = said_by(
                "ocsptool", "--verify-response", "--load-response", path, "--load-signer", signer
            )
            return Verdict(each, status == 0 and "Verifying OCSP Response: Success." in said, said)


def _verified(each: Artefact, *arguments: str) -> Verdict:
    _status, said = said_by("certtool", *arguments)
    found = _OUTPUT.search(said)
    reasons = found[1] if found else "no output"
    if not any(reason in reasons for reason in _OF_TIME):
        return Verdict(each, _TRUSTED in said, said)
    for words in (_NOT_TRUSTED, *_OF_TIME):
        reasons = reasons.replace(words, "")
    return Verdict(each, not reasons.strip(), said)
