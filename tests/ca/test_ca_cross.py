"""Cross-certificates: ours for others and theirs for us, judged by our verifier and by `openssl verify`."""

from __future__ import annotations

import shutil
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_ceremonies import (
    PROFILES,
    OtherCa,
    T,
    ceremony,
    certificate_of,
    found,
    head,
    hold,
    openssl_accepts,
    table,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates

from onecert.ca.ceremonies.file import ceremony_from_text
from onecert.ca.errors import (
    CeremonyFileError,
    CeremonyWaitsError,
    IssuerExpiresError,
    OutsideCertificateError,
)
from onecert.verifier import PolicyInputs, RefusedError, TrustAnchor, validate_path
from onecert.verifier.purposes import ANY
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OURS, THEIRS, OTHER = "1.3.6.1.4.1.58888.8.2.1", "1.2.156.9999.1.1", "1.2.156.9999.1.9"
OFF = RevocationPolicy(mode=RevocationMode.OFF)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")

TERMS = f"""policies = ["{OURS}"]
policy_mappings = [{{ ours = "{OURS}", theirs = "{THEIRS}" }}]
require_explicit_policy = 0
inhibit_any_policy = 0
path_length = 1
"""
NAMES = """
[certified.permitted]
dns = ["city.example"]
email = ["city.example"]
ip = ["10.0.0.0/8"]
dn = [{ country = "CN", organization = "Province" }]
"""


def cross_file(other: OtherCa, *, terms: str = TERMS, names: str = NAMES, source: str | None = None) -> str:
    source = source if source is not None else f'certificate = """\n{other.pem}"""\n'
    return (
        head("bridge-2027", "cross")
        + '[certified]\nname = "bridge"\nissuer = "harbour-root"\nvalidity_days = 900\n'
        + source
        + terms
        + names
    )


@pytest.fixture
def province() -> OtherCa:
    return OtherCa("Province Root")


def chain(province: OtherCa, *, policies: tuple[str, ...] = (THEIRS,)) -> OtherCa:
    return OtherCa("Province Issuing", province, path_length=0, policies=policies)


def judged(
    folder: Path, world: Any, cross: x509.Certificate, below: OtherCa, leaf: x509.Certificate
) -> tuple[bool, bool]:
    """The verdicts of our verifier and of openssl; an explicit policy is asked for, from ours."""
    root = certificate_of(world, "harbour-root")
    try:
        validate_path(
            leaf,
            candidates=[cross, below.certificate],
            anchors=[TrustAnchor.from_certificate(root)],
            at=T + timedelta(hours=1),
            purpose=ANY,
            revocation_policy=OFF,
            policies=PolicyInputs(initial=frozenset({OURS}), require_explicit=True),
        )
        ours = True
    except RefusedError:
        ours = False
    between = [cross, below.certificate]
    return ours, openssl_accepts(
        folder, leaf, root, between, "-policy_check", "-policy", OURS, "-explicit_policy"
    )


@needs_openssl
@pytest.mark.parametrize(
    ("leaf", "issuing", "accepted"),
    [
        ({"policies": (THEIRS,), "dns": "www.city.example"}, (THEIRS,), True),
        ({"policies": (THEIRS,)}, (THEIRS,), True),
        ({"policies": (OTHER,), "dns": "www.city.example"}, (THEIRS,), False),
        ({"policies": (OURS,), "dns": "www.city.example"}, (THEIRS,), False),
        ({"policies": (THEIRS,), "dns": "www.city.example"}, (OTHER,), False),
        ({"policies": (), "dns": "www.city.example"}, (THEIRS,), False),
        ({"policies": (THEIRS,), "dns": "www.other.example"}, (THEIRS,), False),
        ({"policies": (THEIRS,), "organization": "Somebody else"}, (THEIRS,), False),
    ],
)
def test_paths_through_our_cross_certificate(
    lite: Any, province: OtherCa, tmp_path: Path, leaf: Any, issuing: Any, accepted: bool
) -> None:
    """harbour-root -> [cross: mapping, names] province -> province issuing -> leaf."""
    cross = found(hold(lite, cross_file(province)).for_others)
    below = chain(province, policies=issuing)
    folder = tmp_path / "openssl"
    folder.mkdir()
    assert judged(folder, lite, cross, below, below.leaf(**leaf)) == (accepted, accepted)


@needs_openssl
def test_path_length_of_the_cross_certificate_holds(lite: Any, province: OtherCa, tmp_path: Path) -> None:
    cross = found(
        hold(lite, cross_file(province, terms=TERMS.replace("path_length = 1", "path_length = 0"))).for_others
    )
    below = chain(province)
    assert judged(tmp_path, lite, cross, below, below.leaf(policies=(THEIRS,))) == (False, False)


def test_what_it_says_is_what_was_reviewed(lite: Any, province: OtherCa) -> None:
    made = hold(lite, cross_file(province))
    cross = found(made.for_others)
    extensions = {each.oid.dotted_string: each for each in cross.extensions}
    for oid in ("2.5.29.19", "2.5.29.30", "2.5.29.33", "2.5.29.36", "2.5.29.54"):
        assert extensions[oid].critical
    assert cross.subject == province.name
    assert cross.public_key() == province.key.public_key()
    names = cross.extensions.get_extension_for_class(x509.NameConstraints).value
    assert [type(each).__name__ for each in names.permitted_subtrees] == [
        "DNSName", "RFC822Name", "IPAddress", "DirectoryName",
    ]  # fmt: skip
    limits = cross.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 1)
    assert made.is_held()
    record = lite.parts.ledger.order("ceremony.bridge-2027.cross")
    assert (record.authority, record.profile, record.status) == ("harbour-root", "cross", "good")
    # A second run changes nothing.
    assert not any(step.changed for step in ceremony(lite, cross_file(province)).hold())


