"""The REST interface under /v1/, described at /v1/openapi.json: one module for each feature.

Every body is a JSON object with known fields only.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from onecert.pmi.parts import Parts
from onecert.pmi.rest import openapi
from onecert.pmi.rest.abilities import add_abilities
from onecert.pmi.rest.authorities import add_authorities
from onecert.pmi.rest.batches import add_batches
from onecert.pmi.rest.catalogue import add_catalogue
from onecert.pmi.rest.certificates import add_certificates
from onecert.pmi.rest.decisions import add_decisions
from onecert.pmi.rest.grants import add_grants
from onecert.pmi.rest.holders import add_holders
from onecert.pmi.rest.memory import add_memory
from onecert.pmi.rest.policies import add_policies
from onecert.pmi.rest.replacements import add_replacements
from onecert.pmi.rest.repository import add_repository
from onecert.server.web import public

__all__ = ["blueprint"]


def blueprint(parts: Parts) -> Blueprint:
    """Build the views on these parts."""
    api = Blueprint("rest", __name__, url_prefix="/v1")
    for add in (
        add_authorities,
        add_grants,
        add_batches,
        add_catalogue,
        add_certificates,
        add_holders,
        add_replacements,
        add_repository,
        add_decisions,
        add_abilities,
        add_memory,
        add_policies,
    ):
        add(api, parts)

    @api.get("/openapi.json")
    @public
    def describe() -> Response:
        return jsonify(openapi.document())

    return api
