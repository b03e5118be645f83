"""The conformance runner: every case and every misuse on a login, over HTTP, each with its own session.

outcomes = check_login(load_kit(Path("kit")), LoginAddress.parse("http://127.0.0.1:5000/login"))
assert all(outcome.result != "failed" for outcome in outcomes)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from onecert.testkit.attempt import (
    ACCEPTED,
    COULD_NOT_CHECK,
    ERROR,
    REFUSED,
    Verdict,
    get_challenge,
    give,
    sign,
)
from onecert.testkit.browser import Browser, LoginAddress
from onecert.testkit.errors import KitError, NotReachableError
from onecert.testkit.forms import FORMS
from onecert.testkit.identity_fields import CITIZEN
from onecert.testkit.kit import Case, Kit
from onecert.testkit.misuse import MISUSES, Misuse, Scene

__all__ = ["FORMS", "Outcome", "check_login"]

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One line of the report.

    Args:
        result: ``ok``, ``failed`` or ``skipped``.
        expected, found: a verdict each; ``code`` and ``id`` of both where there are any.
    """

    name: str
    result: str
    expected: str
    expected_code: str
    expected_id: str
    found: str
    found_code: str
    found_id: str
    note: str
    why: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def check_login(
    kit: Kit,
    address: LoginAddress,
    *,
    form: str = "flask-onecert",
    page: str = "/",
    skip: Collection[str] = (),
    slow: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> list[Outcome]:
    """Try everything.

    Args:
        form: one of ``forms.FORMS``. Where the reasons are OneCert's, codes are compared; otherwise who is
            let in, and who is not, and the id if the answer has one.
        page: a path that needs a sign-in.
        skip: names of cases that this login does not serve, such as ``citizen``.
        slow: also what needs five minutes; ``wait`` is called for them, with seconds.

    Raises:
        KitError: ``CASE_UNKNOWN``: a name in ``skip``.
        NotReachableError: ``URL_DOWN``, ``NOT_A_LOGIN``.
    """
    way, address = FORMS[form], replace(address, form=form)
    known = {case.name for case in kit.cases} | {misuse.name for misuse in MISUSES}
    for name in skip:
        if name not in known:
            raise KitError("CASE_UNKNOWN", name=name)
    strict = way.compares_codes
    get_challenge(Browser(address))
    scene = Scene(kit=kit, address=address, page=page, wait=wait)
    outcomes = []
    for case in kit.cases:
        if case.name in skip:
            outcomes.append(_outcome(case, SKIPPED, Verdict(kind="")))
            continue
        found = _safely(address, lambda case=case: _sign_in(scene, case))  # type: ignore[misc]  # bound now
        result = OK if _is_as_expected(case, found, strict) else FAILED
        outcomes.append(_outcome(case, result, found))
    for misuse in MISUSES:
        is_left_out = misuse.name in skip or (misuse.is_slow and not slow)
        if is_left_out or not (way.has_challenge or misuse.name == "rubbish"):
            outcomes.append(_outcome(misuse, SKIPPED, Verdict(kind="")))
        else:
            outcomes.append(_try_misuse(misuse, scene, strict=strict))
    return outcomes


def _sign_in(scene: Scene, case: Case) -> Verdict:
    browser = scene.browser()
    return give(browser, sign(scene.kit, case, get_challenge(browser)))


def _try_misuse(misuse: Misuse, scene: Scene, *, strict: bool) -> Outcome:
    found = _safely(scene.address, lambda: misuse.attempt(scene))
    is_good = found.kind == REFUSED and (not strict or not misuse.codes or found.code in misuse.codes)
    return _outcome(misuse, OK if is_good else FAILED, found)


def _safely(address: LoginAddress, attempt: Callable[[], Verdict]) -> Verdict:
    """One attempt that gets no answer is a finding; a login that has gone ends the check."""
    try:
        return attempt()
    except NotReachableError as exc:
        get_challenge(Browser(address))
        return Verdict(kind=ERROR, note=str(exc.facts.get("detail", "")) or exc.code)


def _is_as_expected(case: Case, found: Verdict, strict: bool) -> bool:
    if case.expected == ACCEPTED:
        if found.kind != ACCEPTED or CITIZEN.encode() in found.body:
            return False
        if not strict and not found.id:
            return True
        return found.id == case.id if case.id else bool(found.id)
    if not strict:
        return found.kind in {REFUSED, COULD_NOT_CHECK}
    return found.kind == case.expected and found.code == case.code


def _outcome(row: Case | Misuse, result: str, found: Verdict) -> Outcome:
    return Outcome(
        name=row.name,
        result=result,
        expected=row.expected if isinstance(row, Case) else REFUSED,
        expected_code=row.code if isinstance(row, Case) else " ".join(sorted(row.codes)),
        expected_id=row.id if isinstance(row, Case) else "",
        found=found.kind,
        found_code=found.code,
        found_id=found.id,
        note=found.note,
        why=row.why,
    )
