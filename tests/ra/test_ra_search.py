"""The one box: anything is found by what somebody has of it, within the scope of who asks, by an index."""

from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from ra_fakes import DAY, IDCARD, USCC, T, idcard
from ra_plans import analyze, plans, reads_all
from sqlalchemy import delete, insert, select, update

from onecert.ra.life.machine import Business
from onecert.ra.models import applications, certificates
from onecert.ra.operators.scopes import Grant, write_scope
from onecert.ra.search.index import remember_names
from onecert.ra.search.tables import marks, name_parts, names
from onecert.ra.search.terms import Read, parts_of, readings

NAME = "深圳市示例科技有限公司"


def certificate_of(ra, application):
    with ra.database.reading() as connection:
        query = select(certificates).where(certificates.c.application_id == application.id)
        return connection.execute(query).one()


def kinds(text: str) -> list[str]:
    return [reading.kind.value for reading in readings(text)]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("深圳", "name"),
        ("wang@example.test", "email"),
        (USCC, "uscc"),
        (USCC.lower(), "uscc"),
        (IDCARD, "idcard"),
        ("４４０３００１９０００１０１００１５", "idcard"),
        ("138 0000 0000", "mobile"),
        ("+86 13800000000", "mobile"),
        ("3f:9a:00:11:22:33", "serial"),
        ("0x3F9A001122", "serial"),
        ("a" * 40, "sha1"),
        ("b" * 64, "sha256"),
        ("20261121-000007", "application"),
        ("7", "application"),
        ("20261121-C000007", "case"),
        ("365375409332725729550921208179070754913983135744", "decimal"),
        ("TK-2026-000123", "token"),
    ],
)
def test_what_a_text_looks_like(typed: str, first: str) -> None:
    """The likeliest reading comes first; a number may also be a name or a token."""
    assert kinds(typed)[0] == first


def test_a_text_that_can_be_nothing() -> None:
    """Empty, control characters, absurdly long: no reading, and so no search."""
    assert [kinds(text) for text in ("", "  ", "a\x07b", "x" * 201)] == [[], [], [], []]


def test_parts_of_a_name() -> None:
    """Each ending is a row, cut to eight characters, and the beginning once more with a mark."""
    assert parts_of("深圳市（A b）") == sorted(
        ["^深圳市(ab)", "深圳市(ab)", "圳市(ab)", "市(ab)", "(ab)", "ab)", "b)", ")"]
    )


def test_everything_finds_the_certificate(ra) -> None:
    """Name and parts of it, code, serial in every spelling, thumbprints, token, agent, mobile, mail."""
    application = ra.issue(ra.entry(email="Wang@Example.test"))
    row = certificate_of(ra, application)
    with ra.database.transaction() as connection:
        connection.execute(update(certificates).values(token_number="TK-00042"))
    certificate = x509.load_pem_x509_certificate(row.certificate_pem.encode())
    sha1 = certificate.fingerprint(SHA1()).hex()
    pairs = [row.serial_hex.zfill(40)[at : at + 2] for at in range(0, 40, 2)]
    asked = {
        NAME: Read.NAME,
        "示例": Read.NAME,
        "科技 示例": Read.NAME,
        "例": Read.NAME,
        USCC: Read.USCC,
        row.serial_hex: Read.SERIAL,
        row.serial_hex[:8]: Read.SERIAL,
        ":".join(pairs).upper(): Read.SERIAL,
        str(int(row.serial_hex, 16)): Read.DECIMAL,
        row.sha256: Read.SHA256,
        sha1.upper(): Read.SHA1,
        "tk-00042": Read.TOKEN,
        "wang@example.TEST": Read.EMAIL,
        "138-0000-0000": Read.MOBILE,
        IDCARD: Read.IDCARD,
        application.number: Read.APPLICATION,
    }
    for typed, read in asked.items():
        answer = ra.service.search.find(ra.officer, typed)
        assert answer.read is not None, typed
        assert (answer.read.kind, answer.only is not None) == (read, True), typed
        assert answer.only.certificate.serial_hex == row.serial_hex, typed


