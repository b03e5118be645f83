"""Flask: a decorator that asks before a view does something.

    privileges = Privileges(guard, onecert=onecert)

    @app.post("/declarations/<form_id>/approve")
    @onecert.required
    @privileges.privileged("approve", resource=lambda form_id: Resource(type="Form", id=form_id))
    def approve(form_id):
        ...                                     # privileges.granted.decision.id goes into the record

Who is asked about is who is signed in with ``OneCert``, or whose certificate ``CertificateMiddleware`` has
verified. Attribute certificates may come with the request, in the header or the form field
``OneCert-Credentials``. Needs ``pip install onecert-verifier[flask]``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Response, g, request

from onecert.verifier.attribute_certificate.extensions import TargetIdentity
from onecert.verifier.decision.deciding import Act
from onecert.verifier.decision.question import Resource
from onecert.verifier.enforce.web.answers import denied_answer
from onecert.verifier.enforce.web.guard import CREDENTIALS_HEADER, Granted, Guard
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.verified_certificate import VerifiedCertificate
from onecert.verifier.web.flask import OneCert
from onecert.verifier.web.wsgi import CERTIFICATE

__all__ = ["Privileges"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


class Privileges:
    """Asks for views of one application.

    Args:
        onecert: the sign-in; ``None`` where ``CertificateMiddleware`` stands in front.
        target: who this application is, for certificates that name their targets.
        language: gives the language of a page, ``zh`` or ``en``; by default the browser's.
        denied: makes the answer for who is refused, such as a page of the application with
            ``reasons_block(error, language)``; its status is set here. By default a plain page.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        onecert: OneCert | None = None,
        target: TargetIdentity | None = None,
        language: Callable[[], str] | None = None,
        denied: Callable[[VerifyError], Response] | None = None,
    ) -> None:
        self._guard, self._onecert, self._target = guard, onecert, target
        self._language, self._denied = language, denied

    @property
    def granted(self) -> Granted:
        """What lets the view of this request run.

        Raises:
            AttributeError: no view that asks is running.
        """
        found: Granted = g.onecert_granted
        return found

    def privileged(
        self,
        action: str,
        *,
        resource: Callable[..., Resource],
        context: Callable[..., Mapping[str, Any]] | None = None,
        handles: Collection[str] = (),
    ) -> Callable[[Callable[P, R]], Callable[P, R | Response]]:
        """Decorator of a view: it runs when the action is permitted, and not otherwise.

        Args:
            resource: what the action is done to; called with the arguments of the view.
            context: what the application adds, such as an amount; called with them too.
            handles: obligations that the view fulfils itself: see ``granted.obligations``.
        """

        def decorate(view: Callable[P, R]) -> Callable[P, R | Response]:
            @wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> R | Response:
                try:
                    act = self._act(action, resource, context, args, kwargs)
                    g.onecert_granted = self._guard.check(
                        self._certificate(), act, presented=_presented(), handles=handles
                    )
                except VerifyError as error:
                    return self._refuse(error)
                return view(*args, **kwargs)

            return guarded

        return decorate

    def _act(
        self,
        action: str,
        resource: Callable[..., Resource],
        context: Callable[..., Mapping[str, Any]] | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Act:
        try:
            found = resource(*args, **kwargs)
            more = {} if context is None else context(*args, **kwargs)
        except VerifyError:
            raise
        except Exception as exc:
            log.exception("the resource of an action could not be told")
            raise CouldNotCheckError("PRIVILEGE_NOT_DECIDED", reason=type(exc).__name__) from exc
        return Act(action=action, resource=found, context=more, target=self._target)

    def _certificate(self) -> bytes | VerifiedCertificate | None:
        if self._onecert is not None:
            holder = self._onecert.holder
            return None if holder is None else holder.certificate_der
        found: VerifiedCertificate | None = request.environ.get(CERTIFICATE)
        return found

    def _refuse(self, error: VerifyError) -> Response:
        log.info("action refused", extra={"code": error.code})
        language = self._language() if self._language else request.headers.get("Accept-Language", "")
        accept = request.headers.get("Accept", "")
        answer = denied_answer(error, accept=accept, accept_language=language)
        if self._denied is None or answer.is_problem:
            return Response(answer.body, answer.status, list(answer.headers))
        page = self._denied(error)
        page.status_code = answer.status
        page.headers["Cache-Control"] = "no-store"
        return page


def _presented() -> list[str]:
    return [*request.headers.getlist(CREDENTIALS_HEADER), *request.form.getlist(CREDENTIALS_HEADER)]
