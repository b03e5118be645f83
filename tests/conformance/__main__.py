"""The verifier on test suites that others wrote: ``python tests/conformance FOLDER``.

The folder holds ``pkits.json.xz``, ``pkits-cms.json.xz`` and ``limbo-core.json.xz``; nothing of it is part of
this repository. Exit code 1 when any verdict in scope is not the expected one, or a case takes a second.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import limbo
import pkits
import pkits_cms
from report import SLOWEST_S, Outcome, Scope

_SUITES = (
    ("NIST PKITS", "pkits.json.xz", pkits.run),
    ("NIST PKITS, signed messages", "pkits-cms.json.xz", pkits_cms.run),
    ("x509-limbo core", "limbo-core.json.xz", limbo.run),
)


def main(arguments: Sequence[str]) -> int:
    """Run all suites that lie in the folder and print the table."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python tests/conformance VECTORS_FOLDER", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    for title, file, run in _SUITES:
        found = run(Path(arguments[0]) / file)
        _print_suite(title, found)
        outcomes += found
    counted = [outcome for outcome in outcomes if outcome.scope is Scope.COUNTED]
    wrong = [outcome for outcome in counted if not outcome.as_expected]
    slow = [outcome for outcome in outcomes if outcome.seconds >= SLOWEST_S]
    accepted = sum(outcome.accepted for outcome in wrong)
    print(f"{len(counted) - len(wrong)} of {len(counted)} as expected, {accepted} wrongly accepted")
    print(f"slowest case: {max(outcome.seconds for outcome in outcomes):.3f} s")
    strict = [outcome for outcome in outcomes if outcome.scope is Scope.STRICT and not outcome.as_expected]
    return 1 if wrong or slow or strict else 0


def _print_suite(title: str, outcomes: Sequence[Outcome]) -> None:
    print(f"{title}\n{'group':<22}{'as expected':>12}{'of':>6}{'slowest ms':>12}")
    for group in dict.fromkeys(outcome.group for outcome in outcomes):
        members = [o for o in outcomes if o.group == group and o.scope is Scope.COUNTED]
        if members:
            good = sum(outcome.as_expected for outcome in members)
            slowest = 1000 * max(outcome.seconds for outcome in members)
            print(f"{group:<22}{good:>12}{len(members):>6}{slowest:>12.1f}")
    for outcome in outcomes:
        if (outcome.scope is Scope.COUNTED and not outcome.as_expected) or outcome.seconds >= SLOWEST_S:
            print(f"  UNEXPECTED {outcome.line}")
    strict = [outcome for outcome in outcomes if outcome.scope is Scope.STRICT]
    if strict:
        good = sum(outcome.as_expected for outcome in strict)
        print(f"apart, with the strict profile for issuers: {good} of {len(strict)} as expected")
        for outcome in strict:
            print(f"  {outcome.line}")
    for outcome in outcomes:
        if outcome.scope is Scope.EXCEPTION:
            print(f"exception: {outcome.line}\n  {outcome.reason}")
    left_out: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.scope is Scope.OUTSIDE:
            left_out[outcome.reason] = left_out.get(outcome.reason, 0) + 1
    for reason, count in left_out.items():
        print(f"not for an identity verifier: {count} cases, {reason}")
    print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
