"""The walk of ``verify``: everything is valid, then one thing is broken and must be named by its code.

authority (named in the trust configuration) -> attribute certificate -> official's certificate
"""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.verifier.attribute_certificate import (
    AttributeTrust,
    GeneralName,
    TargetIdentity,
    TrustedAuthority,
)
from onecert.verifier.attribute_certificate.holder import digest_of
from onecert.verifier.certificate import as_parsed
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.messages import codes

SERIAL = 0x1234567890ABCDEF


def refusal(world, data, *, lists=(), trust=None, holder=None, at=None, target=None, lab=None):
    verifier = world.verifier(*lists, trust=trust)
    with pytest.raises(RefusedError) as caught:
        verifier.verify(data, holder=holder or world.official.certificate, at=at or lab.T, target=target)
    assert caught.value.code in codes(), "every code has a Chinese and an English text"
    assert "?" not in caught.value.text("zh") + caught.value.text("en"), "every fact of the text is given"
    return caught.value.code


def test_a_valid_certificate_gives_its_role(world, lab) -> None:
    """Nothing is broken: the role is proved for the holder."""
    verified = world.verifier().verify(world.issue(), holder=world.official.certificate, at=lab.T)

    assert [role.name for role in verified.roles] == [lab.ROLE]
    assert verified.serial_hex == "1234567890abcdef"
    assert verified.dropped == ()
    assert verified.status == "acrl"
    assert verified.revocation_list.number == 1


def test_pem_is_read_too(world, lab) -> None:
    body = base64.encodebytes(world.issue()).decode()
    pem = f"-----BEGIN ATTRIBUTE CERTIFICATE-----\n{body}-----END ATTRIBUTE CERTIFICATE-----\n"
    assert world.verifier().verify(pem.encode(), holder=world.official.certificate, at=lab.T).roles


