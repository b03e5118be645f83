"""Accounts: opened, bound, suspended; and one natural person under two accounts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.server.commands import operators as command
from onecert.server.operators import (
    Operator,
    RoleRequiredError,
    SamePersonError,
    check_different_people,
    check_role,
    check_usable,
)
from onecert.server.operators.errors import (
    InvalidOperatorError,
    OperatorExistsError,
    OperatorExpiredError,
    OperatorSuspendedError,
    OperatorUnknownError,
    PersonHasAccountError,
    PersonNumberError,
    UnknownRoleError,
)
from onecert.server.operators.people import People, normalise_number
from onecert.server.operators.sign_in_errors import CertificateBoundError

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_an_account_is_found_as_it_was_added(desk: Any) -> None:
    """Everything but the identity number comes back; that is nowhere, neither in tables nor in the trail."""
    added = desk.operator("wang", ("clerk", "auditor"), number=7, name="王芳")

    with desk.context.database.reading() as connection:
        assert desk.context.operators.load(connection, "wang") == added
        assert desk.context.operators.all(connection) == [added]
    assert added.roles == {"clerk", "auditor"}
    assert added.actor == "operator:wang"
    assert desk.events()[0][0] == "operator.added"
    desk.context.database.close()
    number = desk.id_number(7).encode()
    assert not [f for f in desk.context.data.rglob("*") if f.is_file() and number in f.read_bytes()]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"operator_id": "Wang"}, InvalidOperatorError),
        ({"operator_id": ""}, InvalidOperatorError),
        ({"operator_id": "w" * 65}, InvalidOperatorError),
        ({"operator_id": "wang/../root"}, InvalidOperatorError),
        ({"name": "  "}, InvalidOperatorError),
        ({"name": "王" * 81}, InvalidOperatorError),
        ({"name": "王\n芳"}, InvalidOperatorError),
        ({"valid_until": T}, InvalidOperatorError),
        ({"valid_until": T.replace(tzinfo=None) + DAY}, InvalidOperatorError),
        ({"roles": ()}, UnknownRoleError),
        ({"roles": ("clerk", "root")}, UnknownRoleError),
    ],
)
def test_wrong_values_are_refused(desk: Any, wrong: dict[str, Any], error: type[Exception]) -> None:
    """Nothing half-done stays behind."""
    with pytest.raises(error):
        desk.operator(**wrong)

    assert desk.events() == []


def test_an_id_is_used_once(desk: Any) -> None:
    """Another person may not take over the name of an account."""
    desk.operator("wang", number=1)

    with pytest.raises(OperatorExistsError):
        desk.operator("wang", number=2)


def test_unknown_accounts_are_said_to_be_unknown(desk: Any) -> None:
    """find answers None, load raises."""
    with desk.context.database.reading() as connection:
        assert desk.context.operators.find(connection, "li") is None
        with pytest.raises(OperatorUnknownError):
            desk.context.operators.load(connection, "li")


# One person, two accounts


def test_a_second_account_of_one_person_is_refused(desk: Any) -> None:
    """wang and li have the same identity number. The second add names the first account."""
    desk.operator("wang", number=1)

    with pytest.raises(PersonHasAccountError) as caught:
        desk.operator("li", number=1)

    assert caught.value.facts["operator"] == "wang"


def test_two_accounts_of_one_person_never_count_as_two_people(make_desk: Callable[..., Any]) -> None:
    """Policy allows the second account; the act that needs two people is refused all the same."""
    desk = make_desk(allow_same_person=True)
    first = desk.operator("wang", number=1)
    second = desk.operator("li", number=1)

    with pytest.raises(SamePersonError):
        check_different_people(first, second)


def test_different_people_may_act_together(desk: Any) -> None:
    """Two numbers, two people; one account twice is one person."""
    first, second = desk.operator("wang", number=1), desk.operator("li", number=2)

    check_different_people(first, second)
    with pytest.raises(SamePersonError):
        check_different_people(first, second, first)


def test_one_number_in_several_spellings_is_one_person(tmp_path: Path) -> None:
    """Full-width digits, small x, blanks and the 15-digit form of before 1999 are the same number."""
    people = People(tmp_path / "person.secret")
    number = "99999919000101004X"

    spellings = [" 99999919000101004x ", "９９９９９９１９０００１０１００４Ｘ", "999999000101004"]

    assert {people.person(each) for each in spellings} == {people.person(number)}


@pytest.mark.parametrize(
    "number",
    [
        "440300190001010016",  # check digit
        "440300190013010015",  # month 13
        "44030019000101001",  # a digit is missing
        "4403001900010100155",  # one too many
        "44030019000101001O",  # letter O
        "",
        "12345678",  # a passport begins with a letter
        "E1",
        "E12345678; DROP",
    ],
)
def test_wrong_numbers_are_refused_and_not_repeated(number: str) -> None:
    """The message never shows the number."""
    with pytest.raises(PersonNumberError) as caught:
        normalise_number(number)

    assert not number or number not in str(caught.value)


def test_the_person_secret_is_private_and_its_own_in_each_service(tmp_path: Path) -> None:
    """The same number gives different ids in two services; a secret others may read is refused."""
    first = People(tmp_path / "a" / "person.secret").person("440300190001010015")
    second = People(tmp_path / "b" / "person.secret").person("440300190001010015")

    assert first != second
    assert People(tmp_path / "a" / "person.secret").person("440300190001010015") == first
    assert (tmp_path / "a" / "person.secret").stat().st_mode & 0o777 == 0o600
    assert [f.name for f in (tmp_path / "a").iterdir()] == ["person.secret"]
    (tmp_path / "a" / "person.secret").chmod(0o644)
    with pytest.raises(PermissionError):
        People(tmp_path / "a" / "person.secret")


# What an account may do


def test_roles_dates_and_suspension_are_checked_below_the_web() -> None:
    """The same rules hold for whoever calls them."""
    operator = Operator(id="a", name="A", roles=frozenset({"clerk"}), person="p", valid_until=T)

    check_usable(operator, at=T - DAY)
    check_role(operator, "auditor", "clerk")
    with pytest.raises(RoleRequiredError):
        check_role(operator, "auditor")
    with pytest.raises(OperatorExpiredError):
        check_usable(operator, at=T)
    with pytest.raises(OperatorSuspendedError):
        check_usable(Operator(**{**vars(operator), "suspended_at": T - DAY}), at=T - DAY)


def test_suspension_ends_sessions_and_links_at_once(desk: Any) -> None:
    """A session is open and a link is out; after the suspension neither works, also after resuming."""
    desk.operator()
    link = desk.link()
    client = desk.client()
    client.sign_in("wang")
    assert client.get("/things").status_code == 200

    desk.suspend()
    assert client.get("/things").status_code == 303
    with desk.context.database.transaction() as connection:
        assert desk.context.operators.resume(connection, "wang").suspended_at is None

    assert client.get("/things").status_code == 303
    assert client.get(link).status_code == 403
    assert [event for event, _actor in desk.events()][-2:] == [
        "operator.resumed",
        "operator.sign_in_refused",
    ]


def test_a_certificate_belongs_to_one_account(desk: Any, operators_ca: Any) -> None:
    """Binding again to the same account changes nothing; to another it is refused."""
    certificate = operators_ca.issue()
    desk.operator("wang", number=1, certificate=certificate)
    desk.operator("li", number=2)

    with desk.context.database.transaction() as connection:
        desk.context.operators.bind_certificate(connection, "wang", certificate)
        found = desk.context.operators.find_by_certificate(connection, certificate)
    with desk.context.database.transaction() as connection, pytest.raises(CertificateBoundError):
        desk.context.operators.bind_certificate(connection, "li", certificate)

    assert found is not None
    assert found.id == "wang"
    assert [event for event, _ in desk.events()].count("operator.certificate_bound") == 1


# The command


@pytest.fixture
def run(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs ``onecert operators …`` on the desk; every error comes out as it is."""
    monkeypatch.setattr(command, "open_context", lambda *_given, **_options: desk.context)

    def invoke(*arguments: str, stdin: str = "") -> Any:
        return CliRunner().invoke(command.operators, arguments, input=stdin, catch_exceptions=True)

    return invoke


