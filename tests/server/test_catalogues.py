"""Every text a person sees has its Chinese one: compares msgids in code and templates with the catalogues.

What counts as a text: the first argument of ``_()``, ``gettext()``, ``notify()`` and ``NavItem()``, both of
``ngettext()``; every literal ``text=`` and ``hint=`` of a call (errors); the role names of a ``Member``; in
templates ``_()`` and ``{% trans %}``; of the `onecert` command what `--help` shows of every command, option
and argument.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import click
import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from onecert.server.cli import onecert
from onecert.server.help import normalised, package_of

ROOT = Path(__file__).parents[2]
MEMBERS = ("server", "ca", "ra", "pmi", "supervision")
MARKERS = {"_", "gettext", "notify", "NavItem"}
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
CJK = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Found:
    """A msgid and where it stands."""

    msgid: str
    place: str


def package(member: str) -> Path:
    return ROOT / member / "onecert" / member


@cache
def texts_of(member: str) -> dict[str, str]:
    """msgid -> place, of a member's code and templates."""
    found: dict[str, str] = {}
    for file in sorted(package(member).rglob("*.py")):
        for each in in_python(file):
            found.setdefault(each.msgid, each.place)
    for file in sorted(package(member).rglob("*.html")):
        for each in in_template(file):
            found.setdefault(each.msgid, each.place)
    for owner, each in in_commands():
        if owner == f"onecert.{member}":
            found.setdefault(each.msgid, each.place)
    return found


@cache
def in_commands() -> list[tuple[str, Found]]:
    """Each help text of the tree of commands, with the package that speaks it."""
    return list(in_command(onecert, click.Context(onecert, info_name="onecert"), "onecert.server"))


def in_command(command: click.Command, ctx: click.Context, above: str) -> Iterator[tuple[str, Found]]:
    owner = package_of(command, above)
    for text in (command.help, command.short_help, command.epilog):
        if text:
            yield owner, Found(normalised(text), ctx.command_path)
    for each in command.params:
        if text := getattr(each, "help", None):
            yield owner, Found(normalised(text), f"{ctx.command_path} ({each.name})")
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from in_command(below, click.Context(below, parent=ctx, info_name=name), owner)


@cache
def in_click() -> set[str]:
    """The words of click itself, which the server's catalogue speaks."""
    files = Path(click.__file__).parent.glob("*.py")
    return {each.msgid for file in files for each in in_python(file)} | {"required", "deprecated"}


def in_python(file: Path) -> Iterator[Found]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            place = f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}:{node.lineno}"
            for text in literals(node):
                yield Found(text, place)


