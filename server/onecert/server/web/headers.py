"""Response headers of every page: nothing foreign is loaded, nothing is framed, nothing is kept in caches.

Leaves out Strict-Transport-Security: with the embedded server, CRLs lie on http on another port of the
same host name, and HSTS covers all ports. The nginx set-up adds it.
"""

from __future__ import annotations

from flask import Response, request

__all__ = ["CONTENT_SECURITY_POLICY", "set_security_headers"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; script-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Referrer-Policy: not "no-referrer", because browsers then send "Origin: null" with our own forms.
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def set_security_headers(response: Response) -> Response:
    """Add what is missing; a view may set a stricter value itself."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    is_static = (request.endpoint or "").rpartition(".")[2] == "static"
    if is_static and "v" in request.args and response.status_code == 200:
        # The address changes with the content; see asset() in filters.py.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif not is_static:
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.update(("Accept-Language", "Cookie"))
    return response
