"""Brings the published files in line with the record, in the member's folder ``published``.

The database holds the truth; the files are what the status service answers from, so that departments get
their list while the database is away. They are written after each publication and again by a job, because a
crash may come between the two.

What is written is what the newest signed timestamp names, in this order: ``trust-list.json``,
``trust-timestamp.json``, ``trust-roots/N.json``, ``trust-root.json``. Who reads in between keeps what it has:
the old timestamp names the list at hand, or the new one names a root that is not there yet. While no
timestamp can be signed, the old files stay: they fit each other.
"""

from __future__ import annotations

from pathlib import Path

from onecert.server.folders import make_private_folder, write_file
from onecert.supervision import root_records
from onecert.supervision.editor import Editor
from onecert.supervision.published import (
    LIST_FILE,
    ROOT_FILE,
    ROOTS_FOLDER,
    TIMESTAMP_FILE,
    published_sequence,
    read_published,
)
from onecert.supervision.records import Publication, find_publication
from onecert.supervision.root_records import RootRecord, TimestampRecord
from onecert.verifier.trust_list.roles import Role

__all__ = ["LIST_FILE", "publish_files", "published_sequence"]


def publish_files(editor: Editor, folder: Path) -> int | None:
    """Bring the files in line with the database; returns the number of the list that is now in the file.

    A file that is ahead of the database is left alone: the database may have been restored from a backup, and
    what departments have seen must not go backwards.
    """
    make_private_folder(folder)
    with editor.database.reading() as connection:
        roots = root_records.root_list(connection)
        timestamp = root_records.find_timestamp(connection)
        publication = find_publication(connection, timestamp.list_sequence) if timestamp else None
    if timestamp is not None:
        roots = [root for root in roots if root.version <= timestamp.root_version]
    if not roots or read_published(folder).root_version > roots[-1].version:
        return None
    if publication is not None and timestamp is not None:
        _write_list(folder, roots[-1], publication, timestamp)
    make_private_folder(folder / ROOTS_FOLDER)
    for root in roots:
        _write(folder / ROOTS_FOLDER / f"{root.version}.json", root.document)
    _write(folder / ROOT_FILE, roots[-1].document)
    return None if publication is None else publication.sequence


def _write_list(folder: Path, root: RootRecord, publication: Publication, timestamp: TimestampRecord) -> None:
    before, roles = read_published(folder), root.content.roles
    # A new epoch replaces whatever an earlier one has counted.
    if before.list_epoch < roles[Role.LIST].epoch or before.list_sequence <= publication.sequence:
        _write(folder / LIST_FILE, publication.document)
    if before.timestamp_epoch < roles[Role.TIMESTAMP].epoch or before.timestamp_version <= timestamp.version:
        _write(folder / TIMESTAMP_FILE, timestamp.document)


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content, mode=0o644)
