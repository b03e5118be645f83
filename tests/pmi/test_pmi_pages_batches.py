"""A batch by the pages: the table, the report of its rows, approval by a second person, its certificates."""

import hashlib
import re

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

pytestmark = pytest.mark.token


def sha256(certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def test_a_table_is_judged_then_asked_for_then_approved(pmi, lab) -> None:
    for holder in (pmi.holder, pmi.other):
        pmi.parts.holders.verify(holder.public_bytes(Encoding.DER), lab.T)
    officer, approver = pmi.client(pmi.officer), pmi.client(pmi.approver)
    assert "holder,from,until" in officer.get("/batches/columns.csv").text
    table = f"holder,role\n{sha256(pmi.holder)},{lab.APPROVER_ROLE}\n{sha256(pmi.other)},{lab.READER_ROLE}\n"
    bad = table + f"{'0' * 64},{lab.READER_ROLE}\n"

    page = officer.submit("/batches/check?language=en", {"authority": "tax-office", "rows": bad}).text
    assert "2 of 3 rows can be granted" in page
    assert "no certificate with this SHA-256" in page
    assert pmi.parts.batches.page()[1] == 0
    key = re.search(r'name="key" value="([^"]+)"', page)[1]
    form = {"authority": "tax-office", "rows": bad, "key": key}
    assert officer.submit("/batches", form).status_code == 422, "nobody has said to leave rows out"
    assert pmi.parts.batches.page()[1] == 0
    for _twice in range(2):
        sent = officer.submit("/batches", {**form, "only_good": "yes"})
        assert sent.status_code == 303
    assert pmi.parts.batches.page()[1] == 1
    path = sent.headers["Location"].removeprefix("/pmi")

    assert f"{path}/approve" not in officer.get(path).text
    assert "batches to be approved by you" in approver.get("/?language=en").text
    page = approver.get(f"{path}?language=en").text
    assert "张三" in page
    assert f"Asked for by {pmi.officer.name}" in page
    stale = approver.submit(f"{path}/approve", {"content_sha256": "0" * 64})
    assert stale.status_code == 409
    shown = re.search(r'name="content_sha256" value="([0-9a-f]{64})"', page)[1]
    assert approver.submit(f"{path}/approve", {"content_sha256": shown}).status_code == 303
    assert pmi.decide().is_permitted
    bundle = pmi.client(pmi.auditor).get(f"{path}/certificates.pem").text
    assert bundle.count("BEGIN ATTRIBUTE CERTIFICATE") == 2

    for wrong in ("", "role\nx\n"):
        answer = officer.submit("/batches/check", {"authority": "tax-office", "rows": wrong})
        assert (answer.status_code, 'id="f-rows-error"' in answer.text) == (422, True)
    assert pmi.client(pmi.auditor).submit("/batches/check", {"rows": table}).status_code == 403
