"""REST under /ra/v1/: the same acts as the pages, as JSON; errors are problem documents (RFC 9457).

A caller is a signed-in session or a client certificate that is bound to an account. Lists have cursors.
Creating takes an `Idempotency-Key`. `openapi.py` describes it; a test compares the two.
"""

from onecert.ra.rest.endpoints import blueprint

__all__ = ["blueprint"]
