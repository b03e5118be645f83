"""Emergencies: frozen by one officer, approved by another person, carried out once, in chunks."""

import pytest
from ra_fakes import DAY, OTHER_USCC, T, idcard

from onecert.ra.emergency import work
from onecert.ra.emergency.records import count_items
from onecert.ra.emergency.selection import Selection
from onecert.ra.emergency.tables import emergency_items
from onecert.ra.errors import NotFoundError
from onecert.ra.errors.emergency import EmergencyRefusedError, UnknownLinesError
from onecert.ra.models import certificates, revocations
from onecert.ra.operators.scopes import Grant, write_scope
from onecert.server.operators import OperatorError, SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

KEY = "keyCompromise"
NAMES = "甲乙丙丁戊"


@pytest.fixture
def second(ra):
    """Another officer, another person."""
    return ra.operator("sun", "security.officer", person=idcard(160))


def issue(ra, count=3):
    for number in range(count):
        ra.issue(ra.entry("citizen", name="王" + NAMES[number], idcard=idcard(400 + number)))
    return sorted(row["serial_hex"] for row in ra.rows(certificates))


def propose(ra, selection=None, **options):
    selection = selection or Selection(kind="authority", authority="pearl")
    options = {"reason": KEY, "why": "box of keys stolen", "request_key": "k", **options}
    return ra.service.emergencies.propose(ra.officer, selection, **options)


def approve(ra, by, made):
    return ra.service.emergencies.approve(
        by, made.id, content_sha256=made.content_sha256, certificates=made.certificates
    )


def counts(ra, made):
    with ra.database.reading() as connection:
        return count_items(connection, made.id)


def statuses(ra):
    return sorted(row["status"] for row in ra.rows(certificates))


def test_two_officers_revoke_everything_of_an_authority(ra, second) -> None:
    """Frozen, approved by the other, carried out: each certificate has its own signed request and answer."""
    issue(ra)
    made = propose(ra)
    assert (made.state, made.certificates, made.holders) == ("proposed", 3, 3)
    ra.service.emergency_work.run(T)
    assert statuses(ra) == ["good"] * 3
    approve(ra, second, made)
    ra.service.emergency_work.run(T)
    assert statuses(ra) == ["revoked"] * 3
    assert counts(ra, made)["done"] == 3
    assert ra.service.emergencies.find(second, made.id).state == "done"
    assert len(ra.ca.revocations) == len(ra.rows(revocations)) == 3
    ra.service.emergency_work.run(T)
    assert len(ra.ca.revocations) == 3


def test_nobody_approves_their_own(ra) -> None:
    """The same officer, and somebody who is no officer. Must be refused."""
    issue(ra, 1)
    made = propose(ra)
    with pytest.raises(SamePersonError):
        approve(ra, ra.officer, made)
    with pytest.raises(OperatorError):
        approve(ra, ra.reviewer, made)
    ra.service.emergency_work.run(T)
    assert statuses(ra) == ["good"]


def test_what_is_approved_is_what_was_shown(ra, second) -> None:
    """Another hash or number, too late, twice, taken back. Must be refused; what comes later is not in."""
    issue(ra, 2)
    made = propose(ra)
    issued_later = ra.issue(ra.entry(uscc=OTHER_USCC))
    emergencies = ra.service.emergencies
    for sha256, number in (("0" * 64, 2), (made.content_sha256, 3)):
        with pytest.raises(EmergencyRefusedError):
            emergencies.approve(second, made.id, content_sha256=sha256, certificates=number)
    approve(ra, second, made)
    with pytest.raises(EmergencyRefusedError):
        approve(ra, second, made)
    ra.service.emergency_work.run(T)
    good = [row["application_id"] for row in ra.rows(certificates) if row["status"] == "good"]
    assert good == [issued_later.id]
    late = propose(ra, request_key="late")
    ra.clock.advance(DAY)
    with pytest.raises(EmergencyRefusedError) as caught:
        approve(ra, second, late)
    assert caught.value.code == "EMERGENCY_EXPIRED"
    emergencies.refuse(second, late.id, note="too old")
    assert emergencies.find(second, late.id).state == "refused"


def test_a_list_of_serials(ra, second) -> None:
    """As people paste them; a line that names nothing freezes nothing; a double click is one."""
    serials = issue(ra)
    pasted = f"{serials[0].upper()}\n 0x{serials[1]} \n\n"
    with pytest.raises(UnknownLinesError) as caught:
        propose(ra, Selection(kind="serials", value=pasted + "4f00beef\nrubbish"))
    assert caught.value.lines == ["4f00beef", "rubbish"]
    made = propose(ra, Selection(kind="serials", value=pasted))
    assert propose(ra, Selection(kind="serials", value=pasted)).id == made.id
    approve(ra, second, made)
    ra.service.emergency_work.run(T)
    revoked = {row["serial_hex"] for row in ra.rows(certificates) if row["status"] == "revoked"}
    assert revoked == set(serials[:2])


