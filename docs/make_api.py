"""Writes docs/verifier-api.md: every public name of onecert.verifier, from its signature and its docstring.

    python docs/make_api.py            write the page
    python docs/make_api.py --check    exit code 1 when the page is not what would be written

Signatures are read from the source, so that defaults stand there as somebody wrote them.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
import textwrap
from functools import cache
from pathlib import Path

import onecert.verifier
from onecert.verifier import purposes

PAGE = Path(__file__).with_name("verifier-api.md")
TOP = """\
# onecert.verifier: API reference

Made by `make api` from the docstrings; do not edit. [The README](../verifier/README.md) shows the names in
programs. Everything here is imported from `onecert.verifier`; whatever is not named here may change.

- Certificates, CRLs and OCSP answers are bytes: DER, or PEM where it says so, from anybody.
- Times are aware `datetime` objects, mostly called `at`; the library never reads the clock for a verdict. A
  naive one is a `ValueError`.
- Whatever the bytes, only `VerifyError` and its subclasses leave a function. A `TypeError` or `ValueError`
  says that the program passes the wrong thing.
"""
_SECTION = re.compile(r"(Args|Raises|Returns|Yields|Source):\s*(.*)\Z")
_ENTRY = re.compile(r"([A-Za-z_][\w, ]*): (.*)\Z")


def groups() -> dict[str, list[str]]:
    """Heading -> names, in the order and under the comments of ``__init__``."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in Path(inspect.getfile(onecert.verifier)).read_text(encoding="utf-8").splitlines():
        if comment := re.fullmatch(r"    # (.+)", line):
            heading = comment[1]
        elif (name := re.fullmatch(r'    "(\w+)": "[\w.]+",', line)) and name[1] in onecert.verifier.__all__:
            found.setdefault(heading, []).append(name[1])
    return found


def page() -> str:
    """The whole page."""
    parts = [TOP]
    listed = groups()
    for heading, names in listed.items():
        links = ", ".join(f"[`{name}`](#{name.lower()})" for name in names)
        parts.append(f"**{heading[0].upper()}{heading[1:]}**: {links}\n")
    for heading, names in listed.items():
        parts.append(f"## {heading[0].upper()}{heading[1:]}\n")
        parts += [_entry(name, getattr(onecert.verifier, name)) for name in names]
    parts.append(_purposes())
    return "\n".join(parts)


def _purposes() -> str:
    """The purposes that come with the library, as a table."""
    lines = [
        "## Purposes",
        "",
        "From `onecert.verifier.purposes`; a purpose of your own is a `Purpose(...)`.",
        "",
        "| name | key usage: one of | extended key usage: one of | without the extensions |",
        "| --- | --- | --- | --- |",
    ]
    for name in purposes.__all__:
        purpose = getattr(purposes, name)
        if isinstance(purpose, purposes.Purpose):
            usages = " ".join(purposes.KEY_USAGE_NAMES[bit] for bit in sorted(purpose.key_usages)) or "any"
            extended = " ".join(sorted(purpose.extended_key_usages)) or "any"
            bare = purpose.allow_no_key_usage and not purpose.require_extended_key_usage
            lines.append(f"| `{name}` | {usages} | {extended} | {'accepted' if bare else 'refused'} |")
    return "\n".join([*lines, ""])


def _entry(name: str, value: object) -> str:
    lines = [f"### {name}", ""]
    node = _find(value)
    if isinstance(node, ast.ClassDef):
        lines += _class(name, value, node)
    elif node is not None:
        lines += [*_code(_signature(name, node)), *_text(ast.get_docstring(node))]
    else:
        lines += [*_code(name), *_text("A type alias or a value; see the functions that take it.")]
    return "\n".join(lines)


def _class(name: str, value: object, node: ast.ClassDef) -> list[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    head = f"class {name}({bases})" if bases else f"class {name}"
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign) and _is_public(item.target)]
    init = next((i for i in node.body if isinstance(i, ast.FunctionDef) and i.name == "__init__"), None)
    lines = []
    if isinstance(value, enum.EnumType):
        members: list[enum.Enum] = list(value)
        lines += _code(head, *(f"    {member.name} = {member.value!r}" for member in members))
    elif init is not None:
        lines += _code(head, textwrap.indent(_signature(name, init), "    "))
    elif fields and _is_dataclass(node):
        lines += _code(head, *(f"    {ast.unparse(field)}" for field in fields))
    else:
        lines += _code(head)
    lines += _text(ast.get_docstring(node))
    if init is not None:
        lines += _text(ast.get_docstring(init))
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            lines += _method(name, item)
    return lines


def _method(owner: str, node: ast.FunctionDef) -> list[str]:
    kinds = {ast.unparse(decorator) for decorator in node.decorator_list}
    if kinds & {"property", "cached_property"}:
        returns = f" -> `{ast.unparse(node.returns)}`" if node.returns else ""
        title = f"#### `{owner}.{node.name}`{returns}"
        return [title, "", *_text(ast.get_docstring(node) or "")]
    return [
        f"#### `{owner}.{node.name}`",
        "",
        *_code(_signature(node.name, node)),
        *_text(ast.get_docstring(node)),
    ]


def _signature(name: str, node: ast.FunctionDef) -> str:
    arguments = node.args
    first = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(first) - len(arguments.defaults)) + list(arguments.defaults)
    rows = [_argument(a, default) for a, default in zip(first, defaults, strict=True)]
    if arguments.posonlyargs:
        rows.insert(len(arguments.posonlyargs), "/")
    if first and first[0].arg in {"self", "cls"}:
        rows.pop(0)
    if arguments.kwonlyargs:
        rows.append("*")
    rows += [
        _argument(a, default) for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        rows.append(f"**{_argument(arguments.kwarg, None)}")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    line = f"{name}({', '.join(rows)}){returns}"
    if len(line) <= 92:
        return line
    return "\n".join([f"{name}(", *(f"    {row}," for row in rows), f"){returns}"])


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    written = ast.unparse(argument)
    return written if default is None else f"{written} = {ast.unparse(default)}"


def _code(*lines: str) -> list[str]:
    return ["```python", *lines, "```", ""]


def _text(docstring: str | None) -> list[str]:
    """A docstring as Markdown: the sections become lists, double back quotes single ones."""
    lines: list[str] = []
    section = ""
    for raw in (docstring or "").replace("``", "`").splitlines():
        line = raw.strip()
        start = _SECTION.match(raw)
        if start:
            section = start[1]
            title = {"Args": "Arguments"}.get(section, section)
            lines += ["", f"{title}: {start[2]}".rstrip(), ""]
        elif section and not line:
            section = ""
            lines.append("")
        elif section and (entry := _ENTRY.match(line)) and len(raw) - len(raw.lstrip()) == 4:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif section:
            lines.append(f"  {line}")
        else:
            lines.append(raw)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return [*text.splitlines(), ""] if text else []


def _find(value: object) -> ast.ClassDef | ast.FunctionDef | None:
    """Where a class or a function is defined; None for anything else."""
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return None
    for node in _tree(inspect.getfile(value)).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == value.__name__:
            return node
    return None


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def _is_public(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and not target.id.startswith("_")


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def main() -> int:
    """Write the page, or compare it."""
    wanted = page()
    if "--check" in sys.argv[1:]:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted
        if not fresh:
            print(f"{PAGE.name} is stale: run make api", file=sys.stderr)
        return 0 if fresh else 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
