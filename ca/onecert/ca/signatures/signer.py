"""The only place where a CA key is used: on bytes that are on record, and never believed unchecked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter

from prometheus_client import Counter, Histogram

from onecert.ca.certificates.draft import Issuer
from onecert.ca.errors import SignatureFaultError, TokenGoneError
from onecert.ca.signatures.algorithms import (
    Hashed,
    PrivateKey,
    hashed,
    is_signature_valid,
    sign_all,
    signed,
    spki_der,
)
from onecert.hsm.errors import TokenError
from onecert.server import metrics

__all__ = ["KeySource", "Signer"]

log = logging.getLogger(__name__)

_errors = Counter(
    "onecert_ca_token_errors",
    "Times a token gave no signature or key",
    ["token"],
    registry=metrics.registry,
)
_seconds = Histogram(
    "onecert_ca_sign_seconds", "Time of one signature of a token", ["token"], registry=metrics.registry
)

# Hashing this much takes longer than everything else about a signature.
LONG_OCTETS = 1 << 20

# Finds a key by its label; raises hsm's TokenError.
KeySource = Callable[[str], PrivateKey]


class Signer:
    """Signs with the keys of one token. Keys are found at first use and kept loaded.

    Args:
        keys: finds a key of the token.
        token: its label, for errors.
        check: asks whether the token answers, and raises TokenGoneError; None: it is not asked.
        guard: raises when nothing may be signed at all, whatever the token could do.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        token: str,
        check: Callable[[], None] | None = None,
        guard: Callable[[], None] | None = None,
    ) -> None:
        self._find = keys
        self._token = token
        self._check = check
        self._guard = guard
        self._has_failed = False
        self._keys: dict[str, PrivateKey] = {}
        self._compared: set[tuple[str, str]] = set()

    def key(self, label: str) -> PrivateKey:
        """Find a key of the token.

        Raises:
            TokenGoneError: not now.
            CaError: the guard's.
        """
        if self._guard is not None:
            self._guard()
        key = self._keys.get(label)
        if key is None:
            try:
                key = self._keys.setdefault(label, self._find(label))
            except TokenError as exc:
                _errors.labels(self._token).inc()
                log.warning("key not reachable", extra={"token": self._token, "key": label})
                raise TokenGoneError(self._token) from exc
        return key

    def check_usable(self, label: str) -> None:
        """Before anything is put on record for this key: raise when the token is known to be away.

        The token is asked only when it failed the last time, so this costs nothing while all is well.

        Raises:
            TokenGoneError: not now.
        """
        self.key(label)
        if self._has_failed and self._check is not None:
            self._check()
            self._has_failed = False

    def sign(self, issuer: Issuer, label: str, tbs_der: bytes) -> bytes:
        """Sign a to-be-signed structure; return it with algorithm and signature, verified.

        What is long is hashed once, for the signature and for its verification.

        Raises:
            TokenGoneError: not now; nothing was returned by the token.
            SignatureFaultError: the signature does not fit, or the key is not the issuer's.
        """
        return self.sign_all(issuer, label, [tbs_der])[0]

    def sign_all(self, issuer: Issuer, label: str, tbs_ders: Sequence[bytes]) -> list[bytes]:
        """Sign several, as `sign` does one; none is returned before all are verified.

        First every signature, then every verification: the processor's caches hold the code of the token, or
        that of the verification, but not both, and to take turns would cost a fifth more.
        """
        to_sign = [hashed(issuer.public_key, tbs) if len(tbs) > LONG_OCTETS else tbs for tbs in tbs_ders]
        return [
            signed(tbs_der, issuer.algorithm, signature)
            for tbs_der, signature in zip(tbs_ders, self._signatures(issuer, label, to_sign), strict=True)
        ]

    def signature(self, issuer: Issuer, label: str, data: bytes | Hashed) -> bytes:
        """Sign what the caller has hashed; return the signature alone, verified. Errors as of `sign`."""
        return self._signatures(issuer, label, [data])[0]

    def _signatures(self, issuer: Issuer, label: str, to_sign: Sequence[bytes | Hashed]) -> list[bytes]:
        key = self.key(label)
        if (issuer.name, label) not in self._compared:
            if spki_der(key.public_key()) != spki_der(issuer.public_key):
                raise SignatureFaultError(issuer.name)
            self._compared.add((issuer.name, label))
        started = perf_counter()
        try:
            signatures = sign_all(key, to_sign)
        except TokenError as exc:
            self._has_failed = True
            _errors.labels(self._token).inc()
            log.warning("token did not sign", extra={"token": self._token, "key": label})
            raise TokenGoneError(self._token) from exc
        _seconds.labels(self._token).observe((perf_counter() - started) / len(to_sign))
        for signature, each in zip(signatures, to_sign, strict=True):
            if not is_signature_valid(issuer.public_key, signature, each):
                raise SignatureFaultError(issuer.name)
        return signatures
