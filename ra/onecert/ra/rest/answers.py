"""Applications and certificates as JSON."""

from typing import Any

from onecert.ra.applications.records import Application, list_events
from onecert.ra.certificates.records import Certificate, find_by_application, list_revocations
from onecert.ra.pages.common import the_ra
from onecert.ra.rest.common import moment

__all__ = ["application_detail", "application_json", "certificate_detail", "certificate_json"]


def application_json(application: Application) -> dict[str, Any]:
    """An application in a list: no personal data beyond the name."""
    return {
        "id": application.id,
        "number": application.number,
        "type": application.kind.value,
        "authority": application.authority,
        "profile": application.profile,
        "profile_version": application.profile_version,
        "state": application.state.value,
        "state_since": moment(application.state_since),
        "revision": application.revision,
        "name": application.name,
        "uscc": application.uscc,
        "idcard_masked": application.idcard_masked,
        "content_sha256": application.content_sha256,
        "created_at": moment(application.created_at),
        "created_by": application.created_by,
        "submitted_by": application.submitted_by,
        "reviewed_by": application.reviewed_by,
        "passed_on_by": application.passed_on_by,
        "reason": application.reason,
        "order": application.order_id,
        "business": application.business.value,
        "follows": _follows(application),
        "point": application.point,
        "project": application.project,
    }


def _follows(application: Application) -> dict[str, str | None] | None:
    if application.follows_serial is None:
        return None
    return {
        "authority": application.follows_authority,
        "serial": application.follows_serial,
        "reason": application.follows_reason,
    }


def application_detail(application: Application) -> dict[str, Any]:
    """An application with its life line and its certificate."""
    with the_ra().database.reading() as connection:
        events = list_events(connection, application.id)
        certificate = find_by_application(connection, application.id)
    return {
        **application_json(application),
        "certificate": certificate_json(certificate) if certificate else None,
        "events": [
            {
                "at": moment(event.at),
                "by": event.actor,
                "event": event.event,
                "state": event.state.value,
                "note": event.note,
                "certificate_sha256": event.certificate_sha256,
            }
            for event in events
        ],
    }


def certificate_json(certificate: Certificate) -> dict[str, Any]:
    """A certificate in a list."""
    return {
        "authority": certificate.authority,
        "serial": certificate.serial_hex,
        "type": certificate.kind.value,
        "name": certificate.name,
        "uscc": certificate.uscc,
        "idcard_masked": certificate.idcard_masked,
        "sha256": certificate.sha256,
        "not_before": moment(certificate.not_before),
        "not_after": moment(certificate.not_after),
        "issued_at": moment(certificate.issued_at),
        "status": certificate.shown_status(the_ra().clock.now()),
        "status_since": moment(certificate.status_since),
        "reason": certificate.reason,
        "application": certificate.application_id,
        "point": certificate.point,
        "certificate_pem": certificate.certificate_pem,
        "chain_pem": certificate.chain_pem,
    }


def certificate_detail(certificate: Certificate) -> dict[str, Any]:
    """A certificate with the requests to change its status."""
    with the_ra().database.reading() as connection:
        changes = list_revocations(connection, certificate.authority, certificate.serial_hex)
    return {
        **certificate_json(certificate),
        "changes": [
            {
                "id": change.id,
                "reason": change.reason,
                "state": change.state,
                "requested_by": change.requested_by,
                "created_at": moment(change.created_at),
                "answered_at": moment(change.answered_at),
                "crl_number": change.crl_number,
                "last_error": change.last_error,
            }
            for change in changes
        ],
    }