def test_best_first_and_each_once(ra) -> None:
    """What begins with the text stands before what contains it; a name that has it twice is found once."""
    wanted = ["海港海港物流", "海港贸易", "东方海港", "大海港湾海港"]
    for number, name in enumerate(wanted):
        ra.create(ra.entry("citizen", name=name, idcard=idcard(200 + number)))
    found = [hit.application.name for hit in ra.service.search.find(ra.officer, "海港").hits]
    assert sorted(found) == sorted(wanted)
    assert set(found[:2]) == {"海港海港物流", "海港贸易"}


def test_pages_go_on_from_a_key(ra) -> None:
    """Seven names in pages of two: each once, in one order, whatever cursor somebody invents."""
    for number in range(7):
        ra.create(ra.entry("citizen", name=f"长风{'甲乙丙丁戊己庚'[number]}", idcard=idcard(300 + number)))
    seen, cursor = [], None
    for _page in range(8):
        answer = ra.service.search.find(ra.officer, "长风", cursor=cursor, limit=2)
        seen += [hit.application.name for hit in answer.hits]
        cursor = answer.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7
    for invented in ('{"at": "x"}', "[]", '{"i": 1, "p": 3, "n": "a"}', "\0", '{"p": "\\u0000"}'):
        assert len(ra.service.search.find(ra.officer, "长风", cursor=invented).hits) == 7


def test_many_of_one_name_and_the_newest_page_by_page(ra) -> None:
    """Three certificates of one moment, two to a page: each once, found or listed."""
    for authority in ("pearl", "harbour", "summit"):
        ra.issue(ra.entry(authority=authority))
    first = ra.service.search.find(ra.officer, NAME, read_as=Read.HOLDER, limit=2)
    second = ra.service.search.find(ra.officer, NAME, read_as=Read.HOLDER, limit=2, cursor=first.next)
    found = [hit.certificate.serial_hex for hit in (*first.hits, *second.hits)]
    assert (len(set(found)), len(found), second.next) == (3, 3, None)
    browser = ra.browser(ra.officer)
    one = browser.api("GET", "/certificates?limit=2").get_json()
    two = browser.api("GET", f"/certificates?limit=2&cursor={quote(one['next'])}").get_json()
    listed = [item["serial"] for item in (*one["items"], *two["items"])]
    assert (sorted(listed), two["next"]) == (sorted(found), None)


def test_another_points_records_are_not_found(ra) -> None:
    """The officer of the harbour point finds nothing of the main point, by any number."""
    application = ra.issue()
    row = certificate_of(ra, application)
    stranger = ra.operator("sun", "security.officer", person=idcard(150))
    with ra.database.transaction() as connection:
        write_scope(connection, stranger.id, [Grant(point="harbour")])
    for typed in (NAME, "示例", USCC, row.serial_hex, row.sha256, "13800000000", IDCARD, application.number):
        answer = ra.service.search.find(stranger, typed)
        assert (answer.hits, answer.next) == ([], None), typed


def test_open_cases_stand_with_their_certificate(ra) -> None:
    """A hold that waits for a second person is seen in the result, and is found by its own number."""
    row = certificate_of(ra, ra.issue())
    case = ra.service.cases.open(
        ra.entry_clerk, Business.HOLD, row.authority, row.serial_hex, note="lost", request_key="k"
    )
    hit = ra.service.search.find(ra.officer, NAME).only
    assert [each.id for each in hit.cases] == [case.id]
    assert ra.service.search.find(ra.officer, case.number).only.case.id == case.id


def test_records_of_before_are_made_findable(ra) -> None:
    """A database whose index is empty: the job fills it, and doing it again changes nothing."""
    application = ra.issue(ra.entry(email="a@example.test"))
    row = certificate_of(ra, application)
    with ra.database.transaction() as connection:
        for table in (marks, name_parts, names):
            connection.execute(delete(table))
        connection.execute(update(certificates).values(sha1=None))
    assert ra.service.search.find(ra.officer, "示例").hits == []
    ra.service.backfill.run(T)
    ra.service.backfill.run(T)
    assert all(task.finished_at for task in ra.service.backfill.progress())
    for typed in ("示例", "a@example.test", row.sha1):
        assert ra.service.search.find(ra.officer, typed).only is not None, typed


