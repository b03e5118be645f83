"""All REST endpoints put together, with the two that describe the service: document and authorities."""

from flask import Blueprint, Response, jsonify, request

from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.rest import (
    applications,
    batches,
    cases,
    certificates,
    counter,
    emergencies,
    evidence,
    organisation,
    reports,
    search,
)
from onecert.ra.rest.common import moment
from onecert.ra.rest.openapi import document
from onecert.server.web import public

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """All REST endpoints."""
    api = Blueprint("api", __name__)
    api.add_url_rule("/openapi.json", "openapi", _openapi)
    api.add_url_rule("/authorities", "authorities", _authorities)
    applications.add_to(api)
    batches.add_to(api)
    cases.add_to(api)
    counter.add_to(api)
    emergencies.add_to(api)
    evidence.add_to(api)
    certificates.add_to(api)
    organisation.add_to(api)
    reports.add_to(api)
    search.add_to(api)
    return api


@public
def _openapi() -> Response:
    return jsonify(document(request.script_root + "/v1"))


def _authorities() -> Response:
    the_operator()
    listing = the_ra().directory.listing()
    return jsonify(
        {
            "stale": listing.stale,
            "as_of": moment(listing.at),
            "authorities": [
                {
                    "name": authority.name,
                    "title": dict(authority.title),
                    "profiles": [
                        {"name": profile.name, "version": profile.version, "title": dict(profile.title)}
                        for profile in authority.profiles.values()
                    ],
                }
                for authority in listing.authorities.values()
            ],
        }
    )
