"""The corpus: each file gets the verdict and code that ``corpus.json`` has, and is what the script writes."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import (
    RevocationEvidence,
    TrustAnchor,
    ValidatedPath,
    VerifyError,
    parse_certificate,
    validate_path,
)
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    Code,
    Delegation,
    Delegations,
    RevocationLists,
    TargetIdentity,
    TrustedAuthority,
    VerifiedAttributeCertificate,
)
from onecert.verifier.attribute_certificate.encrypted import open_encrypted
from onecert.verifier.attribute_certificate.values import STANDARD
from onecert.verifier.errors import CouldNotCheckError, RefusedError

FOLDER = Path(__file__).parent / "corpus"
CERTIFICATES = FOLDER / "certificates"
ROWS: list[dict[str, Any]] = json.loads((FOLDER / "corpus.json").read_text(encoding="utf-8"))
# In the configuration; the bureau and all below it come with delegations, and two that nobody named.
TRUSTED = sorted(
    path.stem for path in CERTIFICATES.glob("aa-*.cer") if path.stem not in {"aa-twin", "aa-unknown"}
)
OIDS = {*(f"1.3.6.1.5.5.7.10.{number}" for number in (2, 3, 4, 6)), "2.5.4.55"}
ERRORS = {"refused": RefusedError, "could-not-check": CouldNotCheckError}


class Department:
    """A relying party: authorities by configuration, roots, lists of the CA; certificates are read once."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in CERTIFICATES.iterdir()}
        self._anchors = [
            TrustAnchor.from_certificate(self._files[f"{ca}.cer"]) for ca in ("ca-root", "ca-silent")
        ]
        self._evidence = RevocationEvidence(crls=[self._files["ca-root.crl"]])
        self.trust = AttributeTrust(
            authorities=tuple(
                TrustedAuthority.from_certificate(
                    self._files[f"{label}.cer"],
                    roles={"urn:onecert:role:tax.*"},
                    attributes=OIDS,
                    label=label,
                )
                for label in TRUSTED
            ),
            check_path=self._check_path,
        )
        self._lists: dict[str | None, RevocationLists] = {}
        self._paths: dict[tuple[bytes, datetime], ValidatedPath | VerifyError] = {}

    def _check_path(self, certificate: Any, at: datetime) -> ValidatedPath:
        key = certificate.der, at
        if key not in self._paths:
            try:
                self._paths[key] = validate_path(
                    certificate, anchors=self._anchors, at=at, revocation=self._evidence
                )
            except VerifyError as exc:
                self._paths[key] = exc
        found = self._paths[key]
        if isinstance(found, VerifyError):
            raise found
        return found

    def verifier(self, row: dict[str, Any]) -> AttributeCertificateVerifier:
        delegations = Delegations(
            Delegation(
                (FOLDER / delegation).read_bytes(), parse_certificate((FOLDER / certificate).read_bytes())
            )
            for delegation, certificate in row["delegations"]
        )
        key = None if row["delegations"] or row["lists"] is not None else "usual"
        lists = self._lists.get(key) or self._load(row["lists"], delegations)
        if key is not None:
            self._lists[key] = lists
        return AttributeCertificateVerifier(trust=self.trust, status=lists, delegations=delegations)

    def _load(self, files: list[str] | None, delegations: Delegations) -> RevocationLists:
        lists = RevocationLists(self.trust, delegations=delegations)
        for file in [each for each in self._files if each.endswith(".acrl")] if files is None else files:
            with suppress(VerifyError):
                lists.add(self._files[file])
        return lists

    def arguments(self, row: dict[str, Any]) -> dict[str, Any]:
        target = None
        if row["target"]:
            target = TargetIdentity.from_uris(row["target"], groups=row["groups"])
        return {
            "data": (FOLDER / row["file"]).read_bytes(),
            "holder": self._files[row["holder"]],
            "at": datetime.fromisoformat(row["at"]),
            "target": target,
            "identity": row["identity"],
        }


@pytest.fixture(scope="module")
def department() -> Department:
    return Department()


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_verdict_and_code(department: Department, row: dict[str, Any]) -> None:
    verifier, arguments = department.verifier(row), department.arguments(row)
    explained = verifier.explain(**arguments)
    codes = [finding.code for finding in explained.findings]
    if row["verdict"] == "accepted":
        verified = verifier.verify(**arguments)
        assert isinstance(verified, VerifiedAttributeCertificate)
        assert codes == []
        assert sorted({each.reason for each in verified.dropped}) == sorted(row["dropped"])
        assert {role.name for role in verified.roles} <= {
            "urn:onecert:role:tax.approver",
            "urn:onecert:role:tax.clerk",
        }
        assert verified.roles
        return
    with pytest.raises(ERRORS[row["verdict"]]) as caught:
        verifier.verify(**arguments)
    assert caught.value.code == row["code"]
    assert codes[0] == row["code"]
    assert explained.verified is None


def test_every_code_of_the_verifier_is_in_the_corpus() -> None:
    assert {row["code"] for row in ROWS} >= {*Code}
    assert len([row for row in ROWS if row["code"]]) >= 60
    assert all(row["rule"] and row["source"] for row in ROWS)


def test_other_faults_are_explained_beside_the_first(department: Department) -> None:
    """A certificate that has expired, of another holder: both are said."""
    row = next(row for row in ROWS if row["file"] == "period-expired.der")
    arguments = department.arguments({**row, "holder": "holder-other.cer"})
    codes = [finding.code for finding in department.verifier(row).explain(**arguments).findings]
    assert codes == ["EXPIRED", "HOLDER"]


@pytest.mark.parametrize("office", ["office-rsa", "office-p256"])
def test_what_was_encrypted_long_ago_is_opened(department: Department, make_corpus: Any, office: str) -> None:
    """The same octets for ever: whoever could read them once must be able to read them later."""
    row = next(row for row in ROWS if row["file"] == "good-encrypted.der")
    verified = department.verifier(row).verify(**department.arguments(row))
    own = make_corpus.parties()[office]
    opened = open_encrypted(verified, recipient=own.der, key=own.key.private)
    (group,) = [each for each in opened.attributes if each.oid == STANDARD["group"].oid]
    assert STANDARD["group"].decode(group.values[0]) == "保密组"


@pytest.fixture
def make_corpus() -> Iterator[Any]:
    """The script; its modules stand beside it."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("make_corpus")
    finally:
        sys.path.remove(str(FOLDER))


def test_the_script_writes_the_same_octets(make_corpus: Any) -> None:
    written = make_corpus.corpus()
    found = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in FOLDER.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert sorted(written) == sorted(found)
    assert [name for name, data in written.items() if found[name] != data] == []
