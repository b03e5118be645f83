"""Our list together with those that it points to, each with no more than what is granted here.

Services of another list are called ``<list>/<service>``. Their state is their own and the pointer's, and the
refusing one counts; they name holders only within the scope granted here; and they cannot have a key or a
name that stands on ours (a CA below one of ours stands on no list). Depth is 1: what another list points to
is not followed. One that cannot be used takes nothing of ours away: its services are not there, and a
certificate of an unknown CA cannot be judged meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from onecert.verifier.errors import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.identity.profile import IdentityProfile
from onecert.verifier.names import CanonicalName
from onecert.verifier.trust_list.errors import TrustListError
from onecert.verifier.trust_list.load import TrustListSource
from onecert.verifier.trust_list.model import StatusEntry, TrustedService, TrustList, entry_at
from onecert.verifier.trust_list.pointer import MissingList, Pointer, PointerTerms
from onecert.verifier.trust_list.published import TrustedParts
from onecert.verifier.trust_list.vocabulary import Status

__all__ = ["PointedListError", "PointedTrustLists", "check_missing", "combine", "merge"]

_Key = tuple[str, str, str]
log = logging.getLogger(__name__)

# More than a nation has licensed; a list that has more is somebody's mistake, or worse.
_SERVICES_MAX = 2000
# Where two states disagree, the later one here counts.
_RANK = (Status.GRANTED, Status.SUSPENDED, Status.WITHDRAWN, Status.TERMINATED, Status.KEY_COMPROMISED)

_FOREVER = datetime.max.replace(tzinfo=UTC)


class PointedListError(CouldNotCheckError):
    """The CA of a certificate may be on a list that cannot be used now."""


class PointedTrustLists:
    """A ``TrustListSource``: our list, merged with those that it points to. Safe to share between threads.

    Args:
        own: gives our own list.
        follow: makes a source for a pointer that has terms; it walks the roots from ``terms.root`` and has a
            memory of its own. ``fetch.follow_by_url`` makes such a function.
    """

    def __init__(self, own: TrustListSource, follow: Callable[[Pointer], TrustListSource]) -> None:
        self._own = own
        self._follow = follow
        self._sources: dict[_Key, TrustListSource] = {}
        self._merged: tuple[TrustList, tuple[TrustList | str, ...], TrustList] | None = None
        self._lock = threading.Lock()

    def current(self, at: datetime) -> TrustList:
        """See ``TrustListSource``; one object for as long as no list changes.

        Raises:
            VerifyError: our own list cannot be used.
        """
        own = self._own.current(at)
        pointers = {_key(pointer): pointer for pointer in own.pointers if pointer.terms is not None}
        found = [self._find(key, pointer, at) for key, pointer in pointers.items()]
        parts = tuple(each if isinstance(each, TrustList) else each.code for each in found)
        with self._lock:
            merged = self._merged
            if merged is None or merged[0] is not own or not _same(merged[1], parts):
                self._sources = {key: self._sources[key] for key in pointers if key in self._sources}
                pairs = zip(pointers.values(), found, strict=True)
                merged = self._merged = own, parts, merge(own, pairs)
            return merged[2]

    def parts(self, at: datetime) -> TrustedParts | None:
        """Root, timestamp and list of our own, where its source knows them.

        Raises:
            VerifyError: our own list cannot be used.
        """
        parts = getattr(self._own, "parts", None)
        found: TrustedParts | None = None if parts is None else parts(at)
        return found

    def _find(self, key: _Key, pointer: Pointer, at: datetime) -> TrustList | VerifyError:
        try:
            with self._lock:
                source = self._sources.get(key)
                if source is None:
                    source = self._sources[key] = self._follow(pointer)
            found = source.current(at)
            if len(found.services) > _SERVICES_MAX:
                raise TrustListError(
                    "POINTED_LIST_TOO_LONG", services=len(found.services), most=_SERVICES_MAX
                )
        except VerifyError as exc:
            return exc.with_traceback(None)
        return found


def _key(pointer: Pointer) -> _Key:
    """What a source depends on; what is granted is looked at when its list is merged."""
    assert pointer.terms is not None  # noqa: S101  the caller has looked
    return pointer.terms.id, pointer.location, pointer.terms.root.sha256


def _same(some: tuple[TrustList | str, ...], others: tuple[TrustList | str, ...]) -> bool:
    return len(some) == len(others) and all(
        one == other if isinstance(one, str) else one is other
        for one, other in zip(some, others, strict=True)
    )


def merge(own: TrustList, found: Iterable[tuple[Pointer, TrustList | VerifyError]]) -> TrustList:
    """Our list with the services of others, each as far as its pointer grants.

    Number, digest and dates stay those of our own list.
    """
    services = list(own.services)
    keys, names = _keys(services), _names(services)
    missing: list[MissingList] = []
    pointed: list[tuple[str, TrustList]] = []
    warnings = list(own.warnings)
    for pointer, other in found:
        terms = pointer.terms
        if terms is None:
            continue
        if isinstance(other, VerifyError):
            missing.append(MissingList(id=terms.id, error=other))
            continue
        pointed.append((terms.id, other))
        granted = []
        for service in other.services:
            if not _is_granted(service, terms):
                continue
            if _keys([service]) & keys or _names([service]) & names:
                log.warning("service left out", extra={"list": terms.id, "service": service.id})
                continue
            granted.append(_limited(service, terms))
        services += granted
        # Against the lists that come after; within one list its own rules hold.
        keys |= _keys(granted)
        names |= _names(granted)
        warnings += other.warnings
    return replace(
        own,
        services=tuple(services),
        missing=tuple(missing),
        pointed=tuple(pointed),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def check_missing(error: RefusedError, trust_list: TrustList) -> None:
    """An unknown CA may be on a list that is missing: then nobody can tell.

    Raises:
        PointedListError: POINTED_LIST_MISSING.
    """
    if error.code == "ISSUER_UNKNOWN" and trust_list.missing:
        raise PointedListError(
            "POINTED_LIST_MISSING",
            certificate=error.certificate,
            lists=[missing.id for missing in trust_list.missing],
            reason="; ".join(f"{missing.id}: {missing.error.text('en')}" for missing in trust_list.missing)[
                :500
            ],
        ) from error


def combine(one: Iterable[StatusEntry], other: Iterable[StatusEntry]) -> tuple[StatusEntry, ...]:
    """The states that hold under two histories at once: from where both begin, the refusing one of each."""
    histories = (tuple(one), tuple(other))
    begin = max(history[0].start for history in histories)
    starts = sorted({entry.start for history in histories for entry in history if entry.start > begin})
    combined: list[StatusEntry] = []
    for start in (begin, *starts):
        entries = [entry for history in histories if (entry := entry_at(history, start)) is not None]
        state = _refusing(*entries)
        if not combined or replace(combined[-1], start=start) != replace(state, start=start):
            combined.append(replace(state, start=start))
    return tuple(combined)


def _refusing(one: StatusEntry, other: StatusEntry) -> StatusEntry:
    """The later state of the two; existing certificates count only where and while both let them."""
    later = max(one, other, key=lambda entry: _RANK.index(entry.status))
    limits = (_existing_until(one), _existing_until(other))
    until = None if limits[0] is None or limits[1] is None else min(limits[0], limits[1])
    if later.status is Status.SUSPENDED:
        return replace(later, accept_existing=until is not None)
    if later.status in (Status.WITHDRAWN, Status.TERMINATED):
        return replace(later, existing_until=until)
    return later


def _existing_until(entry: StatusEntry) -> datetime | None:
    """Until when certificates issued before count in this state; ``None`` for not at all."""
    if entry.status is Status.GRANTED or entry.accept_existing:
        return _FOREVER
    return entry.existing_until


def _is_granted(service: TrustedService, terms: PointerTerms) -> bool:
    if terms.services is None:
        return not service.is_timestamp_authority
    return service.id in terms.services


def _limited(service: TrustedService, terms: PointerTerms) -> TrustedService:
    return replace(
        service,
        id=f"{terms.id}/{service.id}",
        history=combine(service.history, terms.history),
        identity_profile=service.identity_profile and _within(service.identity_profile, terms),
        local_policies=terms.policies,
    )


def _within(profile: IdentityProfile, terms: PointerTerms) -> IdentityProfile:
    scope = profile.scope
    return replace(
        profile,
        scope=replace(scope, id_types=scope.id_types & terms.id_types, classes=scope.classes & terms.classes),
    )


def _keys(services: Iterable[TrustedService]) -> set[bytes]:
    return {certificate.spki_der for service in services for certificate in service.certificates}


def _names(services: Iterable[TrustedService]) -> set[CanonicalName]:
    return {certificate.subject for service in services for certificate in service.certificates}
