"""Ours in Bouncy Castle, strongSwan, pyhanko-certvalidator, asn1crypto and pyasn1; theirs in ours.

All of the corpus that has nothing to do with delegation, which none of them knows. What they accept although
a standard forbids it stands in docs/attribute-certificates-interop.md; we refuse all of it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    RevocationLists,
    TargetIdentity,
    TrustedAuthority,
    VerifiedAttributeCertificate,
)
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.values import decode_value

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SECOND_OPINIONS = Path(__file__).parents[2] / "second_opinions"
CORPUS = Path(__file__).parent / "corpus"
FORMS = ("base", "name", "digest")
# Good ones that others cannot judge, with their reason; anything else that they refuse is a fault.
DIGEST = {f"good-{each}.der" for each in ("holder-key", "holder-certificate", "holder-sha512", "renewed")}
CANNOT = {
    # Its match() ends with false for every holder that is named by a digest, and knows directory names only.
    "Bouncy Castle": {*DIGEST, "good-entity.der"},
    "pyhanko-certvalidator": {*DIGEST, "good-entity.der", "good-sm2.der"},
    # Knows no SM2, and demands an authority key identifier.
    "strongSwan pki --print": {"good-sm2.der", "good-no-key-id.der"},
    # Has no syntax for encrypted attributes, and reads no unknown value with context tags inside.
    "asn1crypto": {"good-encrypted.der"},
    "pyasn1-modules": set(),
}


@dataclass(frozen=True)
class Room:
    """What everybody said about the corpus, and what was issued by others."""

    rows: Sequence[Mapping[str, Any]]
    opinions: Mapping[str, Sequence[Any]]
    issued: Mapping[str, bytes]
    read_by_bouncy_castle: Sequence[Any]
    table: str
    page: Path

    def good(self) -> list[int]:
        return [
            number for number, row in enumerate(self.rows) if row["kind"] == "good" and not row["delegations"]
        ]


def _import(folder: Path, name: str) -> Any:
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    """One Java machine for all of it."""
    judges, keys = _import(SECOND_OPINIONS, "attribute_certificates"), _import(CORPUS, "corpus_keys")
    if judges.missing():
        reason = f"install Debian's {judges.missing()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("interop")
    rows = judges.load_rows()
    opinions = {name: judge(rows, folder) for name, judge in judges.JUDGES.items() if name != "Bouncy Castle"}
    signers = {"aa-p256": keys.EcKey(10).private, "aa-rsa": keys.RsaKey().private}
    issued = {f"strongSwan {label}": _strongswan(folder, label, key) for label, key in signers.items()}
    lines = judges.judge_lines(rows, folder)
    for name, data in issued.items():
        (folder / name).write_bytes(data)
        label = name.split()[1]
        lines.append(
            "\t".join(("judge", str(folder / name), _file(label), _file("holder"), str(int(T.timestamp()))))
        )
    files = {}
    for label, key in signers.items():
        secret = folder / f"{label}.p8"
        secret.write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        for form in FORMS:
            files[f"Bouncy Castle {label} {form}"] = out = folder / f"{label}-{form}.der"
            parts = (str(secret), _file(label), _file("holder"), str(out), form, str(int(T.timestamp())))
            lines.append("\t".join(("issue", *parts)))
    said = judges.bouncy_castle(lines)
    all_opinions = {"Bouncy Castle": said[: len(rows)], **opinions}
    return Room(
        rows=rows,
        opinions=all_opinions,
        issued={**issued, **{name: file.read_bytes() for name, file in files.items()}},
        read_by_bouncy_castle=said[len(rows) : len(rows) + len(issued)],
        table=judges.table(rows, all_opinions),
        page=judges.PAGE,
    )


def _file(label: str) -> str:
    return str(CORPUS / "certificates" / f"{label}.cer")


def _strongswan(folder: Path, label: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    secret = folder / f"{label}.der"
    secret.write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    command = ["/usr/bin/pki", "--acert", "--in", _file("holder"), "--issuercert", _file(label)]
    command += ["--issuerkey", str(secret), "--serial", "4a11", "--group", "staff", "--group", "tax"]
    command += ["--not-before", "21.11.26 08:00:00", "--not-after", "21.11.26 10:00:00", "--digest", "sha256"]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(command, check=False, capture_output=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CANNOT)
def test_ours_are_accepted_by_all(room: Room, name: str) -> None:
    refused = {
        room.rows[number]["file"]
        for number in room.good()
        if not room.rows[number]["dropped"] and not room.opinions[name][number].is_accepted
    }
    assert refused == CANNOT[name]


@pytest.mark.parametrize("name", ["Bouncy Castle", "asn1crypto", "pyasn1-modules"])
def test_ours_are_written_again_octet_for_octet(room: Room, name: str) -> None:
    """Also those that it does not accept: a holder's digest, SM2."""
    other = {room.rows[number]["file"] for number in room.good() if not room.opinions[name][number].is_same}
    assert other == (CANNOT[name] if name == "asn1crypto" else set())


