"""Django middleware: only requests that the gateway has signed for reach a view.

    MIDDLEWARE = ["onecert.verifier.enforce.gateway.django.GatewayMiddleware", ...]     # first
    ONECERT_GATEWAY = {"verifier": "city.pki.gateway", "exempt": ["/health"]}    # a GatewayVerifier, by name

``request.onecert_privileges`` is the ``Privileges``. Needs ``pip install onecert-verifier[django]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from onecert.verifier.enforce.gateway.header import GatewayVerifier
from onecert.verifier.enforce.gateway.lookalikes import from_wsgi, only_header
from onecert.verifier.enforce.gateway.wsgi import is_exempt
from onecert.verifier.errors import VerifyError
from onecert.verifier.web.answers import answer_for
from onecert.verifier.web.gate import now

__all__ = ["GatewayMiddleware"]


class GatewayMiddleware:
    """One per process, made by Django at start.

    Raises:
        ImproperlyConfigured: ``ONECERT_GATEWAY`` is missing, or says something that is not known.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        options = getattr(settings, "ONECERT_GATEWAY", None)
        if not isinstance(options, dict) or options.keys() - {"verifier", "exempt", "clock"}:
            raise ImproperlyConfigured('settings need ONECERT_GATEWAY = {"verifier": "your.module.gateway"}')
        found: Any = options.get("verifier")
        verifier = import_string(found) if isinstance(found, str) else found
        if not isinstance(verifier, GatewayVerifier):
            raise ImproperlyConfigured(f"ONECERT_GATEWAY: {found!r} is not a GatewayVerifier")
        self._get_response, self._verifier = get_response, verifier
        self._exempt, self._clock = tuple(options.get("exempt", ())), options.get("clock") or now

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        request.onecert_privileges = None
        if not is_exempt(request.path, self._exempt):
            try:
                request.onecert_privileges = self._verifier.verify(
                    only_header(from_wsgi(request.META)),
                    method=request.method or "",
                    path=request.path,
                    at=self._clock(),
                )
            except VerifyError as error:
                answer = answer_for(
                    error,
                    accept=request.META.get("HTTP_ACCEPT", ""),
                    accept_language=request.META.get("HTTP_ACCEPT_LANGUAGE", ""),
                )
                response = HttpResponse(answer.body, status=answer.status)
                for name, value in answer.headers:
                    response.headers[name] = value
                return response
        return self._get_response(request)
