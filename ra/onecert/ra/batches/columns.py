"""Which column of a table is which field: headings in Chinese or English, in any order.

    heading = read_heading(["姓名*", "Identity card number", …], kind)
    heading.fields        # field name or None for each column
    heading.unknown       # headings that nobody knows, named in the report

A heading is compared without blanks, brackets with remarks, stars and case.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from onecert.ra.content.fields import ALL_FIELDS, FIELDS, Kind
from onecert.server.languages import _, gettext, set_language

__all__ = ["OWN_COLUMNS", "Heading", "count_known", "known_headings", "read_heading", "title_of"]

# Columns besides the fields: the name of the request's file, and the request itself.
OWN_COLUMNS: Mapping[str, str] = {
    "key": _("Request file"),
    "csr": _("Certificate request (CSR)"),
    "authority": _("Authority"),
    "type": _("Type"),
}
# How organisations head these columns themselves.
_ALSO: Mapping[str, tuple[str, ...]] = {
    "organization_name": (
        "单位名称",
        "机构名称",
        "企业名称",
        "公司名称",
        "company",
        "company name",
        "organization name",
    ),
    "uscc": (
        "统一社会信用代码",
        "信用代码",
        "社会信用代码",
        "unified social credit identifier",
        "credit code",
    ),
    "name": ("姓名", "人员姓名", "full name"),
    "idcard": ("身份证号", "身份证号码", "公民身份号码", "证件号码", "id number", "id card", "identity card"),
    "organizational_unit": ("部门", "所属部门", "unit"),
    "state_or_province": ("省", "省份", "state or province"),
    "locality": ("市", "城市", "地市"),
    "address": ("地址", "注册地址", "registered address"),
    "postcode": ("邮编", "邮政编码", "postal code"),
    "agent_name": ("经办人", "经办人姓名", "agent"),
    "agent_idcard": ("经办人身份证号", "经办人身份证号码", "经办人证件号码"),
    "mobile": ("手机", "手机号", "手机号码", "移动电话", "联系电话", "mobile phone"),
    "email": ("邮箱", "电子邮箱", "电子邮件", "email", "e-mail address"),
    "note": ("备注", "remarks", "remark"),
    "key": ("请求文件", "请求文件名", "文件名", "request"),
    "csr": ("证书请求", "csr", "csr_pem", "p10"),
    "authority": ("机构", "发证机构", "ca"),
    "type": ("证书类型", "类型"),
}
_REMARKS = re.compile(r"[（(\[【].*?[）)\]】]")
_MARKS = re.compile(r"[\s*＊:：_\-]+")


@dataclass(frozen=True)
class Heading:
    """The columns of a table, as typed and as understood."""

    titles: tuple[str, ...]
    fields: tuple[str | None, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(
            title for title, field in zip(self.titles, self.fields, strict=True) if title and field is None
        )

    @property
    def doubled(self) -> tuple[str, ...]:
        known = [field for field in self.fields if field]
        return tuple(sorted({field for field in known if known.count(field) > 1}))


def title_of(field: str) -> str:
    """How a column is headed in the present language."""
    return gettext(OWN_COLUMNS[field] if field in OWN_COLUMNS else ALL_FIELDS[field].label)


def _plain(title: str) -> str:
    text = unicodedata.normalize("NFKC", title).lower()
    return _MARKS.sub("", _REMARKS.sub("", text)) or _MARKS.sub("", text)


@cache
def known_headings() -> Mapping[str, tuple[str, ...]]:
    """Heading without marks -> fields that it may mean, labels of both languages before other names."""
    found: dict[str, list[str]] = {}
    names = [*ALL_FIELDS, *OWN_COLUMNS]
    for language in ("zh", "en"):
        with set_language(language, "onecert.ra"):
            for name in names:
                found.setdefault(_plain(title_of(name)), []).append(name)
    for name in names:
        for title in (name, *_ALSO.get(name, ())):
            found.setdefault(_plain(title), []).append(name)
    return {title: tuple(dict.fromkeys(meant)) for title, meant in found.items()}


def count_known(cells: Sequence[str]) -> int:
    """How many of these cells are headings that we know."""
    known = known_headings()
    return sum(1 for cell in cells if cell and len(cell) <= 64 and _plain(cell) in known)


def read_heading(titles: Sequence[str], kind: Kind | None = None) -> Heading:
    """Understand the heading row; with a kind, fields that it does not have count as unknown."""
    known = known_headings()
    allowed = frozenset(
        {*OWN_COLUMNS, *(field.name for field in (FIELDS[kind] if kind else ALL_FIELDS.values()))}
    )
    fields: list[str | None] = []
    for title in titles:
        meant = known.get(_plain(title), ()) if title and len(title) <= 64 else ()
        fields.append(next((name for name in meant if name in allowed), None))
    return Heading(tuple(title.strip() for title in titles), tuple(fields))