def literals(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    wanted: list[ast.expr] = []
    if name in MARKERS:
        wanted += call.args[:1]
    elif name == "ngettext":
        wanted += call.args[:2]
    for keyword in call.keywords:
        if keyword.arg in {"text", "hint"}:
            wanted.append(keyword.value)
        elif keyword.arg == "roles" and name == "Member" and isinstance(keyword.value, ast.Dict):
            wanted += keyword.value.values
    for value in wanted:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            yield value.value


def in_template(file: Path) -> Iterator[Found]:
    environment = Environment(
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    environment.newstyle_gettext = True  # type: ignore[attr-defined] # set by the i18n extension
    tree = environment.parse(file.read_text(encoding="utf-8"))
    for line, _function, message in extract_from_ast(tree):
        parts = message if isinstance(message, tuple) else (message,)
        for part in parts:
            if isinstance(part, str):
                yield Found(part, f"{file.relative_to(ROOT)}:{line}")


@cache
def catalogue(member: str) -> dict[str, str]:
    """msgid -> Chinese text; a plural's two msgids share their text."""
    path = package(member) / "locale" / "zh" / "LC_MESSAGES" / "messages.po"
    if not path.is_file():
        return {}
    texts: dict[str, str] = {}
    for message in read_po(BytesIO(path.read_bytes()), locale="zh", abort_invalid=True):
        if message.id:
            assert not message.fuzzy, f"{path}: {message.id!r} is fuzzy"
            ids = message.id if isinstance(message.id, tuple) else (message.id,)
            text = message.string[0] if isinstance(message.string, tuple) else message.string
            texts.update(dict.fromkeys(ids, text))
    return texts


members = pytest.mark.parametrize("member", [m for m in MEMBERS if any(package(m).rglob("*.py"))])


@members
def test_every_text_is_translated(member: str) -> None:
    """A text without Chinese would show in English on a Chinese page."""
    known = {**catalogue("server"), **catalogue(member)}

    missing = [f"{place}: {msgid!r}" for msgid, place in texts_of(member).items() if not known.get(msgid)]

    assert not missing, "no Chinese text:\n" + "\n".join(missing)


@members
def test_no_translation_is_left_over(member: str) -> None:
    """A text that was changed in the code leaves its old translation behind."""
    unused = sorted(catalogue(member).keys() - texts_of(member).keys() - in_click())

    assert not unused, "not used any more:\n" + "\n".join(map(repr, unused))


@members
def test_translations_have_the_same_facts(member: str) -> None:
    """%(name)s in English and not in Chinese, or the other way round, hides a fact or shows a wrong one."""
    for msgid, text in catalogue(member).items():
        assert sorted(set(PLACEHOLDER.findall(msgid))) == sorted(set(PLACEHOLDER.findall(text))), msgid
        facts = dict.fromkeys(PLACEHOLDER.findall(msgid), "x")
        assert "%(" not in text % facts, msgid


@members
def test_msgids_are_english_and_translations_chinese(member: str) -> None:
    """The msgid is what an English reader sees."""
    for msgid, place in texts_of(member).items():
        assert not CJK.search(msgid), f"{place}: {msgid!r}"
    for msgid, text in catalogue(member).items():
        # "%(field)s: %(text)s" has only punctuation to translate.
        assert CJK.search(text) or not re.search(r"[A-Za-z]{2}", PLACEHOLDER.sub("", msgid)), msgid


# docs/glossary.md: the same act has the same word everywhere, and these are none of ours.
DROPPED = {
    # Of a firm's business licence, by the register, it is the right word; so is a CA's licence withdrawn.
    "吊销": re.compile(r"营业执照|主体"),
    "撤销": re.compile(r"撤销列表|许可|整个指向|撤销：已签发证书接受至"),
    "挂起": None,
    "注销列表": None,
    "属性机构": None,
    "续期": re.compile("续期后的记录|存续期"),
    "安全管理员": re.compile("令牌|密钥设备"),
}
SPOKEN = (*MEMBERS, "verifier", "hsm", "testkit")


def test_the_same_act_has_the_same_word() -> None:
    """Who reads 吊销 here and 注销 there looks for a difference that is none."""
    files = [ROOT / "demo" / "texts.json", ROOT / "demo" / "office" / "texts.json"]
    for member in SPOKEN:
        files += [*package(member).rglob("messages.po"), *package(member).rglob("*.json")]
    wrong = [
        f"{file.relative_to(ROOT)}:{number}: {word}: {line.strip()[:90]}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for word, allowed in DROPPED.items()
        if word in line and not (allowed and allowed.search(line))
    ]

    assert not wrong, "see docs/glossary.md:\n" + "\n".join(wrong)


def test_extraction_finds_every_kind_of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules above, on a made-up member."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    code = tmp_path / "code.py"
    code.write_text(
        '_("a")\nlanguages.gettext("b", x=1)\nngettext("c", "cs", n)\nFooError(text="d", hint="e" "f")\n'
        'Member(roles={"r": "g"})\nNavItem("h", "end.point")\nnotify("i")\n_(name)\n'
    )
    page = tmp_path / "page.html"
    page.write_text('{{ _("j") }}{% trans n=1 %}k {{ n }}{% endtrans %}')

    found = [each.msgid for each in (*in_python(code), *in_template(page))]

    assert sorted(found) == sorted(["a", "b", "c", "cs", "d", "ef", "g", "h", "i", "j", "k %(n)s"])
