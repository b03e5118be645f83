"""What a ceremony will make, before any real key: requests and issuers of its plans, and the preview."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from onecert.ca.authorities import ISSUING, ROOT
from onecert.ca.ceremony_file import AuthorityPlan, CeremonyFile
from onecert.ca.csr import CheckedKey
from onecert.ca.draft import CheckedRequest, DraftMaker, Issuer, key_identifier, random_serial
from onecert.ca.lint import check_certificate
from onecert.ca.names import subject_der, subject_text
from onecert.ca.signing import PublicKey, ThrowAwayKeys, spki_der, throw_away_key
from onecert.server.languages import _, gettext

__all__ = ["planned_request", "preview_lines", "self_issuer"]


def preview_lines(file: CeremonyFile, at: datetime) -> Iterator[str]:
    """Say what would be made; both certificates are drafted with throw-away keys and linted.

    Raises:
        LintError
    """
    yield gettext(_("ceremony %(name)s, file sha256 %(sha256)s"), name=file.name, sha256=file.sha256)
    yield gettext(_("present: %(people)s"), people=", ".join(file.people))
    throw_away = {}
    for plan in (file.root, file.issuing):
        throw_away[plan.name] = throw_away_key(plan.key_kind)
    root = self_issuer(file.root, throw_away[file.root.name].public_key(), at)
    for plan, kind in ((file.root, ROOT), (file.issuing, ISSUING)):
        request = planned_request(plan, throw_away[plan.name].public_key())
        maker = DraftMaker(root, plan.profile)
        draft = maker.draft(request, serial=random_serial(), key_number=1, at=at)
        check_certificate(ThrowAwayKeys().sign(root.algorithm, draft.tbs_der), draft)
        yield gettext(
            _("%(kind)s %(name)s: %(subject)s; key %(key)s; %(days)s days; list every %(hours)s h"),
            kind=kind,
            name=plan.name,
            subject=subject_text(plan.subject),
            key=plan.key_kind,
            days=plan.profile.validity_days,
            hours=int(plan.crl_lifetime.total_seconds() // 3600),
        )
    for profile in file.profiles:
        yield gettext(
            _("profile %(name)s version %(version)s: identity %(identity)s; sha256 %(sha256)s"),
            name=profile.name,
            version=profile.version,
            identity=", ".join(form.oid for form in profile.identity_forms) or "-",
            sha256=profile.sha256,
        )


def planned_request(plan: AuthorityPlan, public_key: PublicKey) -> CheckedRequest:
    # Proof of possession is not needed: the ceremony itself made the key.
    return CheckedRequest(
        profile=plan.profile,
        key=CheckedKey(public_key, spki_der(public_key)),
        subject=plan.subject,
        entity=f"authority:{plan.name}",
    )


def self_issuer(plan: AuthorityPlan, public_key: PublicKey, at: datetime) -> Issuer:
    spki = spki_der(public_key)
    not_before = at.replace(microsecond=0)
    return Issuer(
        name=plan.name,
        subject_der=subject_der(plan.subject),
        public_key=public_key,
        key_id=key_identifier(spki),
        not_before=not_before,
        # A day more than the certificate: the clock may tick between this line and its draft.
        not_after=not_before + timedelta(days=plan.profile.validity_days + 1),
    )
