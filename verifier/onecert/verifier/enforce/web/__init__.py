"""Single actions of a web application, open to who has the privilege: decorators and middleware.

``guard`` asks and enforces, for any framework; ``flask``, ``wsgi`` and ``asgi`` put it before views and
addresses. The answer comes from whatever ``Decides``: a ``Decider`` with the city's signed policy, the
PMI over HTTP (``ServiceDecider``), or ``RequiredRoles`` where an action needs a role and nothing else. What
fails is not permitted.
"""

from onecert.verifier.enforce.web.guard import Decides, DeniedError, Granted, Guard
from onecert.verifier.enforce.web.required_roles import RequiredRoles
from onecert.verifier.enforce.web.service_decider import ServiceDecider

__all__ = ["Decides", "DeniedError", "Granted", "Guard", "RequiredRoles", "ServiceDecider"]
