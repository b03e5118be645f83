"""A list read whole: the entries of every revoked certificate, and no list where anything is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import text
from test_ca_ocsp import revoke

from onecert.ca.errors import CrlIncompleteError

PEOPLE = ("440300190001010015", "440300190001010031", "440300190001010058")


@pytest.fixture
def revoked(world: Any) -> list[str]:
    """Three certificates on the list, with entries of different lengths."""
    serials = []
    for person, reason in zip(PEOPLE, ("keyCompromise", "unspecified", "superseded"), strict=True):
        record = world.issue(identity={"uscc": "91440300MA5DEM004J", "agent_idcard": person}).record
        revoke(world, record.serial, reason=reason)
        serials.append(record.serial)
    return serials


def change(world: Any, statement: str, **values: Any) -> None:
    with world.context.database.transaction() as connection:
        connection.execute(text(statement), values)


def test_all_entries_are_on_the_list(world: Any, revoked: list[str]) -> None:
    world.parts.publisher.publish("harbour")
    assert world.serials_on_list() == set(revoked)
    reasons = [
        entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in world.crl()
        if len(entry.extensions)
    ]
    assert sorted(reason.name for reason in reasons) == ["key_compromise", "superseded"]


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("DELETE FROM ca_crl_entries WHERE serial = :s", id="an entry is missing"),
        pytest.param("UPDATE ca_certificates SET status = 'good' WHERE serial = :s", id="an entry too many"),
        pytest.param(
            "UPDATE ca_crl_entries SET entry_der = (SELECT o.entry_der FROM ca_crl_entries o"
            " WHERE o.serial = :other) WHERE serial = :s",
            id="an entry that names another serial",
        ),
        pytest.param("UPDATE ca_crl_entries SET crl_partition = 7 WHERE serial = :s", id="another partition"),
        pytest.param(
            "UPDATE ca_crl_entries SET not_after = (SELECT max(c.not_before) FROM ca_certificates c) WHERE"
            " serial = :s",
            id="another end",
        ),
    ],
)
def test_what_does_not_agree_is_not_published(world: Any, revoked: list[str], statement: str) -> None:
    number = world.parts.files.crl_number("harbour")
    parameters = {"s": revoked[0], "other": revoked[2]}
    names = {name: value for name, value in parameters.items() if f":{name}" in statement}
    change(world, statement, **names)
    with pytest.raises(CrlIncompleteError):
        world.parts.publisher.publish("harbour")
    assert world.parts.files.crl_number("harbour") == number