FORM = {
    "version 1": ("VERSION", lambda lab, w: {"version": lab.integer(0)}),
    "version 3": ("VERSION", lambda lab, w: {"version": lab.integer(2)}),
    "v1 form of the issuer": (
        "ISSUER_FORM",
        lambda lab, w: {"issuer": lab.tlv(0x30, lab.directory(lab.name("x").public_bytes()))},
    ),
    "issuer with an empty name": (
        "ISSUER_FORM",
        lambda lab, w: {"issuer": lab.tlv(0xA0, lab.tlv(0x30, lab.directory(b"\x30\x00")))},
    ),
    "issuer by URI": (
        "ISSUER_FORM",
        lambda lab, w: {"issuer": lab.tlv(0xA0, lab.tlv(0x30, lab.tlv(0x86, b"urn:x")))},
    ),
    "issuer with a base certificate": (
        "ISSUER_FORM",
        lambda lab, w: {
            "issuer": lab.tlv(
                0xA0,
                lab.tlv(0x30, lab.directory(lab.name("x").public_bytes())),
                lab.base_certificate_id(w.other.certificate),
            )
        },
    ),
    "issuer unique id": ("ISSUER_FORM", lambda lab, w: {"unique_id": lab.tlv(0x03, b"\x00\x01")}),
    "serial zero": ("SERIAL", lambda lab, w: {"serial": lab.integer(0)}),
    "serial negative": ("SERIAL", lambda lab, w: {"serial": lab.integer(-5)}),
    "serial of 21 octets": ("SERIAL", lambda lab, w: {"serial": lab.integer(1 << 160)}),
    "UTCTime": (
        "TIME_FORM",
        lambda lab, w: {
            "validity": lab.tlv(0x30, lab.tlv(0x17, b"261120090000Z"), lab.generalized(lab.T + lab.DAY))
        },
    ),
    "fractions of a second": (
        "TIME_FORM",
        lambda lab, w: {
            "validity": lab.tlv(0x30, lab.tlv(0x18, b"20261120090000.5Z"), lab.generalized(lab.T + lab.DAY))
        },
    ),
    "a 13th month": (
        "TIME_FORM",
        lambda lab, w: {
            "validity": lab.tlv(0x30, lab.tlv(0x18, b"20261320090000Z"), lab.generalized(lab.T + lab.DAY))
        },
    ),
    "ends before it begins": (
        "TIME_FORM",
        lambda lab, w: {
            "validity": lab.tlv(0x30, lab.generalized(lab.T + lab.DAY), lab.generalized(lab.T - lab.DAY))
        },
    ),
    "no attributes": ("NO_ATTRIBUTES", lambda lab, w: {"attributes": ()}),
    "an attribute twice": (
        "DUPLICATE_ATTRIBUTE",
        lambda lab, w: {"attributes": (lab.attribute("2.5.4.72", lab.role_value(lab.ROLE)),) * 2},
    ),
    "an extension twice": (
        "DUPLICATE_EXTENSION",
        lambda lab, w: {"more_extensions": (lab.extension("1.2.3", b"\x05\x00"),) * 2},
    ),
    "unknown critical extension": (
        "UNKNOWN_CRITICAL",
        lambda lab, w: {"more_extensions": (lab.extension("1.2.3", b"\x05\x00", critical=True),)},
    ),
    "proxying is not enforced, so it must not be critical": (
        "UNKNOWN_CRITICAL",
        lambda lab, w: {
            "more_extensions": (lab.extension("1.3.6.1.5.5.7.1.10", b"\x30\x00", critical=True),)
        },
    ),
    "audit identity of 21 octets": (
        "EXTENSION_FORM",
        lambda lab, w: {
            "more_extensions": (lab.extension("1.3.6.1.5.5.7.1.4", lab.tlv(0x04, bytes(21)), critical=True),)
        },
    ),
    "other algorithm outside": ("ALG_MISMATCH", lambda lab, w: {"outer_algorithm": lab.ECDSA_SHA384}),
    "expired": (
        "EXPIRED",
        lambda lab, w: {
            "validity": lab.tlv(
                0x30, lab.generalized(lab.T - 2 * lab.DAY), lab.generalized(lab.T - timedelta(seconds=1))
            )
        },
    ),
    "not yet valid": (
        "NOT_YET_VALID",
        lambda lab, w: {
            "validity": lab.tlv(
                0x30, lab.generalized(lab.T + timedelta(seconds=1)), lab.generalized(lab.T + lab.DAY)
            )
        },
    ),
    "empty holder": ("HOLDER", lambda lab, w: {"holder": lab.tlv(0x30)}),
    "another serial number of the holder": (
        "HOLDER",
        lambda lab, w: {
            "holder": lab.tlv(0x30, lab.base_certificate_id(w.official.certificate, serial=4711))
        },
    ),
    "holder named by nothing": (
        "HOLDER",
        lambda lab, w: {"holder": lab.tlv(0x30, lab.tlv(0xA1, lab.directory(b"\x30\x00")))},
    ),
    "two issuers of the holder's certificate": (
        "HOLDER",
        lambda lab, w: {
            "holder": lab.tlv(
                0x30,
                lab.tlv(
                    0xA0,
                    lab.tlv(0x30, lab.directory(w.official.certificate.issuer.public_bytes()) * 2),
                    lab.integer(w.official.certificate.serial_number),
                ),
            )
        },
    ),
    "base certificate right, entity name wrong": (
        "HOLDER",
        lambda lab, w: {
            "holder": lab.tlv(
                0x30,
                lab.base_certificate_id(w.official.certificate),
                lab.tlv(0xA1, lab.directory(lab.name("somebody else").public_bytes())),
            )
        },
    ),
    "noRevAvail and a pointer to a list": (
        "STATUS_CONTRADICTION",
        lambda lab, w: {
            "more_extensions": (
                lab.extension("2.5.29.56", b"\x05\x00"),
                lab.extension(
                    "2.5.29.31",
                    lab.tlv(
                        0x30, lab.tlv(0x30, lab.tlv(0xA0, lab.tlv(0xA0, lab.tlv(0x86, b"http://x/a.acrl"))))
                    ),
                ),
            )
        },
    ),
}


@pytest.mark.parametrize("case", FORM)
def test_one_thing_broken_is_refused_with_its_code(world, lab, case: str) -> None:
    """The certificate is signed by the right authority; only this one thing is wrong."""
    code, change = FORM[case]
    data = world.issue(**change(lab, world))

    assert refusal(world, data, lab=lab) == code
    explained = world.verifier().explain(data, holder=world.official.certificate, at=lab.T)
    assert explained.findings[0].code == code
    assert explained.verified is None


