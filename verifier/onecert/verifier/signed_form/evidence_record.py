"""The evidence record: one JSON file with all that a later check of a signed form needs, and nothing secret.

    {"type": "onecert-evidence-record", "schema": 1, "created_at": "2026-11-21T09:00:00Z",
     "document": {"bytes": 37, "digests": {"sha256": B64}, "content": B64 or absent},
     "signature": {"form": "cms", "value": B64}, or see ``recorded_signature``,
     "policy": {"allow_no_attributes": false, "several_signers": false},
     "trust": {"kind": "trust-list", "document": B64, "application": "tax",
               "pointed": [{"id": "gd", "document": B64, "roots": [B64]}] or absent} or {"kind": "anchors"},
     "certificates": [B64 DER], "crls": [B64 DER], "ocsp": [B64 DER],
     "verdict": {"signers": [{"certificate", "path", "anchor", "identity", "time_source", "signed_at"}]},
     "archive": [{"hash_algorithm", "document_digests", "certificates", "crls", "ocsp", "token": B64}, ...],
     "sha256": hex of the canonical JSON (RFC 8785) of everything above}

``sha256`` finds accidents. Against forgers each token of ``archive`` stamps the canonical JSON of the record,
without ``sha256``, up to and with its own entry, but for the token itself. Nothing in a record says whom to
trust: the keys of the list and the anchors of the timestamp authorities come from whoever checks it.

``pointed`` are lists that ours points to, for signers of theirs: ``roots`` are the signed trust roots that
followed the one which our list names.

Schema 1 knows the forms "cms" and "raw" alone, and ``pointed`` comes with schema 3. A record is written with
the oldest schema that can hold it, and keeps it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from onecert.verifier.arguments import as_octets
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.jws import load_json
from onecert.verifier.signed_form.canonical_json import canonical_json, count_separators
from onecert.verifier.signed_form.digests import DIGESTS
from onecert.verifier.signed_form.form_result import FormPolicy, SignatureSource
from onecert.verifier.signed_form.recorded_signature import (
    SCHEMA_MAX,
    blob,
    blobs,
    decode,
    encode,
    read_signature,
    signature_dict,
    text_of,
)
from onecert.verifier.strict_json import Node, StrictJsonError, format_time

__all__ = ["ArchiveEntry", "EvidenceRecord", "Materials", "PointedRecord", "load_evidence"]

TYPE = "onecert-evidence-record"
MAX_BYTES = 64 * 1024 * 1024
_SEPARATORS_MAX = 50_000  # a record is few large values
_ENTRIES_MAX, _DIGESTS_MAX = 64, 8
_VERDICT_SIGNERS_MAX = 16
_POINTED_MAX, _POINTED_SINCE = 16, 3
_TIME_SOURCES = ("timestamp", "archive", "now")


@dataclass(frozen=True, kw_only=True)
class Materials:
    """Certificates, lists and answers as DER; unverified, as in any message."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()

    def __or__(self, other: Materials) -> Materials:
        return Materials(
            certificates=tuple(dict.fromkeys((*self.certificates, *other.certificates))),
            crls=tuple(dict.fromkeys((*self.crls, *other.crls))),
            ocsp=tuple(dict.fromkeys((*self.ocsp, *other.ocsp))),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "certificates": [encode(item) for item in self.certificates],
            "crls": [encode(item) for item in self.crls],
            "ocsp": [encode(item) for item in self.ocsp],
        }


@dataclass(frozen=True, kw_only=True)
class ArchiveEntry:
    """One archive timestamp: what was collected before it was asked for, and the token."""

    hash_algorithm: str
    document_digests: Mapping[str, bytes]
    materials: Materials
    token: bytes = b""

    def as_dict(self, *, with_token: bool = True) -> dict[str, Any]:
        """For JSON; without the token it is what the token stamps."""
        found = {
            "hash_algorithm": self.hash_algorithm,
            "document_digests": {name: encode(value) for name, value in self.document_digests.items()},
            **self.materials.as_dict(),
        }
        return found | {"token": encode(self.token)} if with_token else found


@dataclass(frozen=True, kw_only=True)
class PointedRecord:
    """A list that ours points to, as it was when the form was judged."""

    id: str
    document: bytes
    roots: tuple[bytes, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "document": encode(self.document),
            "roots": [encode(root) for root in self.roots],
        }


