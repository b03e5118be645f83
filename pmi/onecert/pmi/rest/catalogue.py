"""`/v1/catalogue`: the roles and attributes that there are."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Connection

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.difference import changes_between, touched_by
from onecert.pmi.errors import NoPolicyError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_count
from onecert.server.web import requires_role

__all__ = ["add_catalogue", "changes_json"]


def add_catalogue(api: Blueprint, parts: Parts) -> None:
    """Add the view of the catalogue."""

    @api.get("/catalogue")
    @requires_role(OFFICER, APPROVER, AUDITOR)
    def read_catalogue() -> Response:
        text = request.args.get("version", "")
        version = read_count(text, "version", 1_000_000) if text else None
        with parts.context.database.reading() as connection:
            found = parts.catalogues.load(connection, version)
        content = {"attributes": [], "exclusions": [], **json.loads(found.to_json())}
        return jsonify({"version": found.version, "sha256": found.sha256, **content})


def changes_json(connection: Connection, parts: Parts, new: Catalogue) -> list[dict[str, Any]]:
    """What a new catalogue changes, entry by entry; of what goes, what stands on it."""
    changes = changes_between(parts.catalogues.find(connection) or Catalogue(), new)
    try:
        rules = parts.policies.load(connection).source.rules
    except NoPolicyError:
        rules = ""
    touched = {(each.what, each.name): each for each in touched_by(connection, changes, rules=rules)}
    rows = []
    for change in changes:
        row: dict[str, Any] = {"what": change.what, "name": change.name, "change": change.kind}
        if change.fields:
            row["fields"] = {name: {"old": old, "new": new} for name, (old, new) in change.fields.items()}
        stands = touched.get((change.what, change.name))
        if stands is not None:
            row |= {"live_certificates": stands.live, "in_policy": stands.in_policy}
        rows.append(row)
    return rows
