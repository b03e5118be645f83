"""Who makes this request, and whether they may.

Every view is closed unless it says otherwise: a view without a mark needs a signed-in operator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from flask import current_app, g, request

from onecert.server.languages import gettext
from onecert.server.operators.errors import SignInRequiredError
from onecert.server.operators.roles import Operator, check_role
from onecert.server.operators.sign_in_errors import NoCertificateError
from onecert.server.web.frame import current_frame

if TYPE_CHECKING:
    from onecert.server.operators.sessions import Session

__all__ = [
    "current_operator",
    "current_session",
    "find_operator",
    "is_public",
    "is_rest",
    "is_signed_api",
    "notify",
    "public",
    "requires_role",
    "signed_api",
]

View = TypeVar("View", bound=Callable[..., Any])
NoticeKind = Literal["info", "success", "warning", "danger"]


def public(view: View) -> View:
    """Mark a view that anybody may ask, signed in or not."""
    view.onecert_public = True  # type: ignore[attr-defined] # functions take attributes
    return view


def signed_api(view: View) -> View:
    """Mark a REST view whose request body is a signed document that the view itself verifies.

    Neither a session nor a client certificate counts there, so no form token is asked for.
    """
    view.onecert_signed_api = True  # type: ignore[attr-defined] # functions take attributes
    return view


def requires_role(*roles: str) -> Callable[[View], View]:
    """Let only operators in who have at least one of these roles; others get 403.

    The act behind the view checks again (``check_role``, ``check_different_people``): this one is for a
    clear page.
    """
    if not roles:
        raise ValueError("name at least one role")

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            check_role(current_operator(), *roles)
            return view(*args, **kwargs)

        return cast(View, guarded)

    return decorate


def current_operator() -> Operator:
    """The operator who makes this request.

    On pages it comes from the session. On REST paths (``/v1/``) a client certificate without a session
    does as well.

    Raises:
        SignInRequiredError: nobody is signed in; the frame turns it into the sign-in page or a 401 problem.
    """
    operator = find_operator()
    if operator is None:
        raise SignInRequiredError
    return operator


def find_operator() -> Operator | None:
    """The operator who makes this request; None when nobody is signed in."""
    if "operator" not in g:
        g.operator = _find_operator()
    return cast("Operator | None", g.operator)


def _find_operator() -> Operator | None:
    if is_signed_api():
        return None
    session = current_session()
    if session is not None:
        return session.operator
    if not is_rest():
        return None
    try:
        return current_frame().sign_in.certificate_operator(request.environ)
    except NoCertificateError:
        return None


def current_session() -> Session | None:
    """The session of this request, found once before the view runs."""
    return cast("Session | None", g.get("session"))


def notify(text: str, kind: NoticeKind = "success", **facts: object) -> None:
    """Tell a marked text on the next page that this operator sees, for example after a redirect."""
    session = current_session()
    if session is not None:
        current_frame().sign_in.sessions.add_notice(
            session.token_sha256, {"kind": kind, "text": gettext(text, **facts)}
        )


def is_rest() -> bool:
    """Whether this request is for a program: a path under ``/v1/``."""
    return request.path.startswith("/v1/")


def is_signed_api() -> bool:
    """Whether the view of this request is marked ``@signed_api``."""
    return bool(getattr(_view(), "onecert_signed_api", False))


def is_public() -> bool:
    """Whether the view of this request is open to everybody."""
    endpoint = request.endpoint or ""
    return bool(getattr(_view(), "onecert_public", False)) or endpoint.rpartition(".")[2] == "static"


def _view() -> Callable[..., Any] | None:
    return current_app.view_functions.get(request.endpoint or "")
