"""From a snapshot of the record to what will be signed: a list, its delta, what to lint, and the hashes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

from onecert.ca.authorities.authorities import Authority
from onecert.ca.certificates.draft import delta_url
from onecert.ca.lists.crl import NEVER, CrlDraft, Scope, draft_crl
from onecert.ca.lists.entries import count_of
from onecert.ca.lists.snapshot import Snapshot
from onecert.ca.signatures.algorithms import Hashed, hashed
from onecert.ca.signatures.signer import LONG_OCTETS

__all__ = ["Drafts", "HashedDraft", "draft_lists", "hash_draft", "sha256_of"]


@dataclass(frozen=True, kw_only=True)
class Drafts:
    """A complete list and its delta, to be signed with one number."""

    full: CrlDraft
    # The same list with those entries alone that no list before had: they were linted then, and their bytes
    # have not been touched since.
    to_lint: CrlDraft
    delta: CrlDraft | None
    snapshot: Snapshot


@dataclass(frozen=True, kw_only=True)
class HashedDraft:
    """A draft with the hash that goes on record, and what the key signs: the bytes, or their hash."""

    draft: CrlDraft
    sha256: str
    to_sign: bytes | Hashed


def draft_lists(
    authority: Authority, partition: int, snapshot: Snapshot, *, made: Snapshot | None, is_last: bool
) -> Drafts:
    """Write the next list of a scope, and its delta if the snapshot has one.

    Args:
        made: the content of an earlier list that this process linted and signed.
        is_last: no other will follow, so it has no end.
    """
    issuer, this_update = authority.issuer, snapshot.this_update
    number = snapshot.last_number + 1
    url = issuer.crl_url_of(partition)
    scope_url = url if partition else ""
    delta = None
    if snapshot.delta is not None:
        delta = draft_crl(
            issuer,
            number=number,
            this_update=this_update,
            next_update=min(this_update + authority.delta_lifetime, issuer.not_after),
            entries=snapshot.delta.entries,
            scope=Scope(url=scope_url, base_number=snapshot.delta.base_number),
        )
    draft = partial(
        draft_crl,
        issuer,
        number=number,
        this_update=this_update,
        next_update=NEVER if is_last else min(this_update + authority.crl_lifetime, issuer.not_after),
        scope=Scope(url=scope_url, delta_url=delta_url(url) if delta is not None else ""),
    )
    entries = snapshot.entries
    full = draft(entries=entries.segments, count=entries.count)
    unseen = entries.new_since(made.entries if made else None)
    is_whole = len(unseen) == len(entries.segments)
    to_lint = full if is_whole else draft(entries=unseen, count=count_of(unseen))
    return Drafts(full=full, to_lint=to_lint, delta=delta, snapshot=snapshot)


def hash_draft(draft: CrlDraft) -> HashedDraft:
    """Hash a draft, once where the record and the key want the same hash."""
    to_sign: bytes | Hashed
    if draft.octets <= LONG_OCTETS:
        to_sign = draft.tbs_der
        return HashedDraft(draft=draft, sha256=hashlib.sha256(to_sign).hexdigest(), to_sign=to_sign)
    to_sign = hashed(draft.issuer.public_key, *draft.tbs_parts)
    if isinstance(to_sign, Hashed) and to_sign.algorithm.name == "sha256":
        return HashedDraft(draft=draft, sha256=to_sign.digest.hex(), to_sign=to_sign)
    return HashedDraft(draft=draft, sha256=sha256_of(*draft.tbs_parts), to_sign=to_sign)


def sha256_of(*parts: bytes) -> str:
    """Hash what lies in pieces. Other threads go on meanwhile."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
