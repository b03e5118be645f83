"""The strict profile: what RFC 5280, sections 4 and 5, demands of issuers and section 6 does not look at.

Path validation accepts certificates that break these rules, because the rules protect nobody who validates
them. A supervisor who judges certification authorities asks for them with ``PathParameters(strict=True)``.
"""

from __future__ import annotations

import ipaddress
import re

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError
from onecert.verifier.revocation.crl import Crl
from onecert.verifier.revocation.unavailable import NO_REVOCATION, contradicts_no_revocation

__all__ = ["check_crl_profile", "check_profile"]

_KEY_CERT_SIGN = 5
_DNS = 2
# RFC 1034, section 3.5, as modified by RFC 1123.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
# Extension -> the criticality that the standard demands, and where.
_CRITICALITY = {
    "2.5.29.35": (False, "4.2.1.1"),  # authority key identifier
    "2.5.29.14": (False, "4.2.1.2"),  # subject key identifier
    "2.5.29.30": (True, "4.2.1.10"),  # name constraints
    "2.5.29.36": (True, "4.2.1.11"),  # policy constraints
    "2.5.29.54": (True, "4.2.1.14"),  # inhibit anyPolicy
    "2.5.29.46": (False, "4.2.1.15"),  # freshest CRL
    "1.3.6.1.5.5.7.1.1": (False, "4.2.2.1"),  # authority information access
    "1.3.6.1.5.5.7.1.11": (False, "4.2.2.2"),  # subject information access
}
_CA_ONLY = {"2.5.29.30": "4.2.1.10", "2.5.29.33": "4.2.1.5", "2.5.29.36": "4.2.1.11", "2.5.29.54": "4.2.1.14"}


def check_profile(certificate: ParsedCertificate) -> None:
    """Refuse a certificate that breaks a rule of section 4.

    Raises:
        RefusedError: ``ISSUER_PROFILE``; the source names the section.
    """
    for oid, extension in certificate.extensions.items():
        wanted, section = _CRITICALITY.get(oid, (extension.critical, ""))
        if extension.critical is not wanted:
            _refuse(certificate, section, f"extension {oid} is {'not ' if wanted else ''}critical")
        if oid in _CA_ONLY and not certificate.is_ca:
            _refuse(certificate, _CA_ONLY[oid], f"extension {oid} outside of a CA certificate")
    for check in (_check_serial, _check_key_ids, _check_ca, _check_names, _check_no_revocation):
        check(certificate)


def _check_serial(certificate: ParsedCertificate) -> None:
    if certificate.serial <= 0:
        _refuse(certificate, "4.1.2.2", "the serial number is not positive")


def _check_key_ids(certificate: ParsedCertificate) -> None:
    # A certificate signed with its own key need not name it.
    if certificate.authority_key_id is None and not certificate.is_self_issued:
        _refuse(certificate, "4.2.1.1", "no authority key identifier")
    if certificate.is_ca and certificate.subject_key_id is None:
        _refuse(certificate, "4.2.1.2", "no subject key identifier")


def _check_ca(certificate: ParsedCertificate) -> None:
    usage, basic = certificate.key_usage or frozenset(), certificate.basic_constraints
    if certificate.is_ca:
        if not certificate.subject:
            _refuse(certificate, "4.1.2.6", "the subject of a CA is empty")
        if not certificate.extensions["2.5.29.19"].critical:
            _refuse(certificate, "4.2.1.9", "basic constraints are not critical")
        if certificate.key_usage is None:
            _refuse(certificate, "4.2.1.3", "no key usage in a CA certificate")
    elif _KEY_CERT_SIGN in usage:
        _refuse(certificate, "4.2.1.9", "keyCertSign outside of a CA certificate")
    if basic is not None and basic.path_length is not None and not (basic.ca and _KEY_CERT_SIGN in usage):
        _refuse(certificate, "4.2.1.9", "a path length without cA and keyCertSign")


def _check_no_revocation(certificate: ParsedCertificate) -> None:
    """RFC 9608, sections 2 and 3: noRevAvail excludes cA and every pointer to revocation information."""
    extension = certificate.extensions.get(NO_REVOCATION)
    if extension is None:
        return
    if extension.critical:
        _refuse(certificate, "2", "noRevAvail is critical", "RFC 9608")
    if contradicts_no_revocation(certificate):
        _refuse(certificate, "3", "noRevAvail beside cA or a pointer to revocation information", "RFC 9608")


def _check_names(certificate: ParsedCertificate) -> None:
    alternative = certificate.extensions.get("2.5.29.17")
    if not certificate.subject and (alternative is None or not alternative.critical):
        _refuse(certificate, "4.2.1.6", "the subject is empty and its alternative is not critical")
    for name in certificate.alternative_names:
        if name.tag == _DNS and not _is_host_name(name.value.decode("ascii")):
            _refuse(certificate, "4.2.1.6", "a DNS name is not in the preferred syntax")


def _is_host_name(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removeprefix("*.").split(".")
        return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return False


def _refuse(certificate: ParsedCertificate, section: str, detail: str, standard: str = "RFC 5280") -> None:
    raise RefusedError(
        "ISSUER_PROFILE",
        certificate=certificate.certificate,
        source=f"{standard}, section {section}",
        subject=certificate.subject_text,
        detail=detail,
    )


def check_crl_profile(crl: Crl) -> None:
    """Do not use a list that breaks a rule of section 5.

    Raises:
        CouldNotCheckError: ``CRL_PROFILE``.
    """
    is_critical = crl.critical.__contains__
    rules = (
        (crl.number is not None, "5.2.3", "no CRL number"),
        (not is_critical("2.5.29.20"), "5.2.3", "the CRL number is critical"),
        (crl.authority_key_id is not None, "5.2.1", "no authority key identifier"),
        (not is_critical("2.5.29.35"), "5.2.1", "the authority key identifier is critical"),
        (not crl.is_delta or is_critical("2.5.29.27"), "5.2.4", "the delta indicator is not critical"),
        (crl.scope is None or is_critical("2.5.29.28"), "5.2.5", "the scope is not critical"),
    )
    for holds, section, detail in rules:
        if not holds:
            raise CouldNotCheckError(
                "CRL_PROFILE", source=f"RFC 5280, section {section}", issuer=crl.issuer_text, detail=detail
            )
