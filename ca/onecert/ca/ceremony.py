"""The key ceremony: from one reviewed file to an offline root, an issuing authority and a signed record.

Every step first looks whether it was done before, and every certificate goes through the same record as any
other. So a ceremony that was interrupted goes on where it stopped, and one that was held changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from onecert.ca.authorities import ISSUING, ROOT, Authority
from onecert.ca.ceremony_file import AuthorityPlan, CeremonyFile
from onecert.ca.csr import CheckedKey
from onecert.ca.draft import CheckedRequest, DraftMaker, Issuer, key_identifier, random_serial
from onecert.ca.errors import CeremonyChangedError
from onecert.ca.issuance import Certifier
from onecert.ca.ledger import CertificateRecord, OrderRecord
from onecert.ca.lint import check_certificate
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import ceremonies
from onecert.ca.models import profiles as profiles_table
from onecert.ca.names import subject_der, subject_text
from onecert.ca.parts import Parts
from onecert.ca.profile import Profile
from onecert.ca.publishing import CrlPublisher
from onecert.ca.signer import Signer
from onecert.ca.signing import PrivateKey, PublicKey, ThrowAwayKeys, spki_der
from onecert.ca.tables import insert_if_absent
from onecert.ca.tokens import KeyToken
from onecert.hsm import KeyAlgorithm
from onecert.server.documents import sign_document
from onecert.server.languages import _, gettext

__all__ = ["RECORD_TYPE", "Ceremony", "Step"]

RECORD_TYPE = "onecert-ceremony-record+json"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step that was done, or was found done."""

    text: str
    changed: bool


