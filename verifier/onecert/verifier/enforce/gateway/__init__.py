"""A gateway hands proved roles to the applications behind it, in a header that it has signed.

``GatewaySigner`` writes ``OneCert-Privileges``; ``GatewayVerifier`` reads it, and the middleware in ``wsgi``,
``asgi`` and ``django`` lets nothing through without it. Plain headers, as gateways in the field send them
(``privilege``, ``servicelist``), anybody can write: a request that has one is refused.
"""

from onecert.verifier.enforce.gateway.header import (
    HEADER,
    MAX_LIFE,
    GatewaySigner,
    GatewayVerifier,
    MemoryReplays,
    Privileges,
    ReplayStore,
)

__all__ = [
    "HEADER",
    "MAX_LIFE",
    "GatewaySigner",
    "GatewayVerifier",
    "MemoryReplays",
    "Privileges",
    "ReplayStore",
]
