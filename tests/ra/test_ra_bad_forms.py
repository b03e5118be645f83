"""Hostile and odd input, and what happens to people between two clicks. Which test shows what:

| input | shown by |
| --- | --- |
| any text in any field | here; test_ra_form_input (random), test_ra_bad_input (each fault) |
| HTML | here; test_ra_pages.test_hostile_text…, server/test_frame (escaping) |
| formulas that go out | test_ra_batch_files.test_outputs_carry_no_formulas, test_ra_reports.test_no_cell… |
| formulas, macros, outside links, entities, zip bombs in tables | test_ra_batch_files |
| scans: 50 MB, bombs of pixels, wrong type, two types in one, active PDF | test_ra_evidence.REFUSED |
| scans: hostile file names, more than one request may be | test_ra_evidence_pages, test_ra_form_scans |
| emoji, rare Han characters, full-width digits, right-to-left | here; on paper: test_ra_papers |
| a private key instead of a request | test_ra_pages.test_a_pasted_private_key…, test_ra_bad_input |
| double click | test_ra_pages, test_ra_form_scans, test_ra_renewing |
| back button, stale form, two tabs | here; test_ra_form (saving while typing) |
| expired session in mid-form | here; server/test_kept_forms (without scripts) |
| CSRF | here; server/test_csrf |
| forged fields, roles, ids | here; test_ra_doors, test_ra_points, test_ra_api, test_ra_openapi |
| addresses with nonsense | test_ra_pages.test_no_address_breaks_a_page |
"""

import re
from datetime import timedelta

import pytest
from ra_fakes import IDCARD, USCC, idcard, make_csr
from test_ra_content import CSR, GOOD, TODAY
from test_ra_form import autosave
from test_ra_form_input import OF_KIND, fields_of
from test_ra_pages import FORM, enter

from onecert.ra.content.checking import check_content
from onecert.ra.content.fields import FIELDS, Kind
from onecert.ra.models import applications

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NEW = "/applications/new/pearl/organisation"
RARE = "\U00020bb7\U0002cef4"  # 𠮷 of a family name, 𬻴 of extension E
ODD = {
    "html": "<img src=x onerror=alert(1)>",
    "formula": "=HYPERLINK(1)",
    "emoji": "张三😀",
    "right-to-left override": "张\u202e三",
    "right-to-left mark": "张三\u200f",
    "isolate": "\u2066张三\u2069",
    "zero width": "张\u200b三",
    "byte order mark": "\ufeff张三",
    "NUL": "张三\0",
    "half a pair": "张\ud842三",
    "a line end": "张三\r\nSet-Cookie: a=b",
    "very long": "名" * 3000,
    "rare Han": RARE,
}
# What a person may write, because it is a name or a remark; everything else has a form of its own.
TEXTS = {"name", "person", "address", "note"}
ALWAYS = {"html", "emoji", "right-to-left override", "right-to-left mark", "isolate", "zero width", "NUL"}


@pytest.mark.parametrize("name", ODD)
def test_odd_text_in_every_field(name) -> None:
    """Refused at its field with a sentence, or kept as it was typed; never changed in silence."""
    typed = ODD[name]
    for kind in (Kind.ORGANISATION, Kind.EMPLOYEE, Kind.DEVICE):
        fields = {field.name: field for field in FIELDS[kind]}
        outcome = check_content(kind, "pearl", dict.fromkeys(fields, typed), CSR, at=TODAY, test_ids=False)
        faults = {fault.field: fault for fault in outcome.faults}
        for field in fields.values():
            if fault := faults.get(field.name):
                assert fault.text
                assert fault.hint
                continue
            assert outcome.values[field.name] == typed.replace("\r\n", "\n")
            assert field.check in TEXTS
            assert field.check == "note" or name not in ALWAYS


@pytest.mark.parametrize("kind", list(Kind))
def test_rare_names_go_through(kind) -> None:
    """Han characters outside of the first plane in each name and address, for each type."""
    fields = fields_of(kind)
    named = {
        field.name: RARE + (fields.get(field.name) or "甲")
        for field in FIELDS[kind]
        if field.check in {"person", "address"} or field.name in {"organization_name", "device_name"}
    }
    outcome = check_content(kind, "pearl", {**fields, **named}, CSR, at=TODAY, test_ids=False)
    assert outcome.faults == ()
    assert all(outcome.values[name] == value for name, value in named.items())
    assert OF_KIND[kind] is not None