def test_a_request_will_do_and_keeps_the_name_as_it_is_spelled(lite: Any, province: OtherCa) -> None:
    text = cross_file(province, source=f'request = """\n{province.request()}"""\n')
    cross = found(hold(lite, text).for_others)
    assert cross.subject.public_bytes() == province.name.public_bytes()


def test_preview_names_every_term(lite: Any, province: OtherCa) -> None:
    text = "\n".join(ceremony(lite, cross_file(province)).preview())
    for part in (
        "CN=Province Root",
        f"{OURS} = {THEIRS}",
        "path_length: 1",
        "dns city.example",
        "O=Province",
    ):
        assert part in text
    assert lite.parts.ledger.find_order("ceremony.bridge-2027.cross") is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("path_length = 1", "path_length = -1", "path_length"),
        ("path_length = 1", "path_length = true", "path_length"),
        (f'theirs = "{THEIRS}"', 'theirs = "2.5.29.32.0"', "anyPolicy cannot be mapped"),
        (f'ours = "{OURS}"', f'ours = "{OTHER}"', "not among “policies”"),
        (f'policies = ["{OURS}"]', 'policies = ["none"]', "object identifiers"),
        (f'policies = ["{OURS}"]', f'policies = ["{OURS}", "{OURS}"]', "there twice"),
        ('dns = ["city.example"]', 'dns = ["*.city.example"]', "no name of that form"),
        ('email = ["city.example"]', 'email = ["a b@c"]', "no name of that form"),
        ('ip = ["10.0.0.0/8"]', 'ip = ["10.0.0.1/8"]', "no name of that form"),
        ("dn = [{ country", "dn = [{ planet", "no name of that form"),
        ("[certified.permitted]", "[certified.allowed]", "unknown key “allowed”"),
        ('issuer = "harbour-root"', 'issuer = ""', "“issuer”"),
        ("validity_days = 900", "validity_days = 0", "validity_days"),
        ("-----BEGIN CERTIFICATE-----", "-----BEGIN NOTHING-----", "certified:"),
        (NAMES, "", "needs “permitted” or “excluded”"),
        ('kind = "cross"', 'kind = "subordinate"\nroot = {}', "has no place"),
    ],
)
def test_faults_are_named(province: OtherCa, old: str, new: str, fault: str) -> None:
    text = cross_file(province)
    assert old in text
    changed = text.replace(old, new, 1)
    with pytest.raises(CeremonyFileError) as caught:
        ceremony_from_text(changed, tomllib.loads(changed))
    assert fault in str(caught.value)


