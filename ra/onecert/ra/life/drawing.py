"""Draws the state machine for people: docs/ra-life.md, made from the same table that every act asks.

python -m onecert.ra.life.drawing > docs/ra-life.md
"""

import sys
from collections.abc import Iterable, Iterator

from onecert.ra.life.duties import DUTY_OF_ACT, FLOOR, Duty
from onecert.ra.life.machine import ENDS, STATUS, TABLE, Act, Business, State, Transition

__all__ = ["document"]

_HEAD = """\
# The life of every piece of business

Drawn from `ra/onecert/ra/life/machine.py` by `python -m onecert.ra.life.drawing`; a test keeps it fresh. A
role in brackets takes the step; without one the service takes it itself. **2** marks a step that needs
another person than those before (`duties.py`); the setting `duties_apart` adds more pairs. Where the setting
`second_review` asks for two reviewers, `pass_on` stands in the place of `approve`, and `confirm` follows.
"""


def document() -> str:
    """The whole page, Markdown with Mermaid."""
    parts = [_HEAD]
    for businesses in _alike():
        names = ", ".join(business.value for business in businesses)
        parts += [f"## {names}\n", "```mermaid\n" + "\n".join(_diagram(businesses[0])) + "\n```\n"]
    parts += ["## Duties kept apart\n", "| duty | must be another person than who did |", "| --- | --- |"]
    for duty in Duty:
        others = ", ".join(sorted(earlier.value for later, earlier in FLOOR if later is duty))
        acts = ", ".join(act.value for act in Act if DUTY_OF_ACT.get(act) is duty)
        parts.append(f"| {duty.value} ({acts}) | {others or 'as `duties_apart` says'} |")
    alone = ", ".join(sorted(STATUS))
    parts.append(f"\nA security officer decides {alone} alone: a lost key cannot wait for a colleague.")
    return "\n".join(parts) + "\n"


def _alike() -> list[list[Business]]:
    """Kinds of business with the same steps stand together."""
    groups: dict[tuple[Transition, ...], list[Business]] = {}
    for business in Business:
        groups.setdefault(tuple(_rows(business)), []).append(business)
    return list(groups.values())


def _rows(business: Business) -> Iterator[Transition]:
    return (row for row in TABLE if business in row.businesses)


def _diagram(business: Business) -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.DRAFT.value}"
    for row in _rows(business):
        by = f" ({', '.join(row.roles)})" if row.roles else ""
        second = " **2**" if _needs_second(row.act, FLOOR) else ""
        yield f"    {row.before.value} --> {row.after.value}: {row.act.value}{by}{second}"
    used = {row.after for row in _rows(business)}
    for state in State:
        if state in ENDS[business] & used:
            yield f"    {state.value} --> [*]"


def _needs_second(act: Act, apart: Iterable[tuple[Duty, Duty]]) -> bool:
    return any(later is DUTY_OF_ACT.get(act) for later, _earlier in apart)


if __name__ == "__main__":
    sys.stdout.write(document())