def test_full_width_digits_become_digits_and_are_noted() -> None:
    """A Chinese keyboard in full-width mode: every number of the form."""
    wide = str.maketrans({chr(0x21 + n): chr(0xFF01 + n) for n in range(94)})
    numbers = {"uscc": USCC, "agent_idcard": IDCARD, "mobile": "13800000000", "postcode": "518000"}
    typed = {**GOOD, **{name: value.translate(wide) for name, value in numbers.items()}}
    outcome = check_content(Kind.ORGANISATION, "pearl", typed, CSR, at=TODAY, test_ids=False)
    assert outcome.faults == ()
    assert {name: outcome.values[name] for name in numbers} == numbers
    assert set(numbers) <= {note.field for note in outcome.notes}


@only_sqlite
def test_back_after_the_submit_and_another_button(ra) -> None:
    """The form is submitted; the clerk goes back, changes it and presses again. Refused, the record stays."""
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(NEW)
    form = {**FORM, "csr": make_csr(), "form_key": clerk.value("form_key"), "act": "submit"}
    clerk.post(NEW, form)
    again = clerk.post(NEW, {**form, "note": "noch einmal", "act": "save"}, follow=False)
    assert again.status_code == 409
    assert len(clerk.text) > 20
    [row] = ra.rows(applications)
    assert row["state"] == "submitted"
    assert "noch einmal" not in row["fields"]


@only_sqlite
def test_two_tabs_and_a_stale_form(ra) -> None:
    """One draft in two tabs; the second saves by its button what the first has changed meanwhile."""
    draft, clerk = ra.create(), ra.browser(ra.entry_clerk)
    path = f"/applications/{draft.id}/edit"
    clerk.get(path)
    form = {**FORM, "csr": "", "revision": clerk.value("revision"), "act": "save"}
    assert clerk.post(path, {**form, "note": "first"}, follow=False).status_code == 303
    clerk.get(path)
    for act in ("save", "submit"):
        stale = clerk.post(path, {**form, "csr": make_csr(), "note": "second", "act": act}, follow=False)
        assert stale.status_code == 409
        clerk.get(path)
        assert "first" in clerk.page
    [row] = ra.rows(applications)
    assert row["state"] == "draft"


@only_sqlite
def test_a_session_that_ends_while_somebody_types(ra) -> None:
    """Half an hour at the telephone; the page saves: told to sign in. Then the same page goes on."""
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(NEW)
    form = {**FORM, "form_key": clerk.value("form_key")}
    made = autosave(clerk, f"{NEW}/autosave", **form).json
    ra.clock.advance(timedelta(minutes=31))
    typed = {**form, "id": made["id"], "revision": made["revision"], "note": "typed on"}
    refused = autosave(clerk, made["url"], **typed)
    assert refused.status_code in {401, 403}
    assert refused.json["hint"]
    back = ra.browser(ra.entry_clerk)
    back.get("/")
    assert autosave(back, made["url"], **typed).status_code == 200
    [row] = ra.rows(applications)
    assert "typed on" in row["fields"]


@only_sqlite
def test_fields_that_no_form_has_change_nothing(ra) -> None:
    """State, point, people and roles as fields; another's id and a made-up revision; no token."""
    clerk = ra.browser(ra.entry_clerk)
    forged = {
        "state": "approved",
        "point": "elsewhere",
        "created_by": "li",
        "reviewed_by": "li",
        "roles": "clerk.review",
        "business": "revoke",
        "content_sha256": "0" * 64,
    }
    enter(clerk, act="save", **forged)
    [row] = ra.rows(applications)
    assert (row["state"], row["point"], row["created_by"], row["business"]) == (
        "draft",
        "main",
        "wang",
        "new",
    )
    assert row["reviewed_by"] is None

    for id_, revision in (("00000000-0000-4000-8000-000000000000", "1"), ("../x", "-1"), ("'--", "９")):
        clerk.get(NEW)
        form = {**FORM, "form_key": clerk.value("form_key"), "id": id_, "revision": revision, "act": "save"}
        assert clerk.post(NEW, form, follow=False).status_code in {404, 409}
    assert len(ra.rows(applications)) == 1

    answer = clerk.client.post(NEW, base_url="https://127.0.0.1:8443/ra", data={**FORM, "act": "save"})
    assert answer.status_code == 403
    assert re.search("page|form", answer.get_data(as_text=True))
    reviewer = ra.browser(ra.operator("mei", "clerk.review", person=idcard(120)))
    reviewer.get("/")
    assert reviewer.post(NEW, {**FORM, "act": "save", "form_key": "k"}, follow=False).status_code == 403
