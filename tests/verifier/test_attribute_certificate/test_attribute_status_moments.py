"""Status at any moment: which list counts for a question about the past, and what it can tell."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from onecert.verifier import CouldNotCheckError, RefusedError
from onecert.verifier.attribute_certificate import RevocationLists

SERIAL = 0x1234567890ABCDEF
HOUR = timedelta(hours=1)
HOLD = x509.ReasonFlags.certificate_hold


def a_list(world, lab, number: int, begin: int, end: int, revoked: int | None = None, **changes) -> bytes:
    """List number n, from ``begin`` to ``end`` hours after T; our certificate revoked at hour ``revoked``."""
    serials = () if revoked is None else (SERIAL,)
    if revoked is not None:
        changes["revoked_at"] = lab.T + revoked * HOUR
    return world.acrl(
        *serials, number=number, this_update=lab.T + begin * HOUR, next_update=lab.T + end * HOUR, **changes
    )


def code(world, lab, *lists: bytes, keep: int = 9) -> str:
    """What ``verify`` says at T: ``good``, or the code of its refusal."""
    verifier = world.verifier()
    status = RevocationLists(verifier.trust, lists, keep=keep)
    verifier = type(verifier)(trust=verifier.trust, status=status)
    try:
        verifier.verify(world.issue(), holder=world.official.certificate, at=lab.T)
    except (RefusedError, CouldNotCheckError) as exc:
        return exc.code
    return "good"


@pytest.mark.parametrize(
    ("lists", "wanted"),
    [
        ([(1, -2, 2)], "good"),
        ([(1, -2, 2), (2, 3, 9)], "good"),
        ([(1, -2, 2), (2, 3, 9, 2)], "good"),
        ([(1, -2, 2), (2, 3, 9, -1)], "REVOKED"),
        ([(1, -2, 2), (2, 3, 9, 0)], "REVOKED"),
        ([(2, 3, 9, 2)], "STATUS_UNKNOWN"),
        ([(2, 3, 9, -1)], "REVOKED"),
        ([(1, -9, -5)], "STATUS_UNKNOWN"),
        ([(1, -9, -5, -7)], "REVOKED"),
        ([(1, -9, -5), (2, -2, 2)], "good"),
        ([(1, -9, 0)], "good"),
        ([(1, 0, 5)], "good"),
        ([], "STATUS_UNKNOWN"),
    ],
    ids=str,
)
def test_the_moment_chooses_the_list(world, lab, lists, wanted) -> None:
    """Hours from T: (number, this update, next update, revoked at). A later list tells what was revoked then,
    and cannot tell that nothing was."""
    made = [a_list(world, lab, *each) for each in lists]
    assert code(world, lab, *made) == wanted
    assert code(world, lab, *reversed(made)) == wanted


def test_what_was_on_hold_then_is_refused_for_then(world, lab) -> None:
    """On hold at T, released later: at T nobody could rely on it; before the hold one could."""
    lists = [a_list(world, lab, 1, -2, 2, -1, reason=HOLD), a_list(world, lab, 2, 3, 9)]
    assert code(world, lab, *lists) == "REVOKED"
    lists = [a_list(world, lab, 1, -4, -2), a_list(world, lab, 2, -2, 2), a_list(world, lab, 3, 3, 9, 2)]
    assert code(world, lab, *lists) == "good"


def test_a_hold_that_is_over_does_not_count(world, lab) -> None:
    lists = [a_list(world, lab, 1, -9, -5, -7, reason=HOLD), a_list(world, lab, 2, -2, 2)]
    assert code(world, lab, *lists) == "good"


def test_without_history_only_the_newest_list_is_kept(world, lab) -> None:
    """By default one list of each authority; older numbers are refused, not kept."""
    old, new = a_list(world, lab, 1, -2, 2), a_list(world, lab, 2, 3, 9)
    assert code(world, lab, old, new, keep=1) == "STATUS_UNKNOWN"
    with pytest.raises(RefusedError, match="ACRL_BACKWARDS"):
        code(world, lab, new, old, keep=1)
    with pytest.raises(ValueError, match="at least one"):
        code(world, lab, keep=0)


def test_both_ends_of_the_period_are_included(world, lab) -> None:
    """RFC 5755, section 4.2.6: notBeforeTime and notAfterTime belong to the period."""
    holder = world.official.certificate
    for moment in (lab.T - lab.DAY, lab.T + lab.DAY):
        acrl = world.acrl(this_update=moment - HOUR, next_update=moment + HOUR)
        assert world.verifier(acrl).verify(world.issue(), holder=holder, at=moment).roles
    second = timedelta(seconds=1)
    for moment, wanted in (
        (lab.T - lab.DAY - second, "NOT_YET_VALID"),
        (lab.T + lab.DAY + second, "EXPIRED"),
    ):
        with pytest.raises(RefusedError, match=wanted):
            world.verifier().verify(world.issue(), holder=holder, at=moment)
