"""What happens after a kit was made: a certificate is revoked, held, renewed; a CA loses its licence.

Each change signs what it concerns anew, in place: revocation list, trust list, timestamp. ``serve`` serves it
at once, and ``cases.json`` says what must become of each case from now on. What is so already is no change:
``False``. Only a kit with ``keys/`` can change.

    make_kit(folder, at=now, keep_keys=True)
    revoke(folder, "good-harbour", at=now)     # refused from when the department next fetches its lists
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from onecert.testkit.authority import Authority
from onecert.testkit.documents import sign_document
from onecert.testkit.errors import KitError
from onecert.testkit.kept import Withdrawal, load_kept, replace_file, save_kept
from onecert.testkit.kit import KIT_LASTS, Case, issue_case, load_kit, sign_timestamp, write_cases
from onecert.testkit.recipes import AUTHORITIES, RECIPES, AuthorityRow, Recipe
from onecert.testkit.trust_list import trust_list_payload
from onecert.verifier.strict_json import format_time, parse_time
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.published import LIST_FILE, TIMESTAMP_FILE

__all__ = ["refresh", "release", "renew", "revoke", "withdraw"]

_RECIPES = {recipe.name: recipe for recipe in RECIPES}
_ROWS = {row.id: row for row in AUTHORITIES}
_HOLD = x509.ReasonFlags.certificate_hold
# What the state of a certificate decides; a renewal ends it.
_FATES = frozenset({"", "CERT_REVOKED", "CERT_HELD", "CERT_EXPIRED", "CERT_NOT_YET_VALID"})
# What comes after the state of the CA: who the holder is.
_IDENTITY = frozenset(
    {"OUT_OF_SCOPE", "IDENTITY_CONFLICT", "CLASS_CONFLICT", "SOURCE_MISSING", "ID_CHECK_DIGIT"}
)


class _Change:
    """A kit that is being changed; ``save`` writes what is different."""

    def __init__(self, folder: Path, at: datetime) -> None:
        self.kit = load_kit(folder)
        self.kept = load_kept(folder, self.kit.base_url)
        # A list never goes back, whatever the clock does.
        earliest = (self.kept.last_change or parse_time(self.kit.made_at, "made_at")) + timedelta(seconds=1)
        self.at = max(at.replace(microsecond=0), earliest)
        self.cases = {case.name: case for case in self.kit.cases}

    def case(self, name: str) -> tuple[Case, Recipe, AuthorityRow, Authority]:
        """A case whose CA is on the list and publishes its revocations.

        Raises:
            KitError: ``CASE_UNKNOWN``, ``CA_NOT_LISTED``.
        """
        if name not in self.cases:
            raise KitError("CASE_UNKNOWN", name=name)
        recipe = _RECIPES[name]
        row = _ROWS[recipe.authority]
        if not row.listed or row.crl_is_over:
            raise KitError("CA_NOT_LISTED", name=name, ca=row.id)
        return self.cases[name], recipe, row, self.kept.authorities[row.id]

    def certificate(self, case: Case) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.kit.certificate_pem(case))

    def expect(self, name: str) -> None:
        """Say in ``cases.json`` what must become of this case now."""
        recipe, case = _RECIPES[name], self.cases[name]
        expected, code = _verdict(self, recipe, case)
        holder = recipe.id if expected == "accepted" else ""
        self.cases[name] = replace(case, expected=expected, code=code, id=holder)

    def save(self, *authorities: Authority, new_list: bool = False) -> None:
        """Sign and write; the list of cases last."""
        kept, site, until = self.kept, self.kit.folder / "site", self.at + KIT_LASTS
        if authorities:
            kept.crl_number += 1
        for authority in authorities:
            crl = authority.crl(this_update=self.at, next_update=until, number=kept.crl_number)
            replace_file(site / "crls" / f"{authority.id}.crl", crl)
        if new_list:
            kept.sequence += 1
            payload = trust_list_payload(
                kept.authorities,
                at=parse_time(self.kit.made_at, "made_at") - timedelta(hours=1),
                issued=self.at,
                lasts=KIT_LASTS,
                sequence=kept.sequence,
                withdrawn=kept.withdrawn,
            )
            replace_file(site / LIST_FILE, sign_document(payload, typ=v.TYP, keys=tuple(kept.officers)))
            replace_file(site / TIMESTAMP_FILE, sign_timestamp(self.kit.folder, at=self.at))
        kept.last_change = self.at
        save_kept(self.kit.folder, kept)
        write_cases(replace(self.kit, cases=tuple(self.cases.values())))


def revoke(folder: Path, name: str, *, at: datetime, hold: bool = False) -> bool:
    """Put a case's certificate on its CA's list, for good or with ``hold`` for a while.

    Raises:
        KitError: ``KEYS_NOT_KEPT``, ``NOT_A_KIT``, ``CASE_UNKNOWN``, ``CA_NOT_LISTED``; ``REVOKED_FOR_GOOD``:
            it is revoked already and cannot be held.
    """
    change = _Change(folder, at)
    case, _, _, authority = change.case(name)
    serial = change.certificate(case).serial_number
    reason = _HOLD if hold else x509.ReasonFlags.key_compromise
    known = authority.revoked.get(serial)
    if known is not None and (known[0] is _HOLD) is hold:
        return False
    if known is not None and hold:
        raise KitError("REVOKED_FOR_GOOD", name=name)
    authority.revoked[serial] = reason, change.at
    change.expect(name)
    change.save(authority)
    return True


def release(folder: Path, name: str, *, at: datetime) -> bool:
    """Take a held certificate off the list.

    Raises:
        KitError: as ``revoke``; ``REVOKED_FOR_GOOD``.
    """
    change = _Change(folder, at)
    case, _, _, authority = change.case(name)
    serial = change.certificate(case).serial_number
    known = authority.revoked.get(serial)
    if known is None:
        return False
    if known[0] is not _HOLD:
        raise KitError("REVOKED_FOR_GOOD", name=name)
    del authority.revoked[serial]
    change.expect(name)
    change.save(authority)
    return True


def renew(folder: Path, name: str, *, at: datetime) -> bool:
    """A new certificate for the holder of a case: same key, same holder, new serial number, valid from now.

    The one before stays in ``holders/`` under its serial number; whether it is revoked, stays as it is.

    Raises:
        KitError: as ``revoke``; ``CA_MAY_NOT_ISSUE``: it has no licence now.
    """
    change = _Change(folder, at)
    case, recipe, row, authority = change.case(name)
    if row.status is not v.Status.GRANTED or row.id in change.kept.withdrawn:
        raise KitError("CA_MAY_NOT_ISSUE", name=name, ca=row.id)
    old = change.certificate(case)
    beside = change.kit.folder / "holders" / f"{name}-{old.serial_number:x}.crt"
    replace_file(beside, change.kit.certificate_pem(case))
    end = max(old.not_valid_after_utc, change.at + timedelta(days=365))
    ca_end = x509.load_der_x509_certificate(authority.certificate_der).not_valid_after_utc
    period = (change.at, min(end, ca_end))
    change.cases[name] = issue_case(change.kit, recipe, authority, change.kit.key(case), period)
    change.expect(name)
    change.save()
    return True


def withdraw(folder: Path, ca: str, *, at: datetime, keeps_existing: bool = False) -> bool:
    """A CA loses its licence: a new trust list.

    Args:
        keeps_existing: what it had issued stays good as long as its lists are fresh.

    Raises:
        KitError: ``KEYS_NOT_KEPT``, ``NOT_A_KIT``; ``CA_UNKNOWN``: no CA of the list has this id.
    """
    change = _Change(folder, at)
    row = _ROWS.get(ca)
    if row is None or not row.listed:
        listed = ", ".join(sorted(name for name, row in _ROWS.items() if row.listed))
        raise KitError("CA_UNKNOWN", ca=ca, listed=listed)
    known = change.kept.withdrawn.get(ca)
    if known is not None and known.keeps_existing == keeps_existing:
        return False
    if known is None and row.status is v.Status.WITHDRAWN:
        return False
    since = change.at if known is None else known.since
    change.kept.withdrawn[ca] = Withdrawal(since=since, keeps_existing=keeps_existing)
    for name, recipe in _RECIPES.items():
        if recipe.authority == ca:
            change.expect(name)
    change.save(new_list=True)
    return True


def refresh(folder: Path, *, at: datetime) -> bool:
    """Sign the trust list and all revocation lists anew, so that the kit serves for another 190 days.

    Raises:
        KitError: ``KEYS_NOT_KEPT``, ``NOT_A_KIT``.
    """
    change = _Change(folder, at)
    current = [change.kept.authorities[row.id] for row in AUTHORITIES if not row.crl_is_over]
    change.kit = replace(change.kit, until=format_time(change.at + KIT_LASTS))
    change.save(*current, new_list=True)
    return True


def _verdict(change: _Change, recipe: Recipe, case: Case) -> tuple[str, str]:
    """The first that refuses: the certificate's state, then the CA's, then who the holder is."""
    certificate = change.certificate(case)
    entry = change.kept.authorities[recipe.authority].revoked.get(certificate.serial_number)
    code, expected = recipe.code, recipe.expected
    if code in _FATES:
        code = ""
        if certificate.not_valid_after_utc < change.at:
            code = "CERT_EXPIRED"
        elif certificate.not_valid_before_utc > change.at:
            code = "CERT_NOT_YET_VALID"
    withdrawal = change.kept.withdrawn.get(recipe.authority)
    if withdrawal is not None and (not code or code in _IDENTITY):
        if certificate.not_valid_before_utc >= withdrawal.since:
            code = "CA_NOT_GRANTED_AT_ISSUE"
        elif not withdrawal.keeps_existing:
            code = "CA_WITHDRAWN"
    if entry is not None and (not code or code in _IDENTITY or code.startswith("CA_")):
        code = "CERT_HELD" if entry[0] is _HOLD else "CERT_REVOKED"
    if expected != "could-not-check":
        expected = "refused" if code else "accepted"
    return expected, code
