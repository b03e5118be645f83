"""The keys on the registration authority's own PKCS#11 token; the only module here that knows a token.

The token is opened at first use, so that pages still answer, with "could not", while it is away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onecert.hsm import KeyAlgorithm, PrivateKey, SealingKey, ServiceToken, TokenError, UnsealError
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
        self._token = ServiceToken(label, pin_file, module=module, store=store)

    def order_key(self) -> PrivateKey:
        with _translated():
            return self._token.find_or_make(ORDER_KEY, KeyAlgorithm.P_256)[0]

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        with _translated():
            return self._sealing().seal(plaintext, aad)

    def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        with _translated():
            return self._sealing().unseal(sealed, aad)

    def check(self) -> None:
        """Readiness: raise `TokenNotReadyError` when the token does not answer."""
        with _translated():
            self._token.check()

    def close(self) -> None:
        """Log out of the token; the next use opens it again."""
        self._token.close()

    def find_order_key(self) -> PrivateKey | None:
        """The order key, or None while the token cannot be used."""
        try:
            return self.order_key()
        except TokenNotReadyError:
            return None

    def _sealing(self) -> SealingKey:
        return self._token.sealing_key(SEALING_KEY)


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the token layer become "could not", with its own English words as the detail."""
    try:
        yield
    except UnsealError as exc:
        raise SealedDataError from exc
    except TokenError as exc:
        raise TokenNotReadyError(exc.code) from exc