def test_command_opens_lists_and_suspends(run: Callable[..., Any], desk: Any) -> None:
    """The number comes by stdin; the last day counts in Chinese time."""
    added = run(
        *("add", "desk", "wang", "--name", "王芳", "--role", "clerk", "--role", "auditor"),
        *("--person", "-", "--valid-until", "2027-12-31"),
        stdin=desk.id_number(1) + "\n",
    )
    assert added.exit_code == 0, added.exception
    with desk.context.database.reading() as connection:
        valid_until = desk.context.operators.load(connection, "wang").valid_until
    assert valid_until == datetime(2027, 12, 31, 16, 0, tzinfo=UTC)

    assert run("list", "desk").stdout == "wang\tactive\t2027-12-31\tauditor,clerk\t王芳\n"
    assert run("suspend", "desk", "wang").exit_code == 0
    assert json.loads(run("list", "desk", "--json").stdout)["state"] == "suspended"
    assert run("resume", "desk", "wang").exit_code == 0
    events = desk.events()
    assert [event for event, _ in events] == ["operator.added", "operator.suspended", "operator.resumed"]
    assert all(actor.startswith("command:") for _, actor in events)


def test_command_prints_a_link_that_signs_in(run: Callable[..., Any], desk: Any) -> None:
    """The printed address is the service's public one."""
    desk.operator()

    link = run("link", "desk", "wang").stdout.strip()

    assert link.startswith("https://localhost/desk/sign-in/")
    client = desk.client()
    assert client.submit(link.removeprefix("https://localhost/desk")).status_code == 303
    assert client.get("/things").status_code == 200


def test_command_binds_a_certificate(
    run: Callable[..., Any], desk: Any, operators_ca: Any, tmp_path: Path
) -> None:
    """PEM from a file, of a chain the first; a file that is no certificate is refused."""
    desk.operator()
    file = tmp_path / "wang.pem"
    own, above = (operators_ca.issue().public_bytes(Encoding.PEM) for _ in range(2))
    file.write_bytes(own + above)

    bound = run("bind", "desk", "wang", "--certificate", str(file))
    assert bound.exit_code == 0
    assert f"{x509.load_pem_x509_certificate(own).serial_number:x}" in bound.stdout
    file.write_text("no certificate")
    assert run("bind", "desk", "wang", "--certificate", str(file)).exit_code != 0


def test_command_refuses_what_the_store_refuses(run: Callable[..., Any]) -> None:
    """A date in another form is wrong usage; an unknown account is the store's answer."""
    wrong = run(
        *("add", "desk", "wang", "--name", "王", "--role", "clerk"),
        *("--person", "440300190001010015", "--valid-until", "31.12.2027"),
    )

    assert wrong.exit_code == 2
    assert isinstance(run("link", "desk", "nobody").exception, OperatorUnknownError)
