"""The published files: ``trust-list.json`` and ``list-keys.json`` in the member's folder.

The database holds the truth; the files are what the status service answers from, so that departments get
their list while the database is away. They are written after each publication and again by a job, because a
crash may come between the two.
"""

from __future__ import annotations

import json
from pathlib import Path

from onecert.server.folders import make_private_folder, write_file
from onecert.supervision.editor import Editor
from onecert.supervision.officers import list_keys_json
from onecert.supervision.records import find_publication
from onecert.verifier.errors import MalformedError
from onecert.verifier.jws import decode_base64url, load_json

__all__ = ["KEYS_FILE", "LIST_FILE", "publish_files", "published_sequence"]

LIST_FILE = "trust-list.json"
KEYS_FILE = "list-keys.json"
_MAX_BYTES = 64 * 1024 * 1024


def publish_files(editor: Editor, folder: Path) -> int | None:
    """Bring the files in line with the database; returns the number of the list that is now in the file.

    A file that holds a higher number than the database is left alone: the database may have been restored
    from a backup, and a list that departments have seen must not go backwards.
    """
    make_private_folder(folder)
    with editor.database.reading() as connection:
        publication = find_publication(connection)
        keys = list_keys_json(connection, editor.config.signatures_needed)
    _write(folder / KEYS_FILE, json.dumps(keys, indent=1).encode("ascii"))
    if publication is None:
        return None
    if published_sequence(folder / LIST_FILE) <= publication.sequence:
        _write(folder / LIST_FILE, publication.document)
    return publication.sequence


def published_sequence(path: Path) -> int:
    """The number of the list in a file; 0 when there is none that can be read."""
    # Read without checking: our own file, and only to compare numbers.
    try:
        document = load_json(path.read_bytes(), max_bytes=_MAX_BYTES)
        payload = load_json(decode_base64url(document["payload"]), max_bytes=_MAX_BYTES)
        return int(payload["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"])
    except (OSError, MalformedError, LookupError, TypeError, ValueError):
        return 0


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content, mode=0o644)
