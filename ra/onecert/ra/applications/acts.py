"""What people do to an application: enter, save, submit, approve, return, reject, withdraw, take up again.

Each act is one transaction with its audit entry, and checks role, state and people itself, below the web
layer: pages, REST and import only carry. What was typed is checked in `entries.py`, a step is written down in
`steps.py`. Submitting freezes the content by its hash; approving names that hash, so that what is approved is
what was shown. After an approval `onecert.ra.orders.dispatch` signs and sends the order.
"""

import json
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from onecert.ra.applications.duplicates import release_claim, take_claim, take_key
from onecert.ra.applications.entries import Entries, Entry
from onecert.ra.applications.following import Followed, check_followed, check_kept
from onecert.ra.applications.records import (
    Application,
    Frozen,
    find_by_request_key,
    find_made_by,
    is_request_known,
    load_application,
)
from onecert.ra.applications.steps import OperatorSteps, Store
from onecert.ra.ca.authorities import Directory
from onecert.ra.errors import (
    ContentChangedError,
    PointNeededError,
    PointUnknownError,
    ReasonMissingError,
    StaleFormError,
)
from onecert.ra.evidence import records as evidence
from onecert.ra.evidence.freezing import check_complete, freeze
from onecert.ra.life.duties import Duties
from onecert.ra.life.machine import Act, Business, State, check_move, roles_of
from onecert.ra.models import applications, orders
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ENTRY
from onecert.ra.points.points import check_place
from onecert.ra.review.filing import Filing, check_filing, write_filing
from onecert.ra.review.picks import drop_pick
from onecert.ra.review.reasons import Remark, check_remarks, summary
from onecert.ra.review.remarks import write_remarks
from onecert.ra.review.thresholds import TwoReviewers, facts_of
from onecert.ra.search.index import remember_marks, remember_name
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, check_role

__all__ = ["APPLICATIONS", "Applications"]

APPLICATIONS: Store[Application] = Store("application", applications, load_application)


