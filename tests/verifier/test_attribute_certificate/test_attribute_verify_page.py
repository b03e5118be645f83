"""The page about attribute certificates: its program runs, and its codes are those of the library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onecert.verifier.attribute_certificate import Code

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ["attribute-certificates.md", "attribute-certificates.zh.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_program_runs(city, lab, page: str) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    city.delegate("source", "bureau")
    names = {
        "authority_cert": city.givers["source"].certificate,
        "check_path": lambda certificate, at: None,
        "pairs": city.delegations,
        "lists": [lab.make_acrl(city.givers[each]) for each in ("source", "bureau")],
        "data": city.grant("bureau"),
        "holder": city.world.official.certificate,
        "now": lab.T,
    }
    exec(program, names)  # a page of this repository
    assert names["roles"] == ["urn:onecert:role:tax.a"]


@pytest.mark.parametrize("page", PAGES)
def test_every_code_is_on_the_page(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert [code for code in Code if f"`{code}`" not in text] == []
