"""The member as installed: its migrations, its commands on a real SoftHSM token, the service it builds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import inspect

from onecert.ra import models
from onecert.ra.config import RaConfig
from onecert.ra.member import member
from onecert.server.database import Database, migrate
from onecert.server.members import load_member


def test_the_member_announces_itself() -> None:
    """Found by its entry point, with the roles of the pages."""
    assert load_member("ra") is member
    assert member.config is RaConfig
    assert set(member.roles) == {
        *(f"clerk.{name}" for name in ("entry", "review", "media", "archive")),
        *("security.officer", "auditor", "administrator"),
    }


def test_migrations_make_what_the_models_say(tmp_path) -> None:
    """Tables, columns, their types and nullness, indexes and unique constraints: all equal."""
    database = Database(f"sqlite:///{tmp_path / 'ra.db'}")
    migrate(database, "onecert.server.migrations", "onecert.ra.migrations")
    with database.reading() as connection:
        found = inspect(connection)
        for table in models.metadata.sorted_tables:
            columns = {column["name"]: column for column in found.get_columns(table.name)}
            assert set(columns) == set(table.c.keys()), table.name
            for column in table.c:
                there = columns[column.name]
                assert there["nullable"] == column.nullable, column
                assert str(there["type"]) == column.type.compile(connection.dialect), column
            indexes = {index["name"]: index["column_names"] for index in found.get_indexes(table.name)}
            wanted = {str(index.name): [c.name for c in index.columns] for index in table.indexes}
            assert {name: indexes[name] for name in wanted} == wanted
    database.close()


def onecert(*arguments: str | Path, data: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: a process has one PKCS#11 store."""
    environment = {**os.environ, "ONECERT_LANGUAGE": "en", "ONECERT_DATA": str(data)}
    done = subprocess.run(
        [sys.executable, "-c", "from onecert.server.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == check, done.stderr
    return done


@pytest.mark.token
def test_the_order_key_is_made_once_and_only_its_public_half_leaves(tmp_path) -> None:
    """`onecert ra key` twice: the same key; the PIN file is the owner's only."""
    out = tmp_path / "ra.pem"
    onecert("ra", "key", "--out", out, data=tmp_path / "data")
    again = onecert("ra", "key", "--out", "-", data=tmp_path / "data")
    assert again.stdout == out.read_text()
    assert load_pem_public_key(out.read_bytes()).curve.name == "secp256r1"
    assert (tmp_path / "data" / "ra" / "token.pin").stat().st_mode & 0o077 == 0


@pytest.mark.token
def test_an_import_without_a_ca_says_could_not(tmp_path) -> None:
    """No CA was ever reached: exit code 3, and nothing was entered."""
    data = tmp_path / "data"
    add = ["operators", "add", "ra", "wang", "--name", "Wang", "--role", "clerk.entry"]
    onecert(*add, "--person", "440300190001010015", "--valid-until", "2199-12-31", data=data)
    file = tmp_path / "rows.csv"
    file.write_text("key,authority,type,name,idcard,state_or_province,locality,mobile\n")
    with file.open("a") as rows:
        rows.write("a,pearl,citizen,李四,440300190001010015,广东省,深圳市,13800000000\n")
    (tmp_path / "a.csr").write_text("rubbish")
    refused = onecert(
        "ra", "import", file, "--requests", tmp_path, "--operator", "wang", "--json", data=data, check=1
    )
    [report] = [json.loads(line) for line in refused.stdout.splitlines()]
    assert report["faults"][0]["code"] == "CSR_MALFORMED"
    assert onecert("ra", "applications", data=data).stdout == ""
    missing = onecert(
        "ra", "import", file, "--requests", tmp_path, "--operator", "nobody", data=data, check=1
    )
    assert "nobody" in missing.stderr
    assert onecert("ra", "send", data=data).stdout == "0 waiting\n"


@pytest.mark.token
def test_sealed_on_a_token_in_one_process_and_found_in_another(tmp_path) -> None:
    """The search key is sealed under the token: a second process finds the same hash."""
    program = """
import sys
from pathlib import Path
from onecert.ra.member import make_keys
from onecert.ra.vault.sealed import Vault
from onecert.server.contexts import open_member
opened = open_member("ra", Path(sys.argv[1]))
keys = make_keys(opened.config, opened.context)
vault = Vault(keys, opened.context.database)
sealed = vault.seal_json("application:1", {"idcard": "440300190001010015"})
assert vault.unseal_json("application:1", sealed) == {"idcard": "440300190001010015"}
try:
    vault.unseal_json("application:2", sealed)
except Exception as exc:
    assert getattr(exc, "code", "") == "SEALED_DATA_DAMAGED", exc
else:
    raise SystemExit("unsealed in another place")
keys.check()
print(vault.idcard_hmac("440300190001010015"))
keys.close()
opened.close()
"""
    runs = {
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / "data"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for _run in range(2)
    }
    assert len(runs) == 1


@pytest.mark.token
def test_the_readme_opens_with_commands_that_work(tmp_path) -> None:
    """The first block of README.md, as far as it goes without a CA: each command exists, with its options."""
    readme = (Path(__file__).parents[2] / "ra" / "README.md").read_text()
    block = readme.partition("```console\n")[2].partition("```")[0]
    commands = [line.removeprefix("$ onecert ").split() for line in block.splitlines()]
    assert [command[1] for command in commands] == ["key", "import", "applications"]
    data = tmp_path / "data"
    onecert(*commands[0][:-1], tmp_path / "ra.pem", data=data)
    onecert(*commands[2], data=data)
    onecert("ra", "import", "--help", data=data)
