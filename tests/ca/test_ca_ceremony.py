"""Ceremonies: the four reviewed files, run twice, interrupted at each step, altered, and with faults."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.ceremonies.ceremony import RECORD_TYPE, Ceremony
from onecert.ca.ceremonies.file import ceremony_from_text, load_ceremony_file
from onecert.ca.errors import CeremonyChangedError, CeremonyFileError, TokenGoneError
from onecert.ca.models import profiles
from onecert.ca.profiles.profile import packaged_profile
from onecert.verifier.jws import key_id, verify_document

CEREMONIES = Path(__file__).parents[2] / "demo" / "ceremonies"
NAMES = ["pearl", "harbour", "summit", "operations", "city-tsa"]


def total(world: Any) -> int:
    with world.context.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(models.certificates)).scalar_one()


@pytest.mark.parametrize("name", NAMES)
def test_reviewed_files_make_root_and_issuing_authority(empty_world: Any, name: str) -> None:
    empty_world.hold(name)
    root = x509.load_der_x509_certificate(empty_world.parts.authorities.get(f"{name}-root").certificate_der)
    issuing = x509.load_der_x509_certificate(empty_world.parts.authorities.get(name).certificate_der)
    root.verify_directly_issued_by(root)
    issuing.verify_directly_issued_by(root)
    limits = issuing.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)
    public_key = issuing.public_key()
    if name == "pearl":
        assert isinstance(public_key, rsa.RSAPublicKey)
        assert public_key.key_size == 2048
    else:
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        assert public_key.curve.name == ("secp384r1" if name == "summit" else "secp256r1")
    assert f"ca-{name}" in empty_world.token.keys
    assert f"root-{name}-root" in empty_world.roots.keys
    assert f"root-{name}-root" not in empty_world.token.keys
    for authority in (name, f"{name}-root"):
        assert len(empty_world.crl(authority)) == 0
        assert empty_world.parts.files.path(authority, "cer").exists()
    lived = empty_world.crl(f"{name}-root")
    assert (lived.next_update_utc - lived.last_update_utc).days == 365


def test_second_run_changes_nothing(empty_world: Any) -> None:
    empty_world.hold()
    before = total(empty_world), empty_world.crl().public_bytes
    record = empty_world.ceremony("harbour").record()
    steps = list(empty_world.ceremony("harbour").hold())
    assert not any(step.changed for step in steps)
    assert total(empty_world) == before[0]
    assert empty_world.ceremony("harbour").record() == record


@pytest.mark.parametrize("steps", range(9))
def test_interrupted_after_any_step_goes_on(empty_world: Any, steps: int) -> None:
    """Stop after `steps` steps, start anew: the same result as in one run, each thing made once."""
    interrupted = empty_world.ceremony("harbour").hold()
    for _ in range(steps):
        next(interrupted)
    interrupted.close()
    empty_world.restart()
    empty_world.hold().register("harbour:*")
    assert empty_world.ceremony("harbour").is_held()
    assert total(empty_world) == 3  # root, issuing, responder
    assert len(empty_world.token.keys) == 2
    assert empty_world.issue().is_new


def test_interrupted_inside_the_signature_goes_on(empty_world: Any) -> None:
    """The offline token is pulled between the intent and the signature of the root."""
    steps = empty_world.ceremony("harbour").hold()
    next(steps)
    next(steps)
    empty_world.roots.gone = True
    with pytest.raises(TokenGoneError):
        next(steps)
    empty_world.roots.gone = False
    empty_world.restart()
    empty_world.hold()
    assert total(empty_world) == 3


def test_record_is_signed_by_the_root(empty_world: Any) -> None:
    empty_world.hold()
    file = load_ceremony_file(CEREMONIES / "harbour.toml")
    root = x509.load_der_x509_certificate(empty_world.parts.authorities.get("harbour-root").certificate_der)
    keys = {key_id(root.public_key()): root.public_key()}
    payload = verify_document(empty_world.ceremony("harbour").record(), typ=RECORD_TYPE, keys=keys)
    assert payload["file_sha256"] == file.sha256
    assert payload["people"] == ["何见证", "郑主持"]
    assert [each["kind"] for each in payload["authorities"]] == ["root", "issuing"]


def test_preview_shows_and_makes_nothing(empty_world: Any) -> None:
    text = "\n".join(empty_world.ceremony("summit").preview())
    assert "p-384" in text
    assert load_ceremony_file(CEREMONIES / "summit.toml").sha256 in text
    assert total(empty_world) == 0
    assert not empty_world.token.keys
    assert not empty_world.roots.keys


def altered(text: str, old: str, new: str) -> Any:
    assert old in text
    changed = text.replace(old, new, 1)
    return ceremony_from_text(changed, tomllib.loads(changed))


def test_other_edition_of_the_file_is_refused(empty_world: Any) -> None:
    empty_world.hold()
    text = (CEREMONIES / "harbour.toml").read_text()
    other = altered(text, "validity_days = 3652", "validity_days = 3651")
    ceremony = Ceremony(other, empty_world.parts, empty_world.roots, actor="command:test")
    with pytest.raises(CeremonyChangedError):
        list(ceremony.preview())
    with pytest.raises(CeremonyChangedError):
        list(ceremony.hold())


def test_authority_of_another_ceremony_is_refused(empty_world: Any) -> None:
    """A file with a new name that would make “harbour” a second time."""
    empty_world.hold()
    text = (CEREMONIES / "harbour.toml").read_text()
    other = altered(text, 'name = "harbour-2026"', 'name = "harbour-again"')
    with pytest.raises(CeremonyChangedError):
        list(Ceremony(other, empty_world.parts, empty_world.roots, actor="command:test").hold())


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("format = 1", "format = 3", "“format” must be 1"),
        ("format = 1", "format = 2", "“kind” is one of"),
        ('people = ["何见证", "郑主持"]', 'people = ["何见证", "何见证"]', "at least two people"),
        ('name = "harbour-root"', 'name = "Harbour Root"', "root: “name”"),
        ('name = "harbour-root"', 'name = "harbour"', "different names"),
        ('key = "p-256"', 'key = "dsa-1024"', "root: “key” is one of"),
        ("validity_days = 7305", "validity_days = 3652", "outlive"),
        ("crl_hours = 8760", "crl_hours = 0", "crl_hours"),
        ("crl_hours = 8760", "crl_days = 365", "unknown key “crl_days”"),
        ('common_name = "海港CA 根证书"', 'common_name = "' + "名" * 65 + '"', "root: subject"),
        ('name = "citizen"', 'name = "wizard"', "no profile “wizard”"),
        ('name = "citizen"', 'name = "organisation"', "there twice"),
        ('name = "citizen"', 'name = "issuing"', "authorities only"),
        ('value = "uscc"', 'value = "shoe size"', "knows no “shoe size”"),
        ('syntax = "set-explicit"', 'syntax = "morse"', "knows no “morse”"),
        ('value = "uscc"', 'value = "passport"', "no extension carries “uscc”"),
    ],
)
def test_faults_are_named(old: str, new: str, fault: str) -> None:
    with pytest.raises(CeremonyFileError) as caught:
        altered((CEREMONIES / "harbour.toml").read_text(), old, new)
    assert fault in str(caught.value)


def test_all_faults_at_once() -> None:
    with pytest.raises(CeremonyFileError) as caught:
        ceremony_from_text("", {"format": 9, "root": {}, "issuing": {}, "surprise": 1})
    assert len(caught.value.faults) > 8


def test_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("format = ")
    with pytest.raises(CeremonyFileError):
        load_ceremony_file(path)


@pytest.mark.token
def test_on_softhsm_the_keys_are_on_two_tokens(empty_world: Any, make_token: Any) -> None:
    """The same ceremony on real tokens; the certificates and lists verify."""

    class OnToken:
        def __init__(self, token: Any) -> None:
            self.token, self.label = token, token.label

        def key(self, label: str) -> Any:
            return self.token.load_key(label)

        def find_or_make(self, label: str, kind: str) -> Any:
            found = self.token.find_key(label)
            return (found, False) if found else (self.token.generate_key(label, kind), True)

        def check(self) -> None:
            self.token.check()

        def close(self) -> None:
            self.token.close()

    empty_world.token, empty_world.roots = OnToken(make_token("ca")), OnToken(make_token("ca-root"))
    empty_world.restart()
    empty_world.hold("harbour").register("harbour:*")
    issued = empty_world.issue()
    certificate = x509.load_der_x509_certificate(issued.record.certificate_der)
    issuing = x509.load_der_x509_certificate(empty_world.parts.authorities.get("harbour").certificate_der)
    certificate.verify_directly_issued_by(issuing)
    assert empty_world.crl().is_signature_valid(issuing.public_key())
    assert empty_world.roots.token.key_labels() == ["root-harbour-root"]
    assert empty_world.token.token.key_labels() == ["ca-harbour", "ocsp-harbour-1"]


def test_root_list_is_renewed_with_the_offline_token(empty_world: Any) -> None:
    empty_world.hold()
    publisher = empty_world.ceremony("harbour")._acts.root_publisher()
    assert publisher.publish("harbour-root").number == 2
    assert (
        empty_world.crl("harbour-root").extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        == 2
    )


def test_run_again_by_a_later_release_it_adds_no_profile(
    empty_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer packaged version waits for two officers; the ceremony only says that there is one."""
    empty_world.hold()
    before = installed_profiles(empty_world)

    def later(name: str) -> Any:
        found = packaged_profile(name)
        return found | {"version": 2} if found and name == "organisation" else found

    monkeypatch.setattr("onecert.ca.profiles.profile.packaged_profile", later)
    steps = list(empty_world.ceremony("harbour").hold())

    assert installed_profiles(empty_world) == before
    assert not any(step.changed for step in steps)
    assert any("organisation" in step.text and "onecert ca profile draft" in step.text for step in steps)
    found = [each for page in empty_world.parts.checker.pages() for each in page.findings]
    assert found == []


def installed_profiles(world: Any) -> list[Any]:
    with world.context.database.reading() as connection:
        return list(connection.execute(select(profiles).order_by(*profiles.primary_key)).all())
