"""Signature checks on certificates, each done once: what came out is remembered by certificate and key."""

from __future__ import annotations

from datetime import datetime

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import SignatureInvalidError
from onecert.verifier.path.inputs import Budget
from onecert.verifier.signatures import AlgorithmPolicy, PublicKey, parse_algorithm, verify_signature

__all__ = ["SignatureMemory"]

_FAULTS_MAX = 8192
# The octets of the certificates and keys that are held by them: anybody may send thousands of large ones.
_OCTETS_MAX = 16 << 20


class SignatureMemory:
    """(certificate, key) -> what is wrong with the signature, or nothing. Safe to share between threads."""

    __slots__ = ("_faults", "_octets")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._faults: dict[tuple[bytes, bytes], str] = {}
        self._octets = 0

    def find(self, certificate: ParsedCertificate, key_spki_der: bytes) -> str | None:
        """What is wrong with the signature, ``""`` for nothing, ``None`` when it has not been checked."""
        return self._faults.get((certificate.der, key_spki_der))

    def check(
        self,
        certificate: ParsedCertificate,
        key: PublicKey,
        key_spki_der: bytes,
        *,
        algorithms: AlgorithmPolicy,
        at: datetime,
        budget: Budget,
    ) -> None:
        """Check ``certificate`` with ``key``; only a signature that is not remembered is paid for.

        Raises:
            SignatureInvalidError: ``CERT_SIGNATURE_INVALID``, ``SM2_EMPTY_ID``.
            RefusedError: the algorithm is not accepted at this time, or does not belong to the key.
            BudgetError: nothing is left to pay with.
        """
        row = parse_algorithm(certificate.algorithm_der)
        algorithms.check(row, at)
        pair = (certificate.der, key_spki_der)
        fault = self._faults.get(pair)
        if fault is None:
            budget.signature(row.cost)
            fault = ""
            try:
                verify_signature(
                    key, row, certificate.signature, certificate.tbs, policy=None, sm2_id=algorithms.sm2_id
                )
            except SignatureInvalidError as exc:
                fault = "CERT_SIGNATURE_INVALID" if exc.code == "SIGNATURE_INVALID" else exc.code
            self._keep(pair, fault)
        if fault:
            raise SignatureInvalidError(
                fault,
                certificate=certificate.certificate,
                source="RFC 5280, section 6.1.3 (a)(1)",
                subject=certificate.subject_text,
            )

    def _keep(self, pair: tuple[bytes, bytes], fault: str) -> None:
        octets = self._octets + len(pair[0]) + len(pair[1])
        if len(self._faults) >= _FAULTS_MAX or octets > _OCTETS_MAX:
            # Threads that come here together may count less than there is, by a certificate each.
            self._faults, octets = {}, len(pair[0]) + len(pair[1])
        self._octets = octets
        self._faults[pair] = fault
