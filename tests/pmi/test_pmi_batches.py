"""Many grants together: judged row by row, approved as a whole, issued once, whatever interrupts it."""

import hashlib
import json
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select

from onecert.pmi.errors import (
    ContentChangedError,
    GrantStateError,
    RequestWrongError,
    TokenGoneError,
)
from onecert.pmi.grants.errors import NotYoursError
from onecert.pmi.grants.sheets import read_sheet
from onecert.pmi.holders.find import holder_finder
from onecert.pmi.issuing import together
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import certificates, grants
from onecert.server.errors import ServiceError
from onecert.server.operators.errors import RoleRequiredError, SamePersonError
from onecert.verifier.attribute_certificate import parse

pytestmark = pytest.mark.token


class PowerCut(BaseException):
    """The process ends here."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows are three chunks."""
    monkeypatch.setattr(together, "CHUNK", 3)


def rows(pmi, lab, count: int = 7, role: str = "") -> list:
    return [pmi.asked(role or lab.READER_ROLE, targets=(f"urn:app:{number}",)) for number in range(count)]


def asked(pmi, lab, *, role: str = "", count: int = 7):
    batch_id = str(uuid.uuid4())
    return pmi.parts.batches.request(batch_id, "tax-office", rows(pmi, lab, count, role), pmi.officer)


def on_record(pmi) -> list:
    with pmi.database.reading() as connection:
        return list(connection.execute(select(certificates)))


def chunks(pmi) -> list[dict]:
    with pmi.database.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT details FROM audit_entries WHERE event = 'attribute_certificates.issued' ORDER BY seq"
        )
        return [row[0] if isinstance(row[0], dict) else json.loads(row[0]) for row in found]


def check_complete(pmi, batch_id: str, count: int) -> None:
    """Each grant has exactly one certificate that counts, and the audit trail names each exactly once."""
    batch = pmi.parts.batches.load(batch_id)
    assert (batch.state, batch.counts) == ("done", {"issued": count})
    ders = dict(pmi.parts.batches.certificates_of(batch_id))
    assert len(ders) == count
    targets = {bytes(parse(der).extensions[-1].value) for der in ders.values()}
    assert len(targets) == count
    named = [serial for chunk in chunks(pmi) for serial in chunk["serials"]]
    assert sorted(named) == sorted(ders)
    for chunk in chunks(pmi):
        lines = [f"{each} {hashlib.sha256(ders[each]).hexdigest()}\n" for each in chunk["serials"]]
        assert chunk["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_batch_is_approved_as_a_whole_and_issued(pmi_on_both, lab) -> None:
    pmi = pmi_on_both
    batch = asked(pmi, lab, role=lab.APPROVER_ROLE)
    assert (batch.state, batch.row_count, batch.wrong) == ("waiting", 7, ())
    with pytest.raises(RoleRequiredError):
        pmi.parts.batches.approve(batch.id, pmi.officer, content_sha256=batch.content_sha256)
    with pytest.raises(ContentChangedError):
        pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256="0" * 64)
    pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)
    check_complete(pmi, batch.id, 7)
    der = next(iter(dict(pmi.parts.batches.certificates_of(batch.id)).values()))
    assert parse(der).issuer is not None
    again = pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)
    assert again.state == "done"
    assert pmi.parts.batches.page(state="done")[1] == 1
    assert len(pmi.parts.batches.grants_of(batch.id, state="issued")) == 7


def test_without_a_second_person_it_is_issued_at_once_and_only_once(pmi, lab) -> None:
    batch_id = str(uuid.uuid4())
    for _ in range(2):
        batch = pmi.parts.batches.request(batch_id, "tax-office", rows(pmi, lab), pmi.officer)
        assert batch.state == "done"
    check_complete(pmi, batch_id, 7)
    other = pmi.operator("other", "attribute.officer")
    with pytest.raises(NotYoursError):
        pmi.parts.batches.request(batch_id, "tax-office", rows(pmi, lab), other)


def test_a_changed_row_is_not_approved(pmi, lab) -> None:
    batch = asked(pmi, lab, role=lab.APPROVER_ROLE)
    with pmi.database.transaction() as connection:
        connection.execute(
            grants.update().where(grants.c.batch_id == batch.id).values(content_sha256="0" * 64)
        )
    with pytest.raises(ContentChangedError):
        pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)


