"""REST under ``/v1/``: the signed documents and the list's state, for programs and monitoring."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.exceptions import NotFound, RequestEntityTooLarge

from onecert.server.web import public, signed_api
from onecert.supervision.errors import NothingPublishedError
from onecert.supervision.issuance_reports import REPORT_MAX_BYTES
from onecert.supervision.pages.common import both, the
from onecert.supervision.records import Publication
from onecert.supervision.root_errors import RootMissingError
from onecert.supervision.root_records import find_root, find_timestamp
from onecert.supervision.watch import list_age

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """The addresses."""
    api = Blueprint("api", __name__)
    api.add_url_rule("/trust-list", "trust_list", _trust_list)
    api.add_url_rule("/trust-list/state", "state", _state)
    api.add_url_rule("/trust-root", "trust_root", _trust_root)
    api.add_url_rule("/trust-root/<int:version>", "trust_root_version", _trust_root)
    api.add_url_rule("/trust-timestamp", "trust_timestamp", _trust_timestamp)
    api.add_url_rule("/issuance-record", "issuance_record", _issuance_record)
    api.add_url_rule("/issuance-reports", "issuance_reports", _issuance_reports, methods=["POST"])
    return api


@public
def _trust_list() -> Response:
    """The signed document, the same bytes as on the status port."""
    publication = _published()
    response = Response(publication.document, content_type="application/jose+json")
    response.set_etag(publication.sha256)
    return response


@public
def _state() -> Response:
    """Number, dates and signatures of the published list, for monitoring."""
    supervision, publication = the(), _published()
    age = list_age(publication, supervision.config, at=supervision.editor.clock.now())
    return jsonify(
        sequence=publication.sequence,
        sha256=publication.sha256,
        issued_at=publication.issued_at.isoformat(),
        next_update=publication.next_update.isoformat(),
        officers=[signature.officer for signature in publication.signatures],
        alarm=age.is_alarm,
        over=age.is_over,
        url=url_for("api.trust_list"),
    )


@public
def _trust_root(version: int | None = None) -> Response:
    """The newest root, or the one of this version."""
    with the().editor.database.reading() as connection:
        record = find_root(connection, version)
    if record is None:
        raise RootMissingError if version is None else NotFound
    response = Response(record.document, content_type="application/jose+json")
    response.set_etag(record.sha256)
    return response


@public
def _trust_timestamp() -> Response:
    """The newest timestamp."""
    with the().editor.database.reading() as connection:
        record = find_timestamp(connection)
    if record is None:
        raise NothingPublishedError
    response = Response(record.document, content_type="application/jose+json")
    response.set_etag(str(record.version))
    return response


@public
def _issuance_record() -> Response:
    """The head of the newest record of issued certificates; its parts lie on the status port."""
    newest = the().issuance_records.newest()
    if newest is None:
        raise NothingPublishedError
    response = Response(newest.document, content_type="application/jose+json")
    response.set_etag(str(newest.number))
    return response


@signed_api
def _issuance_reports() -> Response:
    """What a CA has issued, signed by the key registered for it; acknowledged when it is on record."""
    if request.content_length is None or request.content_length > REPORT_MAX_BYTES:
        raise RequestEntityTooLarge
    taken = the().issuance_reports.take(request.get_data())
    return jsonify(service=taken.service, new=taken.new, known=taken.known, entries=taken.entries)


def _published() -> Publication:
    publication = both()[1]
    if publication is None:
        raise NothingPublishedError
    return publication
