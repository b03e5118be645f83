"""The REST API under /ca/v1: orders and revocations are signed documents, everything else is public to read.

Who may order is decided by the signature on the document and nothing else. Errors are problem JSON.
"""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from onecert.ca.authorities.authorities import ACTIVE
from onecert.ca.batches.api import add_batch_views
from onecert.ca.console import NAVIGATION, add_console
from onecert.ca.errors import OrderAlteredError, UnknownCertificateError
from onecert.ca.issuing.ledger import CertificateRecord
from onecert.ca.issuing.order_door import OrderDoor, raise_refusal
from onecert.ca.issuing.order_notices import open_revocation
from onecert.ca.issuing.signed_documents import DOCUMENT_MAX_BYTES
from onecert.ca.lists.standing import add_list_views
from onecert.ca.parts import Parts
from onecert.ca.profiles.pages import NAVIGATION as PROFILE_NAVIGATION
from onecert.ca.profiles.pages import profile_pages
from onecert.ca.rest.openapi import document
from onecert.ca.revocation.mass_api import add_mass_revocation_views
from onecert.ca.search.api import add_certificate_views
from onecert.server.members import Context
from onecert.server.web import create_frame, public, signed_api

__all__ = ["create_app"]


def create_app(parts: Parts, context: Context) -> Flask:
    """Build the application of the CA."""
    navigation = (*NAVIGATION, *PROFILE_NAVIGATION)
    app = create_frame("ca", context, navigation=navigation, max_request_bytes=DOCUMENT_MAX_BYTES)
    add_console(app, parts, context)
    app.register_blueprint(profile_pages(parts))

    @app.post("/v1/orders")
    @signed_api
    def post_order() -> tuple[Response, int]:
        # Orders that can be filled at once never come here; see the door.
        raise_refusal(request.environ)
        issued = parts.issuance.issue(
            request.get_data(), idempotency_key=request.headers.get("Idempotency-Key")
        )
        return jsonify(issued.as_json()), 201 if issued.is_new else 200

    @app.get("/v1/orders/<order_id>")
    @public
    def get_order(order_id: str) -> Response:
        # The number is a secret between the registration authority and us (128 random bits); whoever knows
        # it may learn what became of the order, but not the certificate, which names its holder.
        record = parts.issuance.find(order_id)
        return jsonify(
            {
                "order": record.order_id,
                "authority": record.authority,
                "serial": record.serial,
                "status": record.state,
            }
        )

    add_batch_views(app, parts)
    add_mass_revocation_views(app, parts)

    @app.post("/v1/revocations")
    @signed_api
    def post_revocation() -> Response:
        order = parts.issuance.lines.revocation(open_revocation(parts.desk, request.get_data()))
        key = request.headers.get("Idempotency-Key")
        if key is not None and key != order.id:
            raise OrderAlteredError(order.id)
        return jsonify(parts.revocation.revoke(order).as_json())

    @app.post("/v1/deliveries")
    @signed_api
    def post_delivery() -> Response:
        return jsonify(parts.follow_ups.deliver(request.get_data()).as_json())

    @app.get("/v1/certificates/<authority>/<serial>")
    @public
    def get_certificate(authority: str, serial: str) -> Response:
        if len(serial) > 64:
            raise UnknownCertificateError(authority[:64], serial[:64])
        parts.authorities.get(authority)
        serial = serial.lower().lstrip("0")
        issuer = parts.issuance.lines.issuer(authority, serial)
        return jsonify(certificate_json(parts.ledger.certificate(issuer, serial)))

    @app.get("/v1/authorities")
    @public
    def get_authorities() -> Response:
        return jsonify({"authorities": authorities_json(parts)})

    add_certificate_views(app, parts)
    add_list_views(app, parts)

    @app.get("/v1/openapi.json")
    @public
    def get_openapi() -> Response:
        return jsonify(document())

    app.wsgi_app = OrderDoor(app, parts.issuance)  # type: ignore[method-assign] # Flask's way to wrap an app
    return app


def certificate_json(record: CertificateRecord) -> dict[str, object]:
    """The status of a certificate as recorded; not its holder's name or numbers."""
    return {
        "authority": record.authority,
        "serial": record.serial,
        "profile": record.profile,
        "profile_version": record.profile_version,
        "state": record.state,
        "status": record.status,
        "not_before": record.not_before.isoformat(),
        "not_after": record.not_after.isoformat(),
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
        "reason": record.reason,
        "invalidity_date": record.invalidity_date.isoformat() if record.invalidity_date else None,
    }


def authorities_json(parts: Parts) -> list[dict[str, object]]:
    """Issuing authorities with their chains, and what can be ordered by the name of each now.

    Profiles are those of the authority that fills the orders; one that joined a line is ordered by the line.
    """
    return [
        {
            "name": authority.name,
            "title": dict(authority.title),
            "certificate_pem": authority.certificate_pem,
            "chain_pem": parts.authorities.chain_pem(authority),
            "crl_url": authority.issuer.crl_url,
            "ocsp_url": authority.issuer.ocsp_url,
            "state": authority.state,
            "line": authority.line,
            "orders_from": authority.orders_from.isoformat() if authority.orders_from else None,
            "filled_by": filling.name if filling.state == ACTIVE else None,
            "profiles": [
                {
                    "name": profile.name,
                    "version": profile.version,
                    "sha256": profile.sha256,
                    "title": {"zh": profile.title_zh, "en": profile.title_en},
                    "holder": profile.holder,
                    "validity_days": profile.validity_days,
                    "validity_months": profile.validity_months,
                    "key_kinds": list(profile.key_kinds),
                    "identity_required": list(profile.identity_required),
                    "identity_optional": list(profile.identity_optional),
                    "subject": {
                        name: {
                            "required": rule.required,
                            "max_length": rule.max_length,
                            "alphabet": rule.alphabet,
                            "fixed": rule.fixed,
                        }
                        for name, rule in profile.subject.items()
                    },
                }
                for _name, profile in sorted(filling.profiles.items())
                if filling.state == ACTIVE and authority.line == authority.name
            ],
        }
        for authority in parts.authorities.reload()
        if not authority.is_root
        for filling in (parts.authorities.filling(authority.name),)
    ]
