"""The key ceremony: from one reviewed file to an offline root, an issuing authority and a signed record.

Every step first looks whether it was done before, and every certificate goes through the same record as any
other. So a ceremony that was interrupted goes on where it stopped, and one that was held changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from onecert.ca.authorities import ISSUING, ROOT, Authority
from onecert.ca.ceremony_file import AuthorityPlan, CeremonyFile
from onecert.ca.ceremony_preview import planned_request, preview_lines, self_issuer
from onecert.ca.ceremony_record import RECORD_TYPE, summary
from onecert.ca.crl_names import looks_like_list
from onecert.ca.draft import DraftMaker
from onecert.ca.errors import CeremonyChangedError, CeremonyFileError
from onecert.ca.issuance import Certifier
from onecert.ca.ledger import CertificateRecord, OrderRecord
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import ceremonies
from onecert.ca.models import profiles as profiles_table
from onecert.ca.parts import Parts
from onecert.ca.profile import Profile
from onecert.ca.publishing import CrlPublisher
from onecert.ca.signer import Signer
from onecert.ca.signing import PrivateKey, PublicKey
from onecert.ca.tokens import KeyToken, document_key
from onecert.server.documents import sign_document
from onecert.server.languages import _, gettext
from onecert.server.statements import insert_if_absent

__all__ = ["RECORD_TYPE", "Ceremony", "Step"]

AUDIT_KEY = "audit"


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
        self._check_unchanged()
        yield from preview_lines(self._file, self._parts.clock.now())

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
            changed=self._parts.ocsp_delegates.roll(issuing),
        )
        if self._parts.timestamp_delegates.serves(issuing):
            yield Step(
                text=gettext(_("timestamp authority of %(name)s"), name=issuing.name),
                changed=self._parts.timestamp_delegates.roll(issuing),
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
        issuer = self_issuer(plan, key.public_key(), self._parts.clock.now())
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
        request = planned_request(plan, public_key)
        record, is_new = self._root_certifier.certify(maker, self._root_label, request, order)
        self._install(plan, kind, record, profiles)
        text = gettext(_("certificate of %(name)s, serial %(serial)s"), name=plan.name, serial=record.serial)
        return Step(text=text, changed=is_new)

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

    def _install(
        self, plan: AuthorityPlan, kind: str, record: CertificateRecord, profiles: tuple[Profile, ...]
    ) -> None:
        """Let the service know the authority and its profiles, all in one transaction."""
        at = self._parts.clock.now()
        with self._parts.database.transaction() as connection:
            self._check_name(connection, plan)
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
                    "crl_partitions": plan.crl_partitions,
                    "crl_delta_s": int(plan.delta_lifetime.total_seconds()),
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
            publisher.publish_all(authority.name, actor=self._actor)
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
        file, parts = self._file, self._parts
        made = [parts.authorities.get(name) for name in (file.root.name, file.issuing.name)]
        content = summary(file, made, held_by=self._actor, at=parts.clock.now())
        signing = document_key(parts.token, AUDIT_KEY, root_key)
        document = sign_document(content, typ=RECORD_TYPE, keys=[signing])
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
