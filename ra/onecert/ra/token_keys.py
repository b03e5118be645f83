"""The keys on the registration authority's own PKCS#11 token; the only module here that knows a token.

The token is opened at first use, so that pages still answer, with "could not", while it is away.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onecert.hsm import (
    KeyAlgorithm,
    PrivateKey,
    SealingKey,
    Token,
    TokenConfig,
    TokenError,
    UnsealError,
    ensure_softhsm_token,
    open_token,
)
from onecert.ra.errors import SealedDataError, TokenNotReadyError

__all__ = ["TokenKeys"]

ORDER_KEY = "order-signing"
SEALING_KEY = "personal-data"


class TokenKeys:
    """Keys on a PKCS#11 token, opened when first needed.

    Args:
        module: a PKCS#11 module with a token of this label; None sets up a SoftHSM token in `store`.
        store: folder of the SoftHSM store.
        pin_file: the token's PIN; for a new SoftHSM token a random one is written there (0600).
    """

    def __init__(self, *, label: str, module: Path | None, store: Path, pin_file: Path) -> None:
        self._label = label
        self._module = module
        self._store = store
        self._pin_file = pin_file
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._order_key: PrivateKey | None = None
        self._sealing_key: SealingKey | None = None

    def order_key(self) -> PrivateKey:
        with self._opened() as token:
            if self._order_key is None:
                found = token.find_key(ORDER_KEY)
                self._order_key = found or token.generate_key(ORDER_KEY, KeyAlgorithm("p-256"))
            return self._order_key

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        with _translated():
            return self._sealing().seal(plaintext, aad)

    def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        with _translated():
            return self._sealing().unseal(sealed, aad)

    def check(self) -> None:
        """Readiness: raise `TokenNotReadyError` when the token does not answer."""
        with self._opened() as token:
            token.check()

    def close(self) -> None:
        """Log out of the token; the next use opens it again."""
        with self._lock:
            if self._token is not None:
                self._token.close()
            self._token = self._order_key = self._sealing_key = None

    def find_order_key(self) -> PrivateKey | None:
        """The order key, or None while the token cannot be used."""
        try:
            return self.order_key()
        except TokenNotReadyError:
            return None

    def _token_config(self) -> TokenConfig:
        if self._module is None:
            return ensure_softhsm_token(self._store, label=self._label, pin_file=self._pin_file)
        return TokenConfig(label=self._label, pin_file=self._pin_file, module=self._module)

    def _sealing(self) -> SealingKey:
        with self._opened() as token:
            if self._sealing_key is None:
                self._sealing_key = token.sealing_key(SEALING_KEY)
            return self._sealing_key

    @contextmanager
    def _opened(self) -> Iterator[Token]:
        with self._lock, _translated():
            if self._token is None:
                self._token = open_token(self._token_config())
            yield self._token


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the token layer become "could not", with its own English words as the detail."""
    try:
        yield
    except UnsealError as exc:
        raise SealedDataError from exc
    except TokenError as exc:
        raise TokenNotReadyError(exc.code) from exc
