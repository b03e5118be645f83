"""Pointers to other lists (province, nation, Hong Kong): add one, show it, edit what is granted, its status.

Whose keys the other list has is said by its trust root. Its fingerprint is shown before it is taken, to be
compared with what the other office reads aloud; what is saved is the root whose fingerprint was compared.
"""

from __future__ import annotations

import base64
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role
from onecert.supervision.compare import status_name
from onecert.supervision.described import entry_line
from onecert.supervision.described_pointer import class_name, describe_pointer, id_type_name
from onecert.supervision.draft_pointers import DraftPointer
from onecert.supervision.edits_pointers import (
    add_pointer,
    add_pointer_status,
    change_pointer,
    remove_pointer,
)
from onecert.supervision.errors import UploadError
from onecert.supervision.pages.common import (
    EDITORS,
    WORKERS,
    Attempt,
    both,
    edit_draft,
    form_time,
    local_time,
    open_draft,
    posted,
    the,
    uploaded,
    uploaded_text,
)
from onecert.supervision.pages.status_change import read_entry
from onecert.supervision.uploads import read_root
from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.profile import HolderClass
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import Status
from onecert.verifier.trust_list.root import TrustRoot

__all__ = ["add_to"]

ROOT_MAX_BYTES = 1024 * 1024
# A pointer is not taken over by anybody: its list goes on by itself.
STATUSES = (Status.GRANTED, Status.SUSPENDED, Status.WITHDRAWN)


def add_to(pages: Blueprint) -> None:
    """Add the pages of pointers."""
    for path, name, view, methods in (
        ("/draft/pointers/add", "add_pointer", _add, ["GET", "POST"]),
        ("/draft/pointers/<pointer>", "pointer", _show, ["GET"]),
        ("/draft/pointers/<pointer>/edit", "edit_pointer", _edit, ["GET", "POST"]),
        ("/draft/pointers/<pointer>/status", "pointer_status", _status, ["GET", "POST"]),
        ("/draft/pointers/<pointer>/remove", "remove_pointer", _remove, ["POST"]),
    ):
        pages.add_url_rule(path, name, view, methods=methods)


@requires_role(*WORKERS)
def _show(pointer: str) -> str:
    return _page(pointer, None)


def _page(pointer: str, refusal: dict[str, str] | None) -> str:
    record, published = open_draft(), both()[1]
    found = record.draft.pointer(pointer)
    return render_template(
        "supervision/pointer.html",
        record=record,
        pointer=found,
        described=describe_pointer(found),
        is_published=published is not None and any(each.id == pointer for each in published.draft.pointers),
        operator=current_operator(),
        refusal=refusal,
    )


@requires_role(*EDITORS)
def _add() -> Any:
    return _form(None)


@requires_role(*EDITORS)
def _edit(pointer: str) -> Any:
    return _form(pointer)


def _form(pointer: str | None) -> Any:
    """The form of a new pointer, or of one that is there. A root that was not compared is shown first."""
    roots: list[TrustRoot] = []

    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        present = None if pointer is None else record.draft.pointer(pointer)
        return render_template(
            "supervision/pointer_form.html",
            record=record,
            pointer=present,
            values=_typed() if request.method == "POST" else _values(present),
            id_types=[(each.value, id_type_name(each.value)) for each in IdType],
            classes=[(each.value, class_name(each.value)) for each in HolderClass],
            root=roots[0] if roots else None,
            refusal=refusal,
        )

    def act() -> str:
        document = uploaded("root", ROOT_MAX_BYTES)
        values = _scope()
        if document.strip():
            root = read_root(document)
            roots.append(root)
            if posted("compared", 64) != root.sha256:
                return "compare"
            values["root"] = base64.b64encode(document.strip()).decode("ascii")
        elif pointer is None:
            raise UploadError(_("the trust root of the other list is missing"))
        if pointer is None:
            values["id"] = posted("id", 32)
            start = form_time("from") or the().editor.clock.now().replace(microsecond=0)
            values["history"] = [{"status": "granted", "from": format_time(start)}]
        name = pointer or values["id"]
        edit_draft(
            lambda draft: (
                add_pointer(draft, values) if pointer is None else change_pointer(draft, name, values)
            ),
            {"pointer": name, "part": "added" if pointer is None else "edited"},
        )
        return name

    def done(name: str) -> AnyResponse:
        if name == "compare":
            return make_response(page(None))
        notify(_("Saved. Signatures made before are void."))
        return redirect(url_for("draft.pointer", pointer=name), 303)

    return Attempt(act, page).answer(done)


@requires_role(*EDITORS)
def _status(pointer: str) -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        found = record.draft.pointer(pointer)
        values = dict(request.form) if request.method == "POST" else {}
        values.setdefault("from", local_time(the().editor.clock.now()))
        return render_template(
            "supervision/pointer_status.html",
            record=record,
            pointer=found,
            history=[entry_line(entry) for entry in found.history],
            statuses=[(each.value, gettext(status_name(each.value))) for each in STATUSES],
            values=values,
            refusal=refusal,
        )

    def act() -> None:
        if posted("status", 20) not in STATUSES:
            raise UploadError(_("choose a status"))
        entry = read_entry()
        edit_draft(
            lambda draft: add_pointer_status(draft, pointer, entry),
            {"pointer": pointer, "status": entry.status.value, "from": entry.start.isoformat()},
        )

    def done(_value: None) -> AnyResponse:
        notify(_("The status is in the draft. Signatures made before are void."))
        return redirect(url_for("draft.pointer", pointer=pointer), 303)

    return Attempt(act, page).answer(done)


@requires_role(*EDITORS)
def _remove(pointer: str) -> Any:
    def act() -> None:
        edit_draft(lambda draft: remove_pointer(draft, pointer), {"pointer": pointer, "part": "removed"})

    def done(_value: None) -> AnyResponse:
        notify(_("The pointer is not in the draft any more."))
        return redirect(url_for("draft.index"), 303)

    return Attempt(act, lambda refusal: _page(pointer, refusal)).result(done)


def _scope() -> dict[str, Any]:
    """Address, operator and what is granted, as the draft file spells them."""
    return {
        "location": posted("location"),
        "operator": {"zh": posted("operator_zh"), "en": posted("operator_en")},
        "id_types": request.form.getlist("id_types")[:20],
        "classes": request.form.getlist("classes")[:20],
        "services": list(dict.fromkeys(posted("services", 40_000).split())),
        "policies": list(dict.fromkeys(posted("policies", 20_000).split())),
    }


def _typed() -> dict[str, Any]:
    lists = {key: request.form.getlist(key) for key in ("id_types", "classes")}
    return {**request.form, **lists, "root": uploaded_text("root", ROOT_MAX_BYTES)}


def _values(pointer: DraftPointer | None) -> dict[str, Any]:
    if pointer is None:
        return {"id_types": [], "classes": [], "from": local_time(the().editor.clock.now())}
    return {
        "location": pointer.location,
        "operator_zh": pointer.operator.zh,
        "operator_en": pointer.operator.en,
        "id_types": pointer.id_types,
        "classes": pointer.classes,
        "services": "\n".join(pointer.services),
        "policies": "\n".join(pointer.policies),
    }
