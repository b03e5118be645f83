"""The verdict in an evidence record, whom its checker believes, and the comparison with a new verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from onecert.verifier.algorithms import DEFAULT_ALGORITHMS, AlgorithmPolicy
from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.errors import CouldNotCheckError, RefusedError
from onecert.verifier.identity.registry import Registry
from onecert.verifier.issuances import Issuances
from onecert.verifier.result import Notice
from onecert.verifier.revocation import RevocationPolicy
from onecert.verifier.signed_form.evidence_record import EvidenceRecord
from onecert.verifier.signed_form.form_result import FormSigner, SignedForm
from onecert.verifier.signed_form.timestamp import TimestampTrust
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list.roles import RoleKeys
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root, next_trust_root

__all__ = ["EvidenceTrust", "compare_verdicts", "keys_and_ends", "verdict_of", "walk_roots"]


@dataclass(frozen=True, kw_only=True)
class EvidenceTrust:
    """Whom the checker believes; nothing of this is taken from a record.

    Args:
        timestamps: whose timestamps count, also those of authorities that have gone.
        list_keys: officers' keys, for records with a trust list; those of the time of the record.
        roots: in place of them every version of the trust root, ascending (``walk_roots``), or what gives
            them at the time of a check (``RootFolder``): a list counts with the keys of the version that was
            in force when it is proved to have been in use.
        anchors: for records with explicit anchors.
        revocation, algorithms: as for a new form; algorithms with an end date fit old records.
        issuances: the supervision's record of today, for services whose CA must report what it issues.
        pairwise_key, registry: the department's own; without them the identity of a citizen, or one that the
            register named, is shown as recorded.
    """

    timestamps: TimestampTrust | None = None
    list_keys: RoleKeys | None = None
    roots: Sequence[TrustRoot] | Callable[[], Sequence[TrustRoot]] = ()
    anchors: tuple[TrustAnchor, ...] = ()
    revocation: RevocationPolicy = field(default_factory=RevocationPolicy)
    algorithms: AlgorithmPolicy = DEFAULT_ALGORITHMS
    pairwise_key: bytes | None = field(default=None, repr=False)
    registry: Registry | None = None
    issuances: Issuances | None = None

    def keys_and_ends(self) -> list[tuple[RoleKeys, datetime | None]]:
        """Keys of officers, the newest first, and until when each version of the root was in force.

        Raises:
            CouldNotCheckError: ``EVIDENCE_NO_LIST_KEYS``.
            VerifyError: the roots cannot be had.
        """
        found: list[tuple[RoleKeys, datetime | None]] = []
        if self.list_keys is not None:
            found.append((self.list_keys, None))
        found += keys_and_ends(self.roots() if callable(self.roots) else self.roots)
        if not found:
            raise CouldNotCheckError("EVIDENCE_NO_LIST_KEYS")
        return found


def keys_and_ends(roots: Sequence[TrustRoot]) -> list[tuple[RoleKeys, datetime | None]]:
    """The officers' keys of these versions, the newest first, and until when each was in force."""
    found: list[tuple[RoleKeys, datetime | None]] = []
    end = None
    for root in reversed(roots):
        found.append((root.list_keys, end))
        end = root.issued_at
    return found


def walk_roots(first: bytes, *later: bytes) -> tuple[TrustRoot, ...]:
    """Every version of the trust root from one that a person has compared, for ``EvidenceTrust``.

    Args:
        first: its document; all later versions follow in their order, as they stay published.

    Raises:
        TrustListError, TrustListRollbackError: as ``load_trust_root`` and ``next_trust_root``.
    """
    roots = [load_trust_root(first)]
    for document in later:
        roots.append(next_trust_root(roots[-1], document))
    return tuple(roots)


def verdict_of(signer: FormSigner) -> dict[str, Any]:
    """What a record says about one signer; everything in it is judged again later."""
    path = signer.judged.judged.path
    return {
        "certificate": hashlib.sha256(signer.certificate.der).hexdigest(),
        "path": [hashlib.sha256(certificate.der).hexdigest() for certificate in path.chain],
        "anchor": path.anchor.label or path.anchor.subject,
        "identity": signer.identity and signer.identity.as_dict(),
        "time_source": signer.time.source,
        "signed_at": format_time(signer.signed_at),
    }


def compare_verdicts(record: EvidenceRecord, form: SignedForm, trust: EvidenceTrust) -> list[Notice]:
    """Refuse unless the new verdict says what the recorded one says.

    Raises:
        RefusedError: ``EVIDENCE_VERDICT``; the fact ``field`` names the difference.
    """
    recorded = record.verdict["signers"]
    if len(recorded) != len(form.signers):
        raise RefusedError("EVIDENCE_VERDICT", field="signers")
    notices: list[Notice] = []
    for old, signer in zip(recorded, form.signers, strict=True):
        new = verdict_of(signer)
        for name in ("certificate", "path", "anchor"):
            if old[name] != new[name]:
                raise RefusedError("EVIDENCE_VERDICT", field=name)
        if old["time_source"] == "timestamp" or new["time_source"] == "timestamp":
            # A record made without trust in the authority, or checked without it, has another time.
            if old["time_source"] != new["time_source"]:
                notices.append(Notice("EVIDENCE_TIME_SOURCE", (("recorded", old["time_source"]),)))
            elif old["signed_at"] != new["signed_at"]:
                raise RefusedError("EVIDENCE_VERDICT", field="signed_at")
        elif old["signed_at"] != format_time(record.created_at):
            raise RefusedError("EVIDENCE_VERDICT", field="signed_at")
        if _identity_differs(old["identity"], new["identity"], trust, notices):
            raise RefusedError("EVIDENCE_VERDICT", field="identity")
    return notices


def _identity_differs(
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any] | None,
    trust: EvidenceTrust,
    notices: list[Notice],
) -> bool:
    if old is None or new is None:
        return old is not new
    if dict(old) == dict(new):
        return False
    # What only the department's secret, or its mirror of the register, can make again.
    left_out = {"warnings"}
    if trust.registry is None:
        left_out |= {"id", "entity", "assurance"} if _is_provisional(new) else set()
    if trust.pairwise_key is None and new.get("person"):
        left_out |= {"person"} if new.get("entity") else {"person", "id"}
    if {key: value for key, value in old.items() if key not in left_out} != {
        key: value for key, value in new.items() if key not in left_out
    }:
        return True
    notices.append(Notice("EVIDENCE_IDENTITY_AS_RECORDED"))
    return False


def _is_provisional(identity: Mapping[str, Any]) -> bool:
    entity = identity.get("entity")
    return bool(entity and entity["provisional"])
