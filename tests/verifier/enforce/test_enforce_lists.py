"""Revocation lists that are fetched: newer ones replace, nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onecert.verifier import CouldNotCheckError
from onecert.verifier.enforce.config import read_config
from onecert.verifier.enforce.department import Department, DepartmentConfig
from onecert.verifier.enforce.lists import fetch_lists
from onecert.verifier.fetch import FetchAnswer, FetchRequest

URL = "http://pmi.example/acrl/tax.crl"


def test_only_a_newer_list_of_the_authority_replaces(city: Any, tmp_path: Path) -> None:
    """A newer list is kept and revokes; an older, an altered and none leave it where it is, and say why."""
    zhang = city.person("zhang")
    serial = city.grant(zhang, "urn:onecert:role:tax.approver")
    path = tmp_path / "enforce.toml"
    path.write_text(city.config().rstrip() + f'\nacrl = "{URL}"\n')
    config = DepartmentConfig.read(read_config(path, trusted_owner=False))
    kept = city.privileges / "acrls" / "tax.acrl"
    old = kept.read_bytes()
    city.revoke(serial)
    new = kept.read_bytes()
    kept.write_bytes(old)
    coming: list[bytes | None] = [new]

    def fetch(request: FetchRequest) -> FetchAnswer:
        assert request.url == URL
        if coming[0] is None:
            raise CouldNotCheckError("FETCH_FAILED", url=URL, detail="gone")
        return FetchAnswer(data=coming[0])

    assert Department(config).people(city.at)[0].roles
    assert fetch_lists(config, fetch) == {URL: None}
    assert kept.read_bytes() == new
    assert not Department(config).people(city.at)[0].roles
    for data, code in (
        (old, "ACRL_BACKWARDS"),
        (new[:-1] + b"x", "ACRL_SIGNATURE"),
        (b"", "NOT_DER"),
        (None, "FETCH_FAILED"),
    ):
        coming[0] = data
        error = fetch_lists(config, fetch)[URL]
        assert error is not None
        assert error.code == code
        assert kept.read_bytes() == new
