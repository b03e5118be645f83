"""The certificate that somebody means: given whole, or by the SHA-256 of one that was accepted before."""

from __future__ import annotations

import re
from collections.abc import Callable

from onecert.pmi.errors import RequestWrongError
from onecert.pmi.holders.seen import find_holder
from onecert.server.database import Database
from onecert.server.languages import _

__all__ = ["holder_finder"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def holder_finder(database: Database) -> Callable[[str], bytes]:
    """Return what finds a holder's certificate; it raises RequestWrongError."""

    def find(text: str) -> bytes:
        if text.startswith("-----BEGIN "):
            return text.encode()
        sha256 = text.lower()
        if not _SHA256.fullmatch(sha256):
            raise RequestWrongError("holder", _("neither a certificate in PEM nor a SHA-256 in hexadecimal"))
        with database.reading() as connection:
            known = find_holder(connection, sha256)
        if known is None:
            raise RequestWrongError("holder", _("no certificate with this SHA-256 was accepted here before"))
        return known.certificate_der

    return find