@dataclass(frozen=True, kw_only=True)
class EvidenceRecord:
    """One record. ``signature`` is the CMS message, or one of the other kinds."""

    created_at: datetime
    document_bytes: int
    digests: Mapping[str, bytes]
    content: bytes | None
    signature: SignatureSource
    policy: FormPolicy
    trust_list: bytes | None
    application: str
    materials: Materials
    verdict: Mapping[str, Any]
    schema: int
    archive: tuple[ArchiveEntry, ...] = ()
    pointed: tuple[PointedRecord, ...] = ()

    def core(self) -> dict[str, Any]:
        """The part that never changes, for JSON."""
        document: dict[str, Any] = {
            "bytes": self.document_bytes,
            "digests": {name: encode(value) for name, value in self.digests.items()},
        }
        if self.content is not None:
            document["content"] = encode(self.content)
        trust: dict[str, Any] = {"kind": "anchors"}
        if self.trust_list is not None:
            trust = {
                "kind": "trust-list",
                "document": encode(self.trust_list),
                "application": self.application,
            }
            if self.pointed:
                trust["pointed"] = [each.as_dict() for each in self.pointed]
        return {
            "type": TYPE,
            "schema": self.schema,
            "created_at": format_time(self.created_at),
            "document": document,
            "signature": signature_dict(self.signature),
            "policy": {
                "allow_no_attributes": self.policy.allow_no_attributes,
                "several_signers": self.policy.several_signers,
            },
            "trust": trust,
            **self.materials.as_dict(),
            "verdict": dict(self.verdict),
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {**self.core(), "archive": [entry.as_dict() for entry in self.archive]}
        return found | {"sha256": hashlib.sha256(canonical_json(found)).hexdigest()}

    def to_json(self) -> bytes:
        """The file, UTF-8."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=1).encode("utf-8") + b"\n"

    def stamped_data(self, count: int) -> bytes:
        """What the token of the ``count``-th entry (from 1) stamps."""
        entries = [entry.as_dict() for entry in self.archive[: count - 1]]
        entries.append(self.archive[count - 1].as_dict(with_token=False))
        return canonical_json({**self.core(), "archive": entries})

    def with_entry(self, entry: ArchiveEntry) -> EvidenceRecord:
        """The record with one more archive entry."""
        return replace(self, archive=(*self.archive, entry))

    @property
    def all_materials(self) -> Materials:
        """Those of the record and of all its archive entries."""
        found = self.materials
        for entry in self.archive:
            found |= entry.materials
        return found

    @property
    def all_digests(self) -> list[tuple[str, bytes]]:
        """Every digest of the document, also those that a renewal added."""
        found = list(self.digests.items())
        for entry in self.archive:
            found += entry.document_digests.items()
        return found


def load_evidence(data: bytes) -> EvidenceRecord:
    """Read a record, at most 64 MiB. Only its own SHA-256 is checked here; see ``check_evidence``.

    Raises:
        MalformedError: ``TOO_LARGE``, ``DOCUMENT_MALFORMED``, ``EVIDENCE_MALFORMED``.
        RefusedError: ``EVIDENCE_ALTERED``.
    """
    data = as_octets(data, "an evidence record")
    if count_separators(data) > _SEPARATORS_MAX:
        raise MalformedError("EVIDENCE_MALFORMED", detail="too many values")
    try:
        with Node(load_json(data, max_bytes=MAX_BYTES), "") as node:
            record = _record(node)
            sha256 = node.text("sha256", max_length=64)
    except StrictJsonError as exc:
        raise MalformedError("EVIDENCE_MALFORMED", detail=str(exc)[:300]) from exc
    if sha256 != record.as_dict()["sha256"]:
        raise RefusedError("EVIDENCE_ALTERED", part="sha256")
    return record


def _record(node: Node) -> EvidenceRecord:
    node.choice("type", {TYPE})
    schema = node.integer("schema", low=1, high=SCHEMA_MAX)
    created_at = node.time("created_at")
    with node.node("document") as document:
        document_bytes = document.integer("bytes", low=0, high=2**53 - 1)
        digests = _digests(document, "digests", low=1)
        content = blob(document, "content") if document.has("content") else None
    with node.node("signature") as signature:
        signed = read_signature(signature, schema)
    with node.node("policy") as policy:
        form_policy = FormPolicy(
            allow_no_attributes=policy.boolean("allow_no_attributes"),
            several_signers=policy.boolean("several_signers"),
        )
    trust_list, application = None, ""
    pointed: tuple[PointedRecord, ...] = ()
    with node.node("trust") as trust:
        if trust.choice("kind", {"trust-list", "anchors"}) == "trust-list":
            trust_list = blob(trust, "document")
            application = trust.text("application", max_length=256)
            if schema >= _POINTED_SINCE and trust.has("pointed"):
                pointed = tuple(_pointed(trust))
    return EvidenceRecord(
        created_at=created_at,
        document_bytes=document_bytes,
        digests=digests,
        content=content,
        signature=signed,
        policy=form_policy,
        trust_list=trust_list,
        application=application,
        materials=_materials(node),
        verdict=_verdict(node),
        archive=tuple(_entries(node)),
        schema=schema,
        pointed=pointed,
    )


def _pointed(trust: Node) -> list[PointedRecord]:
    found = []
    for node in trust.nodes("pointed", low=1, high=_POINTED_MAX):
        with node:
            found.append(
                PointedRecord(
                    id=node.text("id", max_length=64),
                    document=blob(node, "document"),
                    roots=blobs(node, "roots"),
                )
            )
    return found


def _verdict(node: Node) -> dict[str, Any]:
    """Its form only; what it says is compared with the new verdict."""
    with node.node("verdict") as verdict:
        for signer in verdict.nodes("signers", low=1, high=_VERDICT_SIGNERS_MAX):
            with signer:
                signer.text("certificate", max_length=64)
                signer.texts("path", low=1, high=64)
                text_of(signer, "anchor")
                if signer.take("identity") is not None:
                    signer.node("identity")
                signer.choice("time_source", set(_TIME_SOURCES))
                signer.time("signed_at")
        return dict(verdict.raw)


def _entries(node: Node) -> list[ArchiveEntry]:
    found = []
    for entry in node.nodes("archive", high=_ENTRIES_MAX):
        with entry:
            found.append(
                ArchiveEntry(
                    hash_algorithm=entry.choice("hash_algorithm", set(DIGESTS)),
                    document_digests=_digests(entry, "document_digests", low=0),
                    materials=_materials(entry),
                    token=blob(entry, "token"),
                )
            )
    return found


def _materials(node: Node) -> Materials:
    return Materials(
        certificates=blobs(node, "certificates"), crls=blobs(node, "crls"), ocsp=blobs(node, "ocsp")
    )


def _digests(node: Node, key: str, *, low: int) -> dict[str, bytes]:
    values = node.node(key).raw
    if not low <= len(values) <= _DIGESTS_MAX or not values.keys() <= DIGESTS.keys():
        raise StrictJsonError(node.place(key), "must name known digest algorithms")
    return {name: decode(value, node.place(key)) for name, value in values.items()}
