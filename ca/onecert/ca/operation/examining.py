"""What `onecert doctor` asks the CA: token and keys, lists, OCSP answers, files, checker, settings.

Asked while the service runs or while it does not. Nothing is made or changed: no token, no key, no folder;
what a key signs is a sentence that says so.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.ca.activation.door import doors_of, say_to
from onecert.ca.authorities.authorities import Authorities, Authority
from onecert.ca.checking.list_checker import ListChecker
from onecert.ca.checking.record_checker import RecordChecker
from onecert.ca.checking.rounds import RECORD, CheckRounds
from onecert.ca.config import CaConfig
from onecert.ca.errors import CaError, CrlOverdueError
from onecert.ca.lists.names import delta_name
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.ocsp.prepared_answers import FILE_NAME, PreparedAnswers
from onecert.ca.operation.keeping import AUDIT_KEY, key_faults
from onecert.ca.signatures.algorithms import spki_der
from onecert.ca.signatures.signer import Signer
from onecert.ca.signatures.tokens import CaToken, KeyToken, issuing_token
from onecert.ca.status.files import StatusFiles
from onecert.hsm import TokenError
from onecert.server.doctor import Finding
from onecert.server.doctor.finding import fault_of, sound
from onecert.server.errors import ServiceError
from onecert.server.languages import current_language, gettext
from onecert.server.members import Context

__all__ = ["examine"]

# How many rounds the checker may be late.
ROUNDS_MISSED = 3


def examine(config: CaConfig, context: Context, *, token: KeyToken | None = None) -> Iterator[Finding]:
    """Look at everything that is the CA's alone.

    Args:
        token: of the issuing keys; default as the settings say.
    """
    place = context.name
    yield from _settings(config, place)
    authorities = Authorities(context.database, context.status_url, context.clock)
    everyone = authorities.reload()
    yield from _token(config, context, everyone, token)
    files = StatusFiles(context.data / "status", read_only=True)
    signer = Signer(_no_key, token=config.token_label)
    publisher = CrlPublisher(
        context.database, context.audit, context.clock, authorities=authorities, signer=signer, files=files
    )
    yield from _files(files.folder, place)
    at = context.clock.now()
    for authority in everyone:
        yield from _lists(publisher, files, authority, at, place)
    if any(not authority.is_root for authority in everyone):
        yield _answers(files.folder / FILE_NAME, config, at, place)
    checker = RecordChecker(context.database, authorities, context.clock)
    rounds = CheckRounds(
        context.database,
        context.audit,
        context.clock,
        authorities=authorities,
        checker=checker,
        list_checker=ListChecker(context.database, publisher, files, context.clock),
        every=config.check_every,
        at_once=config.check_per_minute,
    )
    yield _checker(rounds, config, at, place)


def _no_key(label: str) -> NoReturn:
    raise TypeError("whoever looks signs no lists")


def _settings(config: CaConfig, place: str) -> Iterator[Finding]:
    fault = partial(Finding, place=place, subject="settings")
    found = []
    if config.test_identities:
        found.append(
            fault(
                code="TEST_IDENTITIES",
                text=gettext("test_identities is true: certificates are issued to people who do not exist"),
                hint=gettext("take it out of [ca], unless the service is a trial"),
            )
        )
    if not config.timestamp_needs_kept_clock:
        found.append(
            fault(
                code="TIMESTAMPS_BY_ANY_CLOCK",
                text=gettext("timestamp_needs_kept_clock is false: timestamps say the time of any clock"),
                hint=gettext("start a time daemon, such as chrony, and take it out of [ca]"),
            )
        )
    yield from found or [sound(place, "settings")]


# ------------------------------------------------------------------ token and keys


def _token(
    config: CaConfig, context: Context, everyone: Sequence[Authority], token: KeyToken | None
) -> Iterator[Finding]:
    place, own = context.name, None
    if token is None:
        if config.token_module is None and not (context.shared / "softhsm" / "tokens").is_dir():
            yield Finding(
                place=place,
                subject="token",
                code="TOKEN_STORE_MISSING",
                text=gettext("there is no token store %(path)s", path=context.shared / "softhsm"),
                hint=gettext("restore it from the backup; before the first ceremony: start the service"),
            )
            return
        token = own = issuing_token(config, context.data, context.shared, makes=False)
    try:
        if own is not None and own.holders.splitting() is not None:
            yield _holders(own, place)
            return
        # Asked for a key, the token says in its own words what it lacks.
        fault = _unusable(token, place)
        yield fault or sound(place, "token")
        if fault is None:
            yield from _keys(token, everyone, context)
    except ServiceError as exc:
        yield fault_of(place, "token", exc)
    finally:
        if own is not None:
            own.close()


def _holders(token: CaToken, place: str) -> Finding:
    """Only the service has the PIN of such a token; its door says whether it has."""
    holders = token.holders
    answers = [answer for door in doors_of(holders.folder, holders.label) if (answer := say_to(door))]
    if answers and all(answer.get("active") for answer in answers):
        return sound(place, "token", gettext("unlocked by its holders; the service alone can try its keys"))
    return fault_of(place, "token", holders.missing())


def _unusable(token: KeyToken, place: str) -> Finding | None:
    try:
        token.check()
    except CaError as exc:
        cause = exc.__cause__
        if isinstance(cause, TokenError):
            language = current_language()
            return Finding(
                place=place,
                subject="token",
                code=cause.code,
                text=cause.text(language),
                hint=cause.hint(language) or gettext("see onecert token list, and the log of the service"),
            )
        return fault_of(place, "token", exc)
    return None


def _keys(token: KeyToken, everyone: Sequence[Authority], context: Context) -> Iterator[Finding]:
    place = context.name
    for authority in everyone:
        if authority.is_root or authority.state == "destroyed":
            continue
        subject = f"key {authority.name}"
        faults = [*key_faults(authority, token)]
        for text in faults:
            yield Finding(
                place=place,
                subject=subject,
                code="KEY_FAULT",
                text=text,
                hint=gettext("stop issuing; restore the token's store and PIN file from the same backup"),
            )
        if not faults:
            yield sound(place, subject)
    yield _audit_key(token, context.data / "audit-keys", place)


def _audit_key(token: KeyToken, folder: Path, place: str) -> Finding:
    published = []
    for file in sorted(folder.glob("*.pem")) if folder.is_dir() else []:
        try:
            key: Any = load_pem_public_key(file.read_bytes())
            published.append(spki_der(key))
        except (OSError, ValueError, UnsupportedAlgorithm):
            continue
    try:
        own = spki_der(token.key(AUDIT_KEY).public_key())
    except TokenError:
        own = None
    if own in published or (own is None and not published):
        return sound(place, "audit-key")
    return Finding(
        place=place,
        subject="audit-key",
        code="AUDIT_KEY_FAULT",
        text=gettext(
            "the audit key of the token is not the one whose public key lies in %(path)s", path=folder
        ),
        hint=gettext("restore the token's store; if the key is new on purpose, start the service"),
    )


# ------------------------------------------------------------------ what is served


def _files(folder: Path, place: str) -> Iterator[Finding]:
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            place=place,
            subject="status",
            code="STATUS_NOT_WRITABLE",
            text=gettext("nothing can be written to the folder of lists and answers, %(path)s", path=folder),
            hint=gettext("give it to the user of the services, with room: chown, chmod u+rwx; look at mount"),
        )
    else:
        yield sound(place, "status")


def _lists(
    publisher: CrlPublisher, files: StatusFiles, authority: Authority, at: datetime, place: str
) -> Iterator[Finding]:
    subject = f"lists {authority.name}"
    found: list[Finding] = []
    try:
        publisher.check(authority, at)
    except CrlOverdueError as exc:
        # As readiness calls it, so that it is said once.
        found.append(fault_of(place, "lists", exc))
    except CaError as exc:
        found.append(fault_of(place, subject, exc))
    for partition in publisher.partitions(authority.name):
        latest = publisher.latest(authority.name, partition)
        if latest is None:
            continue
        names = [latest.name, *([delta_name(latest.name)] if latest.base_number is not None else [])]
        behind = [
            name
            for name in names
            if not files.path(name, "crl").exists() or files.crl_number(name) < latest.number
        ]
        found.extend(
            Finding(
                place=place,
                subject=subject,
                code="LIST_FILE_BEHIND",
                text=gettext(
                    "the file of the list %(list)s is missing or older than number %(number)s on record",
                    list=name,
                    number=latest.number,
                ),
                hint=gettext("onecert ca crl publish --authority %(name)s", name=authority.name),
            )
            for name in behind
        )
    yield from found or [sound(place, subject)]


def _answers(path: Path, config: CaConfig, at: datetime, place: str) -> Finding:
    fault = partial(Finding, place=place, subject="ocsp")
    if not path.exists():
        return fault(
            code="OCSP_ANSWERS_MISSING",
            text=gettext("there are no OCSP answers that were signed ahead (%(path)s)", path=path),
            hint=gettext("start the service: it signs them anew"),
        )
    store = PreparedAnswers(path, read_only=True)
    try:
        due = [
            moment
            for authority in store.authorities()
            if (moment := store.first_due(authority, config.ocsp_prepared_hashes))
        ]
    except (sqlite3.Error, OSError) as exc:
        return fault(
            code="OCSP_ANSWERS_UNREADABLE",
            text=gettext("the OCSP answers in %(path)s cannot be read: %(reason)s", path=path, reason=exc),
            hint=gettext("restart the service: it signs them anew; look at the disk"),
        )
    finally:
        store.close()
    # Renewed after half of their life; half of what is left is enough for any outage to be noticed.
    if due and min(due) + config.ocsp_prepared_lifetime / 4 < at:
        return fault(
            code="OCSP_ANSWERS_OLD",
            text=gettext("OCSP answers were to be signed anew at %(moment)s", moment=min(due).isoformat()),
            hint=gettext("look whether the service runs and the token answers: it signs them by itself"),
        )
    return sound(place, "ocsp")


def _checker(rounds: CheckRounds, config: CaConfig, at: datetime, place: str) -> Finding:
    try:
        rounds.check()
    except CaError as exc:
        return fault_of(place, "checker", exc)
    newest = rounds.newest().get(RECORD)
    if newest is not None and newest.started_at + config.check_every * ROUNDS_MISSED < at:
        return Finding(
            place=place,
            subject="checker",
            code="CHECKER_LATE",
            text=gettext(
                "the checker's last round began at %(moment)s", moment=newest.started_at.isoformat()
            ),
            hint=gettext("let the service run, raise check_per_minute, or run onecert ca check now"),
        )
    return sound(place, "checker")
