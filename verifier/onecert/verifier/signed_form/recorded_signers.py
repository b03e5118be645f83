"""The trust list of an evidence record, and the signers judged by it.

The list must have been in force at a time that is proved: when the record was stamped, or else when the
signature's own timestamp was made. Otherwise it must be in force now.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.identity.registry import Registry
from onecert.verifier.issuances import Issuances
from onecert.verifier.jws import load_payload
from onecert.verifier.revocation import RevocationEvidence, RevocationPolicy
from onecert.verifier.signed_form.evidence_record import PointedRecord
from onecert.verifier.signed_form.signers import ListedSigners, SignerQuestion
from onecert.verifier.trust_list.errors import TrustListError
from onecert.verifier.trust_list.load import check_current, load_trust_list
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.pointer import Pointer
from onecert.verifier.trust_list.pointers import merge
from onecert.verifier.trust_list.roles import RoleKeys
from onecert.verifier.trust_list.root import TrustRoot, check_root_current, next_trust_root
from onecert.verifier.trust_list.vocabulary import MAX_BYTES
from onecert.verifier.verifier import Verifier

__all__ = ["ROOT_OVERLAP", "IssuancesNow", "RecordedSigners"]

# A timestamp holds seven days at most: so long a department may not know of a new root.
ROOT_OVERLAP = timedelta(days=7)


@dataclass(frozen=True)
class IssuancesNow:
    """What the record of today says about a certificate of then: when one was issued never changes."""

    issuances: Issuances
    now: datetime

    def issued_at(self, service_id: str, certificate_sha256: str, *, at: datetime) -> datetime | None:
        """See ``Issuances``; ``at`` is the past time that is judged."""
        return self.issuances.issued_at(service_id, certificate_sha256, at=max(at, self.now))


class RecordedSigners(ListedSigners):
    """``ListedSigners`` by one list at one time."""

    def __init__(
        self,
        verifier: Verifier,
        trust_list: TrustList,
        archived_at: datetime | None,
        keys_end: datetime | None = None,
        pointed: Sequence[tuple[TrustRoot, TrustList]] = (),
    ) -> None:
        super().__init__(verifier)
        self._pointed = pointed
        self._keys_end = keys_end
        self._list = trust_list
        self._archived_at = archived_at

    @classmethod
    def load(
        cls,
        data: bytes,
        *,
        pointed: Sequence[PointedRecord] = (),
        keys: Sequence[tuple[RoleKeys, datetime | None]],
        created_at: datetime,
        archived_at: datetime | None,
        application: str,
        pairwise_key: bytes | None,
        registry: Registry | None,
        issuances: Issuances | None,
        candidates: Sequence[ParsedCertificate],
        evidence: RevocationEvidence,
        revocation: RevocationPolicy,
        algorithms: AlgorithmPolicy,
    ) -> RecordedSigners:
        """Check the list's signatures and make the judge.

        Args:
            pointed: lists that it points to; each is checked from the root that ours names for it.
            keys: officers' keys, the newest first, each with the end of its root.

        Raises:
            TrustListError: a list is not the officers', or was not in force when the record says that it
                was made.
            RefusedError: ``EVIDENCE_LIST``: it points to no such list.
        """
        trust_list, end = _load_by_any(data, keys, created_at)
        others = [_load_pointed(trust_list, each, created_at) for each in pointed]
        trust_list = merge(trust_list, [(pointer, other) for pointer, _, other in others])
        verifier = Verifier(
            trust_list=trust_list,
            evidence=evidence,
            application=application,
            # Without the department's key a person's id cannot be made again; it stays as recorded.
            pairwise_key=pairwise_key or os.urandom(32),
            registry=registry,
            issuances=issuances,
            candidates=candidates,
            revocation=revocation,
            algorithms=algorithms,
        )
        return cls(
            verifier, trust_list, archived_at, end, pointed=[(root, other) for _, root, other in others]
        )

    def list_for(self, question: SignerQuestion) -> TrustList:
        """The list, when it was in force at the time that is proved."""
        if self._archived_at is not None:
            moment = self._archived_at
        elif question.time_proved:
            # A list made after the signature tells its past too; one that had ended before tells nothing.
            moment = max(question.at, self._list.issued_at)
        else:
            moment = question.known_at
        check_current(self._list, moment)
        for root, other in self._pointed:
            check_root_current(root, moment)
            check_current(other, moment)
        if self._keys_end is not None and moment >= self._keys_end + ROOT_OVERLAP:
            # Whoever got hold of the former officers' keys since can sign lists with old dates.
            raise RefusedError("EVIDENCE_ROOT_ENDED", ended=self._keys_end, moment=moment)
        return self._list

    @staticmethod
    def list_sha256(data: bytes) -> str:
        """The digest by which a loaded list is known; the signatures are *not* checked here.

        Raises:
            RefusedError: ``EVIDENCE_LIST``.
        """
        try:
            return hashlib.sha256(load_payload(data, max_bytes=MAX_BYTES)).hexdigest()
        except MalformedError as exc:
            raise RefusedError("EVIDENCE_LIST") from exc


def _load_pointed(
    own: TrustList, recorded: PointedRecord, at: datetime
) -> tuple[Pointer, TrustRoot, TrustList]:
    """A list with the pointer that grants it, and the last of its roots."""
    for pointer in own.pointers:
        if pointer.terms is not None and pointer.terms.id == recorded.id:
            root = pointer.terms.root
            for document in recorded.roots:
                root = next_trust_root(root, document)
            return pointer, root, load_trust_list(recorded.document, keys=root.list_keys, at=at)
    raise RefusedError("EVIDENCE_LIST")


def _load_by_any(
    data: bytes, keys: Sequence[tuple[RoleKeys, datetime | None]], at: datetime
) -> tuple[TrustList, datetime | None]:
    """The list with the newest keys that have signed it."""
    for candidate, end in keys[:-1]:
        try:
            return load_trust_list(data, keys=candidate, at=at), end
        except TrustListError as exc:
            if exc.code != "TRUST_LIST_SIGNATURE":
                raise
    candidate, end = keys[-1]
    return load_trust_list(data, keys=candidate, at=at), end
