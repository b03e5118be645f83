"""Words for states, steps and sources, for pages in both languages."""

from collections.abc import Mapping
from types import MappingProxyType

from onecert.ra.life.machine import State
from onecert.ra.media.stock import EVENT_NAMES as MEDIUM_EVENTS
from onecert.server.languages import _

__all__ = ["AUDIT_EVENTS", "EVENT_NAMES", "SIGHTING_NAMES", "STATE_KINDS", "STATUS_KINDS", "STATUS_NAMES"]

# How a badge looks: neutral, info, success, warning, danger.
STATE_KINDS: Mapping[State, str] = MappingProxyType(
    {
        State.DRAFT: "neutral",
        State.SUBMITTED: "info",
        State.RETURNED: "warning",
        State.SECOND_REVIEW: "info",
        State.APPROVED: "info",
        State.ORDERED: "info",
        State.REVIEWED: "info",
        State.ISSUED: "success",
        State.DELIVERED: "success",
        State.ARCHIVED: "neutral",
        State.DONE: "success",
        State.REFUSED_BY_CA: "danger",
        State.REJECTED: "danger",
        State.WITHDRAWN: "neutral",
    }
)

EVENT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "created": _("Entered"),
        "saved": _("Changed"),
        "key_brought": _("Key made on a token"),
        "key_code_given": _("Code for making the key in a browser given out"),
        "key_from_browser": _("Key made in the applicant's browser"),
        "code_given": _("Code for fetching the certificate given out"),
        "fetched": _("Fetched with the code, receipt confirmed"),
        "submitted": _("Submitted for review"),
        "approved": _("Approved"),
        "passed_on": _("Approved by the first of two reviewers"),
        "confirmed": _("Approved by the second reviewer"),
        "returned": _("Returned for correction"),
        "rejected": _("Rejected"),
        "withdrawn": _("Withdrawn"),
        "reopened": _("Taken up again"),
        "ordered": _("Ordered from the authority"),
        "issued": _("Certificate issued"),
        "refused_by_ca": _("Refused by the authority"),
        "delivered": _("Handed over to the holder"),
        "archived": _("Papers filed"),
        "consented": _("Consented to by a security officer"),
        "completed": _("Carried out"),
        "done": _("Carried out by the authority"),
        "evidence_added": _("Evidence added"),
        "evidence_removed": _("Evidence removed"),
        "evidence_set_aside": _("Evidence set aside"),
    }
)
EVENT_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "submitted": "info",
        "approved": "info",
        "passed_on": "info",
        "confirmed": "info",
        "ordered": "info",
        "issued": "success",
        "returned": "warning",
        "rejected": "danger",
        "refused_by_ca": "danger",
    }
)

STATUS_NAMES: Mapping[str, str] = MappingProxyType(
    {"good": _("Valid"), "hold": _("On hold"), "revoked": _("Revoked"), "expired": _("Expired")}
)
STATUS_KINDS: Mapping[str, str] = MappingProxyType(
    {"good": "success", "hold": "warning", "revoked": "danger", "expired": "neutral"}
)

SIGHTING_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "good": _("Valid"),
        "hold": _("On hold"),
        "revoked": _("Revoked"),
        "unknown": _("Unknown there"),
        "could-not": _("Could not be asked"),
        "refused": _("Refused"),
        "not-configured": _("not configured"),
    }
)
SIGHTING_KINDS: Mapping[str, str] = MappingProxyType(
    {"good": "success", "hold": "warning", "revoked": "danger", "unknown": "danger", "could-not": "warning"}
)
SOURCE_NAMES: Mapping[str, str] = MappingProxyType(
    {"ocsp": _("Status service (OCSP)"), "crl": _("Revocation list (CRL)")}
)

REVOCATION_STATES: Mapping[str, str] = MappingProxyType(
    {
        "pending": _("On its way to the authority"),
        "done": _("Carried out"),
        "refused": _("Refused by the authority"),
    }
)

AUDIT_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        **{f"medium.{name}": text for name, text in MEDIUM_EVENTS.items()},
        "counter.code": _("Code for the counter's program given out"),
        "counter.signed_in": _("Counter's program signed in"),
        **{f"application.{name}": text for name, text in EVENT_NAMES.items()},
        **{f"case.{name}": text for name, text in EVENT_NAMES.items()},
        "certificate.change_requested": _("Change of status requested"),
        "certificate.change_refused": _("Change of status refused by the authority"),
        "certificate.revoked": _("Certificate revoked"),
        "certificate.held": _("Certificate put on hold"),
        "certificate.released": _("Certificate released from hold"),
        "certificate.status_learned": _("New status learned from the authority"),
        "import.finished": _("Import finished"),
        "emergency.proposed": _("Emergency proposed, its certificates frozen"),
        "emergency.approved": _("Emergency approved by a second officer"),
        "emergency.refused": _("Emergency not approved"),
        "emergency.paused": _("Emergency paused"),
        "emergency.resumed": _("Emergency gone on with"),
        "emergency.done": _("Emergency carried out"),
        "evidence.opened": _("Evidence with a person's number opened"),
        "paper.printed": _("Paper printed"),
        "access.refused": _("Another point's record asked for and refused"),
        "point.opened": _("Acceptance point opened or renamed"),
        "point.closed": _("Acceptance point closed"),
        "project.opened": _("Project opened or renamed"),
        "project.closed": _("Project closed"),
        "enrolment.asked": _("Change of an account asked for"),
        "enrolment.agreed": _("Change of an account agreed to by a second person"),
        "enrolment.refused": _("Change of an account refused"),
        "enrolment.suspended": _("Account suspended, with the reason"),
        "operator.added": _("Operator added"),
        "operator.roles_changed": _("Operator's roles changed"),
        "operator.suspended": _("Operator suspended"),
        "operator.resumed": _("Operator resumed"),
        "operator.certificate_bound": _("Operator's certificate bound"),
        "operator.link_created": _("One-time link made"),
        "operator.signed_in": _("Operator signed in"),
        "operator.signed_out": _("Operator signed out"),
        "audit.exported": _("Audit trail exported"),
        "audit.life_read": _("All entries about a certificate read"),
        "notice.sent": _("Notice sent"),
        "notice.failed": _("Notice could not be sent"),
        "notice.no_address": _("No e-mail address on record for a notice"),
        "notice.needless": _("Notice no longer needed"),
    }
)
