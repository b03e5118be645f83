"""The second opinions themselves: what is kept of a test, what is a fault, and that forgeries are seen."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

sys.path.append(str(Path(__file__).parents[1] / "second_opinions"))

import by_openssl
import by_pkilint
import collecting
from artefacts import KINDS, Artefact, Run, load_run, one_of
from exemptions import DISAGREEMENTS, EXEMPTIONS, NOT_THEIR_KIND
from forgeries import forgeries
from opinions import Report
from verdicts import Verdict

from onecert.ca.ocsp.prepared_answers import FILE_NAME


class Says:
    """A judge of its own mind."""

    KINDS = KINDS

    def __init__(self, accepts: Callable[[Artefact], bool]) -> None:
        self.accepts = accepts

    def missing(self) -> str:
        return ""

    def version(self) -> tuple[int, ...]:
        return (3, 5)

    def judge(self, run: Run, artefacts: Sequence[Artefact]) -> list[Verdict]:
        return [Verdict(each, self.accepts(each), "said so") for each in artefacts]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """One artefact of each kind, which only judges of their own mind can judge."""
    return Run([one_of(kind, kind.encode(), tmp_path) for kind in KINDS], [], tmp_path)


def is_sound(report: Report) -> Callable[[Artefact], bool]:
    """Accepts all but forgeries."""
    forged = {id(each.artefact) for each in report._forgeries if each.refused_by}
    return lambda each: id(each) not in forged


def test_everything_of_a_world_is_found(lite: Any) -> None:
    """Issued certificates, authorities', lists and prepared answers."""
    record = lite.issue().record
    lite.parts.responders.follow()
    lite.parts.responders.prepare()
    folder = lite.context.shared
    of_database = set(collecting.in_sqlite(folder / "ca.db"))
    status = lite.parts.files.folder

    assert ("certificate", bytes(record.certificate_der)) in of_database
    assert ("certificate", lite.parts.authorities.get("harbour-root").certificate_der) in of_database
    lists = list(collecting.in_status_folder(status, "harbour.crl-number"))
    assert lists == [("crl", lite.parts.files.path("harbour", "crl").read_bytes())]
    assert {kind for kind, _der in collecting.in_prepared_answers(status / FILE_NAME)} == {"ocsp"}


def test_what_any_test_made_rightly_must_pass(tmp_path: Path) -> None:
    """The same bytes of two tests, of which one is marked."""
    (tmp_path / "aa").write_bytes(b"content")
    rows = [
        {"kind": "crl", "sha256": "aa", "test": name, "wrong": wrong}
        for name, wrong in (("a", "so"), ("b", ""))
    ]
    for count, wrong in ((1, "so"), (2, "")):
        text = "".join(json.dumps(row) + "\n" for row in rows[:count])
        (tmp_path / "index-1.jsonl").write_text(text, "utf-8")
        (artefact,) = load_run(tmp_path, tmp_path).artefacts
        assert artefact.wrong == wrong


def test_all_accepted_is_no_fault(run: Run) -> None:
    report = Report(run)
    report.ask({"openssl": Says(is_sound(report)), "GnuTLS": Says(is_sound(report))})
    assert report.faults == []


def test_a_refusal_is_a_fault_with_its_test(run: Run) -> None:
    report = Report(run)
    accepts = is_sound(report)
    report.ask({"openssl": Says(lambda each: accepts(each) and each is not run.artefacts[1])})
    (fault,) = report.faults
    assert "openssl refuses crl" in fault
    assert "(made here): said so" in fault


def test_a_judge_that_sleeps_is_a_fault(run: Run) -> None:
    report = Report(run)
    report.ask({"openssl": Says(lambda _each: True)})
    assert report.faults
    assert all("accepts a forgery" in fault for fault in report.faults)


def test_a_mark_that_nobody_needs_is_a_fault(run: Run) -> None:
    run.artefacts[0].wrong = "an altered bit"
    report = Report(run)
    report.ask({"openssl": Says(is_sound(report)), "GnuTLS": Says(is_sound(report))})
    assert report.faults == ["marked as wrong, and every judge accepts all of it: an altered bit"]


def test_an_exemption_ends_when_the_judge_can_do_it(run: Run) -> None:
    run.artefacts[0].algorithm = "SM2"
    report = Report(run)
    report.ask({"GnuTLS": Says(is_sound(report))})
    assert [fault.partition(": ")[2] for fault in report.faults] == ["no exemption for SM2 needed"]


def test_a_judge_may_learn_with_a_later_version(run: Run) -> None:
    """openssl knows ML-DSA from 3.5 on: there it may accept it."""
    run.artefacts[0].algorithm = "ML-DSA"
    report = Report(run)
    report.ask({"openssl": Says(is_sound(report))})
    assert report.faults == []


def test_a_judge_that_can_do_little_is_a_fault(run: Run) -> None:
    for each in run.artefacts[:2]:
        each.algorithm = "SM2"
    report = Report(run)
    accepts = is_sound(report)
    report.ask({"GnuTLS": Says(lambda each: accepts(each) and not each.algorithm)})
    assert report.faults == [f"GnuTLS judged {len(KINDS) - 2} of {len(KINDS)}, less than 80%"]


@pytest.mark.parametrize("ci", ["true", ""])
def test_a_missing_judge_fails_in_ci_alone(run: Run, monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    report = Report(run)
    report.is_missing("GnuTLS", "gnutls-bin")
    assert bool(report.faults) is bool(ci)
    assert "gnutls-bin" in report.text()


def test_a_run_that_left_nothing_is_a_fault(tmp_path: Path) -> None:
    assert Report(Run([], [], tmp_path)).faults == [f"the run left no {kind}" for kind in KINDS]


def test_every_exemption_has_its_reason() -> None:
    reasons = [each.reason for each in (*EXEMPTIONS, *DISAGREEMENTS)] + list(NOT_THEIR_KIND.values())
    assert all(len(reason) > 20 for reason in reasons)


def test_forgeries_are_what_they_say(tmp_path: Path) -> None:
    """Each kind has a sound one and several that are not; each is refused by somebody who has to."""
    made = forgeries(tmp_path)
    for kind in ("certificate", "crl", "ocsp", "attribute_certificate"):
        wanted = [bool(each.refused_by) for each in made if each.artefact.kind == kind]
        assert wanted.count(False) == 1
        assert wanted.count(True) >= 2
    negative = [each.artefact.kind for each in made if "negative serial" in each.what]
    assert sorted(negative) == ["attribute_certificate", "certificate"]


@pytest.mark.parametrize("judge", [by_openssl, by_pkilint], ids=["openssl", "pkilint"])
def test_forgeries_are_refused(judge: Any, tmp_path: Path) -> None:
    made = [each for each in forgeries(tmp_path) if each.artefact.kind in judge.KINDS]
    name = {by_openssl: "openssl", by_pkilint: "pkilint"}[judge]
    verdicts = judge.judge(Run([], [], tmp_path), [each.artefact for each in made])
    said = {id(verdict.artefact): verdict.is_accepted for verdict in verdicts}
    assert len(said) == len(made)
    for each in made:
        if not each.refused_by or name in each.refused_by:
            assert said[id(each.artefact)] is not each.refused_by.__contains__(name), each.what
    assert x509.load_der_x509_certificate(made[0].artefact.der).serial_number == 4711
