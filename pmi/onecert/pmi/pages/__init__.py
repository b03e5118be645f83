"""The pages for operators: one module for each feature, put together here."""

from __future__ import annotations

from flask import Flask

from onecert.pmi.pages import catalogue, certificates, desk, grants, offices
from onecert.pmi.pages.common import READERS
from onecert.pmi.parts import Parts
from onecert.server.languages import _
from onecert.server.web import NavItem, SearchBox

__all__ = ["NAVIGATION", "SEARCH", "add_pages"]

NAVIGATION = (
    NavItem(_("My desk"), "home.index", READERS, key="h"),
    NavItem(_("Grants"), "grants.index", READERS, key="g"),
    NavItem(_("Attribute certificates"), "certificates.index", READERS, key="c"),
    NavItem(_("End of office"), "offices.index", READERS, key="e"),
    NavItem(_("Catalogue"), "catalogue.index", READERS, key="k"),
)
SEARCH = SearchBox(_("Find a holder, an identity or a serial number"), "certificates.index")


def add_pages(app: Flask, parts: Parts) -> None:
    """Give the app its pages."""
    for feature in (desk, grants, certificates, offices, catalogue):
        app.register_blueprint(feature.blueprint(parts))
