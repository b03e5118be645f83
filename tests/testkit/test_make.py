"""A kit says what it is: the verifier judges every certificate as its line in ``cases.json`` tells."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from onecert.testkit import Kit, KitError, load_kit, make_kit
from onecert.testkit.keys import load_key, make_key
from onecert.testkit.recipes import RECIPES
from onecert.testkit.serve import make_server
from onecert.testkit.trust_list import read_profile
from onecert.verifier import (
    CouldNotCheckError,
    CrlFolder,
    MemoryState,
    RefusedError,
    TrustListFolder,
    Verifier,
    load_public_key,
    load_trust_root,
    verify_signature,
)
from onecert.verifier.certificate import parse_certificate

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
FIRM_ID = "uscc:91440300MA5DEM004J"
DEMO_PROFILES = Path(__file__).parents[2] / "demo" / "profiles"


@pytest.fixture(scope="module")
def verifier(kit: Kit) -> Verifier:
    root = load_trust_root((kit.folder / "pki" / "trust-root.json").read_bytes())
    trust_list = TrustListFolder(kit.folder / "site", root=root, state=MemoryState())
    evidence = CrlFolder(kit.folder / "site" / "crls")
    return Verifier(trust_list=trust_list, evidence=evidence, application="tax", pairwise_key=b"k" * 32)


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_every_case_is_judged_as_its_line_says(kit: Kit, verifier: Verifier, name: str) -> None:
    """Verdict, code and id, exactly."""
    case = kit.case(name)
    found = case
    try:
        identity = verifier.verify(kit.certificate_pem(case), at=T).identity
        found = replace(case, expected="accepted", code="", id=identity.id)
    except RefusedError as error:
        found = replace(case, expected="refused", code=error.code)
    except CouldNotCheckError as error:
        found = replace(case, expected="could-not-check", code=error.code)
    if name == "citizen":
        assert found.id.startswith("person:")
        found = replace(found, id=case.id)
    assert found == case


def test_the_cases_cover_what_a_department_meets(kit: Kit) -> None:
    """All three verdicts; every accepted firm is one firm; each line tells why in both languages."""
    assert {case.expected for case in kit.cases} == {"accepted", "refused", "could-not-check"}
    assert {case.id for case in kit.cases if case.expected == "accepted"} == {FIRM_ID, ""}
    assert all(case.why["zh"] and case.why["en"] for case in kit.cases)
    assert len({case.name for case in kit.cases}) == len(kit.cases) > 25


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_files_of_a_case_belong_together(kit: Kit, name: str) -> None:
    """The key signs for the certificate; PKCS #12 opens with the password; the subject says test."""
    case = kit.case(name)
    certificate = x509.load_pem_x509_certificate(kit.certificate_pem(case))
    key = kit.key(case)
    assert "TEST ONLY" in certificate.subject.rfc4514_string()
    assert parse_certificate(kit.certificate_pem(case)).spki_der == key.spki_der
    public = load_public_key(key.spki_der)
    verify_signature(public, key.algorithm, key.sign(b"data"), b"data", policy=None)
    assert load_key(key.pem).spki_der == key.spki_der
    if "pkcs12" not in case.files:
        assert key.algorithm == "sm2-sm3"
        return
    packed = pkcs12.load_pkcs12((kit.folder / case.files["pkcs12"]).read_bytes(), b"test-only")
    assert packed.cert is not None
    assert packed.cert.certificate == certificate


def test_renewed_has_the_same_key_and_second_key_another(kit: Kit) -> None:
    keys = {name: kit.key(kit.case(name)).spki_der for name in ("good-harbour", "renewed", "second-key")}
    assert keys["good-harbour"] == keys["renewed"] != keys["second-key"]


def test_profiles_are_those_of_the_city() -> None:
    """Harbour's has one place more, so that two numbers can disagree."""
    for name in ("pearl", "summit"):
        assert read_profile(name) == json.loads((DEMO_PROFILES / f"{name}.json").read_bytes())
    ours, city = read_profile("harbour"), json.loads((DEMO_PROFILES / "harbour.json").read_bytes())
    ours["sources"] = [source for source in ours["sources"] if source["oid"] != "1.2.156.10260.4.1.3"]
    assert ours == city


