"""`/v1/policies` for operators, `/v1/decision-rules` for departments that decide in their own process."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_count
from onecert.server.web import public, requires_role

__all__ = ["add_policies"]


def add_policies(api: Blueprint, parts: Parts) -> None:
    """Add the views of policies."""
    database = parts.context.database

    @api.get("/policies")
    @requires_role(OFFICER, APPROVER, AUDITOR)
    def list_policies() -> Response:
        with database.reading() as connection:
            rows = parts.policies.history(connection)
        versions = [{**row, "published_at": row["published_at"].isoformat()} for row in rows]
        return jsonify({"policies": versions})

    @api.get("/policies/<name>/<version>")
    @requires_role(OFFICER, APPROVER, AUDITOR)
    def show_policy(name: str, version: str) -> Response:
        number = read_count(version, "version", 1_000_000)
        with database.reading() as connection:
            found = parts.policies.load_version(connection, name, number)
        content = {"name": found.name, "version": found.version, "sha256": found.sha256}
        return jsonify({**content, "content": found.source.content})

    @api.get("/decision-rules")
    @public
    def decision_rules() -> Response:
        answer = Response(parts.rules_document.newest(), content_type="application/jose+json")
        answer.headers["Cache-Control"] = "no-cache"
        return answer