class Applications:
    """The acts. `load_operator` finds an account by id, for the rule of two people.

    `entries` checks what was typed, without keeping anything.
    """

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        directory: Directory,
        load_operator: Callable[[Connection, str], Operator],
        reach: Reach,
        entries: Entries,
        duties: Duties,
        materials_required: tuple[str, ...] = (),
        two_reviewers: TwoReviewers | None = None,
    ) -> None:
        self._two_reviewers = two_reviewers or TwoReviewers()
        self._materials_required = materials_required
        self._database = database
        self._clock = clock
        self._directory = directory
        self._reach = reach
        self._steps = OperatorSteps(
            APPLICATIONS, audit, clock, reach=reach, load_operator=load_operator, duties=duties
        )
        self.entries = entries

    def create(self, operator: Operator, entry: Entry, *, request_key: str) -> Application:
        """Keep a draft, faulty or not; the same `request_key` by the same operator is the same draft.

        Raises:
            AuthorityUnknownError, ProfileMissingError: the CA has no such authority or certificate type.
            RequestKeyReusedError: the same `request_key` came with another content.
        """
        check_role(operator, ENTRY)
        profile = self._directory.profile(entry.authority, entry.kind.value)
        application_id = str(uuid.uuid4())
        key = f"{operator.id}:{request_key}"[:128]
        prepared = self.entries.prepare(entry, application_id, secrets.token_hex(16))
        now = self._clock.now()
        try:
            with self._database.transaction() as connection:
                operator = self._reach.account(connection, operator, ENTRY, at=now)
                if (made := find_by_request_key(connection, key, prepared.request_hmac)) is not None:
                    return made
                point = self._place(connection, operator, entry)
                connection.execute(
                    insert(applications).values(
                        id=application_id,
                        request_key=key,
                        request_hmac=prepared.request_hmac,
                        profile=profile.name,
                        profile_version=profile.version,
                        state="draft",
                        state_since=now,
                        revision=1,
                        created_at=now,
                        created_by=operator.id,
                        point=point,
                        project=entry.project,
                        **_followed(entry.follows),
                        **prepared.columns(),
                    )
                )
                remember_name(connection, prepared.columns()["name"])
                remember_marks(connection, application_id, prepared.marks)
                created = load_application(connection, application_id)
                self._steps.write(connection, created, event="created", operator=operator, at=now)
                return created
        except IntegrityError:
            with self._database.reading() as connection:
                if (made := find_by_request_key(connection, key, prepared.request_hmac)) is None:
                    raise
                return made

    def is_known(self, operator: Operator, request_key: str) -> bool:
        """Whether this operator already made an application with this key."""
        with self._database.reading() as connection:
            return is_request_known(connection, f"{operator.id}:{request_key}"[:128])

    def find_draft(self, operator: Operator, request_key: str) -> Application | None:
        """The draft that this operator's form made before, while it is still one."""
        with self._database.reading() as connection:
            found = find_made_by(connection, f"{operator.id}:{request_key}"[:128])
        return found if found is not None and found.state is State.DRAFT else None

    def save(
        self, operator: Operator, application_id: str, entry: Entry, *, revision: int, typing: bool = False
    ) -> Application:
        """Replace what was entered; authority and type stay as they are.

        Args:
            typing: saved by the page while the clerk types; a row of such saves is one step of the life line.

        Raises:
            StaleFormError: somebody changed it after this form was opened.
        """
        frozen = self._reach.frozen(operator, application_id)
        salt, before = frozen.salt, frozen.application
        profile = self._directory.profile(before.authority, before.kind.value)
        entry = Entry(kind=before.kind, authority=before.authority, fields=entry.fields, csr=entry.csr)
        prepared = self.entries.prepare(entry, application_id, salt)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, Act.SAVE)
            if current.revision != revision:
                raise StaleFormError
            remember_name(connection, prepared.columns()["name"])
            remember_marks(connection, application_id, prepared.marks)
            changes = {**prepared.columns(), "profile": profile.name, "profile_version": profile.version}
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.SAVE,
                event="saved",
                at=now,
                changes=changes,
                is_one_step=typing,
            )

    def submit(self, operator: Operator, application_id: str, *, revision: int | None = None) -> Application:
        """Check everything again and freeze it for the reviewer.

        Raises:
            InvalidApplicationError: fields are missing or wrong.
            DuplicateError, KeyRepeatedError: somebody already has it.
            EvidenceMissingError: the policy wants materials that are not there.
        """
        frozen = self._reach.frozen(operator, application_id)
        check_role(operator, ENTRY)
        check_move(frozen.application.business, frozen.application.state, Act.SUBMIT)
        checked = self.entries.recheck(frozen)
        findings = self.entries.findings.freeze(checked.values, recorded_by=operator.id, at=self._clock.now())
        frozen = replace(frozen, findings=findings)
        key = frozen.application.entity_key
        if key is None:
            raise RuntimeError("content without a fault has no entity")  # the two checks disagree
        follows = self.check_follows(operator, frozen)
        profile = self._directory.profile(frozen.application.authority, frozen.application.profile)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, Act.SUBMIT)
            if current.revision != frozen.application.revision or revision not in {None, current.revision}:
                raise StaleFormError
            if evidence.frozen(connection, application_id) != frozen.evidence:
                raise StaleFormError
            check_complete(
                connection, self._materials_required, application_id, current.business, current.kind
            )
            freeze(connection, application_id, at=now)
            release_claim(connection, application_id)
            scope = self._reach.scope(connection, operator)
            take_claim(
                connection,
                key=key,
                authority=current.authority,
                kind=current.kind,
                application_id=application_id,
                at=now,
                scope=scope,
                follows=follows,
            )
            key_sha256 = checked.request.key_sha256
            take_key(connection, key_sha256=key_sha256, application_id=application_id, scope=scope)
            changes = {
                "content_sha256": frozen.sha256(checked),
                "findings": json.dumps(findings, ensure_ascii=False),
                "profile_version": profile.version,
                "submitted_by": operator.id,
                "reviewed_by": None,
                "passed_on_by": None,
                "reason": None,
            }
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.SUBMIT,
                event="submitted",
                at=now,
                changes=changes,
            )

    def follow(
        self,
        operator: Operator,
        followed: Followed,
        entry: Entry,
        *,
        request_key: str,
    ) -> Application:
        """Keep a draft of a renewal, change or replacement; fields that `entry` lacks are the old ones.

        Raises:
            FollowRefusedError: the certificate's status or the reason does not let it be followed so.
        """
        check_role(operator, ENTRY)
        certificate = self._reach.certificate(operator, followed.authority, followed.serial_hex)
        check_followed(followed.business, certificate)
        before = self._reach.frozen(operator, certificate.application_id)
        made = Entry(
            kind=certificate.kind,
            authority=certificate.authority,
            fields={**before.values, **entry.fields},
            csr=entry.csr,
            point=entry.point or before.application.point,
            project=entry.project,
            follows=followed,
        )
        return self.create(operator, made, request_key=request_key)

    def approve(self, operator: Operator, application_id: str, *, content_sha256: str) -> Application:
        """Approve exactly the content with this hash; the order follows outside (see `orders`).

        Where the policy wants two reviewers, the first one's approval passes it on to the second.

        Raises:
            ContentChangedError: the hash is not the one on record, or the record does not match its own hash.
            SamePersonError: the reviewer entered it, or is the first reviewer, under whatever account.
        """
        frozen = self._reach.frozen(operator, application_id)
        before = frozen.application
        check_role(operator, *roles_of(before.business, Act.APPROVE))
        act, event = Act.APPROVE, "approved"
        if before.state is State.SECOND_REVIEW:
            act, event = Act.CONFIRM, "confirmed"
        elif self._two_reviewers.needed(facts_of(before, frozen.values)):
            act, event = Act.PASS_ON, "passed_on"
        check_move(before.business, before.state, act)
        # What is in the database now must still be what was submitted: a row changed from outside is not
        # approved.
        if frozen.sha256(self.entries.recheck(frozen)) != content_sha256:
            raise ContentChangedError
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, act)
            if current.content_sha256 != content_sha256 or current.revision != before.revision:
                raise ContentChangedError
            changes: dict[str, str | None] = {"reason": None}
            if act is Act.PASS_ON:
                changes |= {"passed_on_by": operator.id}
            else:
                changes |= {"reviewed_by": operator.id, "order_id": str(uuid.uuid4())}
            drop_pick(connection, application_id)
            return self._steps.move(
                connection, current, operator=operator, act=act, event=event, at=now, changes=changes
            )

    def send_back(
        self, operator: Operator, application_id: str, *, reason: str = "", remarks: Sequence[Remark] = ()
    ) -> Application:
        """Return it to the entry clerk for correction.

        Args:
            reason: words about the application as a whole; the same as a remark `OTHER`.
            remarks: reasons from the list, each at its field; with no `reason` at least one.
        """
        if reason.strip():
            remarks = [*remarks, Remark(code="OTHER", words=reason)]
        kind = self._reach.application(operator, application_id).kind
        checked = check_remarks(kind, remarks)
        return self._judge(
            operator, application_id, Act.RETURN, "returned", reason=summary(checked), remarks=checked
        )

    def reject(self, operator: Operator, application_id: str, *, reason: str) -> Application:
        """Refuse it for good; the applicant may apply again."""
        reason = reason.strip()
        if not 2 <= len(reason) <= 500:
            raise ReasonMissingError
        return self._judge(operator, application_id, Act.REJECT, "rejected", reason=reason)

    def withdraw(self, operator: Operator, application_id: str) -> Application:
        """End it at the applicant's wish, as long as the CA has not been asked, or has refused."""
        self._reach.application(operator, application_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, Act.WITHDRAW)
            release_claim(connection, application_id)
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.WITHDRAW,
                event="withdrawn",
                at=now,
                changes={},
            )

    def deliver(self, operator: Operator, application_id: str) -> Application:
        """The holder has it; what it follows is revoked now, if the order says so (see `orders`)."""
        return self._hand_on(operator, application_id, Act.DELIVER, "delivered")

    def archive(
        self, operator: Operator, application_id: str, *, filing: Filing | None = None
    ) -> Application:
        """The papers are filed; `filing` says where and which."""
        checked = check_filing(filing) if filing is not None else None
        return self._hand_on(operator, application_id, Act.ARCHIVE, "archived", filing=checked)

    def reopen(self, operator: Operator, application_id: str) -> Application:
        """Take up again what the CA refused; it is corrected, submitted and reviewed again."""
        self._reach.application(operator, application_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, Act.REOPEN)
            changes = {
                "content_sha256": None,
                "order_id": None,
                "reviewed_by": None,
                "passed_on_by": None,
            }
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.REOPEN,
                event="reopened",
                at=now,
                changes=changes,
            )

    def _hand_on(
        self,
        operator: Operator,
        application_id: str,
        act: Act,
        event: str,
        *,
        filing: Filing | None = None,
    ) -> Application:
        self._reach.application(operator, application_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, act)
            if act is Act.DELIVER and current.follows_serial is not None:
                connection.execute(
                    update(orders)
                    .where(orders.c.id == current.order_id)
                    .values(delivery="pending", delivered_by=operator.id, next_attempt_at=now)
                )
            if filing is not None:
                write_filing(connection, application_id, filing, actor=operator.id, at=now)
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=act,
                event=event,
                at=now,
                changes={},
                note=filing.place if filing is not None else None,
            )

    def check_follows(self, operator: Operator, frozen: Frozen) -> str | None:
        """The application whose certificate this one follows, after a look at both; None: it follows none.

        Raises:
            FollowRefusedError: the certificate's status or its holder does not let it be followed so.
            InvalidApplicationError: what stands in the certificate was changed in a renewal or replacement.
        """
        application = frozen.application
        if application.follows_authority is None or application.follows_serial is None:
            return None
        certificate = self._reach.certificate(
            operator, application.follows_authority, application.follows_serial
        )
        check_followed(application.business, certificate)
        check_kept(frozen, self._reach.frozen(operator, certificate.application_id))
        return certificate.application_id

    def _place(self, connection: Connection, operator: Operator, entry: Entry) -> str:
        """The point where this is entered, open and within the operator's scope."""
        scope = self._reach.scope(connection, operator)
        point = entry.point or scope.home()
        if point is None:
            raise PointNeededError
        if not scope.covers(point, entry.authority, entry.kind.value):
            raise PointUnknownError(point)
        check_place(connection, point, entry.project)
        return point

    def _judge(
        self,
        operator: Operator,
        application_id: str,
        act: Act,
        event: str,
        *,
        reason: str,
        remarks: Sequence[Remark] = (),
    ) -> Application:
        self._reach.application(operator, application_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, act)
            if act is Act.REJECT:
                release_claim(connection, application_id)
            changes = {"reviewed_by": operator.id, "reason": reason}
            drop_pick(connection, application_id)
            if remarks:
                write_remarks(
                    connection,
                    application_id,
                    revision=current.revision + 1,
                    actor=operator.id,
                    at=now,
                    wanted=remarks,
                )
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=act,
                event=event,
                at=now,
                changes=changes,
                note=reason,
            )


def _followed(followed: Followed | None) -> dict[str, str]:
    """The columns of what an application follows."""
    if followed is None:
        return {"business": Business.NEW.value}
    return {
        "business": followed.business.value,
        "follows_authority": followed.authority,
        "follows_serial": followed.serial_hex,
        "follows_reason": followed.reason,
        **({"follows_early": followed.early} if followed.early else {}),
    }
