"""The clock that everything signed takes its time from: jumps, time daemons, and what a jump stops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.ca.errors import ClockJumpedError, ClockNotKeptError
from onecert.ca.member import renew_lists
from onecert.ca.operation.clock_guard import ClockGuard
from onecert.server.clock import FixedClock, SystemClock
from onecert.server.kernel_clock import KernelClock, kernel_clock

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEPT = KernelClock(is_kept=True, max_error=timedelta(milliseconds=20))
NOT_KEPT = KernelClock(is_kept=False, max_error=timedelta(0))
TOO_FAR_OFF = KernelClock(is_kept=True, max_error=2 * SECOND)


def guarded(clock: Any, kernel: KernelClock | None = None, *, needs_kept: bool = False) -> ClockGuard:
    return ClockGuard(clock, tolerance=SECOND, kernel=lambda: kernel, needs_kept=needs_kept)


@pytest.mark.parametrize("by", [timedelta(hours=1), timedelta(hours=-1), 2 * SECOND, -2 * SECOND])
@pytest.mark.parametrize("kernel", [None, NOT_KEPT, TOO_FAR_OFF])
def test_a_jump_is_refused_until_the_clock_is_right(by: timedelta, kernel: KernelClock | None) -> None:
    clock = FixedClock(T)
    guard = guarded(clock, kernel)
    clock.advance(timedelta(hours=5))
    assert guard.now() == clock.now()
    right = clock.now()
    clock.set(right + by)
    for _twice in range(2):
        with pytest.raises(ClockJumpedError):
            guard.now()
    clock.set(right)
    assert guard.now() == right


@pytest.mark.parametrize("step", [0.9, -0.9])
def test_small_steps_do_not_add_up(step: float) -> None:
    """Nine tenths of a second at each question, as somebody on the network between us and the time would."""
    clock = FixedClock(T)
    guard = guarded(clock)
    clock.set(clock.now() + step * SECOND)
    assert guard.now() == T + step * SECOND
    for times in range(2, 5):
        clock.set(T + times * step * SECOND)
        with pytest.raises(ClockJumpedError):
            guard.now()
    clock.set(T)
    assert guard.now() == T


def test_a_jump_that_a_time_daemon_vouches_for_is_believed() -> None:
    clock = FixedClock(T)
    guard = guarded(clock, KEPT)
    clock.set(T + timedelta(hours=8))
    assert guard.now() == T + timedelta(hours=8)


def test_a_clock_that_is_slewed_is_believed() -> None:
    clock = FixedClock(T)
    guard = guarded(clock)
    for _hour in range(48):
        clock.advance(timedelta(hours=1))
        clock.set(clock.now() + timedelta(seconds=1.7))
        assert guard.now() == clock.now()


@pytest.mark.parametrize("kernel", [NOT_KEPT, TOO_FAR_OFF])
def test_a_clock_that_nobody_keeps_is_not_believed_where_that_matters(kernel: KernelClock) -> None:
    with pytest.raises(ClockNotKeptError):
        guarded(FixedClock(T), kernel, needs_kept=True).now()
    assert guarded(FixedClock(T), kernel).now() == T


@pytest.mark.parametrize("kernel", [KEPT, None])
def test_a_kept_clock_is_believed(kernel: KernelClock | None) -> None:
    assert guarded(FixedClock(T), kernel, needs_kept=True).now() == T


def test_the_kernel_answers() -> None:
    found = kernel_clock()
    assert found is not None
    assert found.max_error >= timedelta(0)


def test_the_clock_of_this_machine_does_not_jump() -> None:
    guard = ClockGuard(SystemClock(), tolerance=SECOND)
    assert guard.now() <= guard.now()


def test_a_jump_stops_everything_that_is_signed_and_loses_nothing(lite: Any) -> None:
    """Issuing and lists answer 503; the same order is filled when the clock is right."""
    right, order = lite.clock.now(), lite.order()
    lite.clock.set(right + timedelta(days=30))
    with pytest.raises(ClockJumpedError) as refused:
        lite.parts.issuance.issue(order)
    assert refused.value.status == 503
    with pytest.raises(ClockJumpedError):
        renew_lists(lite.parts, lite.context.clock.now())
    with pytest.raises(ClockJumpedError):
        lite.service.checks["clock"]()
    lite.clock.set(right)
    assert lite.parts.issuance.issue(order).is_new
    lite.service.checks["clock"]()
