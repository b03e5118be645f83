"""The acts that ceremonies are made of: keys, certificates, installation, first lists. Each may be repeated.

Every act first looks whether it was done before, and every certificate goes through the same record as any
other: drafted, linted, intent on record, signed, compared, recorded with its audit entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from onecert.ca.authorities.authorities import ROOT, Authority
from onecert.ca.ceremonies.plans import AuthorityPlan, CeremonyFile
from onecert.ca.certificates.draft import CheckedRequest, DraftMaker
from onecert.ca.errors import CeremonyChangedError, CeremonyFileError
from onecert.ca.issuing.certifier import Certifier
from onecert.ca.issuing.ledger import CertificateRecord, OrderRecord
from onecert.ca.lists.names import looks_like_list
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import authority_certificates
from onecert.ca.models import profiles as profiles_table
from onecert.ca.parts import Parts
from onecert.ca.profiles.profile import Profile
from onecert.ca.signatures.algorithms import PrivateKey
from onecert.ca.signatures.signer import Signer
from onecert.ca.signatures.tokens import KeyToken
from onecert.server.languages import _, gettext
from onecert.server.statements import insert_if_absent

__all__ = ["Acts", "Step"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step that was done, or was found done."""

    text: str
    changed: bool


class Acts:
    """The acts of one ceremony.

    Args:
        roots: the token of the roots, which only ceremonies open.
        actor: who runs the command.
    """

    def __init__(self, file: CeremonyFile, parts: Parts, roots: KeyToken, *, actor: str) -> None:
        self.file = file
        self.parts = parts
        self.roots = roots
        self.actor = actor
        self.root_signer = Signer(roots.key, token=roots.label)
        self.certifier = Certifier(parts.ledger, self.root_signer, parts.clock)

    def label(self, plan: AuthorityPlan) -> str:
        """The label of an authority's key on its token."""
        return f"root-{plan.name}" if plan.role == ROOT else f"ca-{plan.name}"

    def key(self, plan: AuthorityPlan) -> tuple[PrivateKey, Step]:
        """Make the key of an authority, or find it."""
        token = self.roots if plan.role == ROOT else self.parts.token
        key, made = token.find_or_make(self.label(plan), plan.key_kind)
        where = (
            _("key of %(name)s on the offline token")
            if plan.role == ROOT
            else _("key of %(name)s on its token")
        )
        return key, Step(text=gettext(where, name=plan.name), changed=made)

    def certify(
        self, maker: DraftMaker, key_label: str, request: CheckedRequest, what: str, name: str
    ) -> tuple[CertificateRecord, Step]:
        """Issue one certificate with a key of the offline token.

        Args:
            what: names it within this ceremony; the same again is the same certificate.
            name: for the people who watch.
        """
        said: dict[str, Any] = {"approved_by": list(self.file.people)}
        if request.terms is not None:
            said["terms"] = request.terms.as_json()
        order = OrderRecord(
            id=f"ceremony.{self.file.name}.{what}",
            content_sha256=self.file.sha256,
            ordered_by=self.actor,
            document=json.dumps(said).encode(),
            approved_by=self.file.people,
        )
        record, is_new = self.certifier.certify(maker, key_label, request, order)
        text = gettext(_("certificate of %(name)s, serial %(serial)s"), name=name, serial=record.serial)
        return record, Step(text=text, changed=is_new)

    def install(
        self,
        plan: AuthorityPlan,
        *,
        issuer: str,
        serial: str,
        certificate_der: bytes,
        profiles: tuple[Profile, ...] = (),
    ) -> Authority:
        """Let the service know the authority and its profiles, all in one transaction, once.

        Run again, perhaps by a later release whose packaged profiles are newer, it adds none of them: two
        officers sign each version after the ceremony (`profiles.desk`).
        """
        at = self.parts.clock.now()
        with self.parts.database.transaction() as connection:
            self._check_name(connection, plan)
            installed = insert_if_absent(
                connection,
                authorities_table,
                {
                    "name": plan.name,
                    "kind": plan.role,
                    "issuer": issuer,
                    "key_label": self.label(plan),
                    "algorithm": plan.key_kind,
                    "serial": serial,
                    "certificate_der": certificate_der,
                    "crl_lifetime_s": int(plan.crl_lifetime.total_seconds()),
                    "crl_partitions": plan.crl_partitions,
                    "crl_delta_s": int(plan.delta_lifetime.total_seconds()),
                    "ceremony": self.file.name,
                    "title": json.dumps(plan.title, ensure_ascii=False),
                    "status_version": 0,
                    "created_at": at,
                    "line": self._line(plan),
                    "orders_from": plan.orders_from,
                    "predecessor": plan.rekeys or None,
                },
            )
            if not installed:
                self._check_owner(connection, plan.name)
            else:
                for profile in profiles:
                    row = {
                        "authority": plan.name,
                        "name": profile.name,
                        "version": profile.version,
                        "content": profile.as_json(),
                        "sha256": profile.sha256,
                        "in_force": True,
                        "added_at": at,
                    }
                    connection.execute(insert(profiles_table).values(row))
                self.parts.audit.record(
                    connection,
                    event="authority.installed",
                    actor=self.actor,
                    subject=plan.name,
                    details={"kind": plan.role, "profiles": {each.name: each.sha256 for each in profiles}},
                )
        self.parts.authorities.reload()
        return self.parts.authorities.get(plan.name)

    def newer_profiles(self, authority: Authority, profiles: Iterable[Profile]) -> Iterator[Step]:
        """Name what the file and this release would have of profiles, and the authority has not."""
        installed = {each.sha256 for each in authority.versions.everyone()}
        for profile in profiles:
            if profile.sha256 not in installed:
                text = _(
                    "profile %(name)s of %(authority)s is another one here than installed; two officers "
                    "sign a new version: onecert ca profile draft"
                )
                shown = gettext(text, name=profile.name, authority=authority.name)
                yield Step(text=shown, changed=False)

    def keep_certificates(self, authority: str, certificates_der: Iterable[bytes], origin: str) -> Step:
        """Put further certificates of an authority on record, and into its bundle."""
        changed = False
        with self.parts.database.transaction() as connection:
            for position, certificate_der in enumerate(certificates_der):
                sha256 = hashlib.sha256(certificate_der).hexdigest()
                row = {
                    "authority": authority,
                    "sha256": sha256,
                    "origin": origin,
                    "position": position,
                    "certificate_der": certificate_der,
                    "ceremony": self.file.name,
                    "added_at": self.parts.clock.now(),
                }
                if insert_if_absent(connection, authority_certificates, row):
                    changed = True
                    self.parts.audit.record(
                        connection,
                        event="authority.certificate-added",
                        actor=self.actor,
                        subject=authority,
                        details={"sha256": sha256, "origin": origin},
                    )
        self.parts.authorities.reload()
        return Step(text=gettext(_("further certificates of %(name)s"), name=authority), changed=changed)

    def services(self, authority: Authority) -> Iterator[Step]:
        """Give an issuing authority its responder and, where it has the profile, its timestamp authority."""
        parts = self.parts
        if authority.is_root:
            return
        yield Step(
            text=gettext(_("OCSP responder of %(name)s"), name=authority.name),
            changed=parts.ocsp_delegates.roll(authority),
        )
        if parts.timestamp_delegates.serves(authority):
            yield Step(
                text=gettext(_("timestamp authority of %(name)s"), name=authority.name),
                changed=parts.timestamp_delegates.roll(authority),
            )

    def first_list(self, authority: Authority) -> Step:
        """Publish the first revocation list, or bring its file up to date."""
        publisher = self.root_publisher() if authority.is_root else self.parts.publisher
        missing = publisher.latest(authority.name) is None
        if missing:
            publisher.publish_all(authority.name, actor=self.actor)
        else:
            publisher.write_file(authority.name)
        return Step(text=gettext(_("revocation list of %(name)s"), name=authority.name), changed=missing)

    def write_files(self, name: str) -> None:
        """Bring certificate and bundle of an authority up to date for the status service."""
        authority = self.parts.authorities.get(name)
        self.parts.files.write_certificate(name, authority.certificate_der, others_der=authority.further_der)

    def root_publisher(self) -> CrlPublisher:
        """Publishes lists of authorities whose keys are on the offline token."""
        parts = self.parts
        return CrlPublisher(
            parts.database,
            parts.audit,
            parts.clock,
            authorities=parts.authorities,
            signer=self.root_signer,
            files=parts.files,
        )

    def _line(self, plan: AuthorityPlan) -> str | None:
        if plan.orders_from is None:
            return None
        return plan.line or self.parts.authorities.get(plan.rekeys).line

    def _check_name(self, connection: Any, plan: AuthorityPlan) -> None:
        """No authority may have the name of another's list, or both would write one file."""
        known = connection.execute(
            select(
                authorities_table.c.name, authorities_table.c.crl_partitions, authorities_table.c.crl_delta_s
            )
        ).all()
        for name, partitions, delta_s in known:
            is_listed = looks_like_list(plan.name, name) and (partitions or delta_s)
            will_be = looks_like_list(name, plan.name) and (plan.crl_partitions or plan.delta_lifetime)
            if is_listed or will_be:
                raise CeremonyFileError(
                    [f"“{plan.name}” and “{name}”: one is the name of a list of the other"]
                )

    def _check_owner(self, connection: Any, name: str) -> None:
        owner = connection.execute(
            select(authorities_table.c.ceremony).where(authorities_table.c.name == name)
        ).scalar_one()
        if owner != self.file.name:
            raise CeremonyChangedError(name)