def test_another_holder_is_refused(world, lab) -> None:
    """Zhang San's attribute certificate in the hands of Li Si."""
    assert refusal(world, world.issue(), holder=world.other.certificate, lab=lab) == "HOLDER"


def test_a_changed_octet_anywhere_never_verifies(world, lab) -> None:
    """Flip each bit-0 of the certificate in turn: no change may go unnoticed."""
    data, verifier = world.issue(), world.verifier()
    for at in range(len(data)):
        tampered = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        with pytest.raises((RefusedError, CouldNotCheckError)):
            verifier.verify(tampered, holder=world.official.certificate, at=lab.T)


def test_a_wrong_signature_has_its_own_code(world, lab) -> None:
    data = world.parts().sign(ec.generate_private_key(ec.SECP256R1()))
    assert refusal(world, data, lab=lab) == "SIGNATURE"


@pytest.mark.parametrize("tail", [b"\x00", b"\x05\x00", b"\n"])
def test_bytes_behind_the_certificate_are_refused(world, lab, tail: bytes) -> None:
    assert refusal(world, world.issue() + tail, lab=lab) == "NOT_DER"


def test_ber_inside_is_refused(world, lab) -> None:
    """An attribute value with a long-form length, correctly signed: readable, but not DER."""
    sloppy = b"\x30\x81\x02\x05\x00"
    data = world.issue(attributes=(lab.attribute("1.2.3.4", sloppy),))
    assert refusal(world, data, lab=lab) == "NOT_DER"


def test_too_large_is_refused_before_parsing(world, lab) -> None:
    with pytest.raises(MalformedError) as caught:
        world.verifier().verify(bytes(70_000), holder=world.official.certificate, at=lab.T)
    assert caught.value.code == "TOO_LARGE"


def test_an_authority_that_is_not_named_is_refused(world, lab) -> None:
    stranger = lab.World()
    assert refusal(world, stranger.issue(), holder=stranger.official.certificate, lab=lab) == "UNTRUSTED"


def test_same_name_with_another_key_is_refused(world, lab) -> None:
    """The issuer's name is right, the key identifier is of a key that is not in the configuration."""
    assert refusal(world, world.issue(key_id=b"\x07" * 20), lab=lab) == "UNTRUSTED"


def test_without_key_identifier_the_name_must_be_unambiguous(world, lab) -> None:
    trust = world.trust()
    data = world.issue(with_key_id=False)
    assert world.verifier(trust=trust).verify(data, holder=world.official.certificate, at=lab.T).roles

    twin = lab.identity("属性授权机构一")
    both = AttributeTrust(
        authorities=(*trust.authorities, TrustedAuthority.from_certificate(twin.certificate, label="twin"))
    )
    assert refusal(world, data, trust=both, lab=lab) == "UNTRUSTED"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ca": True, "usage": ("digital_signature", "key_cert_sign", "crl_sign")}, "AA_IS_CA"),
        ({"usage": ("key_agreement", "crl_sign")}, "AA_KEY_USAGE"),
        ({"not_after": "yesterday"}, "AA_PATH"),
    ],
)
def test_the_authority_itself_must_be_fit(lab, change: dict, code: str) -> None:
    """The authority is named in the configuration, but its certificate forbids what it does."""
    if "not_after" in change:
        change = {"not_after": lab.T - lab.DAY}
    unfit = lab.World(authority=lab.identity("不合格机构", **change))
    assert refusal(unfit, unfit.issue(), lab=lab) == code


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (RefusedError("CERT_EXPIRED"), RefusedError, "AA_PATH"),
        (CouldNotCheckError("STATUS_UNKNOWN"), CouldNotCheckError, "AA_PATH_UNKNOWN"),
    ],
)
def test_the_authoritys_path_is_checked(world, lab, error, kind, code: str) -> None:
    """A path check that refuses, or cannot tell, decides."""

    def check_path(certificate, at) -> None:
        raise error

    trust = AttributeTrust(authorities=world.trust().authorities, check_path=check_path)
    with pytest.raises(kind) as caught:
        world.verifier(trust=trust).verify(world.issue(), holder=world.official.certificate, at=lab.T)
    assert caught.value.code == code