def test_bouncy_castle_reads_the_same_values(room: Room) -> None:
    number = next(n for n in room.good() if room.rows[n]["file"] == "good-all-attributes.der")
    text = room.opinions["Bouncy Castle"][number].text
    assert "2.5.4.72=urn:onecert:role:tax.clerk 2.5.4.72=urn:onecert:role:tax.approver" in text
    assert "1.3.6.1.5.5.7.10.4=一组" in text
    assert "1.3.6.1.5.5.7.10.3=1.2.3.4|1.2.3.5" in text
    number = next(n for n in room.good() if room.rows[n]["file"] == "target-name-good.der")
    assert "urn:onecert:service:tax" in room.opinions["Bouncy Castle"][number].text


def test_strongswan_prints_serial_holder_and_groups(room: Room) -> None:
    number = next(n for n in room.good() if room.rows[n]["file"] == "good-all-attributes.der")
    text = room.opinions["strongSwan pki --print"][number].text
    assert "hserial:   07:a1" in text
    assert "not before Nov 20 09:00:00 2026" in text


def _verify(name: str, data: bytes, **arguments: Any) -> VerifiedAttributeCertificate:
    authority = TrustedAuthority.from_certificate(
        Path(_file(name.split()[-1 if name.startswith("strongSwan") else 2])).read_bytes(),
        roles={"urn:onecert:role:tax.*"},
        attributes={Oid.GROUP.dotted_string},
    )
    trust = AttributeTrust(authorities=(authority,))
    verifier = AttributeCertificateVerifier(trust=trust, status=RevocationLists(trust))
    return verifier.verify(data, holder=Path(_file("holder")).read_bytes(), at=T, **arguments)


def test_bouncy_castle_s_verify_in_ours(room: Room) -> None:
    """Each form of a holder, P-256 and RSA, targeted and short-lived."""
    names = [name for name in room.issued if name.startswith("Bouncy Castle")]
    assert len(names) == 6
    for name in names:
        target = TargetIdentity.from_uris("urn:onecert:service:tax")
        verified = _verify(name, room.issued[name], target=target)
        assert [role.name for role in verified.roles] == ["urn:onecert:role:tax.approver"]
        group = next(each for each in verified.attributes if each.oid == Oid.GROUP)
        assert [decode_value("ietf", value) for value in group.values] == ["一组"]
        assert verified.status == "short-lived"
        assert verified.certificate.serial == 4711


def test_strongswan_s_verify_in_ours_and_in_bouncy_castle(room: Room) -> None:
    """Two forms of the holder, both right; two groups in one value; no revocation."""
    names = [name for name in room.issued if name.startswith("strongSwan")]
    assert len(names) == 2
    for name, said in zip(names, room.read_by_bouncy_castle, strict=True):
        verified = _verify(name, room.issued[name])
        group = next(each for each in verified.attributes if each.oid == Oid.GROUP)
        value = decode_value("ietf", group.values[0])
        assert value == {"kind": "string", "values": ["staff", "tax"]}
        assert verified.certificate.holder.base_certificate_id is not None
        assert verified.certificate.serial == 0x4A11
        assert said.is_accepted, said.text


def test_the_page_says_who_accepts_what(room: Room) -> None:
    """Stale? ``python tests/second_opinions/attribute_certificates.py --write``."""
    assert room.table in room.page.read_text(encoding="utf-8")
