"""What a service may sign at all: the policies and algorithms that the list allows it.

Judged after the path, when it is known whose certificate it is. The list only narrows what the department
accepts: who wants old signatures with SHA-1 to count must accept that in an ``AlgorithmPolicy`` too.
"""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError
from onecert.verifier.extensions import ANY_POLICY
from onecert.verifier.result import ValidatedPath
from onecert.verifier.service_status import service_facts
from onecert.verifier.signatures import load_public_key, parse_algorithm
from onecert.verifier.trust_list.model import TrustedService

__all__ = ["ServiceTermsError", "check_terms"]


class ServiceTermsError(RefusedError):
    """The list does not allow this service such a certificate."""


def check_terms(service: TrustedService, path: ValidatedPath, used: datetime) -> None:
    """Hold the certificate against what the list allows its service.

    Args:
        path: to an anchor of the service, validated.
        used: when the certificate was used: a proved time, or now.

    Raises:
        ServiceTermsError: CA_POLICY_NOT_ACCEPTED, CA_ALGORITHM_NOT_ACCEPTED, CA_ALGORITHM_ENDED,
            CA_KEY_TOO_SHORT.
    """
    for accepted in (service.policies, service.local_policies):
        # RFC 5280, section 6.1.5 (g): a certificate with anyPolicy is valid for each of them.
        if accepted and not path.policies & {*accepted, ANY_POLICY}:
            raise ServiceTermsError(
                "CA_POLICY_NOT_ACCEPTED",
                certificate=path.certificate,
                found=sorted(path.policies),
                accepted=list(accepted),
                **service_facts(service),
            )
    if service.algorithms:
        _check_algorithm(service, path.target, used)


def _check_algorithm(service: TrustedService, target: ParsedCertificate, used: datetime) -> None:
    name = parse_algorithm(target.algorithm_der).name
    row = next((row for row in service.algorithms if row.name == name), None)
    facts = {"algorithm": name, **service_facts(service)}
    if row is None:
        raise ServiceTermsError("CA_ALGORITHM_NOT_ACCEPTED", certificate=target.certificate, **facts)
    if row.until is not None and used >= row.until:
        raise ServiceTermsError(
            "CA_ALGORITHM_ENDED", certificate=target.certificate, until=row.until, **facts
        )
    if row.rsa_min_bits is not None:
        key = load_public_key(target.spki_der)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < row.rsa_min_bits:
            raise ServiceTermsError(
                "CA_KEY_TOO_SHORT",
                certificate=target.certificate,
                bits=key.key_size,
                least=row.rsa_min_bits,
                **facts,
            )