def test_no_personal_number_in_an_address(ra) -> None:
    """By POST it is answered in place; another text gets an address; one hit opens at once."""
    ra.create(ra.entry("citizen", name="李四", idcard=IDCARD))
    ra.create(ra.entry("employee", name="李四", idcard=IDCARD))
    browser = ra.browser(ra.officer)
    browser.get("/search")
    answer = browser.post("/search", {"q": IDCARD}, follow=False)
    assert answer.status_code == 200
    assert IDCARD not in str(answer.headers)
    assert "an identity card number" in browser.text
    assert browser.post("/search", {"q": "13800000000"}, follow=False).status_code == 200
    assert browser.get(f"/search?q={IDCARD}").location == "/ra/search"
    assert browser.post("/search", {"q": "李四"}, follow=False).status_code == 303
    row = certificate_of(ra, ra.issue())
    answer = browser.post("/search", {"q": row.serial_hex})
    assert answer.request.path.endswith(f"/certificates/pearl/{row.serial_hex}")


def test_the_user_corrects_what_it_was_read_as(ra) -> None:
    """A name of digits only: read as an application number, found once it is said to be a name."""
    ra.create(ra.entry("citizen", name="13901234567酒店", idcard=IDCARD))
    browser = ra.browser(ra.officer)
    browser.get("/search")
    browser.post("/search", {"q": "13901234567", "as": "name", "stay": "1"})
    assert "酒店" in browser.text


def test_rest_answers_the_same(ra) -> None:
    """What was found, as what it was read, and what it may be besides."""
    row = certificate_of(ra, ra.issue())
    body = ra.browser(ra.officer).api("POST", "/search", {"q": row.serial_hex}).get_json()
    assert (body["read_as"], body["items"][0]["serial"]) == ("serial", row.serial_hex)
    assert "token" in body["others"]
    assert ra.browser(ra.officer).api("POST", "/search", {"q": "x", "as": "rubbish"}).status_code == 422


ROWS = 400


def fill(ra) -> None:
    """Many certificates of one text, so that an engine prefers an index if it has one."""
    row = dict(certificate_of(ra, ra.issue())._mapping)
    of_applications = dict(ra.rows(applications)[0])
    del of_applications["seq"]
    more = [
        {**of_applications, "id": f"a{number}", "request_key": f"r{number}", "name": f"第{number}家"}
        | {"uscc": f"9144{number:014}", "idcard_hmac": f"{number:064x}"}
        for number in range(ROWS)
    ]
    many = [
        {
            **row,
            "serial_hex": f"4f{number:030x}",
            "order_id": f"o{number}",
            "application_id": f"a{number}",
            "name": f"深圳市第{number}分店",
            "uscc": f"9144{number:014}",
            "sha1": f"{number:040x}",
            "sha256": f"{number:064x}",
            "idcard_hmac": f"{number:064x}",
            "token_number": f"TK{number:06}",
            "issued_at": T + number * DAY / 9000,
        }
        for number in range(ROWS)
    ]
    with ra.database.transaction() as connection:
        connection.execute(insert(certificates), many)
        connection.execute(insert(applications), more)
        remember_names(connection, [each["name"] for each in many])
        connection.execute(insert(names), [{"name": f"n{number}"} for number in range(9 * ROWS)])
    analyze(ra)


def test_every_search_goes_by_an_index(ra) -> None:
    """No statement of any kind of search reads a large table from end to end, or counts its rows: the plan is
    the same at ten times as many."""
    fill(ra)
    asked = (
        "第123分店",
        "分店",
        "深圳 77",
        f"9144{77:014}",
        "4f" + "0" * 29 + "7",
        "4f00000000",
        f"{77:040x}",
        f"{77:064x}",
        "TK000077",
        IDCARD,
        "13800000000",
        "a@example.test",
        "20261121-000001",
    )
    for typed in asked:
        found = plans(ra, lambda typed=typed: ra.service.search.find(ra.officer, typed))
        assert found, typed
        for statement, plan in found:
            assert not reads_all(plan), f"{typed}\n{statement}\n{plan}"
