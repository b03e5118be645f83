"""What must never reach a log or the audit trail: PINs, private keys, numbers of identity documents.

A second line of defence. The first is that nobody passes such a thing; this one catches the day somebody
does.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["WITHHELD", "is_secret_name", "redact"]

WITHHELD = "[withheld]"

_SECRET_WORDS = {"pin", "password", "passphrase", "secret", "cookie", "authorization"}
_SECRET_NAMES = {
    "idcard",
    "id_card",
    "id_number",
    "agent_idcard",
    "person_id_number",
    "identity_number",
    "private_key",
    "private_key_pem",
    "key_pem",
}
# A name that ends so speaks about the secret, it is not the secret itself.
_HARMLESS_ENDINGS = ("_file", "_label", "_sha256", "_serial", "_count", "_id", "_name")

# GB 11643-1999: 6 digits of the place, 8 of the birth date, 3 of the order, 1 check character.
_ID_CARD = re.compile(
    r"(?<![0-9A-Za-z])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?![0-9A-Za-z])"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


@lru_cache(maxsize=1024)  # few names, the same ones in each line
def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name would hold a secret or the number of an identity document."""
    lowered = name.lower().replace("-", "_")
    if lowered.endswith(_HARMLESS_ENDINGS):
        return False
    # "token" alone is the label of a PKCS#11 token; a session_token or link_token opens a door.
    if lowered.endswith("_token"):
        return True
    return lowered in _SECRET_NAMES or not _SECRET_WORDS.isdisjoint(lowered.split("_"))


def redact(text: str) -> str:
    """Return the text with numbers of identity cards and private keys replaced."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(WITHHELD, text)
    return _ID_CARD.sub(_hide_id_card, text)


def _hide_id_card(found: re.Match[str]) -> str:
    number = found.group()
    check = "10X98765432"[
        sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False)) % 11
    ]
    return WITHHELD if number[17].upper() == check else number
