"""WSGI middleware (PEP 3333): the application behind it is told who the holder of the client certificate is.

    application = CertificateMiddleware(application, verifier)

``environ["onecert.identity"]`` is the ``Identity``, ``environ["onecert.certificate"]`` the whole
``VerifiedCertificate``; ``REMOTE_USER`` is the identity's id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from onecert.verifier.errors import VerifyError
from onecert.verifier.web.answers import Answer, answer_for
from onecert.verifier.web.gate import Gated

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment  # noqa: F401  one names a base class

__all__ = ["CERTIFICATE", "IDENTITY", "CertificateMiddleware", "refuse"]

IDENTITY, CERTIFICATE = "onecert.identity", "onecert.certificate"


class CertificateMiddleware(Gated["WSGIApplication"]):
    """Lets requests through whose client certificate verifies; see ``Gated`` for the arguments.

    Certificate headers that clients or proxies sent do not reach the application.
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        certificates = self._gate.certificates
        try:
            verified = self._gate.check(certificates.from_environ(environ), required=self._required)
        except VerifyError as error:
            self._gate.note(error)
            return refuse(environ, start_response, error)
        inner = certificates.clean_environ(environ)
        # Nobody but we says who is there: what stood here before is not believed.
        for name in (IDENTITY, CERTIFICATE, "REMOTE_USER", "AUTH_TYPE"):
            inner.pop(name, None)
        if verified is not None:
            inner |= {
                IDENTITY: verified.identity,
                CERTIFICATE: verified,
                "REMOTE_USER": verified.identity.id,
                "AUTH_TYPE": "ClientCertificate",
            }
        return self._application(inner, start_response)


def refuse(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    error: VerifyError,
    *,
    answer_with: Callable[..., Answer] = answer_for,
) -> list[bytes]:
    """Answer a request that is not let in: a page or a problem document, as the client asked for."""
    answer = answer_with(
        error,
        accept=str(environ.get("HTTP_ACCEPT", "")),
        accept_language=str(environ.get("HTTP_ACCEPT_LANGUAGE", "")),
    )
    start_response(answer.status_line, list(answer.headers))
    return [answer.body]
