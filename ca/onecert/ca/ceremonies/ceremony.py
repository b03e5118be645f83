"""The key ceremony: from one reviewed file to authorities, certificates between them, and a signed record.

Every step first looks whether it was done before, and every certificate goes through the same record as any
other. So a ceremony that was interrupted goes on where it stopped, and one that was held changes nothing.
The kinds are those of `ceremony_kinds`; what the steps are made of is in `ceremony_acts`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator

from sqlalchemy import select, update

from onecert.ca.authorities.authorities import OUTSIDE, RECEIVED, ROLL_OVER, ROOT, pem
from onecert.ca.ceremonies.acts import Acts, Step
from onecert.ca.ceremonies.checks import check_against_record, issuer_name
from onecert.ca.ceremonies.outside import check_outside_certificate, request_pem
from onecert.ca.ceremonies.plans import AuthorityPlan, CeremonyFile
from onecert.ca.ceremonies.preview import (
    certified_request,
    planned_request,
    preview_lines,
    roll_overs,
    self_issuer,
)
from onecert.ca.ceremonies.record import RECORD_TYPE, summary
from onecert.ca.certificates.draft import DraftMaker, serial_hex
from onecert.ca.errors import CeremonyChangedError, CeremonyWaitsError
from onecert.ca.models import ceremonies
from onecert.ca.parts import Parts
from onecert.ca.signatures.algorithms import PrivateKey
from onecert.ca.signatures.tokens import KeyToken, document_key
from onecert.server.documents import sign_document
from onecert.server.languages import _, gettext
from onecert.server.statements import insert_if_absent

__all__ = ["RECORD_TYPE", "Ceremony", "Step"]

AUDIT_KEY = "audit"


class Ceremony:
    """Holds one ceremony.

    Args:
        parts: the CA on its own token.
        roots: the token of the roots, which only this command opens.
        actor: who runs the command.
        certificate: what the outside authority sent for a `request`, in any usual form.
    """

    def __init__(
        self,
        file: CeremonyFile,
        parts: Parts,
        roots: KeyToken,
        *,
        actor: str,
        certificate: bytes | None = None,
    ) -> None:
        self._file = file
        self._parts = parts
        self._roots = roots
        self._actor = actor
        self._certificate = certificate
        self._acts = Acts(file, parts, roots, actor=actor)
        self._made_pem: list[str] = []

    # ------------------------------------------------------------------ dry run

    def preview(self) -> Iterator[str]:
        """Say what would be made; every certificate is drafted with throw-away keys and linted.

        Raises:
            CeremonyChangedError, CeremonyFileError, LintError
        """
        if self._check_unchanged() is None:
            check_against_record(self._file, self._parts.authorities)
        yield from preview_lines(self._file, self._parts.authorities, self._parts.clock.now())

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
            CeremonyWaitsError: the request is out; go on with the certificate.
            CaError: stopped at a step; run it again when the cause is gone.
        """
        check_against_record(self._file, self._parts.authorities)
        yield self._begin()
        match self._file.kind:
            case "root-and-issuing" | "root" | "issuing":
                key = yield from self._authorities()
            case "request":
                key = yield from self._from_outside()
            case "received":
                key = yield from self._received()
            case _:
                key = yield from self._certified()
        yield self._keep_record(key)

    @property
    def for_others(self) -> str:
        """What goes to the other side, PEM: our request, or the certificates that were made for it."""
        return "".join(self._made_pem)

    def _authorities(self) -> Generator[Step, None, PrivateKey]:
        """Root, issuing authority, or both."""
        file, acts = self._file, self._acts
        record_key: PrivateKey | None = None
        for plan in file.plans:
            key, step = acts.key(plan)
            yield step
            if plan.role == ROOT:
                record_key = key
                predecessor = self._predecessor(plan)
                issuer = self_issuer(plan, key.public_key(), self._parts.clock.now(), predecessor)
                maker, label, above = DraftMaker(issuer, plan.profile), acts.label(plan), plan.name
            else:
                above = issuer_name(file, plan, self._parts.authorities)
                root = self._parts.authorities.get(above)
                maker, label = DraftMaker(root.issuer, plan.profile), root.key_label
                record_key = record_key or acts.root_signer.key(label)
            request = planned_request(plan, key.public_key(), self._predecessor(plan))
            record, step = acts.certify(maker, label, request, plan.role, plan.name)
            profiles = file.profiles if plan.role != ROOT else ()
            made = acts.install(
                plan,
                issuer=above,
                serial=record.serial,
                certificate_der=record.certificate_der or b"",
                profiles=profiles,
            )
            yield step
            yield from acts.newer_profiles(made, profiles)
        if file.root is not None and file.root.rekeys:
            yield from self._roll_over(file.root)
        yield from self._services_and_lists()
        assert record_key is not None  # noqa: S101 - there is a plan at least
        return record_key

    def _roll_over(self, plan: AuthorityPlan) -> Iterator[Step]:
        """Let whoever trusts one key of a root find the other (RFC 9810, section 4.4)."""
        new, old = self._parts.authorities.get(plan.name), self._parts.authorities.get(plan.rekeys)
        made = []
        for what, maker, label, request in roll_overs(old, new):
            record, step = self._acts.certify(maker, label, request, what, plan.name)
            made.append(record.certificate_der or b"")
            yield step
        for name in (old.name, new.name):
            yield self._acts.keep_certificates(name, made, ROLL_OVER)
            self._acts.write_files(name)

    def _services_and_lists(self) -> Iterator[Step]:
        made = [self._parts.authorities.get(plan.name) for plan in self._file.plans]
        for authority in made:
            yield from self._acts.services(authority)
        for authority in made:
            yield self._acts.first_list(authority)
        for authority in made:
            self._acts.write_files(authority.name)

    def _from_outside(self) -> Generator[Step, None, PrivateKey]:
        """An authority of ours below one of others: our request goes out, their certificate comes in."""
        file, acts = self._file, self._acts
        (plan,), outside = file.plans, file.outside
        assert outside is not None  # noqa: S101 - of this kind
        key, step = acts.key(plan)
        yield step
        known = {each.name: each for each in self._parts.authorities.reload()}.get(plan.name)
        if known is None:
            self._made_pem = [request_pem(plan, key)]
            yield Step(text=gettext(_("certificate request of %(name)s"), name=plan.name), changed=True)
            if self._certificate is None:
                raise CeremonyWaitsError(plan.name)
            certificate = check_outside_certificate(
                self._certificate, plan, key.public_key(), outside, self._parts.clock.now()
            )
            serial, certificate_der = serial_hex(certificate.serial_number), certificate.der
        else:
            serial, certificate_der = known.serial, known.certificate_der
        acts.install(
            plan, issuer=plan.name, serial=serial, certificate_der=certificate_der, profiles=file.profiles
        )
        text = gettext(_("certificate of %(name)s, serial %(serial)s"), name=plan.name, serial=serial)
        yield Step(text=text, changed=known is None)
        yield acts.keep_certificates(plan.name, outside.certificates_der, OUTSIDE)
        yield from self._services_and_lists()
        return key

    def _certified(self) -> Generator[Step, None, PrivateKey]:
        """An authority of others, certified by one of ours."""
        plan = self._file.certified
        assert plan is not None  # noqa: S101 - of this kind
        issuer = self._parts.authorities.get(plan.issuer)
        maker = DraftMaker(issuer.issuer, plan.profile)
        record, step = self._acts.certify(
            maker, issuer.key_label, certified_request(plan), self._file.kind, plan.name
        )
        self._made_pem = [pem(record.certificate_der or b"")]
        yield step
        return self._acts.root_signer.key(issuer.key_label)

    def _received(self) -> Generator[Step, None, PrivateKey]:
        """Certificates that others gave an authority of ours; they are served in its bundle."""
        outside = self._file.outside
        assert outside is not None  # noqa: S101 - of this kind
        yield self._acts.keep_certificates(outside.authority, outside.certificates_der, RECEIVED)
        self._acts.write_files(outside.authority)
        return self._parts.token.find_or_make(AUDIT_KEY, "p-256")[0]

    def _predecessor(self, plan: AuthorityPlan) -> bytes | None:
        return self._parts.authorities.get(plan.rekeys).issuer.subject_der if plan.rekeys else None

    # ------------------------------------------------------------------ record

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

    def _keep_record(self, key: PrivateKey) -> Step:
        if self._check_unchanged() is not None:
            return Step(text=gettext(_("signed record")), changed=False)
        content = summary(self._file, self._parts, held_by=self._actor, at=self._parts.clock.now())
        signing = document_key(self._parts.token, AUDIT_KEY, key)
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
