"""Keeps all that CA and attribute authorities sign during a test run, for other implementations to judge.

A pytest plugin, registered by tests/conftest.py when COLLECT_SIGNED names a folder. The product has no part
in it: what the status application answers and which lists are published is seen as it happens; certificates,
lists and prepared answers are read from the database and the status folder of every test after its end,
those of services that ran as processes too.

The folder then holds `<sha256>` files in DER, and for each test process an index in JSON lines: kind,
SHA-256, test, and why a test made it wrong, if it did.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from onecert.ca.ocsp.prepared_answers import FILE_NAME
from onecert.ca.ocsp.stored_answers import AnswerFrame
from onecert.ca.status.app import OCSP_RESPONSE, TIMESTAMP_REPLY, StatusApp
from onecert.ca.status.files import StatusFiles

__all__ = ["MARK", "Collector"]

MARK = "deliberately_wrong"
# Certificates that others gave us are not ours, but may be issuers.
_STATEMENTS = (
    "SELECT 'certificate', certificate_der FROM ca_certificates",
    "SELECT 'certificate', certificate_der FROM ca_authorities",
    "SELECT 'certificate', certificate_der FROM ca_authority_certificates WHERE origin = 'roll-over'",
    "SELECT 'foreign', certificate_der FROM ca_authority_certificates WHERE origin <> 'roll-over'",
    "SELECT 'crl', crl_der FROM ca_crls UNION ALL SELECT 'crl', delta_der FROM ca_crls",
    # Of attribute authorities; in tests of the pmi alone no CA of ours has certified them.
    "SELECT 'attribute_certificate', certificate_der FROM pmi_certificates",
    "SELECT 'acrl', acrl_der FROM pmi_acrls",
    "SELECT 'foreign', certificate_der FROM pmi_authority_keys",
    "SELECT 'foreign', certificate_der FROM pmi_authorities",
)
_ANSWERS = (
    "SELECT r.certificate, a.data, a.signature FROM signed_answers a JOIN responders r"
    " ON r.key_label = a.key_label WHERE a.data IS NOT NULL"
)
_KINDS = {OCSP_RESPONSE: "ocsp", TIMESTAMP_REPLY: "timestamp"}

Found = Iterator[tuple[str, bytes]]


class Collector:
    """Writes what it sees into a folder, each content once for each reason to be wrong."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._index = (folder / f"index-{os.getpid()}.jsonl").open("a", 1, encoding="utf-8")
        self._test, self._wrong = "(before the first test)", ""
        self._seen: set[tuple[str, bytes, str]] = set()
        self._looked: set[Path] = set()
        self._watch()

    # ------------------------------------------------------------------ what is kept

    def keep(self, kind: str, content: bytes | None) -> None:
        """Keep one artefact in DER; None is nothing."""
        if not content:
            return
        content = bytes(content)
        digest = hashlib.sha256(content)
        key = (kind, digest.digest(), self._wrong)
        if key in self._seen:
            return
        path = self._folder / digest.hexdigest()
        if not path.exists():
            # Not by Path: the faults that the sweep injects there are for the product, not for us.
            with open(path, "wb") as file:
                file.write(content)
        line = {"kind": kind, "sha256": digest.hexdigest(), "test": self._test, "wrong": self._wrong}
        self._index.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._seen.add(key)

    def _keep_all(self, found: Iterable[tuple[str, bytes]]) -> None:
        for kind, content in found:
            self.keep(kind, content)

    # ------------------------------------------------------------------ as it happens

    def _watch(self) -> None:
        keep, answer, write_crl = self.keep, StatusApp.__call__, StatusFiles.write_crl
        write_certificate = StatusFiles.write_certificate

        @wraps(answer)
        def answer_seen(app: StatusApp, environ: dict[str, Any], start_response: Any) -> Any:
            kinds: list[str | None] = []

            def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
                kinds.append(_KINDS.get(dict(headers).get("Content-Type", "")))
                return start_response(status, headers, *more)

            body = list(answer(app, environ, started))
            if kinds and kinds[-1]:
                keep(kinds[-1], b"".join(body))
            return body

        @wraps(write_crl)
        def write_seen(
            files: StatusFiles, authority: str, number: int, *parts_der: bytes, **more: Any
        ) -> bool:
            prepared = more.get("prepared")
            keep("crl", prepared.path.read_bytes() if prepared is not None else b"".join(parts_der))
            return write_crl(files, authority, number, *parts_der, **more)

        @wraps(write_certificate)
        def certificate_seen(files: StatusFiles, authority: str, certificate_der: bytes, **more: Any) -> None:
            keep("certificate", certificate_der)
            write_certificate(files, authority, certificate_der, **more)

        StatusFiles.write_certificate = certificate_seen
        StatusApp.__call__ = answer_seen
        StatusFiles.write_crl = write_seen

    # ------------------------------------------------------------------ after each test

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        mark = item.get_closest_marker(MARK)
        self._test, self._wrong = item.nodeid, str(mark.args[0]) if mark else ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        given = getattr(item, "funcargs", {})
        if server := _postgresql_of(given):
            self._keep_all(in_postgresql(server))
        yield
        if "tmp_path" in given:
            self.look(given["tmp_path"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Also what folders of several tests hold; then the index is whole."""
        self._test, self._wrong = "(folders of several tests)", ""
        factory = getattr(session.config, "_tmp_path_factory", None)
        # The folder of the process that hands out the tests has those of all the others in it.
        hands_out = session.config.getoption("numprocesses", None)
        if factory is not None and not hands_out:
            self.look(factory.getbasetemp())
        self._index.close()

    def look(self, folder: Path) -> None:
        """Keep what databases and status folders below a folder hold; what cannot be read is no CA's."""
        self._looked.add(folder)
        for where, folders, names in os.walk(folder):
            here = Path(where)
            folders[:] = [name for name in folders if here / name not in self._looked]
            if FILE_NAME in names:
                self._keep_all(in_prepared_answers(here / FILE_NAME))
            for name in names:
                if name.endswith(".db") and name != FILE_NAME:
                    self._keep_all(in_sqlite(here / name))
            for name in names:
                if name.endswith(".crl-number"):
                    self._keep_all(in_status_folder(here, name))


def _postgresql_of(given: Mapping[str, Any]) -> str:
    """The socket folder of the server that a test used, if any."""
    url = str(given.get("postgresql_url") or given.get("database_url") or "")
    if url.startswith("postgresql"):
        return str(make_url(url).query["host"])
    return str(given.get("postgresql_server") or "")


def in_postgresql(server: str) -> Found:
    """What the tables hold in every database and schema of a server: the test that ends used them."""
    where = {"host": server, "user": "tester", "connect_timeout": "5", "options": "-cstatement_timeout=20s"}
    try:
        with psycopg.connect(dbname="postgres", **where) as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
            )
            databases = [row[0] for row in rows]
        for database in databases:
            with psycopg.connect(dbname=database, autocommit=True, **where) as connection:
                yield from _in_schemas(connection)
    except psycopg.Error:
        return  # the test took the server away


def _in_schemas(connection: psycopg.Connection[Any]) -> Found:
    query = (
        "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('ca_certificates', 'pmi_certificates')"
    )
    for (schema,) in connection.execute(query).fetchall():
        connection.execute("SELECT set_config('search_path', %s, false)", (schema,))
        for statement in _STATEMENTS:
            try:
                yield from ((kind, content) for kind, content in connection.execute(statement) if content)
            except psycopg.Error:
                continue


def in_sqlite(path: Path) -> Found:
    """The same for a file."""
    for statement in _STATEMENTS:
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                rows = connection.execute(statement).fetchall()
        except sqlite3.Error:
            continue
        yield from ((kind, content) for kind, content in rows if content)


def in_prepared_answers(path: Path) -> Found:
    """OCSP answers as they would be served."""
    frames: dict[bytes, AnswerFrame] = {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            for responder, data, signature in connection.execute(_ANSWERS):
                if responder not in frames:
                    frames[responder] = AnswerFrame(responder)
                yield "ocsp", frames[responder].around(data, signature)
    except (sqlite3.Error, ValueError, TypeError):
        return


def in_status_folder(folder: Path, number_name: str) -> Found:
    """The list beside its number. Certificates are those of the record."""
    path = (folder / number_name).with_suffix(".crl")
    if path.is_file():
        yield "crl", path.read_bytes()
