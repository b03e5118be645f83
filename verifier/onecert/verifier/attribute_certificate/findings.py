"""What the verification of an attribute certificate can find.

The codes, in the order of the walk in ``verify.py``. Their texts in Chinese and English are rows of the
verifier's catalogue (``messages/attribute_certificate.json``, three of them in ``messages/common.json``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, VerifyError
from onecert.verifier.messages import hint, message


class Code(StrEnum):
    """Stable reason codes: programs compare them, texts may change."""

    TOO_LARGE = "TOO_LARGE"
    NOT_DER = "NOT_DER"
    VERSION = "VERSION"
    ISSUER_FORM = "ISSUER_FORM"
    SERIAL = "SERIAL"
    TIME_FORM = "TIME_FORM"
    NO_ATTRIBUTES = "NO_ATTRIBUTES"
    DUPLICATE_ATTRIBUTE = "DUPLICATE_ATTRIBUTE"
    SINGLE_VALUE = "SINGLE_VALUE"
    DUPLICATE_EXTENSION = "DUPLICATE_EXTENSION"
    EXTENSION_FORM = "EXTENSION_FORM"
    UNKNOWN_CRITICAL = "UNKNOWN_CRITICAL"
    LIMIT_NOT_ENFORCED = "LIMIT_NOT_ENFORCED"
    ALG_MISMATCH = "ALG_MISMATCH"
    UNTRUSTED = "UNTRUSTED"
    AA_IS_CA = "AA_IS_CA"
    AA_KEY_USAGE = "AA_KEY_USAGE"
    AA_PATH = "AA_PATH"
    AA_PATH_UNKNOWN = "AA_PATH_UNKNOWN"
    SIGNATURE = "SIGNATURE"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    HOLDER = "HOLDER"
    TARGET = "TARGET"
    REVOKED = "REVOKED"
    STATUS_UNKNOWN = "STATUS_UNKNOWN"
    STATUS_CONTRADICTION = "STATUS_CONTRADICTION"
    NOT_A_DELEGATION = "NOT_A_DELEGATION"
    EXCEEDS_DELEGATION = "EXCEEDS_DELEGATION"
    DELEGATION_LOOP = "DELEGATION_LOOP"
    DELEGATION_LIMIT = "DELEGATION_LIMIT"
    DELEGATION_INVALID = "DELEGATION_INVALID"
    DELEGATION_REVOKED = "DELEGATION_REVOKED"
    DELEGATION_ON_HOLD = "DELEGATION_ON_HOLD"
    DELEGATION_UNKNOWN = "DELEGATION_UNKNOWN"


_MALFORMED = frozenset({Code.TOO_LARGE, Code.NOT_DER})
_NOT_KNOWN = frozenset(
    {Code.AA_PATH_UNKNOWN, Code.STATUS_UNKNOWN, Code.DELEGATION_UNKNOWN, Code.DELEGATION_LIMIT}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: its code (ours, or that of a signature check), and the facts that its text names."""

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_refusal(self) -> bool:
        """False when nobody could tell: then trying later can help."""
        return self.code not in _NOT_KNOWN

    def text(self, language: str = "en") -> str:
        """The fault for a person, in ``zh`` or ``en``."""
        return message(self.code, language, **self.facts)

    def hint(self, language: str = "en") -> str:
        """What the person can do next, or an empty string."""
        return hint(self.code, language, **self.facts)

    def error(self) -> VerifyError:
        """The exception that says the same."""
        if self.code in _MALFORMED:
            return MalformedError(self.code, **self.facts)
        if self.code in _NOT_KNOWN:
            return CouldNotCheckError(self.code, **self.facts)
        return RefusedError(self.code, **self.facts)
