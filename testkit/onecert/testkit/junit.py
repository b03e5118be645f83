"""The report for continuous integration: JUnit's XML, which every build server reads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from onecert.testkit.report import advice, found_text
from onecert.testkit.runner import FAILED, SKIPPED, Outcome
from onecert.verifier.messages import harmless

__all__ = ["junit_xml"]

_TEXT_MAX = 500


def junit_xml(outcomes: Sequence[Outcome], language: str) -> bytes:
    """One test case for each outcome; a failure says what was expected, what came, and what to do."""
    counts = {name: sum(one.result == result for one in outcomes) for name, result in _COUNTED}
    about = {"name": "onecert-testkit", "tests": str(len(outcomes)), "errors": "0", **_texts(counts)}
    suite = Xml.Element("testsuite", about)
    for outcome in outcomes:
        case = Xml.SubElement(suite, "testcase", classname="onecert-testkit", name=outcome.name)
        if outcome.result == FAILED:
            said = harmless(found_text(outcome, language), _TEXT_MAX)
            failure = Xml.SubElement(case, "failure", message=said, type=outcome.found or "error")
            failure.text = f"{outcome.why[language]}\n{advice(outcome, language)}"
        elif outcome.result == SKIPPED:
            Xml.SubElement(case, "skipped")
    document: bytes = Xml.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document


_COUNTED = (("failures", FAILED), ("skipped", SKIPPED))


def _texts(counts: dict[str, int]) -> dict[str, str]:
    return {name: str(count) for name, count in counts.items()}