def test_openssl_reads_the_sm2_key(tmp_path: Path) -> None:
    """Another reader of our PKCS #8."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command (Debian package openssl)")
    key = make_key("sm2")
    (tmp_path / "key.pem").write_bytes(key.pem)
    command = ["openssl", "pkey", "-in", str(tmp_path / "key.pem"), "-pubout", "-outform", "DER"]
    shown = subprocess.run(command, capture_output=True, check=True)
    assert shown.stdout == key.spki_der


def test_the_lists_are_served_and_nothing_else(kit: Kit) -> None:
    """The address in pki/ leads to the list; keys of holders are not to be had."""
    address = (kit.folder / "pki" / "address").read_text().strip()
    with urlopen(address) as answer:
        assert answer.read() == (kit.folder / "site" / "trust-list.json").read_bytes()
    for path in ("/holders/revoked.key", "/../cases.json", "/cases.json"):
        with pytest.raises(OSError, match="404"):
            urlopen(kit.base_url + path)


def test_what_cannot_be_made(tmp_path: Path, kit: Kit) -> None:
    """A folder that is there, an address that is none, years without end; nothing is overwritten."""
    before = sorted(kit.folder.rglob("*"))
    for code, folder, settings in (
        ("FOLDER_EXISTS", kit.folder, {}),
        ("FOLDER_UNWRITABLE", kit.folder / "cases.json" / "below", {}),
        ("BASE_URL_MALFORMED", tmp_path / "a", {"base_url": "ftp://127.0.0.1"}),
        ("BASE_URL_MALFORMED", tmp_path / "a", {"base_url": "http://a b"}),
        ("YEARS_RANGE", tmp_path / "a", {"years": 0}),
    ):
        with pytest.raises(KitError) as caught:
            make_kit(folder, at=T, **settings)
        assert caught.value.code == code
    assert sorted(kit.folder.rglob("*")) == before
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"schema": 2}', '{"schema": 1, "cases": 3}'])
def test_what_is_no_kit(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "cases.json").write_text(content)
    with pytest.raises(KitError, match="NOT_A_KIT"):
        load_kit(tmp_path)


def test_a_kit_is_served_at_its_own_address_only(kit: Kit) -> None:
    """Another port than the one in the signed list; the port is taken; a proxy may forward to any."""
    with pytest.raises(KitError, match="PORT_DIFFERS"):
        make_server(kit, port=1)
    with pytest.raises(KitError, match="PORT_TAKEN"):
        make_server(kit)
    with make_server(replace(kit, base_url="https://pki.example/test"), port=0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_openssl_opens_pkcs12(kit: Kit) -> None:
    """Another reader of our files."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command (Debian package openssl)")
    path = str(kit.folder / kit.case("good-harbour").files["pkcs12"])
    command = ["openssl", "pkcs12", "-in", path, "-passin", "pass:test-only", "-nodes"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "TEST good-harbour" in shown
    assert "BEGIN PRIVATE KEY" in shown


@pytest.mark.parametrize(
    ("ca", "case", "said"),
    [
        ("pearl", "good-pearl", "OK"),
        ("harbour", "good-harbour", "OK"),
        ("summit", "good-summit", "OK"),
        ("harbour-sm2", "good-sm2", "OK"),
        ("pearl", "revoked", "certificate revoked"),
        ("summit", "altered", "certificate signature failure"),
        ("harbour", "impostor-ca", "certificate signature failure"),
        ("harbour", "expired", "certificate has expired"),
        ("summit", "not-yet-valid", "certificate is not yet valid"),
    ],
)
def test_openssl_finds_the_same(kit: Kit, tmp_path: Path, ca: str, case: str, said: str) -> None:
    """root -> issuing CA -> certificate, with both revocation lists; another reader of all our DER."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command (Debian package openssl)")
    for name in (ca, f"{ca}-root"):
        certificate = x509.load_der_x509_certificate(
            (kit.folder / f"site/certificates/{name}.crt").read_bytes()
        )
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        crl = x509.load_der_x509_crl((kit.folder / f"site/crls/{name}.crl").read_bytes())
        with (tmp_path / "crls.pem").open("ab") as file:
            file.write(crl.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-attime", str(int(T.timestamp()))]
    if ca == "harbour-sm2":
        # openssl takes the identifier of SM2 for the certificate alone, not for the rest of the path.
        command += ["-partial_chain", "-CAfile", f"{ca}.pem", "-vfyopt", "distid:1234567812345678"]
    else:
        command += ["-CAfile", f"{ca}-root.pem", "-untrusted", f"{ca}.pem"]
        command += ["-crl_check_all", "-CRLfile", "crls.pem"]
    path = kit.folder / kit.case(case).files["certificate"]
    done = subprocess.run([*command, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said in done.stdout + done.stderr
