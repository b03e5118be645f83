"""What the REST API answers with: the properties of each JSON object, for `openapi`."""

from __future__ import annotations

from typing import Any

__all__ = [
    "AUTHORITIES",
    "BATCH",
    "DELIVERED",
    "ISSUED",
    "LIST",
    "MASS_REVOCATION",
    "MOMENT",
    "REVOKED",
    "SERIAL",
    "STATUS",
    "TEXT",
]

TEXT = {"type": "string"}
MOMENT = {"type": "string", "format": "date-time"}
SERIAL = {"type": "string", "pattern": "^[0-9a-f]{1,40}$", "description": "hexadecimal"}


def _all(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"type": "array", "items": schema}


ISSUED = {
    "order": TEXT,
    "serial": SERIAL,
    "certificate_pem": TEXT,
    "chain_pem": {"type": "array", "items": TEXT, "description": "issuing authority first, root last"},
    "status": {"const": "issued"},
}
REVOKED = {
    "serial": SERIAL,
    "revoked_at": MOMENT,
    "reason": TEXT,
    "crl_number": {"type": ["integer", "null"], "description": "null: the list follows as soon as it can"},
}
DELIVERED = {
    "order": TEXT,
    "delivered_at": MOMENT,
    "replaced": {
        "enum": ["waiting", "done", "void", "nothing", None],
        "description": "what became of the revocation of the old certificate; null: the order followed none",
    },
}
STATUS = {
    "authority": TEXT,
    "serial": SERIAL,
    "profile": TEXT,
    "profile_version": {"type": "integer"},
    "state": {"enum": ["intended", "issued", "abandoned"]},
    "status": {"enum": ["good", "hold", "revoked"]},
    "not_before": MOMENT,
    "not_after": MOMENT,
    "revoked_at": {"type": ["string", "null"]},
    "reason": {"type": ["string", "null"]},
    "invalidity_date": {"type": ["string", "null"]},
}
_PROFILE = {
    "name": TEXT,
    "version": {"type": "integer"},
    "sha256": TEXT | {"description": "of its canonical content; an order may name it as profile_sha256"},
    "title": {"type": "object"},
    "holder": TEXT,
    "validity_days": {"type": "integer", "description": "0: validity_months says it"},
    "validity_months": {"type": "integer"},
    "key_kinds": {"type": "array", "items": TEXT},
    "identity_required": {"type": "array", "items": TEXT},
    "identity_optional": {"type": "array", "items": TEXT},
    "subject": {"type": "object"},
}
_AUTHORITY = {
    "name": TEXT,
    "title": {"type": "object"},
    "certificate_pem": TEXT,
    "chain_pem": {"type": "array", "items": TEXT, "description": "this authority first, root last"},
    "crl_url": TEXT,
    "ocsp_url": TEXT,
    "state": {"enum": ["active", "retired", "destroyed"]},
    "line": TEXT | {"description": "the name that its orders are made by"},
    "orders_from": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "from when on it fills the orders of its line; null: since its ceremony, or never",
    },
    "filled_by": {
        "type": ["string", "null"],
        "description": "the authority that fills orders by this name now; null: it is retired",
    },
    "profiles": {
        "description": "what can be ordered by this name now",
        **_all(_PROFILE),
    },
}
AUTHORITIES = _all(_AUTHORITY)
LIST = {
    "authority": TEXT,
    "partition": {"type": "integer", "description": "0: the full list"},
    "url": TEXT,
    "number": {"type": ["integer", "null"], "description": "on record; null before the first"},
    "published_number": {"type": "integer", "description": "of the file that is served"},
    "entries": {"type": "integer"},
    "this_update": MOMENT,
    "next_update": MOMENT,
    "due_at": MOMENT,
    "overdue_at": MOMENT,
    "sha256": TEXT,
    "delta": {
        "type": ["object", "null"],
        "properties": {
            "url": TEXT,
            "base_number": {"type": "integer"},
            "entries": {"type": "integer"},
            "next_update": MOMENT,
            "published_number": {"type": "integer"},
        },
    },
}
BATCH = {
    "batch": TEXT,
    "state": {"enum": ["arriving", "accepted", "done", "cancelled"]},
    "lines": {"type": "integer"},
    "issued": {"type": "integer"},
    "refused": {"type": "integer"},
    "cancelled": {"type": "integer"},
    "missing": {"type": "array", "items": {"type": "integer"}, "description": "parts not yet received"},
    "received_at": MOMENT,
    "finished_at": {"type": ["string", "null"]},
}
MASS_REVOCATION = {
    "mass_revocation": TEXT,
    "state": {"enum": ["arriving", "proposed", "confirmed", "running", "stopped", "done"]},
    "authority": TEXT,
    "selection": {"type": "object"},
    "is_whole": {"type": "boolean"},
    "reason": TEXT,
    "invalidity_date": {"type": ["string", "null"]},
    "why": TEXT,
    "proposed_by": TEXT,
    "people": {"type": "array", "items": TEXT},
    "proposed_at": MOMENT,
    "expires_at": MOMENT | {"description": "to be confirmed before"},
    "proposal_sha256": TEXT,
    "certificates": {"type": "integer", "description": "frozen: to be revoked"},
    "holders": {"type": "integer"},
    "already": {"type": "integer", "description": "fit the selection and were revoked before"},
    "serials_sha256": {"type": ["string", "null"], "description": "of the sorted serials, one a line"},
    "confirmed_by": {"type": ["string", "null"]},
    "confirmed_people": {"type": "array", "items": TEXT},
    "confirmed_at": {"type": ["string", "null"]},
    "began_at": {"type": ["string", "null"]},
    "finished_at": {"type": ["string", "null"]},
    "stopped_by": {"type": ["string", "null"]},
    "crl_number": {"type": ["integer", "null"], "description": "of the full list that has them all"},
    "done": {"type": "integer"},
    "changed": {"type": "integer"},
}
