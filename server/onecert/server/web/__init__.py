"""The HTTP frame that every service's pages and REST stand in.

    app = create_frame("ra", context, navigation=[NavItem(_("Applications"), "applications.index")])

    @app.get("/applications")
    @requires_role("clerk.entry")
    def index() -> str:
        return render_template("applications.html", operator=current_operator())

Every view needs a signed-in operator unless it is marked ``@public`` or ``@signed_api``.
"""

from onecert.server.web.access import (
    current_operator,
    find_operator,
    notify,
    public,
    requires_role,
    signed_api,
)
from onecert.server.web.app import create_frame
from onecert.server.web.csrf import csrf_token
from onecert.server.web.frame import Frame, frame_of
from onecert.server.web.landing import landing_app
from onecert.server.web.navigation import NavItem, SearchBox

__all__ = [
    "Frame",
    "NavItem",
    "SearchBox",
    "create_frame",
    "csrf_token",
    "current_operator",
    "find_operator",
    "frame_of",
    "landing_app",
    "notify",
    "public",
    "requires_role",
    "signed_api",
]