def test_an_authority_can_be_named_by_name_and_key(world, lab) -> None:
    certificate = world.authority.certificate
    authority = TrustedAuthority.from_key(certificate.subject, certificate.public_key(), roles={lab.ROLE})
    verifier = world.verifier(trust=AttributeTrust(authorities=(authority,)))
    assert verifier.verify(world.issue(), holder=world.official.certificate, at=lab.T).roles


# --- holder forms ---


def holders(lab, official: x509.Certificate) -> dict[str, bytes]:
    parsed = as_parsed(official)
    sha256 = bytes.fromhex("300b0609608648016503040201")
    digest = lambda kind: lab.tlv(  # noqa: E731
        0xA2,
        lab.tlv(0x0A, bytes((kind,))),
        sha256,
        lab.tlv(0x03, b"\x00", digest_of(parsed, kind)),
    )
    return {
        "baseCertificateID": lab.tlv(0x30, lab.base_certificate_id(official)),
        "entityName": lab.tlv(0x30, lab.tlv(0xA1, lab.directory(official.subject.public_bytes()))),
        "digest of the key": lab.tlv(0x30, digest(0)),
        "digest of the certificate": lab.tlv(0x30, digest(1)),
        "two that agree": lab.tlv(
            0x30,
            lab.base_certificate_id(official),
            lab.tlv(0xA1, lab.directory(official.subject.public_bytes())),
        ),
    }


@pytest.mark.parametrize(
    "form",
    ["baseCertificateID", "entityName", "digest of the key", "digest of the certificate", "two that agree"],
)
def test_each_holder_form_fits_its_holder_and_nobody_else(world, lab, form: str) -> None:
    data = world.issue(holder=holders(lab, world.official.certificate)[form])

    assert world.verifier().verify(data, holder=world.official.certificate, at=lab.T).roles
    assert refusal(world, data, holder=world.other.certificate, lab=lab) == "HOLDER"


@pytest.mark.parametrize(
    ("form", "survives"),
    [
        ("baseCertificateID", False),
        ("digest of the certificate", False),
        ("digest of the key", True),
        ("entityName", True),
    ],
)
def test_what_a_renewal_of_the_holders_certificate_leaves(world, lab, form: str, survives: bool) -> None:
    """The official's certificate is renewed for the same key and name."""
    renewed = lab.identity("张三", usage=("digital_signature",), key=world.official.key).certificate
    data = world.issue(holder=holders(lab, world.official.certificate)[form])
    if survives:
        assert world.verifier().verify(data, holder=renewed, at=lab.T).roles
    else:
        assert refusal(world, data, holder=renewed, lab=lab) == "HOLDER"


def test_a_sha1_digest_names_nobody(world, lab) -> None:
    sha1 = bytes.fromhex("300706052b0e03021a")
    digest = lab.tlv(0xA2, lab.tlv(0x0A, b"\x00"), sha1, lab.tlv(0x03, b"\x00", bytes(20)))
    assert refusal(world, world.issue(holder=lab.tlv(0x30, digest)), lab=lab) == "HOLDER"


def test_entity_name_matches_a_subject_alternative_name(world, lab) -> None:
    san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:onecert:person:17")])
    official = lab.identity("王五", usage=("digital_signature",), extra=((san, False),))
    data = world.issue(holder=lab.tlv(0x30, lab.tlv(0xA1, lab.tlv(0x86, b"urn:onecert:person:17"))))
    assert world.verifier().verify(data, holder=official.certificate, at=lab.T).roles
    assert refusal(world, data, lab=lab) == "HOLDER"


# --- targets ---


def targeted(lab, *targets: bytes) -> dict[str, object]:
    value = lab.tlv(0x30, lab.tlv(0x30, *targets))
    return {"more_extensions": (lab.extension("2.5.29.55", value, critical=True),)}


def test_a_target_admits_by_name_and_by_group(world, lab) -> None:
    name = lab.tlv(0xA0, lab.tlv(0x86, b"urn:app:tax"))
    group = lab.tlv(0xA1, lab.tlv(0x86, b"urn:group:finance"))
    data = world.issue(**targeted(lab, name, group))
    holder = world.official.certificate
    verifier = world.verifier()

    assert verifier.verify(
        data, holder=holder, at=lab.T, target=TargetIdentity.from_uris("urn:app:tax")
    ).roles
    in_group = TargetIdentity.from_uris("urn:app:other", groups=["urn:group:finance"])
    assert verifier.verify(data, holder=holder, at=lab.T, target=in_group).roles
    for wrong in (
        None,
        TargetIdentity.from_uris("urn:app:other"),
        TargetIdentity.from_uris("urn:group:finance"),
        TargetIdentity(names=(GeneralName.dns("app"),)),
    ):
        assert refusal(world, data, target=wrong, lab=lab) == "TARGET"


