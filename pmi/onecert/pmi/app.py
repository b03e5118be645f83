"""Builds the web application of the PMI from its parts."""

from __future__ import annotations

from flask import Flask

from onecert.pmi.pages import NAVIGATION, SEARCH, add_pages
from onecert.pmi.parts import Parts
from onecert.pmi.rest import blueprint as rest
from onecert.server.web import create_frame

__all__ = ["create_app"]


def create_app(parts: Parts) -> Flask:
    """Build the app: pages for operators, REST for programs."""
    app = create_frame("pmi", parts.context, navigation=NAVIGATION, search=SEARCH)
    add_pages(app, parts)
    app.register_blueprint(rest.blueprint(parts))
    return app
