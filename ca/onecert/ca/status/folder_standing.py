"""How fresh a status folder is, for monitors of status processes; read from the folder alone."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onecert.ca.der import DerError
from onecert.ca.lists.crl import next_update_of
from onecert.ca.ocsp.prepared_answers import FILE_NAME, PreparedAnswers

__all__ = ["standing_of"]

# The CA compares the answers with its record every two seconds.
BEHIND = timedelta(minutes=2)


def standing_of(folder: Path, at: datetime) -> dict[str, Any]:
    """Tell for every list when it lapses, and when the answers of each authority were last compared.

    `ready` is false when a list has lapsed or there is none at all: then verifiers have nothing to go by.
    `behind` names what is older than it should be: the CA or the copying has stopped.
    """
    lists, lapsed = {}, []
    for path in sorted(folder.glob("*.crl")):
        try:
            # The head says it; a list may have many megabytes.
            next_update = next_update_of(path.read_bytes())
        except (OSError, DerError):
            lapsed.append(path.stem)
            continue
        lists[path.stem] = next_update.isoformat()
        if next_update <= at:
            lapsed.append(path.stem)
    answers = _answers(folder)
    behind = [
        name for name, seen in answers.items() if seen is None or at - datetime.fromisoformat(seen) > BEHIND
    ]
    return {
        "ready": bool(lists) and not lapsed,
        "lists": lists,
        "lapsed": lapsed,
        "answers": answers,
        "behind": behind,
    }


def _answers(folder: Path) -> dict[str, str | None]:
    store = PreparedAnswers(folder / FILE_NAME, read_only=True)
    try:
        return {
            name: seen.isoformat() if (seen := store.seen_at(name)) else None for name in store.authorities()
        }
    except (sqlite3.Error, OSError):
        return {}
    finally:
        store.close()
