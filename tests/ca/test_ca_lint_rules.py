"""Every rule of the lint has an id that is used, and every finding has an id that is in the table."""

from __future__ import annotations

import re
from importlib.resources import files

from onecert.ca.certificates.lint_rules import RULES, fault

MODULES = (
    "certificates/lint",
    "authorities/terms",
    "lists/crl",
    "ocsp/messages",
    "ocsp/signing",
    "timestamps/messages",
    "timestamps/authority",
)


def test_ids_of_the_table_are_those_of_the_findings() -> None:
    text = "".join((files("onecert.ca") / f"{name}.py").read_text("utf-8") for name in MODULES)
    used = set(re.findall(r'fault\(\s*"([a-z-]+)"', text))
    assert used == set(RULES)
    assert not re.findall(r'(?:yield|LintError\(\[) ?f?"', text)


def test_a_finding_says_its_id_what_is_wrong_and_where_it_is_written() -> None:
    assert fault("certificate-extension-missing", "2.5.29.35") == (
        "certificate-extension-missing: extension 2.5.29.35 is missing (the profile)"
    )
    assert fault("list-number") == "list-number: number is not the reserved one (RFC 5280, section 5.2.3)"
    for rule, (source, text) in RULES.items():
        assert rule.split("-")[0] in {"certificate", "list", "answer", "timestamp"}
        assert source
        assert text
