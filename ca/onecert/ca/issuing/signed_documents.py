"""Documents that registered keys sign: orders, notices, what officers decide. Opened in one way.

The register is asked for the one key that the first signature names, when the check asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from onecert.ca.errors import OrderMalformedError, OrderSignatureError
from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.jws import verify_document
from onecert.verifier.signatures import PublicKey

__all__ = ["DOCUMENT_MAX_BYTES", "opened_document"]

DOCUMENT_MAX_BYTES = 65536
S = TypeVar("S")


def opened_document(
    document: bytes, typ: str, find: Callable[[str], tuple[S, PublicKey] | None]
) -> tuple[dict[str, Any], S]:
    """Check the signature of a document; return what it says and who signed it.

    Args:
        find: who has the key of this id, with the key; None: nobody.

    Raises:
        OrderMalformedError: not a document at all.
        OrderSignatureError: no registered key signed it, or it was altered.
    """
    known = _Signer(find)
    try:
        payload = verify_document(document, typ=typ, keys=known, max_bytes=DOCUMENT_MAX_BYTES)
    except MalformedError as exc:
        raise OrderMalformedError("signatures") from exc
    except VerifyError as exc:
        raise OrderSignatureError from exc
    if known.found is None:
        raise OrderSignatureError
    return payload, known.found


class _Signer(Mapping[str, PublicKey], Generic[S]):
    """The registered key that the first signature names, and no other; `found` is who has it."""

    def __init__(self, find: Callable[[str], tuple[S, PublicKey] | None]) -> None:
        self._find = find
        self._asked: str | None = None
        self._key: PublicKey | None = None
        self.found: S | None = None

    def __getitem__(self, wanted: str) -> PublicKey:
        if self._asked is None:
            self._asked = wanted
            self.found, self._key = self._find(wanted) or (None, None)
        if self._key is None or wanted != self._asked:
            raise KeyError(wanted)
        return self._key

    def __iter__(self) -> Iterator[str]:
        return iter(() if self._key is None or self._asked is None else (self._asked,))

    def __len__(self) -> int:
        return 0 if self._key is None else 1