def test_many_faults_at_once(province: OtherCa) -> None:
    with pytest.raises(CeremonyFileError) as caught:
        ceremony_from_text("", {"format": 2, "kind": "cross", "certified": {"odd": 1}, "people": "x"})
    assert len(caught.value.faults) >= 7


@pytest.mark.parametrize(
    "terms",
    [{"ca": False}, {"usage": False}],
)
def test_a_certificate_that_is_not_of_a_ca_is_a_fault(province: OtherCa, terms: Any) -> None:
    other = OtherCa("No CA", province, **terms)
    text = cross_file(other)
    with pytest.raises(CeremonyFileError, match="not of a CA"):
        ceremony_from_text(text, tomllib.loads(text))


def test_what_is_ours_or_not_there_is_refused(lite: Any, province: OtherCa) -> None:
    ours = lite.parts.authorities.get("harbour").certificate_pem
    cases = {
        "an authority of ours": cross_file(province).replace('name = "bridge"\n', 'name = "harbour"\n'),
        "the key is that of “harbour”": cross_file(province, source=f'certificate = """\n{ours}"""\n'),
        "there is no authority": cross_file(province).replace('"harbour-root"', '"nobody"'),
        "certifies holders": cross_file(province).replace('issuer = "harbour-root"', 'issuer = "harbour"'),
    }
    for fault, text in cases.items():
        with pytest.raises(CeremonyFileError, match=fault):
            list(ceremony(lite, text).preview())
        with pytest.raises(CeremonyFileError, match=fault):
            list(ceremony(lite, text).hold())


def test_it_never_outlives_the_root(lite: Any, province: OtherCa) -> None:
    text = cross_file(province).replace("validity_days = 900", "validity_days = 9000")
    with pytest.raises(IssuerExpiresError):
        list(ceremony(lite, text).preview())


# ------------------------------------------------------------------ what others give us


def received_file(*certificates: x509.Certificate, authority: str = "harbour-root") -> str:
    pem = b"".join(each.public_bytes(Encoding.PEM) for each in certificates).decode()
    return (
        head("received-2027", "received")
        + f'[received]\nauthority = "{authority}"\ncertificates = """\n{pem}"""\n'
    )


def test_what_others_gave_us_is_served_in_the_bundle(lite: Any, province: OtherCa) -> None:
    """province -> [cross] harbour-root -> harbour -> holder: found by whoever follows our caIssuers."""
    root = certificate_of(lite, "harbour-root")
    given = province.certify(root.subject, root.public_key(), path_length=1)
    hold(lite, received_file(given))
    bundle = load_der_pkcs7_certificates(lite.parts.files.path("harbour-root", "p7c").read_bytes())
    assert set(bundle) == {root, given}
    issuing = certificate_of(lite, "harbour")
    access = issuing.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert "http://127.0.0.1:8080/ca/harbour-root.p7c" in [each.access_location.value for each in access]
    path = validate_path(
        issuing,
        candidates=bundle,
        anchors=[TrustAnchor.from_certificate(province.certificate)],
        at=T + timedelta(hours=1),
        purpose=ANY,
        revocation_policy=OFF,
    )
    assert path is not None


def test_a_certificate_for_somebody_else_is_not_received(lite: Any, province: OtherCa) -> None:
    root = certificate_of(lite, "harbour-root")
    with pytest.raises(CeremonyFileError, match="not for the name"):
        hold(lite, received_file(province.certificate))
    with pytest.raises(CeremonyFileError, match="has already"):
        hold(lite, received_file(root))
    with pytest.raises(CeremonyFileError, match="there is no authority"):
        hold(lite, received_file(province.certificate, authority="nobody"))


# ------------------------------------------------------------------ below an outside root


