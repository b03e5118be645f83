"""What a recorded order says, whichever way it came: signed by itself, as a line of a batch, by a command."""

from __future__ import annotations

import json
from typing import Any

from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import decode_base64url

__all__ = ["payload_of"]


def payload_of(document: bytes) -> dict[str, Any]:
    """Read a recorded order; its signature was checked before it was recorded.

    Returns:
        what it says; nothing when it says nothing, as for what the CA does by itself.
    """
    try:
        outer = json.loads(document)
        return dict(json.loads(decode_base64url(outer["payload"])) if "payload" in outer else outer)
    except (ValueError, KeyError, TypeError, VerifyError):
        return {}
