"""`onecert trust-list reporter`, and the service that takes and publishes, with tokens in SoftHSM."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from werkzeug.test import Client

from onecert.server.contexts import open_member
from onecert.supervision.member import member
from onecert.supervision.models import issuances, reporters
from onecert.verifier.issuances import IssuanceRecordFile
from onecert.verifier.trust_list import load_trust_root

from .test_issuances import OTHER, digest, entry, pem, report
from .test_supervision_cli import Shell, shell  # noqa: F401  the fixture

pytestmark = pytest.mark.token


def test_from_the_key_to_the_record(shell: Shell, world: Any, tmp_path: Path) -> None:  # noqa: F811
    for name, number in (("wang", "440300190001010015"), ("li", "44030019000101004X")):
        shell("officer", "add", name, "--name", name.title(), "--person", number)
    shell.first_root()
    draft, key, other = tmp_path / "draft.json", tmp_path / "key.pem", tmp_path / "other.pem"
    draft.write_text(json.dumps(world.draft_json()))
    key.write_text(pem())
    other.write_text(pem(OTHER))
    shell("draft", "import", str(draft))
    for name in ("wang", "li"):
        shell("draft", "sign", "--officer", name)
    shell("publish", "--apply")
    assert json.loads(shell("reporter", "add", "harbour", "--key", str(key)))["entries"] == 0
    shell("reporter", "add", "harbour", "--key", str(other), code=1)
    shell("reporter", "add", "moon", "--key", str(key), code=1)
    shell("reporter", "add", "pearl", "--key", str(draft), code=1)

    opened = open_member("supervision", shell.data)
    service = member.build(opened.config, opened.context)
    try:
        answer = Client(service.app).post(
            "/v1/issuance-reports",
            data=report(entry(1), entry(2)),
            base_url="https://127.0.0.1:8443/supervision",
        )
        assert (answer.status_code, answer.get_json()["entries"]) == (200, 2)
        for job in service.jobs:
            job.run(datetime.now(UTC))
        for check in service.checks.values():
            check()
        assert service.status is not None
        assert Client(service.status).get("/issuance-record.json").status_code == 200
        with opened.context.database.transaction() as connection:
            connection.execute(delete(issuances).where(issuances.c.sha256 == digest(2)))
            connection.execute(update(reporters).values(entries=1))
    finally:
        service.close()
        opened.close()

    assert json.loads(shell("reporter", "recover")) == {"missing": {"harbour": 1}}
    assert json.loads(shell("reporter", "recover", "--apply")) == {"recovered": {"harbour": 1}}
    assert json.loads(shell("reporter", "list"))["entries"] == 2
    published = shell.data / "supervision" / "published"
    record = IssuanceRecordFile(
        published / "issuance-record.json",
        root=load_trust_root((published / "trust-root.json").read_bytes()),
    )
    assert record.issued_at("harbour", digest(2), at=datetime.now(UTC)) is not None
    shell("reporter", "remove", "harbour")
    assert shell("reporter", "list")
    shell("reporter", "remove", "harbour", "--apply")
    assert shell("reporter", "list") == ""
