"""The decision log: one JSON line a decision, from which "who could do this then, and why" is answered.

| in the folder | is |
| --- | --- |
| ``2026-11-21.jsonl`` | the lines of a day (UTC); identities are masked |
| ``2026-11-21.facts.jsonl`` | what a repetition needs: subject, proved facts, resource, context |
| ``seen/2026-11/<sha256>.der`` | the certificates that came before us in that month |
| ``mask.secret`` | the secret of the masks |

Everything is readable by the owner only. The lines may be handed on; the facts name holders. A decision that
cannot be logged is not given.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onecert.verifier.attribute_certificate.verify import Explanation
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.decision.deciding import Decision
from onecert.verifier.decision.errors import DecisionLogError
from onecert.verifier.decision.masking import Mask

__all__ = ["DecisionLog"]

_CERTIFICATES_REMEMBERED = 65_536
_dumps = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


class DecisionLog:
    """Writes decisions into one folder. Safe with threads and processes.

    Args:
        folder: made when it is first needed.
        masked: names of attributes of resources and of the context that are written nowhere, also not into
            the facts; a decision that such an attribute determined cannot be repeated.
    """

    def __init__(self, folder: Path, *, masked: Iterable[str] = ()) -> None:
        self.folder = folder
        self._masked = frozenset(masked)
        self._mask = Mask(folder / "mask.secret")
        self._lock = threading.Lock()
        self._open: dict[str, tuple[str, int]] = {}
        self._kept: set[tuple[str, str]] = set()

    def mask(self, identity: str) -> str:
        """Return what stands for an identity. Raises DecisionLogError."""
        return self._mask.identity(identity)

    def write(
        self, decision: Decision, certificate: ParsedCertificate | None, *, asked_at: datetime | None = None
    ) -> None:
        """Append a decision, whole or not at all.

        Args:
            decision: the decision.
            certificate: the holder's.
            asked_at: when it was asked, for a question about another time.

        Raises:
            DecisionLogError: the disk did not take it.
        """
        written_at = (asked_at or decision.at).astimezone(UTC)
        month, day = f"{written_at:%Y-%m}", f"{written_at:%Y-%m-%d}"
        try:
            kept = [
                self._keep_certificate(month, each.certificate.der) if each.certificate else ""
                for each in decision.explained
            ]
            holder = self._keep_certificate(month, certificate.der) if certificate else ""
            facts = self._facts(decision, holder, kept)
            line = self._line(decision, facts)
            if asked_at is not None:
                line["asked_at"] = asked_at.isoformat()
            # The facts first: a line then always has them.
            self._append(f"{day}.facts", facts)
            self._append(day, line)
        except (OSError, UnicodeError) as exc:
            raise DecisionLogError(detail=exc) from exc

    def close(self) -> None:
        """Close the files of the day."""
        with self._lock:
            for _, descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()

    def _append(self, name: str, content: Mapping[str, Any]) -> None:
        data = _dumps(content).encode() + b"\n"
        kind = name.partition(".")[2]
        with self._lock:
            # One write in append mode: lines of several processes do not mix.
            if os.write(self._file(kind, name), data) != len(data):
                raise DecisionLogError(detail="only a part was written")

    def _file(self, kind: str, name: str) -> int:
        known = self._open.get(kind)
        if known is not None and known[0] == name:
            return known[1]
        if known is not None:
            del self._open[kind]
            os.close(known[1])
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{name}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._open[kind] = (name, descriptor)
        return descriptor

    def _keep_certificate(self, month: str, der: bytes) -> str:
        """Write a certificate once a month; its SHA-256."""
        digest = hashlib.sha256(der).hexdigest()
        if (month, digest) in self._kept:
            return digest
        path = self.folder / "seen" / month / f"{digest}.der"
        if not path.exists():
            # One by one: the mode is for the last one only.
            for folder in (self.folder, path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(der)
            scratch.rename(path)
        if len(self._kept) >= _CERTIFICATES_REMEMBERED:
            self._kept.clear()
        self._kept.add((month, digest))
        return digest

    def _line(self, decision: Decision, facts: Mapping[str, Any]) -> dict[str, Any]:
        act, policy, given = decision.act, decision.policy, decision.answer
        asked = {"attributes": act.resource.attributes, "context": act.context}
        return {
            "decision_id": decision.id,
            "at": decision.at.isoformat(),
            "policy": policy.name,
            "policy_version": policy.version,
            "policy_sha256": policy.sha256,
            "catalogue_version": policy.model.version,
            "subject": self._subject(decision),
            "person": self.mask(decision.subject.person) if decision.subject.person else "",
            "ca_service": decision.subject.ca_service,
            "attribute_certificates": [_certificate_row(each) for each in decision.explained],
            "dropped": [
                {"serial": each.serial, "name": each.name, "reason": each.reason}
                for each in decision.facts.dropped
            ],
            "roles": list(decision.roles),
            "use_roles": facts["use_roles"],
            "action": act.action,
            "resource": {"type": act.resource.type, "id": act.resource.id},
            "target": facts["target"],
            "context": "#" + self._mask.digest(_dumps(asked).encode("utf-8", "surrogatepass")),
            "result": given.result.value,
            "rules": list(given.rules),
            "reasons": [reason.code for reason in decision.reasons if reason.kind != "rule"],
            "obligations": list(given.obligations),
            "errors": list(given.errors),
            "exclusions": list(given.exclusions),
        }

    def _subject(self, decision: Decision) -> str:
        """RFC 5755, section 4.3.1: where a certificate names an audit identity, logs use it instead."""
        for each in decision.explained:
            if each.verified and each.verified.audit_identity:
                return f"audit:{each.verified.audit_identity.hex()}"
        return self.mask(decision.subject.entity)

    def _facts(self, decision: Decision, certificate: str, kept: list[str]) -> dict[str, Any]:
        act, subject = decision.act, decision.subject
        given = decision.answer
        return {
            "decision_id": decision.id,
            "at": decision.at.isoformat(),
            "policy": decision.policy.name,
            "policy_version": decision.policy.version,
            "policy_sha256": decision.policy.sha256,
            "catalogue_version": decision.policy.model.version,
            "certificate": certificate,
            "attribute_certificates": kept,
            "subject": {
                "entity": subject.entity,
                "person": subject.person,
                "ca_service": subject.ca_service,
                "attributes": dict(subject.attributes),
            },
            "roles": list(decision.roles),
            "attributes": {name: sorted(values) for name, values in decision.facts.attributes.items()},
            "findings": [[finding.code for finding in each.findings] for each in decision.explained],
            "action": act.action,
            "resource": {
                "type": act.resource.type,
                "id": act.resource.id,
                "attributes": self._without_masked(act.resource.attributes),
            },
            "context": self._without_masked(act.context),
            "masked": sorted(self._masked & {*act.resource.attributes, *act.context}),
            "target": [str(name) for name in act.target.names] if act.target else [],
            "target_groups": [str(name) for name in act.target.groups] if act.target else [],
            "use_roles": sorted(act.use_roles) if act.use_roles is not None else None,
            "result": given.result.value,
            "rules": list(given.rules),
            "obligations": list(given.obligations),
            "errors": list(given.errors),
            "exclusions": list(given.exclusions),
        }

    def _without_masked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in self._masked}


def _certificate_row(each: Explanation) -> dict[str, Any]:
    return {
        "serial": each.certificate.serial_hex if each.certificate else "",
        "authority": each.verified.authority.label if each.verified else "",
        "path": [step.certificate.serial_hex for step in each.verified.path] if each.verified else [],
        "findings": [finding.code for finding in each.findings],
    }
