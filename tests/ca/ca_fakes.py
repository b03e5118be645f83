"""Fakes for the CA's tests: a token in memory that can be taken away, and a record that fails on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from onecert.ca.errors import TokenGoneError
from onecert.ca.issuing.ledger import Ledger
from onecert.ca.signatures.algorithms import PrivateKey, throw_away_key
from onecert.hsm import KeyNotFoundError, Sm2PrivateKey, TokenUnavailableError, libcrypto
from onecert.hsm.sm2 import DEFAULT_ID

# RSA keys take long to make; each test process makes a few and hands them out again and again.
_rsa_keys: dict[tuple[str, str], rsa.RSAPrivateKey] = {}


class SoftToken:
    """A token in memory, behind the interface of `CaToken`. `gone = True` takes it away."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.gone = False
        self.keys: dict[str, PrivateKey] = {}
        self.signatures = 0

    def key(self, label: str) -> PrivateKey:
        if self.gone:
            raise TokenUnavailableError(label=self.label, reason="test")
        if label not in self.keys:
            raise KeyNotFoundError(label=self.label, key=label)
        return self.keys[label]

    def find_or_make(self, label: str, kind: str) -> tuple[PrivateKey, bool]:
        if self.gone:
            raise TokenGoneError(self.label)
        if label in self.keys:
            return self.keys[label], False
        self.keys[label] = _make(label, kind, self)
        return self.keys[label], True

    def destroy(self, label: str) -> bool:
        if self.gone:
            raise TokenGoneError(self.label)
        return self.keys.pop(label, None) is not None

    def copy(self) -> SoftToken:
        """A token of its own with the same keys."""
        made = SoftToken(self.label)
        for label, key in self.keys.items():
            made.keys[label] = _TakeableKey(key.inner, made) if isinstance(key, _TakeableKey) else key
        return made

    def check(self) -> None:
        if self.gone:
            raise TokenGoneError(self.label)

    def close(self) -> None:
        """Nothing to let go of."""


def _make(label: str, kind: str, token: SoftToken) -> Any:
    if kind.startswith("rsa-"):
        known = _rsa_keys.get((label, kind))
        if known is None:
            known = _rsa_keys.setdefault((label, kind), rsa.generate_private_key(65537, int(kind[4:])))
        return known
    if kind == "sm2":
        return _TakeableSm2Key(token)
    if not kind.startswith("p-"):
        return _takeable(throw_away_key(kind), token)
    return _TakeableKey(ec.generate_private_key(ec.SECP256R1() if kind == "p-256" else ec.SECP384R1()), token)


class KeyInMemory(ec.EllipticCurvePrivateKey):
    """An elliptic-curve key of a fake token; a subclass says how `inner` signs."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self.inner = key

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.inner.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return self.inner.curve

    @property
    def key_size(self) -> int:
        return self.inner.key_size

    def exchange(self, algorithm: Any, peer_public_key: Any) -> bytes:
        raise NotImplementedError

    def private_numbers(self) -> Any:
        raise NotImplementedError

    def private_bytes(self, *args: Any, **kwargs: Any) -> bytes:
        raise NotImplementedError

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class _TakeableKey(KeyInMemory):
    """An elliptic-curve key that stops signing when its token is gone."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, token: SoftToken) -> None:
        super().__init__(key)
        self._token = token

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        if self._token.gone:
            raise TokenUnavailableError(label=self._token.label, reason="test")
        self._token.signatures += 1
        return self.inner.sign(data, signature_algorithm)


def _takeable(key: Any, token: SoftToken) -> Any:
    """A key that is asked for nothing but signatures, and stops signing when its token is gone."""
    (kind,) = (
        each
        for each in (
            Ed25519PrivateKey,
            mldsa.MLDSA44PrivateKey,
            mldsa.MLDSA65PrivateKey,
            mldsa.MLDSA87PrivateKey,
        )
        if isinstance(key, each)
    )

    def sign(_self: Any, data: bytes) -> Any:
        if token.gone:
            raise TokenUnavailableError(label=token.label, reason="test")
        return key.sign(data)

    made = type("Takeable", (kind,), {"sign": sign, "public_key": lambda _self: key.public_key()})
    made.__abstractmethods__ = frozenset()
    return made()


class _TakeableSm2Key(Sm2PrivateKey):
    """An SM2 key that stops signing when its token is gone."""

    def __init__(self, token: SoftToken) -> None:
        made = libcrypto.generate()
        super().__init__("in memory", token.label, made.point(), lambda: made)
        self._token = token

    def sign(self, data: bytes, identifier: bytes = DEFAULT_ID) -> bytes:
        if self._token.gone:
            raise TokenUnavailableError(label=self._token.label, reason="test")
        return super().sign(data, identifier)


class InterruptedActError(Exception):
    """Stands for a crash at one point."""


class FaultyLedger(Ledger):
    """A record that is interrupted before or after a commit: `fault = ("before", "record_issued")`."""

    fault: tuple[str, str] | None = None
    crash: Callable[[], None] | None = None

    def record_intent(self, *args: Any, **kwargs: Any) -> Any:
        return self._run("record_intent", super().record_intent, *args, **kwargs)

    def record_issued(self, *args: Any, **kwargs: Any) -> Any:
        return self._run("record_issued", super().record_issued, *args, **kwargs)

    def _run(self, name: str, act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.fault == ("before", name):
            self._stop()
        result = act(*args, **kwargs)
        if self.fault == ("after", name):
            self._stop()
        return result

    def _stop(self) -> None:
        type(self).fault = None
        if type(self).crash is not None:
            type(self).crash()
        raise InterruptedActError


def make_csr(key: Any = None, *, digest: Any = None) -> str:
    """A certificate request with a name that the CA must ignore."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ignored by the CA")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
