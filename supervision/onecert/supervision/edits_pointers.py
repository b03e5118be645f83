"""Changes of a draft's pointers to other lists, as functions from one draft to the next; see ``edits.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from onecert.server.languages import _
from onecert.supervision.draft import Draft, draft_json, parse_draft
from onecert.supervision.edits import filled
from onecert.supervision.errors import UploadError
from onecert.verifier.trust_list import StatusEntry

__all__ = ["add_pointer", "add_pointer_status", "change_pointer", "remove_pointer"]


def add_pointer(draft: Draft, pointer: Mapping[str, Any]) -> Draft:
    """With one more pointer, in the names of the draft file; as it is when the very same is there already."""
    value = draft_json(draft)
    present = value.get("pointers", [])
    wanted = draft_json(parse_draft({**value, "pointers": [filled(dict(pointer))]}))["pointers"][0]
    if wanted in present:
        return draft
    if any(each["id"] == wanted["id"] for each in present):
        raise UploadError(_("the list has a pointer of this id already"))
    return parse_draft({**value, "pointers": [*present, wanted]})


def change_pointer(draft: Draft, pointer: str, changes: Mapping[str, Any]) -> Draft:
    """With other values of one pointer; an empty one takes the key away.

    Raises:
        AuthorityUnknownError: there is none of this id. DraftMalformedError: with the place and the fault.
    """
    draft.pointer(pointer)
    value = draft_json(draft)
    value["pointers"] = [
        filled({**each, **changes}) if each["id"] == pointer else each for each in value["pointers"]
    ]
    return parse_draft(value)


def add_pointer_status(draft: Draft, pointer: str, entry: StatusEntry) -> Draft:
    """With one more status of a pointer; as it is when the entry is there already."""
    present = draft.pointer(pointer)
    if entry in present.history:
        return draft
    changed = replace(present, history=(*present.history, entry))
    return replace(draft, pointers=tuple(changed if each is present else each for each in draft.pointers))


def remove_pointer(draft: Draft, pointer: str) -> Draft:
    """Without a pointer that was never published."""
    present = draft.pointer(pointer)
    return replace(draft, pointers=tuple(each for each in draft.pointers if each is not present))
