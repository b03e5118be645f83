"""Two states of the list side by side: what changed, and whether anything goes backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from onecert.server.languages import _, gettext
from onecert.supervision.draft import Draft, DraftService
from onecert.supervision.draft_pointers import DraftPointer
from onecert.supervision.errors import ListBackwardsError
from onecert.verifier.trust_list import StatusEntry

__all__ = ["Change", "check_forward", "find_changes", "status_name"]

_Kept = DraftService | DraftPointer
_STATUS_NAMES = {
    "granted": _("granted"),
    "suspended": _("suspended"),
    "withdrawn": _("licence withdrawn"),
    "terminated": _("terminated"),
    "key_compromised": _("key compromised"),
}


def status_name(status: str) -> str:
    """A status for people, marked for translation."""
    return _STATUS_NAMES[status]


@dataclass(frozen=True)
class Change:
    """One difference; ``text`` is marked, with facts."""

    authority: str
    code: str
    text: str
    facts: tuple[tuple[str, object], ...] = ()

    def spoken(self) -> str:
        """In the current language."""
        return gettext(self.text, **dict(self.facts))


def find_changes(old: Draft | None, new: Draft) -> list[Change]:
    """What the new state changes, in the order of the list."""
    changes: list[Change] = []
    before = {service.id: service for service in old.services} if old is not None else {}
    if old is not None and (old.operator, old.territory) != (new.operator, new.territory):
        changes.append(Change("", "operator", _("name or territory of the operator changed")))
    changes += _pointer_changes(old.pointers if old is not None else (), new.pointers)
    for service in new.services:
        if service.id not in before:
            changes.append(_change(service, "added", _("new authority %(name)s"), name=service.name.zh))
            changes += [_status_change(service, entry) for entry in service.history]
            continue
        changes += _service_changes(before.pop(service.id), service)
    changes += [
        _change(gone, "removed", _("authority %(name)s removed"), name=gone.name.zh)
        for gone in before.values()
    ]
    return changes


def _pointer_changes(old: Sequence[DraftPointer], new: Sequence[DraftPointer]) -> list[Change]:
    before = {pointer.id: pointer for pointer in old}
    changes = []
    for pointer in new:
        facts = (("name", pointer.operator.zh),)
        known = before.get(pointer.id)
        if known is None:
            changes.append(
                Change(pointer.id, "pointer_added", _("new pointer to the list of %(name)s"), facts)
            )
            continue
        if known.root != pointer.root:
            text = _("another trust root for the list of %(name)s")
            changes.append(Change(pointer.id, "pointer_root", text, facts))
        if known.history != pointer.history:
            text = _("status of the pointer to the list of %(name)s changed")
            changes.append(Change(pointer.id, "pointer_status", text, facts))
        if replace(known, root=pointer.root, history=pointer.history) != pointer:
            text = _("what is granted to the list of %(name)s changed")
            changes.append(Change(pointer.id, "pointer_scope", text, facts))
    return changes


def _service_changes(old: DraftService, new: DraftService) -> list[Change]:
    changes = [_status_change(new, entry) for entry in new.history if entry not in old.history]
    changes += [
        _change(
            new,
            "status_removed",
            _("status removed: %(status)s from %(start)s"),
            status=status_name(entry.status.value),
            start=entry.start,
        )
        for entry in old.history
        if entry not in new.history
    ]
    if (old.name, old.entity) != (new.name, new.entity):
        changes.append(_change(new, "name", _("name changed: %(name)s"), name=new.name.zh))
    if old.certificates_pem != new.certificates_pem:
        changes.append(_change(new, "certificate", _("certificates changed")))
    if old.identity_profile != new.identity_profile:
        changes.append(_change(new, "profile", _("identity profile changed")))
    if old.supply_points != new.supply_points:
        changes.append(
            _change(new, "supply_points", _("addresses of revocation lists or status service changed"))
        )
    if old.contact != new.contact:
        changes.append(_change(new, "contact", _("contact changed")))
    if old.issuance_log != new.issuance_log:
        changes.append(_change(new, "issuance_log", _("duty to record issuance changed")))
    if old.policies != new.policies:
        listed = ", ".join(new.policies) or "-"
        changes.append(_change(new, "policies", _("accepted policies changed: %(listed)s"), listed=listed))
    if old.algorithms != new.algorithms:
        listed = ", ".join(row.name for row in new.algorithms) or "-"
        changes.append(_change(new, "algorithms", _("allowed algorithms changed: %(listed)s"), listed=listed))
    if old.service_level != new.service_level:
        changes.append(_change(new, "sla", _("promised service level changed")))
    if old.samples != new.samples:
        changes.append(_change(new, "samples", _("samples changed (not part of the list)")))
    return changes


def _status_change(service: DraftService, entry: StatusEntry) -> Change:
    name = status_name(entry.status.value)
    if entry.existing_until is not None:
        text = _("%(status)s from %(start)s; existing certificates accepted until %(until)s")
        return _change(service, "status", text, status=name, start=entry.start, until=entry.existing_until)
    if entry.accept_existing:
        text = _("%(status)s from %(start)s; existing certificates stay accepted")
        return _change(service, "status", text, status=name, start=entry.start)
    return _change(service, "status", _("%(status)s from %(start)s"), status=name, start=entry.start)


def _change(service: DraftService, code: str, text: str, **facts: object) -> Change:
    return Change(service.id, code, text, tuple(facts.items()))


def check_forward(old: Draft | None, new: Draft, *, at: datetime) -> None:
    """Refuse a draft that takes back what was published.

    Entries that were in force may not change or go; announced ones may. A new entry begins after the last one
    that was in force. A service stays on the list for ever, because old signatures are judged by its history.

    Raises:
        ListBackwardsError: with the authority and the problem.
    """
    if old is None:
        return
    for pointer in old.pointers:
        present = next((item for item in new.pointers if item.id == pointer.id), None)
        if present is None:
            raise ListBackwardsError(pointer.id, _("a published pointer cannot be removed"))
        _check_history(pointer, present, at)
    for before in old.services:
        now = next((service for service in new.services if service.id == before.id), None)
        if now is None:
            raise ListBackwardsError(before.id, _("a published authority cannot be removed"))
        if before.service_type != now.service_type:
            raise ListBackwardsError(before.id, _("a published authority cannot change its kind"))
        _check_history(before, now, at)
        if not set(_certificates(before)) <= set(_certificates(now)):
            raise ListBackwardsError(before.id, _("a published certificate cannot be removed"))
        _check_profile(before, now)


def _certificates(service: DraftService) -> list[str]:
    return ["".join(pem.split()) for pem in service.certificates_pem]


def _check_history(old: _Kept, new: _Kept, at: datetime) -> None:
    in_force = sorted((entry for entry in old.history if entry.start <= at), key=lambda entry: entry.start)
    history = sorted(new.history, key=lambda entry: entry.start)
    if history[: len(in_force)] != in_force:
        raise ListBackwardsError(old.id, _("a published status cannot be changed or preceded"))


def _check_profile(old: DraftService, new: DraftService) -> None:
    if old.identity_profile is None or old.identity_profile == new.identity_profile:
        return
    if new.identity_profile is None:
        raise ListBackwardsError(old.id, _("a published identity profile cannot be removed"))
    versions = [profile.get("version") for profile in (old.identity_profile, new.identity_profile)]
    if not all(isinstance(version, int) for version in versions) or versions[1] <= versions[0]:  # type: ignore[operator]  # just looked
        raise ListBackwardsError(old.id, _("a changed identity profile needs a higher version"))
