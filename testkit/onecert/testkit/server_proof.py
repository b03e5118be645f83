"""Whom the kit signs for: the server's signature beside a challenge (docs/mutual-login.md), where it has one.

The certificate is taken as it comes: whether a CA of the trust list has issued it is the client's question.
What is found here are the faults of a server: another application, an old challenge, a signature that does
not fit, somebody else's random.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from onecert.testkit.browser import LoginAddress
from onecert.testkit.errors import NotReachableError
from onecert.verifier import VerifyError, verify_server_challenge
from onecert.verifier.login_challenge import read_challenge

__all__ = ["check_server_proof"]


def check_server_proof(
    address: LoginAddress, said: Mapping[str, Any], data: bytes, *, client: bytes | None = None
) -> bool:
    """Check the server's signature; ``False`` when the login does not sign.

    Args:
        said: the whole answer; ``data`` of it, as octets.
        client: the random that was sent with the request.

    Raises:
        NotReachableError: ``SERVER_SIGNATURE``; the fact ``reason`` is the code of the verifier.
    """
    server = said.get("server")
    if server is None:
        return False
    read = read_challenge(data)
    wanted = address.application or ("" if read is None else read.application)
    try:
        own = base64.b64decode(server["certificates"][0], validate=True)
        verify_server_challenge(said, trust=own, application=wanted, at=address.clock(), client=client)
    except VerifyError as exc:
        raise NotReachableError(
            "SERVER_SIGNATURE", url=address.origin, reason=exc.code, detail=exc.text("en")
        ) from exc
    except (LookupError, TypeError, ValueError, binascii.Error) as exc:
        raise NotReachableError(
            "SERVER_SIGNATURE", url=address.origin, reason="LOGIN_SERVER_MALFORMED", detail=str(exc)[:200]
        ) from exc
    return True
