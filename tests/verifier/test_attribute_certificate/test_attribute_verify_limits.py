"""What narrows a certificate, names an entity, or binds an authority: enforced, or refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cryptography import x509

from onecert.verifier import RefusedError
from onecert.verifier.attribute_certificate import AttributeTrust
from onecert.verifier.certificate import as_parsed
from onecert.verifier.result import ValidatedPath

COMPANY = "uscc:91440300MA5DEM004J"


@pytest.mark.parametrize("arc", [43, 52, 57, 64, 65, 67])
def test_a_limit_that_is_not_enforced_refuses(world, lab, arc: int) -> None:
    """X.509, section 17: critical or not. To read over it would widen the certificate."""
    for critical, code in ((True, "UNKNOWN_CRITICAL"), (False, "LIMIT_NOT_ENFORCED")):
        more = (lab.extension(f"2.5.29.{arc}", lab.tlv(0x30), critical=critical),)
        with pytest.raises(RefusedError) as caught:
            world.verifier().verify(
                world.issue(more_extensions=more), holder=world.official.certificate, at=lab.T
            )
        assert caught.value.code == code
        assert f"2.5.29.{arc}" in caught.value.text("zh")


@pytest.mark.parametrize("arc", [39, 48, 50, 61, 66, 68])
def test_what_only_explains_or_widens_is_read_over(world, lab, arc: int) -> None:
    """Not critical: role specification, descriptor, source of authority, indirect issuer, group, mappings."""
    more = (lab.extension(f"2.5.29.{arc}", b"\x05\x00"),)
    assert (
        world.verifier()
        .verify(world.issue(more_extensions=more), holder=world.official.certificate, at=lab.T)
        .roles
    )
    more = (lab.extension(f"2.5.29.{arc}", b"\x05\x00", critical=True),)
    with pytest.raises(RefusedError, match="UNKNOWN_CRITICAL"):
        world.verifier().verify(
            world.issue(more_extensions=more), holder=world.official.certificate, at=lab.T
        )


def form(lab, value: bytes, arc: int = 41) -> bytes:
    return lab.extension(f"2.5.29.{arc}", value, critical=True)


@pytest.mark.parametrize(
    ("arc", "value"),
    [
        (41, "3003020100"),  # a path length without the authority flag
        (41, "30060101ff0201ff"),  # a negative path length
        (41, "3003010100"),  # a default that is written
        (41, "0500"),
        (42, "3000"),  # no subtree at all
        (42, "0500"),
        (69, "3000"),
        (62, "3000"),  # noAssertion is NULL
        (38, "3000"),
        (38, "30053003020101"),
    ],
)
def test_extensions_of_delegations_are_read_strictly(world, lab, arc: int, value: str) -> None:
    data = world.issue(more_extensions=(form(lab, bytes.fromhex(value), arc),))
    with pytest.raises(RefusedError, match="EXTENSION_FORM"):
        world.verifier().verify(data, holder=world.official.certificate, at=lab.T)


def entity(lab, *texts: str) -> bytes:
    """A holder named by URIs."""
    names = [lab.tlv(0x86, text.encode()) for text in texts]
    return lab.tlv(0x30, lab.tlv(0xA1, *names))


@pytest.mark.parametrize(
    ("name", "identity", "is_good"),
    [
        (COMPANY, COMPANY, True),
        (COMPANY, None, False),
        (COMPANY, "", False),
        (COMPANY, "uscc:91440300MA5DEM0A63", False),
        (COMPANY, COMPANY.lower(), False),
        ("org:MA5DEM004", "org:MA5DEM004", True),
        ("regno:440301103000001", "regno:440301103000001", True),
        ("idcard:440300190001010015", "idcard:440300190001010015", False),
        ("passport:CN:E00000000", "passport:CN:E00000000", False),
        ("", "", False),
    ],
)
def test_a_legal_entity_as_holder(world, lab, name: str, identity: str | None, is_good: bool) -> None:
    """Only the identity that the caller has verified counts, and never that of a natural person."""
    data = world.issue(holder=entity(lab, f"urn:onecert:entity:{name}"))
    found = world.verifier().explain(data, holder=world.official.certificate, at=lab.T, identity=identity)
    assert [finding.code for finding in found.findings] == ([] if is_good else ["HOLDER"])


def test_a_certificate_cannot_call_itself_an_entity(lab) -> None:
    """subjectAltName has the URI of the entity: it proves nothing, nor do names beside it."""
    text = f"urn:onecert:entity:{COMPANY}"
    for scheme in (text, "URN:OneCert:entity:" + COMPANY):
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(scheme)])
        liar = lab.identity("李四", usage=("digital_signature",), extra=((names, False),))
        world = lab.World(official=liar)
        data = world.issue(holder=entity(lab, scheme, "urn:another"))
        found = world.verifier().explain(data, holder=liar.certificate, at=lab.T)
        assert [finding.code for finding in found.findings] == ["HOLDER"]


def test_the_other_holder_parts_still_count_beside_the_entity(world, lab) -> None:
    """Entity and baseCertificateID of somebody else: each part must match."""
    inner = entity(lab, f"urn:onecert:entity:{COMPANY}")[2:]
    data = world.issue(holder=lab.tlv(0x30, lab.base_certificate_id(world.other.certificate), inner))
    found = world.verifier().explain(data, holder=world.official.certificate, at=lab.T, identity=COMPANY)
    assert [finding.code for finding in found.findings] == ["HOLDER"]


def controls(lab, *, length: int | None = None, permitted: str = "", open_end: bool = True):
    """The aaControls of a certificate."""
    value = lab.tlv(
        0x30,
        b"" if length is None else lab.integer(length),
        lab.tlv(0xA0, lab.oid(permitted)) if permitted else b"",
        b"" if open_end else b"\x01\x01\x00",
    )
    return (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.6"), value), False)


ROLE, GROUP = "2.5.4.72", "1.3.6.1.5.5.7.10.4"


@pytest.mark.parametrize(
    ("chain", "wanted"),
    [
        # From the authority's own certificate upwards; None: without the extension.
        (({}, {}), "role"),
        (({}, None), "role"),
        (({}, {"permitted": GROUP, "open_end": False}), "AA_CONTROLS"),
        (({}, {"permitted": ROLE, "open_end": False}), "role"),
        ((None, {}), "refused"),
        (({}, None, {}), "refused"),
        (({}, {}, {"length": 0}), "refused"),
        (({}, {}, {"length": 1}), "role"),
        (({}, {"length": 0}), "role"),
        (({"length": 0}, {}), "role"),
        ((None, None), "role"),
    ],
    ids=str,
)
def test_controls_bind_along_the_whole_path(lab, chain, wanted: str) -> None:
    """RFC 5755, section 7.4: all certificates below the first one have it, and all count."""
    extras = [() if each is None else (controls(lab, **each),) for each in chain]
    world = lab.World(authority=lab.identity("受控机构", extra=extras[0]))
    cas = [
        as_parsed(lab.identity(f"ca{number}", ca=True, usage=("key_cert_sign",), extra=extra).certificate)
        for number, extra in enumerate(extras[1:])
    ]

    def check_path(certificate, at) -> ValidatedPath:
        return ValidatedPath(
            target=certificate,
            chain=(certificate, *cas),
            anchor=SimpleNamespace(label="", subject=""),
            at=at,
            purpose="",
            policy=SimpleNamespace(),
            sources=(),
            warnings=(),
            valid_until=at,
        )

    trust = AttributeTrust(authorities=world.trust().authorities, check_path=check_path)
    found = world.verifier(trust=trust).explain(world.issue(), holder=world.official.certificate, at=lab.T)
    if wanted == "refused":
        assert [(each.code, each.facts["reason"]) for each in found.findings] == [("AA_PATH", "AA_CONTROLS")]
    elif wanted == "role":
        assert found.verified.roles
    else:
        assert [each.reason for each in found.verified.dropped] == [wanted]


def test_controls_that_cannot_be_read_refuse_the_authority(lab) -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.6"), b"\x30\x01")
    world = lab.World(authority=lab.identity("受控机构", extra=((broken, False),)))
    found = world.verifier().explain(world.issue(), holder=world.official.certificate, at=lab.T)
    assert [(each.code, each.facts["reason"]) for each in found.findings] == [("AA_PATH", "NOT_DER")]