def test_selections(ra) -> None:
    """One holder, a series of tokens, between two moments; what says nothing is refused."""
    issue(ra, 2)
    ra.issue()
    with ra.database.transaction() as connection:
        connection.execute(
            certificates.update().where(certificates.c.name == "王甲").values(token_number="TK-7-001")
        )
    asked = [
        (Selection(kind="entity", value="王乙"), 1),
        (Selection(kind="tokens", value="TK-7"), 1),
        (Selection(kind="issued", issued_from=T - DAY, issued_until=T + DAY), 3),
        (Selection(kind="authority", authority="pearl"), 3),
    ]
    for number, (selection, count) in enumerate(asked):
        assert propose(ra, selection, request_key=str(number)).certificates == count
    for selection in (
        Selection(kind="entity"),
        Selection(kind="tokens", value="T"),
        Selection(kind="authority"),
        Selection(kind="issued", issued_from=T),
        Selection(kind="rubbish", value="x"),
        Selection(kind="serials", value=" \n"),
        Selection(kind="entity", value="nobody"),
        Selection(kind="batch", value="77"),
    ):
        with pytest.raises(EmergencyRefusedError):
            propose(ra, selection, request_key="bad")


def test_only_what_is_in_reach(ra, second) -> None:
    """An officer of another point freezes nothing of ours, and neither sees nor approves what we froze."""
    issue(ra, 1)
    made = propose(ra)
    with ra.database.transaction() as connection:
        write_scope(connection, second.id, [Grant(point="harbour")])
    with pytest.raises(EmergencyRefusedError):
        ra.service.emergencies.propose(
            second, Selection(kind="authority", authority="pearl"), reason=KEY, why="why", request_key="s"
        )
    for act in (lambda: ra.service.emergencies.find(second, made.id), lambda: approve(ra, second, made)):
        with pytest.raises(NotFoundError):
            act()


def test_it_goes_on_where_it_was(ra, second, monkeypatch) -> None:
    """The CA is away, an answer is lost, somebody pauses: each is asked for once, and all are answered."""
    monkeypatch.setattr(work, "CHUNK", 2)
    issue(ra, 5)
    made = approve(ra, second, propose(ra))
    ra.ca.lose_answers = 1
    ra.service.emergency_work.step(made.id)
    assert counts(ra, made)["posted"] == 1
    ra.service.emergencies.pause(ra.officer, made.id, note="wait")
    ra.service.emergency_work.run(T)
    assert counts(ra, made)["waiting"] == 3
    ra.service.emergencies.resume(second, made.id, note="go")
    ra.ca.down = True
    ra.service.emergency_work.run(T)
    ra.ca.down = False
    ra.service.emergency_work.run(T)
    assert counts(ra, made)["done"] == len(ra.ca.revocations) == 5


def test_one_that_was_revoked_meanwhile(ra, second) -> None:
    """It is told apart, and the others go on."""
    serials = issue(ra, 2)
    made = propose(ra)
    request = ra.certificates.request_change(
        ra.officer, "pearl", serials[0], reason="superseded", request_key="x"
    )
    ra.revoking.carry_out(request)
    approve(ra, second, made)
    ra.service.emergency_work.run(T)
    assert (counts(ra, made)["already"], counts(ra, made)["done"]) == (1, 1)
    assert [row["problem"] for row in ra.rows(emergency_items)].count("ALREADY_REVOKED") == 1


def test_a_drill_revokes_nothing(ra, second) -> None:
    """All of the way, with signatures; the CA hears of nothing, every certificate stays good."""
    issue(ra)
    made = approve(ra, second, propose(ra, is_drill=True))
    posts = list(ra.ca.posts)
    ra.service.emergency_work.run(T)
    assert counts(ra, made)["done"] == 3
    assert (ra.ca.posts, statuses(ra), ra.rows(revocations)) == (posts, ["good"] * 3, [])


@only_sqlite
def test_the_pages(ra, second) -> None:
    """Proposed on one page, approved on another by typing the number; the results can be fetched."""
    issue(ra, 2)
    first, other = ra.browser(ra.officer), ra.browser(second)
    first.get("/emergency/new")
    form = {"act": "propose", "kind": "authority", "authority": "pearl", "reason": KEY, "why": "=stolen"}
    answer = first.post("/emergency/new", {**form, "kind": ""})
    assert answer.status_code == 422
    answer = first.post("/emergency/new", {**form, "form_key": first.value("form_key")})
    path = answer.request.path
    assert "A second officer has to sign in" in first.text
    other.get(path)
    sha256 = other.value("content_sha256")
    act = path.removeprefix("/ra") + "/act"
    other.post(act, {"act": "approve", "content_sha256": sha256, "certificates": "3"})
    assert "not what is on record" in other.text
    first.post(act, {"act": "approve", "content_sha256": sha256, "certificates": "2"})
    assert statuses(ra) == ["good"] * 2
    other.post(act, {"act": "approve", "content_sha256": sha256, "certificates": "2"})
    assert "Being carried out" in other.text
    ra.service.emergency_work.run(T)
    part = other.get(path + "?part=1")
    assert "hx-get" not in part.get_data(as_text=True)
    rows = other.get(path + ".csv").get_data(as_text=True).splitlines()
    assert [row.split(",")[4] for row in rows] == ["state", "done", "done"]
    assert ra.browser(ra.entry_clerk).get("/emergency").status_code == 403
