"""A second opinion: pkilint's rules of RFC 5280 and RFC 6960 over certificates, lists and OCSP answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name, ocsp
from pkilint.validation import ValidationFindingSeverity, ValidationResult

__all__ = ["EXCEPTIONS", "lint_certificate", "lint_crl", "lint_ocsp"]

# What pkilint finds at WARNING or above and we leave as it is: code -> why.
EXCEPTIONS: Mapping[str, str] = {}


@cache
def _certificates() -> Any:
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


@cache
def _lists() -> Any:
    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


@cache
def _answers() -> Any:
    return ocsp.create_pkix_ocsp_response_validator_container(
        [
            ocsp.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    )


def _findings(results: list[ValidationResult]) -> list[str]:
    return [
        f"{finding.finding.code}: {finding.message}"
        for result in results
        for finding in result.finding_descriptions
        if finding.finding.severity <= ValidationFindingSeverity.WARNING
        and finding.finding.code not in EXCEPTIONS
    ]


def lint_certificate(certificate_der: bytes) -> list[str]:
    """Findings at WARNING or above that are no exception, each with its code."""
    return _findings(_certificates().validate(loader.load_der_certificate(certificate_der, "sample").root))


def lint_crl(crl_der: bytes) -> list[str]:
    """The same for a revocation list."""
    return _findings(_lists().validate(loader.load_der_crl(crl_der, "sample").root))


def lint_ocsp(response_der: bytes) -> list[str]:
    """The same for an OCSP answer."""
    return _findings(_answers().validate(loader.load_der_ocsp_response(response_der, "sample").root))
