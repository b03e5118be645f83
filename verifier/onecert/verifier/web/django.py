"""Django middleware: the view is told who the holder of the client certificate is.

    MIDDLEWARE = ["onecert.verifier.web.django.CertificateMiddleware", ...]     # first
    ONECERT = {"verifier": "city.pki.verifier"}                                 # a Verifier, by dotted name

``request.onecert_identity`` is the ``Identity`` or ``None``, ``request.onecert_certificate`` the whole
``VerifiedCertificate``. Needs ``pip install onecert-verifier[django]``.

| key of ``ONECERT`` | default | means |
| --- | --- | --- |
| ``verifier`` | needed | a ``Verifier``, or its dotted name |
| ``certificates`` | TLS ended in this server | a ``ClientCertificates``, or its dotted name |
| ``required`` | yes | refuse requests without a certificate |
| ``exempt`` | none | paths that need none, such as ``/health``; one ending in / covers all below it |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from onecert.verifier.errors import VerifyError
from onecert.verifier.verifier import Verifier
from onecert.verifier.web.answers import answer_for
from onecert.verifier.web.client_certificate import ClientCertificates
from onecert.verifier.web.gate import Gate

__all__ = ["CertificateMiddleware"]

_KEYS = frozenset({"verifier", "certificates", "required", "exempt", "clock"})


class CertificateMiddleware:
    """One per process, made by Django at start.

    Raises:
        ImproperlyConfigured: ``ONECERT`` is missing, or says something that is not known.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        options = getattr(settings, "ONECERT", None)
        if not isinstance(options, dict) or "verifier" not in options:
            raise ImproperlyConfigured('settings need ONECERT = {"verifier": "your.module.verifier"}')
        unknown = sorted(set(options) - _KEYS)
        if unknown:
            raise ImproperlyConfigured(f"ONECERT does not know {', '.join(unknown)}")
        self._get_response = get_response
        self._exempt = tuple(options.get("exempt", ()))
        self._required = bool(options.get("required", True))
        self._gate = Gate(
            _instance(options["verifier"], Verifier),
            certificates=_instance(options.get("certificates", ClientCertificates()), ClientCertificates),
            clock=options.get("clock"),
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        certificates = self._gate.certificates
        required = self._required and not self._is_exempt(request.path)
        try:
            verified = self._gate.check(certificates.from_environ(request.META), required=required)
        except VerifyError as error:
            self._gate.note(error)
            answer = answer_for(
                error,
                accept=request.META.get("HTTP_ACCEPT", ""),
                accept_language=request.META.get("HTTP_ACCEPT_LANGUAGE", ""),
            )
            response = HttpResponse(answer.body, status=answer.status)
            for name, value in answer.headers:
                response.headers[name] = value
            return response
        kept = certificates.clean_environ(request.META)
        for name in [name for name in request.META if name not in kept]:
            del request.META[name]
        request.onecert_certificate = verified
        request.onecert_identity = None if verified is None else verified.identity
        return self._get_response(request)

    def _is_exempt(self, path: str) -> bool:
        return any(path == each or (each.endswith("/") and path.startswith(each)) for each in self._exempt)


def _instance(given: Any, kind: type[Any]) -> Any:
    found = import_string(given) if isinstance(given, str) else given
    if not isinstance(found, kind):
        raise ImproperlyConfigured(f"ONECERT: {given!r} is not a {kind.__name__}")
    return found
