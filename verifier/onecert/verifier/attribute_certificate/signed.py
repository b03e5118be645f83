"""The signature of an attribute certificate; those of delegations are remembered, octet for octet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.parse import AttributeCertificate
from onecert.verifier.attribute_certificate.trust import TrustedAuthority
from onecert.verifier.errors import SignatureInvalidError, VerifyError
from onecert.verifier.signatures import AlgorithmPolicy, check_key, parse_algorithm, verify_signature

# At most 64 KiB of a delegation each.
_REMEMBERED_MAX = 256


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """Checks signatures; that one is right is remembered by the whole certificate and key. Thread-safe."""

    algorithms: AlgorithmPolicy
    _right: dict[tuple[bytes, bytes], None] = field(default_factory=dict)

    def is_known(self, certificate: AttributeCertificate, authority: TrustedAuthority) -> bool:
        """Tell whether the signature has been found right before, so that asking again costs nothing."""
        return (certificate.der, authority.public_key_der) in self._right

    def check(
        self,
        certificate: AttributeCertificate,
        authority: TrustedAuthority,
        at: datetime,
        *,
        remember: bool = False,
    ) -> Iterator[Finding]:
        """Yield ``SIGNATURE`` or the code of the check that failed; nothing when it is right.

        Whether the algorithm and the key are accepted at this time is asked each time.
        """
        try:
            if remember and self.is_known(certificate, authority):
                self.algorithms.check(parse_algorithm(certificate.outer_algorithm_der), at)
                check_key(authority.public_key, self.algorithms)
                return
            verify_signature(
                authority.public_key,
                certificate.outer_algorithm_der,
                certificate.signature,
                certificate.info_der,
                policy=self.algorithms,
                at=at,
            )
        except SignatureInvalidError as exc:
            if exc.code == "SIGNATURE_INVALID":
                yield Finding(Code.SIGNATURE, {"authority": authority.label})
            else:
                # SM2_EMPTY_ID has a hint of its own for who signs.
                yield Finding(exc.code, exc.facts)
        except VerifyError as exc:
            yield Finding(exc.code, exc.facts)
        else:
            if remember:
                if len(self._right) >= _REMEMBERED_MAX:
                    self._right.clear()
                self._right[certificate.der, authority.public_key_der] = None