def test_nobody_approves_their_own_batch(pmi, lab) -> None:
    pmi.operators.config = type(pmi.operators.config)(allow_same_person=True)
    twin = pmi.operator("twin", "attribute.approver", person=lab.id_number(1))
    batch = asked(pmi, lab, role=lab.APPROVER_ROLE)
    with pytest.raises(SamePersonError):
        pmi.parts.batches.approve(batch.id, twin, content_sha256=batch.content_sha256)


def test_a_batch_is_refused_or_withdrawn(pmi, lab) -> None:
    batch = asked(pmi, lab, role=lab.APPROVER_ROLE)
    with pytest.raises(RequestWrongError, match="why"):
        pmi.parts.batches.refuse(batch.id, pmi.approver, " ")
    assert pmi.parts.batches.refuse(batch.id, pmi.approver, "wrong department").counts == {"refused": 7}
    with pytest.raises(GrantStateError):
        pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)
    own = asked(pmi, lab, role=lab.APPROVER_ROLE)
    pmi.parts.batches.refuse(own.id, pmi.officer, "asked for too much")
    assert pmi.events().count("batch.withdrawn") == 1
    assert on_record(pmi) == []


def test_each_row_says_what_is_wrong_with_it(pmi, lab) -> None:
    """One bad row keeps all out, unless the good ones are wanted alone."""
    stranger = pmi.ca.holder("无名")
    bad = [
        pmi.asked(),
        pmi.asked("urn:onecert:role:none"),
        pmi.asked("urn:onecert:role:police.chief"),
        pmi.asked(holder=stranger),
        pmi.asked(not_after=lab.T + timedelta(days=31)),
        pmi.asked(roles=(), attributes={"nothing": ["x"]}),
        pmi.asked(kind="delegation"),
        RequestWrongError("row", "not a JSON object"),
    ]
    codes = ["ROLE_UNKNOWN", "ROLE_NOT_ASSIGNABLE", "CERT_ISSUER_NOT_LISTED", "VALIDITY_WRONG"]
    codes += ["ATTRIBUTE_UNKNOWN", "REQUEST_WRONG", "REQUEST_WRONG"]
    shown = pmi.parts.batches.check("tax-office", bad, pmi.officer)
    assert [(row.number, row.error.code) for row in shown if row.error] == list(enumerate(codes, start=2))

    kept_out = pmi.parts.batches.request("", "tax-office", bad, pmi.officer)
    assert (kept_out.state, len(kept_out.wrong)) == ("", 7)
    assert pmi.parts.batches.page() == ([], 0)
    good = pmi.parts.batches.request("", "tax-office", bad, pmi.officer, only_good=True)
    assert (good.state, good.row_count, len(good.wrong)) == ("done", 1, 7)


def test_separation_of_duty_within_a_batch(pmi, lab) -> None:
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    both = [pmi.asked("urn:onecert:role:tax.clerk"), pmi.asked("urn:onecert:role:tax.auditor")]
    shown = pmi.parts.batches.check("tax-office", both, pmi.officer)
    assert [row.error.code for row in shown if row.error] == ["SEPARATION_OF_DUTY"]


def test_a_row_that_may_not_be_given_any_more_is_refused(pmi, lab) -> None:
    """Between request and approval the holder was given what excludes it; the other rows are issued."""
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    wanted = [pmi.asked(lab.APPROVER_ROLE), pmi.asked(lab.APPROVER_ROLE, "urn:onecert:role:tax.clerk")]
    batch = pmi.parts.batches.request("", "tax-office", wanted, pmi.officer)
    pmi.grant("urn:onecert:role:tax.auditor")
    done = pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)
    assert (done.state, done.counts) == ("done", {"issued": 1, "refused": 1})
    (refused,) = pmi.parts.batches.grants_of(batch.id, state="refused")
    assert "together" in refused.refused_why


# --- interruptions ---


@pytest.mark.parametrize(
    ("moment", "chunk"),
    [("intents", 2), ("signing", 1), ("signing", 2), ("signed", 1), ("signed", 2), ("kept", 2)],
)
def test_interrupted_anywhere_nothing_is_lost_or_doubled(
    pmi, lab, monkeypatch: pytest.MonkeyPatch, moment: str, chunk: int
) -> None:
    """The process dies in the first or second chunk; the next run finishes, the timer does it as well."""
    batch = asked(pmi, lab, role=lab.APPROVER_ROLE)
    target, name = {
        "intents": (together.Together, "_begin"),
        "signing": (Signer, "sign_many"),
        "signed": (together.Together, "_write"),
        "kept": (together.Together, "_keep"),
    }[moment]
    original, calls = getattr(target, name), []

    def die(*arguments, **named):
        calls.append(1)
        if moment == "kept" and len(calls) == chunk:
            original(*arguments, **named)
        if len(calls) >= chunk:
            raise PowerCut
        return original(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(target, name, die)
        with pytest.raises(PowerCut):
            pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)
    intended = {row.serial for row in on_record(pmi)}
    pmi.parts.batches.resume()
    check_complete(pmi, batch.id, 7)
    # What was on record is what was signed: no serial number was given up.
    assert intended <= {row.serial for row in on_record(pmi)}
    assert {row.state for row in on_record(pmi)} == {"issued"}
    assert pmi.parts.batches.resume() == 0


