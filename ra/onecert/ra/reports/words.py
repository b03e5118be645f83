"""What figures, reasons and units are called, for pages, CSV and PDF."""

from collections.abc import Mapping
from types import MappingProxyType

from onecert.ra.review.reasons import RETURN_REASONS
from onecert.ra.revocation.reasons import REASON_NAMES
from onecert.server.languages import Message, _, gettext, ngettext

__all__ = ["DIMENSION_NAMES", "FIGURE_NAMES", "SPREAD_NAMES", "reason_name", "shown_minutes", "shown_yuan"]

FIGURE_NAMES: Mapping[str, Message] = MappingProxyType(
    {
        "new": _("New"),
        "renewed": _("Renewed"),
        "changed": _("Data changed"),
        "replaced": _("Replaced"),
        "revoked": _("Revoked"),
        "held": _("Put on hold"),
        "released": _("Released"),
        "unlocked": _("Unlocked"),
        "recovered": _("Keys recovered"),
        "submitted": _("Submitted"),
        "approved": _("Approved"),
        "returned": _("Returned"),
        "rejected": _("Rejected"),
        "refused": _("Refused by the authority"),
        "withdrawn": _("Withdrawn"),
        "delivered": _("Handed over"),
        "filed": _("Filed"),
        "in_time": _("Reviewed in time"),
        "late": _("Reviewed late"),
    }
)
DIMENSION_NAMES: Mapping[str, Message] = MappingProxyType(
    {
        "point": _("Acceptance point"),
        "kind": _("Type"),
        "authority": _("Authority"),
        "project": _("Project"),
        "operator": _("Operator"),
    }
)
SPREAD_NAMES: Mapping[str, Message] = MappingProxyType(
    {
        "to_review": _("From submission to review"),
        "to_issue": _("From submission to issue"),
        "to_deliver": _("From submission to hand-over"),
    }
)
_FEES = {"certificate_fee": _("Certificate fees"), "seal_fee": _("Seal fees")}
_PAYMENT = {
    "counter": _("At the counter"),
    "transfer": _("By bank transfer"),
    "monthly": _("Monthly account"),
    "online": _("Online"),
    "none": _("Free of charge"),
}
_MEDIA = {
    "received": _("Received into stock"),
    "key": _("Key made on it"),
    "written": _("Certificate written"),
    "unlocked": _("Unlocked"),
    "spoiled": _("Spoiled"),
    "returned": _("Handed back"),
}


def reason_name(figure: str, reason: str) -> str:
    """A reason in words; its own spelling when nobody has words for it."""
    if figure == "fees":
        name, _colon, method = reason.partition(":")
        words = gettext(_FEES.get(name, name))
        return f"{words} · {gettext(_PAYMENT.get(method, method))}" if method else words
    if figure == "return_reason" and reason in RETURN_REASONS:
        return gettext(RETURN_REASONS[reason].text)
    names: Mapping[str, str] = {"revoked": REASON_NAMES, "media": _MEDIA}.get(figure, {})
    return gettext(names.get(reason, reason))


def shown_minutes(minutes: int) -> str:
    """A waiting time as people say it."""
    if minutes < 60:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes)
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return gettext(_("%(hours)s h %(minutes)s min"), hours=hours, minutes=rest)
    days, rest = divmod(minutes, 24 * 60)
    return gettext(_("%(days)s d %(hours)s h"), days=days, hours=rest // 60)


def shown_yuan(fen: int) -> str:
    """An amount of money, in yuan."""
    return f"{fen // 100:,}.{fen % 100:02d}"
