"""Says whom somebody means: by a certificate, its hash, an enterprise's code, an identity, or a name.

Comes by POST and is answered in place: none of it stands in an address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import request

from onecert.pmi.errors import RequestWrongError
from onecert.pmi.holders.seen import KnownHolder, find_by_name, find_holder
from onecert.pmi.life.offices import Who
from onecert.pmi.pages.common import read_certificate
from onecert.pmi.parts import Parts
from onecert.server.languages import _

__all__ = ["find_named", "given_who", "read_who"]

MOST_NAMES = 50
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CREDIT_CODE = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}")
_IDENTITY = re.compile(r"[a-z][a-z0-9-]{1,15}:[!-~]+")


def read_who(text: str) -> Who | None:
    """Whom the fields ``holder_file``, ``holder_pem`` or a typed text mean; None for a name.

    Raises:
        RequestWrongError, VerifyError: nothing was given, or no certificate.
    """
    certificate = read_certificate("holder")
    if certificate:
        return Who.read(certificate=certificate.encode())
    if not text:
        raise RequestWrongError("who_text", _("say who is meant"))
    if _SHA256.fullmatch(text):
        return Who.read(certificate=text.encode())
    if _CREDIT_CODE.fullmatch(text.upper()):
        return Who.read(entity=f"uscc:{text.upper()}")
    if text.startswith("person:"):
        return Who.read(person=text)
    return Who.read(entity=text) if _IDENTITY.fullmatch(text) else None


def given_who() -> Who:
    """Who was chosen on the page before (fields ``who_kind``, ``who``). Raises RequestWrongError."""
    kind, value = request.form.get("who_kind", ""), request.form.get("who", "")
    if kind not in {"certificate", "entity", "person"} or not 0 < len(value) <= 128:
        raise RequestWrongError("who", _("say who is meant"))
    return Who(kind, value)


def find_named(parts: Parts, text: str) -> Sequence[KnownHolder]:
    """The certificates of holders in whose names a text stands, to choose from."""
    with parts.context.database.reading() as connection:
        hashes = find_by_name(connection, text, most=MOST_NAMES)
        found = [find_holder(connection, each) for each in hashes]
    return [each for each in found if each is not None]