def test_what_was_given_up_meanwhile_is_issued_under_another_number(
    pmi, lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is away for longer than an intent lasts: its serial numbers are revoked, nothing doubled."""
    batch = asked(pmi, lab, role=lab.APPROVER_ROLE)

    def gone(*_arguments):
        raise TokenGoneError("pmi")

    with monkeypatch.context() as patched:
        patched.setattr(Signer, "sign_many", gone)
        with pytest.raises(TokenGoneError):
            pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)
    lost = {row.serial for row in on_record(pmi)}
    pmi.clock.advance(timedelta(minutes=6))
    assert pmi.parts.issuing.resolve_intents(pmi.clock.now()) == len(lost)
    pmi.parts.batches.resume()
    check_complete(pmi, batch.id, 7)
    assert {row.serial for row in on_record(pmi) if row.state == "abandoned"} == lost


def test_a_serial_that_was_given_up_during_signing_is_not_kept(
    pmi, lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Signer.sign_many

    def slow(self, *arguments):
        signed = original(self, *arguments)
        pmi.clock.advance(timedelta(minutes=6))
        pmi.parts.issuing.resolve_intents(pmi.clock.now())
        return signed

    batch = asked(pmi, lab, role=lab.APPROVER_ROLE, count=2)
    with monkeypatch.context() as patched:
        patched.setattr(Signer, "sign_many", slow)
        pmi.parts.batches.approve(batch.id, pmi.approver, content_sha256=batch.content_sha256)
    assert {row.state for row in on_record(pmi)} <= {"abandoned", "issued"}
    pmi.parts.batches.resume()
    check_complete(pmi, batch.id, 2)


# --- what people bring ---


def read(pmi, text: str) -> list:
    with pmi.database.reading() as connection:
        catalogue = pmi.parts.catalogues.load(connection)
    return read_sheet(text.encode(), catalogue, holder_finder(pmi.database), authority="tax-office")


def test_rows_from_csv_and_json_lines(pmi, lab) -> None:
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    pmi.grant()
    known = hashlib.sha256(pmi.holder.public_bytes(lab.Encoding.DER)).hexdigest()
    pem = pmi.holder.public_bytes(lab.Encoding.PEM).decode()
    csv = f'''holder,role,region,limit,until,targets
{known},{lab.READER_ROLE},440303|440304,500,2026-11-30,urn:app:1|urn:app:2
"{pem}",,440303,,,
'''
    first, second = read(pmi, csv)
    assert first.attributes == {"role": [lab.READER_ROLE], "region": ["440303", "440304"], "limit": [500]}
    assert first.not_after.isoformat() == "2026-11-30T23:59:59+08:00"
    assert first.targets == ("urn:app:1", "urn:app:2")
    assert second.attributes == {"region": ["440303"]}
    line = {"holder": known, "limit": [5], "from": "2026-11-21T09:00:00Z", "holder_form": "key"}
    (third,) = read(pmi, json.dumps(line) + "\n\n")
    assert (third.attributes, third.holder_form) == ({"limit": [5]}, "key")
    made = pmi.parts.batches.request("", "tax-office", [first, second, third], pmi.officer)
    assert (made.state, made.wrong) == ("done", ())


def test_rows_that_cannot_be_read(pmi, lab) -> None:
    for text in ("", "name,role\n1,2\n", "holder,holder\n1,2\n", 'holder,role\n"x\n', "\udce4"):
        with pytest.raises(RequestWrongError, match="rows"):
            read_sheet(text.encode("utf-8", "surrogateescape"), None, lambda _: b"", authority="tax-office")
    found = read(pmi, "holder,role,until\nnobody,x,\n" + "0" * 64 + ",x,\nx\n")
    assert all(isinstance(row, ServiceError) for row in found)
    assert len(found) == 3
    for line in ('{"role": ["x"]}', '{"holder": 5}', '{"holder": "x", "until": 5}', '{"holder":', "{}[]"):
        assert isinstance(read(pmi, line)[0], ServiceError)