def request_file(province: OtherCa, place: str = "issuing") -> str:
    subject = '{ country = "CN", organization = "海港电子认证有限公司", common_name = "海港CA 省级签发机构" }'
    return (
        head("provincial-2027", "request")
        + table(place, "provincial", subject=subject)
        + f'[outside]\ncertificates = """\n{province.pem}"""\n'
        + (PROFILES if place == "issuing" else "")
    )


def test_request_goes_out_and_the_certificate_comes_in(lite: Any, province: OtherCa) -> None:
    text = request_file(province)
    waiting = ceremony(lite, text)
    with pytest.raises(CeremonyWaitsError):
        list(waiting.hold())
    request = x509.load_pem_x509_csr(waiting.for_others.encode())
    assert request.is_signature_valid
    certificate = province.certify(request.subject, request.public_key(), path_length=0, days=2000)
    content = certificate.public_bytes(Encoding.PEM)
    lite.restart()
    held = ceremony(lite, text, certificate=content)
    list(held.hold())
    assert held.is_held()
    lite.register("harbour:*", "provincial:*")
    issued = lite.issue(authority="provincial")
    leaf = x509.load_der_x509_certificate(issued.record.certificate_der)
    leaf.verify_directly_issued_by(certificate)
    assert [x509.load_pem_x509_certificate(each.encode()) for each in issued.chain_pem] == [
        certificate, province.certificate,
    ]  # fmt: skip
    assert lite.crl("provincial").is_signature_valid(certificate.public_key())
    # It is complete: another certificate changes nothing.
    assert not any(step.changed for step in ceremony(lite, text, certificate=b"junk").hold())


def test_a_certificate_that_is_not_the_one_asked_for_is_refused(lite: Any, province: OtherCa) -> None:
    text = request_file(province)
    waiting = ceremony(lite, text)
    with pytest.raises(CeremonyWaitsError):
        list(waiting.hold())
    request = x509.load_pem_x509_csr(waiting.for_others.encode())
    name, key = request.subject, request.public_key()
    stranger = OtherCa("Stranger")
    cases = {
        "no certificates": b"junk",
        "not exactly one certificate for our key": province.certificate.public_bytes(Encoding.PEM),
        "not signed by the outside": stranger.certify(name, key).public_bytes(Encoding.DER),
        "name that we asked for": province.certify(stranger.name, key).public_bytes(Encoding.DER),
        "it is a CA": province.certify(name, key, ca=False).public_bytes(Encoding.DER),
        "keyCertSign": province.certify(name, key, usage=False).public_bytes(Encoding.DER),
        "not valid now": province.certify(name, key, days=0).public_bytes(Encoding.DER),
        "subject key identifier": province.certify(name, key, key_id=False).public_bytes(Encoding.DER),
    }
    for fault, content in cases.items():
        with pytest.raises(OutsideCertificateError, match=fault):
            list(ceremony(lite, text, certificate=content).hold())
    assert "provincial" not in [each.name for each in lite.parts.authorities.reload()]


def test_an_offline_authority_below_a_national_root_certifies_issuing_ones(
    lite: Any, province: OtherCa
) -> None:
    """province (national) -> provincial, offline and ours -> issuing, ours."""
    text = request_file(province, "root")
    waiting = ceremony(lite, text)
    with pytest.raises(CeremonyWaitsError):
        list(waiting.hold())
    request = x509.load_pem_x509_csr(waiting.for_others.encode())
    certificate = province.certify(request.subject, request.public_key(), path_length=1)
    list(ceremony(lite, text, certificate=certificate.public_bytes(Encoding.DER)).hold())
    below = (
        head("below-2027", "issuing")
        + table(
            "issuing",
            "below",
            issuer='"provincial"',
            subject='{ country = "CN", organization = "海港", common_name = "下级" }',
            validity_days=300,
        )
        + PROFILES
    )
    hold(lite, below)
    chain = lite.parts.authorities.chain_pem(lite.parts.authorities.get("below"))
    assert [found(each).subject for each in chain[1:]] == [certificate.subject, province.name]
