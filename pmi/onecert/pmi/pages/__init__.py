"""The pages for operators: one module for each feature, put together here."""

from __future__ import annotations

from flask import Flask

from onecert.pmi.grants.acts import AUDITOR
from onecert.pmi.pages import (
    authorities,
    batches,
    catalogue,
    certificates,
    decisions,
    desk,
    grants,
    offices,
    policies,
    rebinding,
    what_can,
    who_can,
)
from onecert.pmi.pages.common import READERS, WATCHERS
from onecert.pmi.parts import Parts
from onecert.server.languages import _
from onecert.server.web import NavItem, SearchBox

__all__ = ["NAVIGATION", "SEARCH", "add_pages"]

NAVIGATION = (
    NavItem(_("My desk"), "home.index", WATCHERS, key="h"),
    NavItem(_("Grants"), "grants.index", READERS, key="g"),
    NavItem(_("Batches"), "batches.index", READERS, key="b"),
    NavItem(_("Attribute certificates"), "certificates.index", WATCHERS, key="c"),
    NavItem(_("Authorities"), "authorities.index", READERS, key="a"),
    NavItem(_("End of office"), "offices.index", READERS, key="e"),
    NavItem(_("Policies"), "policies.index", READERS, key="p"),
    NavItem(_("Who can?"), "who_can.index", READERS, key="w"),
    NavItem(_("Decisions"), "decisions.index", (AUDITOR,), key="d"),
    NavItem(_("Catalogue"), "catalogue.index", READERS, key="k"),
)
SEARCH = SearchBox(_("Find a holder, an identity or a serial number"), "certificates.index")

_FEATURES = (
    *(desk, grants, batches, certificates, authorities, offices, rebinding),
    *(policies, who_can, what_can, decisions, catalogue),
)


def add_pages(app: Flask, parts: Parts) -> None:
    """Give the app its pages."""
    for feature in _FEATURES:
        app.register_blueprint(feature.blueprint(parts))
