"""How the database runs each statement of an act, and whether that stays so at ten times as many rows."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import event

__all__ = ["BIG", "analyze", "plans", "reads_all"]

# Tables that grow with every application or certificate.
BIG = (
    *("ra_certificates", "ra_name_parts", "ra_names", "ra_applications", "ra_marks", "ra_application_events"),
    *("ra_notices", "ra_cases", "ra_media", "ra_revocations", "audit_entries", "ra_evidence", "ra_orders"),
)


def analyze(ra: Any) -> None:
    """What an engine knows of a table decides how it reads it."""
    with ra.database.transaction() as connection:
        for table in BIG:
            connection.exec_driver_sql(f"ANALYZE {table}")


def plans(ra: Any, act: Callable[[], object]) -> list[tuple[str, str]]:
    """Each statement of an act, and how the engine says that it runs it."""
    seen: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            seen.setdefault(statement, parameters)

    engine = ra.database._read_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if ra.database.dialect == "sqlite" else "EXPLAIN "
    with ra.database.reading() as connection:
        if ra.database.dialect == "postgresql":
            # Reading some hundred rows from end to end is quick; what is asked is whether there is a way.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return [
            (
                statement,
                "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, given)),
            )
            for statement, given in seen.items()
        ]


def reads_all(plan: str, tables: Sequence[str] = BIG) -> bool:
    """Whether a plan reads a large table or a whole index of one, in the words of either engine."""
    lines = plan.splitlines()
    for number, line in enumerate(lines):
        if not any(table in line for table in tables):
            continue
        if "SCAN " in line or "Seq Scan on" in line:
            return True
        following = "".join(lines[number + 1 : number + 2])
        if ("Index Scan" in line or "Index Only Scan" in line) and "Index Cond" not in following:
            return True
    return False
