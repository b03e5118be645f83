"""What the frame knows of its service, and how to find it from an app or within a request.

Imports none of the modules that use it; `app.py` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import Flask, current_app

from onecert.server.operators.sign_in import SignIn
from onecert.server.web.navigation import NavItem, SearchBox

if TYPE_CHECKING:
    from onecert.server.web.assets import Assets

__all__ = ["Frame", "current_frame", "frame_of", "set_frame"]

_EXTENSION = "onecert"


@dataclass(kw_only=True)
class Frame:
    """What the frame knows of its service; ``frame_of(app)`` finds it."""

    name: str
    title: str
    package: str
    navigation: Sequence[NavItem]
    sign_in: SignIn
    role_labels: Mapping[str, str]
    assets: Assets
    search: SearchBox | None = None
    # Readiness: name -> raises ServiceError. The server adds the member's own when the service is built.
    checks: dict[str, Callable[[], None]] = field(default_factory=dict)

    @property
    def session_cookie(self) -> str:
        """Name of the session's cookie; the prefix makes browsers insist on https."""
        return f"__Secure-onecert-{self.name}"


def set_frame(app: Flask, frame: Frame) -> None:
    """Make this the frame of an app; only ``create_frame`` does."""
    app.extensions[_EXTENSION] = frame


def frame_of(app: Flask) -> Frame:
    """The frame of an app made by ``create_frame``."""
    frame: Frame = app.extensions[_EXTENSION]
    return frame


def current_frame() -> Frame:
    """The frame of the app that answers this request."""
    return frame_of(current_app)
