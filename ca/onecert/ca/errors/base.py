"""The base of everything that the CA refuses or could not do.

Status 4xx: the answer is no, and posting the same again will not help. Status 503: not now, nothing was
changed, try the same again. Texts are English msgids; the catalogue `locale/zh` translates them.
"""

from __future__ import annotations

from onecert.server.errors import ServiceError

__all__ = ["CaError"]


class CaError(ServiceError):
    """Base of everything that the CA refuses or could not do."""