class Ceremony:
    """Holds one ceremony.

    Args:
        parts: the CA on its own token.
        roots: the token of the roots, which only this command opens.
        actor: who runs the command.
    """

    def __init__(self, file: CeremonyFile, parts: Parts, roots: KeyToken, *, actor: str) -> None:
        self._file = file
        self._parts = parts
        self._roots = roots
        self._actor = actor
        self._root_signer = Signer(roots.key, token=roots.label)
        self._root_certifier = Certifier(parts.ledger, self._root_signer, parts.clock)
        self._root_label = f"root-{file.root.name}"
        self._issuing_label = f"ca-{file.issuing.name}"

    # ------------------------------------------------------------------ dry run

    def preview(self) -> Iterator[str]:
        """Say what would be made; both certificates are drafted with throw-away keys and linted.

        Raises:
            CeremonyChangedError, LintError
        """
        file, at = self._file, self._parts.clock.now()
        self._check_unchanged()
        yield gettext(_("ceremony %(name)s, file sha256 %(sha256)s"), name=file.name, sha256=file.sha256)
        yield gettext(_("present: %(people)s"), people=", ".join(file.people))
        throw_away = {}
        for plan in (file.root, file.issuing):
            throw_away[plan.name] = _throw_away_key(plan.key_kind)
        root = _self_issuer(file.root, throw_away[file.root.name].public_key(), at)
        for plan, kind in ((file.root, ROOT), (file.issuing, ISSUING)):
            request = _request(plan, throw_away[plan.name].public_key())
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

    def is_held(self) -> bool:
        """Tell whether this ceremony is complete.

        Raises:
            CeremonyChangedError: it was begun with another edition of the file.
        """
        return self._check_unchanged() is not None

    def record(self) -> bytes | None:
        """The signed record, once the ceremony is complete."""
        return self._check_unchanged()

    # ------------------------------------------------------------------ apply

    def hold(self) -> Iterator[Step]:
        """Do every step that is not done yet.

        Raises:
            CaError: stopped at a step; run it again when the cause is gone.
        """
        file = self._file
        yield self._begin()
        root_key, made = self._roots.find_or_make(self._root_label, file.root.key_kind)
        yield Step(text=gettext(_("key of %(name)s on the offline token"), name=file.root.name), changed=made)
        yield self._root_certificate(root_key)
        issuing_key, made = self._parts.token.find_or_make(self._issuing_label, file.issuing.key_kind)
        yield Step(text=gettext(_("key of %(name)s on its token"), name=file.issuing.name), changed=made)
        yield self._issuing_certificate(issuing_key)
        issuing = self._parts.authorities.get(file.issuing.name)
        yield Step(
            text=gettext(_("OCSP responder of %(name)s"), name=issuing.name),
            changed=self._parts.responders.roll(issuing),
        )
        root = self._parts.authorities.get(file.root.name)
        yield self._first_list(root, self._publisher())
        yield self._first_list(issuing, self._parts.publisher)
        for authority in (root, issuing):
            self._parts.files.write_certificate(authority.name, authority.certificate_der)
        yield self._keep_record(root_key)

    def _begin(self) -> Step:
        held = self._check_unchanged()
        with self._parts.database.transaction() as connection:
            begun = insert_if_absent(
                connection,
                ceremonies,
                {
                    "name": self._file.name,
                    "file_sha256": self._file.sha256,
                    "file_text": self._file.text,
                    "begun_at": self._parts.clock.now(),
                },
            )
            if begun:
                self._parts.audit.record(
                    connection,
                    event="ceremony.begun",
                    actor=self._actor,
                    subject=self._file.name,
                    details={"file_sha256": self._file.sha256, "people": list(self._file.people)},
                )
        return Step(text=gettext(_("reviewed file on record")), changed=begun and held is None)

    def _root_certificate(self, key: PrivateKey) -> Step:
        plan = self._file.root
        issuer = _self_issuer(plan, key.public_key(), self._parts.clock.now())
        return self._certificate(plan, ROOT, key.public_key(), DraftMaker(issuer, plan.profile), ())

    def _issuing_certificate(self, key: PrivateKey) -> Step:
        plan = self._file.issuing
        root = self._parts.authorities.get(self._file.root.name)
        maker = DraftMaker(root.issuer, plan.profile)
        return self._certificate(plan, ISSUING, key.public_key(), maker, self._file.profiles)

    def _certificate(
        self,
        plan: AuthorityPlan,
        kind: str,
        public_key: PublicKey,
        maker: DraftMaker,
        profiles: tuple[Profile, ...],
    ) -> Step:
        order = OrderRecord(
            id=f"ceremony.{self._file.name}.{kind}",
            content_sha256=self._file.sha256,
            ordered_by=self._actor,
            document=json.dumps({"approved_by": list(self._file.people)}).encode(),
            approved_by=self._file.people,
        )
        request = _request(plan, public_key)
        record, is_new = self._root_certifier.certify(maker, self._root_label, request, order)
        self._install(plan, kind, record, profiles)
        text = gettext(_("certificate of %(name)s, serial %(serial)s"), name=plan.name, serial=record.serial)
        return Step(text=text, changed=is_new)

    def _install(
        self, plan: AuthorityPlan, kind: str, record: CertificateRecord, profiles: tuple[Profile, ...]
    ) -> None:
        """Let the service know the authority and its profiles, all in one transaction."""
        at = self._parts.clock.now()
        with self._parts.database.transaction() as connection:
            installed = insert_if_absent(
                connection,
                authorities_table,
                {
                    "name": plan.name,
                    "kind": kind,
                    "issuer": self._file.root.name,
                    "key_label": self._root_label if kind == ROOT else self._issuing_label,
                    "algorithm": plan.key_kind,
                    "serial": record.serial,
                    "certificate_der": record.certificate_der,
                    "crl_lifetime_s": int(plan.crl_lifetime.total_seconds()),
                    "ceremony": self._file.name,
                    "title": json.dumps(plan.title, ensure_ascii=False),
                    "status_version": 0,
                    "created_at": at,
                },
            )
            if not installed:
                self._check_owner(connection, plan.name)
            for profile in profiles:
                insert_if_absent(
                    connection,
                    profiles_table,
                    {
                        "authority": plan.name,
                        "name": profile.name,
                        "version": profile.version,
                        "content": profile.as_json(),
                        "sha256": profile.sha256,
                        "in_force": True,
                        "added_at": at,
                    },
                )
            if installed:
                self._parts.audit.record(
                    connection,
                    event="authority.installed",
                    actor=self._actor,
                    subject=plan.name,
                    details={"kind": kind, "profiles": {each.name: each.sha256 for each in profiles}},
                )
        self._parts.authorities.reload()

    def _check_owner(self, connection: Any, name: str) -> None:
        owner = connection.execute(
            select(authorities_table.c.ceremony).where(authorities_table.c.name == name)
        ).scalar_one()
        if owner != self._file.name:
            raise CeremonyChangedError(name)

    def _first_list(self, authority: Authority, publisher: CrlPublisher) -> Step:
        missing = publisher.latest(authority.name) is None
        if missing:
            publisher.publish(authority.name, actor=self._actor)
        else:
            publisher.write_file(authority.name)
        return Step(text=gettext(_("revocation list of %(name)s"), name=authority.name), changed=missing)

    def _publisher(self) -> CrlPublisher:
        parts = self._parts
        return CrlPublisher(
            parts.database,
            parts.audit,
            parts.clock,
            authorities=parts.authorities,
            signer=self._root_signer,
            files=parts.files,
        )

    def _keep_record(self, root_key: PrivateKey) -> Step:
        if self._check_unchanged() is not None:
            return Step(text=gettext(_("signed record")), changed=False)
        document = sign_document(self._summary(), typ=RECORD_TYPE, keys=[root_key])
        with self._parts.database.transaction() as connection:
            connection.execute(
                update(ceremonies)
                .where(ceremonies.c.name == self._file.name, ceremonies.c.record.is_(None))
                .values(record=document)
            )
            self._parts.audit.record(
                connection,
                event="ceremony.held",
                actor=self._actor,
                subject=self._file.name,
                details={"record_sha256": hashlib.sha256(document).hexdigest()},
            )
        return Step(text=gettext(_("signed record")), changed=True)

    def _summary(self) -> dict[str, Any]:
        file, parts = self._file, self._parts
        made = []
        for name in (file.root.name, file.issuing.name):
            authority = parts.authorities.get(name)
            certificate = x509.load_der_x509_certificate(authority.certificate_der)
            made.append(
                {
                    "name": name,
                    "kind": authority.kind,
                    "subject": certificate.subject.rfc4514_string(),
                    "serial": authority.serial,
                    "key_label": authority.key_label,
                    "key_identifier": authority.issuer.key_id.hex(),
                    "not_before": certificate.not_valid_before_utc.isoformat(),
                    "not_after": certificate.not_valid_after_utc.isoformat(),
                    "certificate_sha256": hashlib.sha256(authority.certificate_der).hexdigest(),
                }
            )
        return {
            "ceremony": file.name,
            "file_sha256": file.sha256,
            "people": list(file.people),
            "held_by": self._actor,
            "held_at": parts.clock.now().isoformat(),
            "authorities": made,
            "profiles": [
                {"name": profile.name, "version": profile.version, "sha256": profile.sha256}
                for profile in file.profiles
            ],
        }

    def _check_unchanged(self) -> bytes | None:
        with self._parts.database.reading() as connection:
            row = connection.execute(
                select(ceremonies).where(ceremonies.c.name == self._file.name)
            ).one_or_none()
        if row is None:
            return None
        if row.file_sha256 != self._file.sha256:
            raise CeremonyChangedError(self._file.name)
        record: bytes | None = row.record
        return record


def _request(plan: AuthorityPlan, public_key: PublicKey) -> CheckedRequest:
    # Proof of possession is not needed: the ceremony itself made the key.
    return CheckedRequest(
        profile=plan.profile,
        key=CheckedKey(public_key, spki_der(public_key)),
        subject=plan.subject,
        entity=f"authority:{plan.name}",
    )


def _self_issuer(plan: AuthorityPlan, public_key: PublicKey, at: datetime) -> Issuer:
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


def _throw_away_key(kind: str) -> PrivateKey:
    """A key in memory of the kind that the ceremony will make, for the drafts of a preview."""
    algorithm = KeyAlgorithm(kind)
    if algorithm.value.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(algorithm.value[4:]))
    if algorithm.value == "ed25519":
        return Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1() if algorithm.value == "p-256" else ec.SECP384R1())
