"""Writes docs/error-codes.md and docs/error-codes.zh.md from the catalogue of codes.

python docs/make_errors.py            write the pages
python docs/make_errors.py --check    exit code 1 when a page is not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

from onecert.verifier import CatalogueEntry, error_catalogue
from onecert.verifier.error_codes import GENERAL, KINDS
from onecert.verifier.messages import message

PAGES = {
    "en": Path(__file__).with_name("error-codes.md"),
    "zh": Path(__file__).with_name("error-codes.zh.md"),
}
TOP = {
    "en": """\
# Error codes

Made by `docs/make_errors.py` from the catalogue; do not edit. [中文](error-codes.zh.md)

A code never changes its meaning; texts may. In a program: `error.code`, `error.text("zh")` and
`error.hint("zh")` for the citizen, `error.desk("zh")` for the help desk, `str(error)` for the log,
`error.compatibility()` for the numbers of older interfaces; all of them together: `error_catalogue()`. On the
command line: `onecert-verify errors CERT_REVOKED`. `{name}` stands for a fact that is known when it happens.

| kind | means | class | HTTP status |
| --- | --- | --- | --- |
| refused | the answer is no | `RefusedError` | 403 |
| could not check | nobody can tell now; nobody is let in, and later may help | `CouldNotCheckError` | 503 |
| malformed | these bytes are not what they should be | `MalformedError` | 400 |
| notice | accepted; this is said beside the answer | no exception | 200 |

The status is that of the web adapters. A verdict of the HTTP service is an answer with status 200; requests
that it does not judge have the status below. SAR and BJCA numbers are given where their meaning is ours.
Everything else has the general numbers, {sar} and {bjca}, which are our own choice and stand here as —; a
held certificate is a revoked one to SAR, which has no number for it.
""",
    "zh": """\
# 错误代码

由 `docs/make_errors.py` 根据代码目录生成，请勿手工修改。[English](error-codes.md)

代码的含义永不改变，文字可能调整。程序中：`error.code`；对用户 `error.text("zh")`、`error.hint("zh")`；对客服
`error.desk("zh")`；写入日志 `str(error)`；旧接口编号 `error.compatibility()`；全部目录 `error_catalogue()`。
命令行：`onecert-verify errors CERT_REVOKED`。`{name}` 代表发生时才知道的内容。

| 类别 | 含义 | 异常类 | HTTP 状态码 |
| --- | --- | --- | --- |
| 拒绝 | 结论为否 | `RefusedError` | 403 |
| 无法核验 | 目前无法得出结论，一律不放行，可稍后再试 | `CouldNotCheckError` | 503 |
| 格式错误 | 数据不符合应有格式 | `MalformedError` | 400 |
| 附带说明 | 已接受，同时附带说明 | 无异常 | 200 |

状态码由 Web 适配层使用。HTTP 服务的核验结论总以 200 返回，未作核验的请求使用下表状态码。
SAR 与 BJCA 编号仅在含义一致时给出；其余使用通用编号 {sar} 和 {bjca}（由本系统自定，表中记作 —）。
SAR 没有“冻结”编号，冻结按注销给出。
""",
}
HEAD = {
    "en": ("citizen", "next step", "help desk", "status", "SAR", "BJCA"),
    "zh": ("对用户", "下一步", "对客服", "状态码", "SAR", "BJCA"),
}


def page(language: str) -> str:
    """One page, by kind and code; the advice for the help desk stands once, below the tables."""
    top = TOP[language].replace("{sar}", f"0x{GENERAL.sar:08X}").replace("{bjca}", str(GENERAL.bjca))
    parts = [top]
    for kind in KINDS:
        title = message(f"KIND_{kind.upper().replace('-', '_')}", language)
        parts.append(f"## {title[0].upper()}{title[1:]}\n")
        rows = [entry for entry in error_catalogue().values() if entry.kind == kind]
        parts.append("\n".join([*_head(language), *(_row(entry, language) for entry in rows), ""]))
    desk = {entry.advice: entry.desk(language) for entry in error_catalogue().values()}
    title = message("LABEL_DESK", language)
    parts.append(f"## {title[0].upper()}{title[1:]}\n")
    parts.append("\n".join(f'- <a id="{name}"></a>**{name}**: {desk[name]}' for name in sorted(desk)) + "\n")
    return "\n".join(parts)


def _head(language: str) -> list[str]:
    names = ["code" if language == "en" else "代码", *HEAD[language]]
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]


def _row(entry: CatalogueEntry, language: str) -> str:
    numbers = entry.compatibility
    cells = [
        f'<a id="{entry.code.lower()}"></a>`{entry.code}`',
        _plain(entry.text(language)),
        _plain(entry.hint(language)),
        f"[{entry.advice}](#{entry.advice})",
        str(entry.http_status),
        f"0x{numbers.sar:08X}" if numbers.sar_exact else "—",
        str(numbers.bjca) if numbers.bjca_exact else "—",
    ]
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def main() -> int:
    """Write the pages, or compare them."""
    code = 0
    for language, path in PAGES.items():
        wanted = page(language)
        if "--check" not in sys.argv[1:]:
            path.write_text(wanted, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != wanted:
            print(f"{path.name} is stale: run python docs/make_errors.py", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
