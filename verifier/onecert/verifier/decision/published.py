"""Policies as signed documents: what the PMI publishes, and what a department embeds.

Two kinds, both under the policy key that the relying party's trust configuration names, never one that comes
with the document: one version of a policy (``onecert-policy+json``), as the PMI keeps it; and what is in
force now (``onecert-decision-rules+json``): that policy with the catalogue's hierarchy and exclusions, the
sources of authority with what they may give, and until when it may be relied upon without asking again.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.verifier.attribute_certificate.trust import TrustedAuthority
from onecert.verifier.decision.deciding import PolicyInForce
from onecert.verifier.decision.engine import compile_policy
from onecert.verifier.decision.role_model import RoleModel
from onecert.verifier.decision.source import PolicySource
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.jws import key_id, verify_document
from onecert.verifier.signatures import PublicKey

__all__ = [
    "POLICY_TYP",
    "RULES_TYP",
    "DecisionRules",
    "SignedPolicy",
    "SourceOfAuthority",
    "policy_payload",
    "read_policy",
    "read_rules",
    "rules_payload",
]

POLICY_TYP = "onecert-policy+json"
RULES_TYP = "onecert-decision-rules+json"
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class SignedPolicy:
    """One version of a policy, signed."""

    name: str
    version: int
    sha256: str
    published_at: datetime
    published_by: str
    source: PolicySource


@dataclass(frozen=True, kw_only=True)
class SourceOfAuthority:
    """One authority that may give what the catalogue says, with where its revocation list is published."""

    name: str
    certificate_der: bytes
    acrl_url: str
    roles: tuple[str, ...]
    attributes: tuple[str, ...] = ()

    def trusted(self) -> TrustedAuthority:
        """Return it as the verifier of attribute certificates knows it.

        Raises:
            MalformedError: its certificate cannot be read.
        """
        return TrustedAuthority.from_certificate(
            self.certificate_der, roles=self.roles, attributes=self.attributes, label=self.name
        )


@dataclass(frozen=True, kw_only=True)
class DecisionRules:
    """What is in force: a compiled policy with its catalogue, the sources of authority, and for how long."""

    policy: PolicyInForce
    issued_at: datetime
    next_update: datetime
    sources: tuple[SourceOfAuthority, ...] = ()

    def check_fresh(self, at: datetime) -> None:
        """Raise when this is too old, or from the future, at this time.

        Raises:
            CouldNotCheckError: ``POLICY_STALE``.
        """
        if not self.issued_at <= at <= self.next_update:
            raise CouldNotCheckError(
                "POLICY_STALE", name=self.policy.name, issued_at=self.issued_at, next_update=self.next_update
            )


def policy_payload(
    source: PolicySource, *, version: int, published_at: datetime, published_by: str
) -> dict[str, Any]:
    """What is signed of one version of a policy."""
    return {
        "policy": source.name,
        "version": version,
        "sha256": source.sha256,
        "published_at": published_at.isoformat(),
        "published_by": published_by,
        "content": source.content,
    }


def rules_payload(
    source: PolicySource,
    *,
    version: int,
    model: RoleModel,
    issued_at: datetime,
    next_update: datetime,
    sources: Iterable[SourceOfAuthority] = (),
) -> dict[str, Any]:
    """What is signed of what is in force."""
    return {
        "policy": source.name,
        "version": version,
        "sha256": source.sha256,
        "content": source.content,
        "catalogue": model.as_dict(),
        "sources_of_authority": [
            {
                "name": each.name,
                "certificate": base64.b64encode(each.certificate_der).decode("ascii"),
                "acrl": each.acrl_url,
                "roles": list(each.roles),
                "attributes": list(each.attributes),
            }
            for each in sources
        ],
        "issued_at": issued_at.isoformat(),
        "next_update": next_update.isoformat(),
    }


def read_policy(document: bytes, *, keys: Iterable[PublicKey]) -> SignedPolicy:
    """Read one version of a policy; it is not compiled.

    Args:
        document: signed JSON, at most 4 MiB.
        keys: the policy keys that are believed; one of them must have signed.

    Raises:
        RefusedError, MalformedError: not signed by one of them, or not such a document.
        PolicyWrongError: the policy in it has faults.
    """
    payload = _open(document, POLICY_TYP, keys)
    try:
        return SignedPolicy(
            name=str(payload["policy"]),
            version=int(payload["version"]),
            sha256=str(payload["sha256"]),
            published_at=_moment(payload["published_at"]),
            published_by=str(payload["published_by"]),
            source=_source(payload),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise MalformedError("DOCUMENT_MALFORMED", detail=f"{type(exc).__name__}: {exc}") from exc


def read_rules(
    document: bytes, *, keys: Iterable[PublicKey], before: DecisionRules | None = None
) -> DecisionRules:
    """Read what is in force, and compile it. Whether it is fresh is asked at each decision.

    Args:
        document: signed JSON, at most 4 MiB.
        keys: the policy keys that are believed; one of them must have signed.
        before: what was read last; something older is refused.

    Raises:
        RefusedError, MalformedError: not signed by one of them, not such a document, or older
            (``POLICY_BACKWARDS``).
        PolicyWrongError: the policy in it has faults.
        CouldNotCheckError: ``DECISION_EXTRA_MISSING``.
    """
    payload = _open(document, RULES_TYP, keys)
    try:
        source = _source(payload)
        model = RoleModel.from_dict(payload["catalogue"])
        issued_at, next_update = _moment(payload["issued_at"]), _moment(payload["next_update"])
        version = int(payload["version"])
        sources = tuple(_source_of_authority(each) for each in payload.get("sources_of_authority", []))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise MalformedError("DOCUMENT_MALFORMED", detail=f"{type(exc).__name__}: {exc}") from exc
    if before is not None and issued_at < before.issued_at:
        raise RefusedError("POLICY_BACKWARDS", name=source.name, issued_at=issued_at)
    same = before is not None and (before.policy.sha256, before.policy.version) == (source.sha256, version)
    engine = before.policy.engine if before is not None and same else compile_policy(source)
    policy = PolicyInForce(
        name=source.name, version=version, sha256=source.sha256, engine=engine, model=model
    )
    return DecisionRules(policy=policy, issued_at=issued_at, next_update=next_update, sources=sources)


def _open(document: bytes, typ: str, keys: Iterable[PublicKey]) -> Mapping[str, Any]:
    believed = {key_id(key): key for key in keys}
    return verify_document(document, typ=typ, keys=believed, max_bytes=MAX_BYTES)


def _source(payload: Mapping[str, Any]) -> PolicySource:
    content = payload["content"]
    if not isinstance(content, dict):
        raise TypeError("content is not an object")
    source = PolicySource.from_content(content)
    if (payload["policy"], payload["sha256"]) != (source.name, source.sha256):
        raise ValueError("name or sha256 is not that of the content")
    return source


def _source_of_authority(row: Mapping[str, Any]) -> SourceOfAuthority:
    return SourceOfAuthority(
        name=str(row["name"]),
        certificate_der=base64.b64decode(str(row["certificate"]), validate=True),
        acrl_url=str(row["acrl"]),
        roles=tuple(map(str, row["roles"])),
        attributes=tuple(map(str, row["attributes"])),
    )


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise TypeError("a time is a text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time has a zone")
    return moment