def test_a_target_certificate_admits_nobody(world, lab) -> None:
    """RFC 5755, section 4.3.2: targetCert must not be used."""
    target = lab.tlv(
        0xA2, lab.tlv(0x30, lab.tlv(0x30, lab.directory(lab.name("x").public_bytes())), lab.integer(5))
    )
    data = world.issue(**targeted(lab, target))
    assert refusal(world, data, target=TargetIdentity.from_uris("urn:app:tax"), lab=lab) == "TARGET"


# --- what the authority may assign ---


def test_roles_outside_the_configuration_are_dropped_and_reported(world, lab) -> None:
    both = lab.attribute(
        "2.5.4.72", lab.role_value(lab.ROLE), lab.role_value("urn:onecert:role:police.chief")
    )
    group = lab.attribute("1.3.6.1.5.5.7.10.4", lab.tlv(0x30, lab.tlv(0x30, lab.tlv(0x0C, b"staff"))))
    data = world.issue(attributes=(both, group))

    verified = world.verifier().verify(data, holder=world.official.certificate, at=lab.T)

    assert [role.name for role in verified.roles] == [lab.ROLE]
    assert {(drop.value, drop.reason) for drop in verified.dropped} == {
        ("urn:onecert:role:police.chief", "NOT_ASSIGNABLE"),
        ("", "NOT_ASSIGNABLE"),
    }


def test_aa_controls_of_the_authoritys_certificate_filter(lab) -> None:
    """The configuration allows roles; the authority's own certificate excludes the role attribute."""
    controls = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.5.5.7.1.6"), lab.tlv(0x30, lab.tlv(0xA1, lab.oid("2.5.4.72")))
    )
    limited = lab.World(authority=lab.identity("受限机构", extra=((controls, False),)))
    verified = limited.verifier().verify(limited.issue(), holder=limited.official.certificate, at=lab.T)
    assert verified.roles == ()
    assert [drop.reason for drop in verified.dropped] == ["AA_CONTROLS"]


@pytest.mark.parametrize(
    "uri", ["urn:onecert:role:tax.a b", 'urn:onecert:role:tax."x"', "no-colon", "urn:onecert:role:tax.<s>"]
)
def test_a_role_with_odd_characters_never_reaches_a_decision(world, lab, uri: str) -> None:
    data = world.issue(attributes=(lab.attribute("2.5.4.72", lab.role_value(uri)),))
    verified = world.verifier().verify(data, holder=world.official.certificate, at=lab.T)
    assert verified.roles == ()
    assert [drop.reason for drop in verified.dropped] == ["ROLE_FORM"]


# --- explain ---


def test_explain_names_every_fault(world, lab) -> None:
    """Version, time, holder and target are wrong at once: all four are named, in the order of the walk."""
    data = world.issue(
        version=lab.integer(0),
        validity=lab.tlv(0x30, lab.generalized(lab.T - 3 * lab.DAY), lab.generalized(lab.T - lab.DAY)),
        **targeted(lab, lab.tlv(0xA0, lab.tlv(0x86, b"urn:app:tax"))),
    )
    explained = world.verifier().explain(data, holder=world.other.certificate, at=lab.T)
    assert [finding.code for finding in explained.findings] == ["VERSION", "EXPIRED", "HOLDER", "TARGET"]
    assert all(finding.text("zh") != finding.code for finding in explained.findings)


def test_explain_of_nonsense_is_one_finding(world, lab) -> None:
    explained = world.verifier().explain(b"hello", holder=world.official.certificate, at=lab.T)
    assert [finding.code for finding in explained.findings] == ["NOT_DER"]
    assert explained.certificate is None


def test_time_without_zone_is_a_programming_error(world, lab) -> None:
    with pytest.raises(ValueError, match="aware"):
        world.verifier().verify(
            world.issue(), holder=world.official.certificate, at=lab.T.replace(tzinfo=None)
        )
