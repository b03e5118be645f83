"""The file of a policy: what is refused before it counts, each fault with the line of its rule."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onecert.verifier import RefusedError
from onecert.verifier.decision import (
    PolicySource,
    PolicyTestsFailedError,
    PolicyWrongError,
    QuestionWrongError,
    RoleModel,
    check_policy,
    compile_policy,
    lint,
    measure_coverage,
    read_plain,
    read_resource,
)
from onecert.verifier.decision.rules import rule_texts

DOCS = Path(__file__).parents[3] / "docs"
POLICY = """
name = "tax"
rules = '''
@id("approver-approves")
@obligation("record the file number")
permit(principal in Role::"urn:x:role:approver", action == Action::"approve", resource is Form)
when { resource.amount <= 10000 };

@id("nothing-under-audit")
forbid(principal, action == Action::"approve", resource is Form)
when { resource has under_audit && resource.under_audit };
'''

[[tests]]
name = "an approver approves a small form"
roles = ["urn:x:role:approver"]
action = "approve"
resource = { type = "Form", id = "1", attributes = { amount = 500 } }
expect = "permit"
rules = ["approver-approves"]
obligations = ["record the file number"]

[[tests]]
name = "nobody approves without the role"
action = "approve"
resource = { type = "Form", id = "1", attributes = { amount = 500 } }
expect = "not_applicable"
"""


def source(rules: str, schema: str = "") -> PolicySource:
    return PolicySource(name="x", rules=rules, schema=schema, cases=(), content={})


def codes_of(rules: str, schema: str = "") -> list[tuple[str, int]]:
    with pytest.raises(PolicyWrongError) as caught:
        compile_policy(source(rules, schema))
    return [(fault.code, fault.line) for fault in caught.value.faults]


def test_a_policy_is_what_its_file_says() -> None:
    policy = PolicySource.from_toml(POLICY.encode())
    engine = check_policy(policy)
    assert list(engine.rules) == ["approver-approves", "nothing-under-audit"]
    assert [rule.line for rule in engine.rules.values()] == [1, 6]
    assert PolicySource.from_content(dict(policy.content)).sha256 == policy.sha256


PERMIT = '@id("a")\npermit(principal, action, resource);'


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", [("NO_RULE", 0)]),
        ("// only a remark\n", [("NO_RULE", 0)]),
        (f"{PERMIT}\n\n// a remark; with a semicolon\n@id(\"b;\") permit(principal, action, resourc);",
         [("SYNTAX", 5)]),
        (f"{PERMIT}\npermit(", [("SYNTAX", 3)]),
        (f"\n\n{PERMIT} permit(principal, action, resource);", [("NO_ID", 4)]),
        (f"{PERMIT}\n{PERMIT}", [("DUPLICATE_ID", 3)]),
        ('@id("") permit(principal, action, resource);', [("NO_ID", 1)]),
        ('@id("a\\nb") permit(principal, action, resource);', [("ID_FORM", 1)]),
        (f'@id("{"a" * 101}") permit(principal, action, resource);', [("ID_FORM", 1)]),
        ('@id("a") @obligaton("x") permit(principal, action, resource);', [("ANNOTATION", 1)]),
        ('@id("a") permit(principal == ?principal, action, resource);', [("TEMPLATE", 1)]),
        ('@id("a") permit(principal, action, resource == Role::"r");', [("RESERVED_TYPE", 1)]),
        ('@id("a") permit(principal, action, resource is Holder);', [("RESERVED_TYPE", 1)]),
        (f'{PERMIT}\n@id("b") forbid(principal, action, resource);', [("CONTRADICTION", 3)]),
        (
            """@id("a") permit(principal, action in [Action::"x", Action::"y"], resource);
            @id("b") forbid(principal, action in [Action::"y", Action::"x"], resource);""",
            [("CONTRADICTION", 2)],
        ),
    ],
)  # fmt: skip
def test_rules_that_are_not_taken(rules: str, expected: list[tuple[str, int]]) -> None:
    assert codes_of(rules) == expected


def test_every_fault_is_named_at_once_in_both_languages() -> None:
    with pytest.raises(PolicyWrongError) as caught:
        compile_policy(source('permit(\n;\n@id("b") permit(principal, action, resource) when {;'))
    assert [fault.line for fault in caught.value.faults] == [1, 3]
    assert "line 1: the rule does not parse" in caught.value.text("en")
    assert "第 3 行：规则语法错误" in caught.value.text("zh")
    assert isinstance(caught.value, RefusedError)


def test_a_schema_is_held_and_names_the_rule() -> None:
    schema = """
    entity Role; entity Holder in [Role]; entity Form = { amount: Long };
    action approve appliesTo { principal: [Holder], resource: [Form], context: {} };
    """
    good = '@id("a")\npermit(principal, action == Action::"approve", resource) when { resource.amount < 9 };'
    assert list(compile_policy(source(good, schema)).rules) == ["a"]
    assert codes_of(f'{good}\n@id("b") {good[9:].replace("amount", "amunt")}', schema) == [("SCHEMA", 3)]
    assert codes_of(good.replace('"approve"', '"aprove"'), schema)[0] == ("SCHEMA", 1)
    assert codes_of(good, "entity Role")[0] == ("SCHEMA", 0)


def test_texts_and_remarks_do_not_end_a_rule() -> None:
    text = 'permit(principal, action, resource)\nwhen { context.a == "x;\\";y" }; // one; two\n\nforbid(x);'
    assert [line for line, _ in rule_texts(text)] == [1, 4]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (('name = "tax"', ""), "name is missing"),
        (('name = "tax"', f'name = "{"x" * 65}"'), "longer than 64"),
        (("[[tests]]", "[[test]]"), "unknown key"),
        (('expect = "permit"', 'expect = "yes"'), "expect is"),
        (('action = "approve"', "action = 7"), "action"),
        (('roles = ["urn:x:role:approver"]', "roles = 'x'"), "roles is not a list"),
        (("name =", "name"), "line 2"),
    ],
)
def test_files_with_faults(change: tuple[str, str], part: str) -> None:
    with pytest.raises(PolicyWrongError) as caught:
        PolicySource.from_toml(POLICY.replace(*change).encode())
    assert part in caught.value.text()


@pytest.mark.parametrize("data", [b"\xff", b"a = [" * 5000, b"x" * (1024 * 1024 + 1)])
def test_files_that_are_none(data: bytes) -> None:
    with pytest.raises(PolicyWrongError):
        PolicySource.from_toml(data)


def test_a_policy_without_tests_is_not_published() -> None:
    with pytest.raises(PolicyWrongError, match="fault"):
        PolicySource.from_toml(POLICY[: POLICY.index("[[tests]]")].encode())


def test_a_policy_whose_test_fails_is_not_published() -> None:
    wrong = POLICY.replace("amount = 500", "amount = 50000", 1)
    with pytest.raises(PolicyTestsFailedError) as caught:
        check_policy(PolicySource.from_toml(wrong.encode()))
    assert "expected permit, got not_applicable" in caught.value.text()
    wrong = POLICY.replace('obligations = ["record the file number"]', 'obligations = ["another"]')
    with pytest.raises(PolicyTestsFailedError) as caught:
        check_policy(PolicySource.from_toml(wrong.encode()))
    assert [fault.code for fault in caught.value.faults] == ["TEST_OBLIGATIONS"]


def test_tests_use_the_hierarchy_of_the_catalogue() -> None:
    chief = POLICY.replace('roles = ["urn:x:role:approver"]', 'roles = ["urn:x:role:chief"]')
    policy = PolicySource.from_toml(chief.encode())
    check_policy(policy, RoleModel(includes={"urn:x:role:chief": ("urn:x:role:approver",)}))
    with pytest.raises(PolicyTestsFailedError):
        check_policy(policy)


def test_coverage_names_the_rules_that_no_test_reaches() -> None:
    policy = PolicySource.from_toml(POLICY.encode())
    coverage = measure_coverage(policy, compile_policy(policy))
    assert (coverage.percent, coverage.missed) == (50, ("nothing-under-audit",))
    assert coverage.rules["approver-approves"] == ("an approver approves a small form",)
    assert coverage.as_dict()["missed"] == ["nothing-under-audit"]


@pytest.mark.parametrize(
    "value",
    [
        {"a": None}, {"a": 1.5}, {"a": {"b": 1}}, {"a": [1]}, {"__entity": "x"}, {1: "x"}, [], {"a": 2**63},
        {"a": "x" * 8193}, {"a": ["x"] * 257}, {"a": ["x" * 5000] * 2}, {str(n): 1 for n in range(65)},
    ],
)  # fmt: skip
def test_attributes_are_plain_and_small(value: object) -> None:
    with pytest.raises(QuestionWrongError):
        read_plain(value, "attributes")


@pytest.mark.parametrize(
    "value",
    ["Form", "Fo rm::7", {"type": "Form"}, {"type": "Form", "id": ""}, 7, "::7", "Role::r", "Form::a\nb"],
)
def test_resources_that_are_none(value: object) -> None:
    with pytest.raises(QuestionWrongError):
        read_resource(value)
    assert read_resource('Form::"7"').id == "7"


@pytest.mark.parametrize("name", ["policies.md", "policies.zh.md"])
def test_the_policy_in_the_guide_is_good(name: str) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / name).read_text("utf-8"), re.DOTALL)
    policy = PolicySource.from_toml(text.encode())
    engine = check_policy(policy)
    assert measure_coverage(policy, engine).percent == 100
    assert lint(engine, model=RoleModel()) == []
