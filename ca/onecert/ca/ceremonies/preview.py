"""What a ceremony will make, before any real key: requests and issuers of its plans, and the preview."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from onecert.ca.authorities.authorities import ROOT, Authorities, Authority
from onecert.ca.authorities.terms import AuthorityTerms
from onecert.ca.authorities.terms_file import subject_fields
from onecert.ca.ceremonies.checks import issuer_name
from onecert.ca.ceremonies.plans import AuthorityPlan, CeremonyFile, CertifiedPlan, roll_over_profile
from onecert.ca.certificates.csr import CheckedKey
from onecert.ca.certificates.draft import (
    CheckedRequest,
    Draft,
    DraftMaker,
    Issuer,
    key_identifier,
    random_serial,
)
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.certificates.names import subject_der, subject_text
from onecert.ca.signatures.algorithms import PublicKey, ThrowAwayKeys, spki_der, throw_away_key
from onecert.server.languages import _, gettext

__all__ = ["certified_request", "planned_request", "preview_lines", "roll_overs", "self_issuer"]

RollOver = tuple[str, DraftMaker, str, CheckedRequest]


def preview_lines(file: CeremonyFile, authorities: Authorities, at: datetime) -> Iterator[str]:
    """Say what would be made; every certificate is drafted with throw-away keys and linted.

    Raises:
        LintError, IssuerExpiresError
    """
    yield gettext(_("ceremony %(name)s, file sha256 %(sha256)s"), name=file.name, sha256=file.sha256)
    yield gettext(_("present: %(people)s"), people=", ".join(file.people))
    root: Issuer | None = None
    for plan in file.plans:
        before = authorities.get(plan.rekeys) if plan.rekeys else None
        name_der = before.issuer.subject_der if before else None
        public_key = throw_away_key(plan.key_kind).public_key()
        issuer = self_issuer(plan, public_key, at, name_der)
        if plan.role == ROOT:
            root = issuer
        elif file.kind != "request":
            issuer = root or authorities.get(issuer_name(file, plan, authorities)).issuer
        request = planned_request(plan, public_key, name_der)
        _lint(DraftMaker(issuer, plan.profile), request, at)
        yield gettext(
            _("%(kind)s %(name)s: %(subject)s; key %(key)s; %(days)s days; list every %(hours)s h"),
            kind=plan.role,
            name=plan.name,
            subject=subject_text(request.subject),
            key=plan.key_kind,
            days=plan.profile.validity_days,
            hours=int(plan.crl_lifetime.total_seconds() // 3600),
        )
        if plan.orders_from is not None:
            yield gettext(
                _("orders for %(line)s go to %(name)s from %(at)s on"),
                line=plan.line or (before.line if before else plan.name),
                name=plan.name,
                at=plan.orders_from.isoformat(),
            )
        if plan.role == ROOT and before is not None:
            yield from _roll_over_lines(before, plan, issuer, at)
    if file.certified is not None:
        yield from _certified_lines(file.certified, authorities, at)
    yield from _outside_lines(file)
    for profile in file.profiles:
        yield gettext(
            _("profile %(name)s version %(version)s: identity %(identity)s; sha256 %(sha256)s"),
            name=profile.name,
            version=profile.version,
            identity=", ".join(form.oid for form in profile.identity_forms) or "-",
            sha256=profile.sha256,
        )


def _roll_over_lines(before: Authority, plan: AuthorityPlan, issuer: Issuer, at: datetime) -> Iterator[str]:
    last = issuer.not_before + plan.profile.validity
    new = replace(before, name=plan.name, issuer=replace(issuer, not_after=last), predecessor=before.name)
    for what, maker, _label, request in roll_overs(before, new):
        until = _lint(maker, request, at).not_after.isoformat()
        yield gettext(_("key roll-over certificate %(what)s until %(until)s"), what=what, until=until)


def _outside_lines(file: CeremonyFile) -> Iterator[str]:
    for certificate_der in file.outside.certificates_der if file.outside else ():
        certificate = x509.load_der_x509_certificate(certificate_der)
        yield gettext(
            _("certificate of %(subject)s by %(issuer)s until %(until)s"),
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            until=certificate.not_valid_after_utc.isoformat(),
        )


def _certified_lines(plan: CertifiedPlan, authorities: Authorities, at: datetime) -> Iterator[str]:
    draft = _lint(DraftMaker(authorities.get(plan.issuer).issuer, plan.profile), certified_request(plan), at)
    terms = plan.terms
    yield gettext(
        _("%(issuer)s certifies %(name)s: %(subject)s; key %(key)s; until %(until)s"),
        issuer=plan.issuer,
        name=plan.name,
        subject=subject_text(plan.subject),
        key=key_identifier(plan.spki_der).hex(),
        until=draft.not_after.isoformat(),
    )
    said: dict[str, Any] = {
        "path_length": plan.profile.path_length,
        "policies": ", ".join(plan.profile.policies),
        "policy_mappings": ", ".join(f"{ours} = {theirs}" for ours, theirs in terms.policy_mappings),
        "require_explicit_policy": terms.require_explicit_policy,
        "inhibit_policy_mapping": terms.inhibit_policy_mapping,
        "inhibit_any_policy": terms.inhibit_any_policy,
        "permitted": ", ".join(f"{each.form} {_shown(each.form, each.value)}" for each in terms.permitted),
        "excluded": ", ".join(f"{each.form} {_shown(each.form, each.value)}" for each in terms.excluded),
    }
    # The words of the file, so that a reviewer finds them there.
    yield from (f"  {key}: {value}" for key, value in said.items() if value is not None and value != "")


def _shown(form: str, value: str) -> str:
    return subject_text(subject_fields(bytes.fromhex(value))) if form == "dn" else value


def _lint(maker: DraftMaker, request: CheckedRequest, at: datetime) -> Draft:
    draft = maker.draft(request, serial=random_serial(), key_number=1, at=at)
    check_certificate(ThrowAwayKeys().sign(maker.issuer.algorithm, draft.tbs_der), draft)
    return draft


def planned_request(
    plan: AuthorityPlan, public_key: PublicKey, name_der: bytes | None = None
) -> CheckedRequest:
    """The request of an authority of ours.

    Args:
        name_der: the name of the authority that it re-keys, DER.
    """
    # Proof of possession is not needed: the ceremony itself made the key.
    return CheckedRequest(
        profile=plan.profile,
        key=CheckedKey(public_key, spki_der(public_key)),
        subject=plan.subject if name_der is None else subject_fields(name_der),
        entity=f"authority:{plan.name}",
        terms=None if name_der is None else AuthorityTerms(subject_der=name_der),
    )


def certified_request(plan: CertifiedPlan) -> CheckedRequest:
    """The request for an authority of others."""
    public_key: PublicKey = load_der_public_key(plan.spki_der)  # type: ignore[assignment]  # checked when read
    return CheckedRequest(
        profile=plan.profile,
        key=CheckedKey(public_key, plan.spki_der),
        subject=plan.subject,
        entity=f"authority:{plan.name}",
        terms=plan.terms,
    )


def roll_overs(old: Authority, new: Authority) -> list[RollOver]:
    """The two certificates that join an old and a new key of a root: what, maker, key label, request.

    RFC 9810, section 4.4: new with old ends with the old root at the latest; old with new has the time of the
    old root.
    """
    profile = roll_over_profile()
    times = {
        "new-with-old": (new.issuer.not_before, min(new.issuer.not_after, old.issuer.not_after)),
        "old-with-new": (old.issuer.not_before, old.issuer.not_after),
    }
    return [
        (
            what,
            DraftMaker(signer.issuer, profile),
            signer.key_label,
            CheckedRequest(
                profile=profile,
                key=CheckedKey(of.issuer.public_key, spki_der(of.issuer.public_key)),
                subject=subject_fields(of.issuer.subject_der),
                entity=f"authority:{of.name}",
                terms=AuthorityTerms(subject_der=of.issuer.subject_der, validity=times[what]),
            ),
        )
        for what, of, signer in (("new-with-old", new, old), ("old-with-new", old, new))
    ]


def self_issuer(
    plan: AuthorityPlan, public_key: PublicKey, at: datetime, name_der: bytes | None = None
) -> Issuer:
    """An authority as the issuer of its own certificate.

    Args:
        name_der: the name of the authority that it re-keys, DER.
    """
    spki = spki_der(public_key)
    not_before = at.replace(microsecond=0)
    return Issuer(
        name=plan.name,
        subject_der=subject_der(plan.subject) if name_der is None else name_der,
        public_key=public_key,
        key_id=key_identifier(spki),
        not_before=not_before,
        # A day more than the certificate: the clock may tick between this line and its draft.
        not_after=not_before + timedelta(days=plan.profile.validity_days + 1),
    )
