"""Revocation: lists of attribute certificates, short-lived certificates, and what is not known."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.verifier.attribute_certificate import RevocationLists
from onecert.verifier.errors import CouldNotCheckError, RefusedError

SERIAL = 0x1234567890ABCDEF


def verify(world, lab, *lists: bytes, at=None, **changes):
    return world.verifier(*lists).verify(
        world.issue(**changes), holder=world.official.certificate, at=at or lab.T
    )


def test_revoked_is_refused_and_says_when(world, lab) -> None:
    with pytest.raises(RefusedError) as caught:
        verify(world, lab, world.acrl(SERIAL))
    assert caught.value.code == "REVOKED"
    assert caught.value.facts["revoked_at"] == lab.T - timedelta(hours=2)
    assert caught.value.facts["reason"] == "privilegeWithdrawn"


def test_another_serial_under_the_same_list_is_good(world, lab) -> None:
    assert verify(world, lab, world.acrl(SERIAL + 1)).roles


def test_on_hold_is_refused_too(world, lab) -> None:
    with pytest.raises(RefusedError) as caught:
        verify(world, lab, world.acrl(SERIAL, reason=x509.ReasonFlags.certificate_hold))
    assert caught.value.code == "REVOKED"
    assert caught.value.facts["reason"] == "certificateHold"


@pytest.mark.parametrize(
    ("this_update", "next_update"), [(-48, -24), (1, 24)], ids=["list is too old", "list is of the future"]
)
def test_without_a_fresh_list_nobody_can_tell(world, lab, this_update: int, next_update: int) -> None:
    stale = world.acrl(
        this_update=lab.T + timedelta(hours=this_update), next_update=lab.T + timedelta(hours=next_update)
    )
    with pytest.raises(CouldNotCheckError) as caught:
        verify(world, lab, stale)
    assert caught.value.code == "STATUS_UNKNOWN"


def test_a_revocation_counts_even_in_a_stale_list(world, lab) -> None:
    stale = world.acrl(
        SERIAL, this_update=lab.T - 2 * lab.DAY, next_update=lab.T - lab.DAY, revoked_at=lab.T - 3 * lab.DAY
    )
    with pytest.raises(RefusedError) as caught:
        verify(world, lab, stale)
    assert caught.value.code == "REVOKED"


def test_no_list_at_all_is_not_known(world, lab) -> None:
    verifier = world.verifier()
    verifier = type(verifier)(trust=verifier.trust, status=RevocationLists(verifier.trust))
    with pytest.raises(CouldNotCheckError) as caught:
        verifier.verify(world.issue(), holder=world.official.certificate, at=lab.T)
    assert caught.value.code == "STATUS_UNKNOWN"


def short_lived(lab, hours: float) -> dict[str, object]:
    half = timedelta(hours=hours / 2)
    return {
        "validity": lab.tlv(0x30, lab.generalized(lab.T - half), lab.generalized(lab.T + half)),
        "more_extensions": (lab.extension("2.5.29.56", b"\x05\x00"),),
    }


def test_short_lived_needs_no_list(world, lab) -> None:
    """noRevAvail for 24 hours is accepted, for a minute more it is not."""
    verifier = world.verifier()
    verifier = type(verifier)(trust=verifier.trust, status=RevocationLists(verifier.trust))
    good = world.issue(**short_lived(lab, 24))
    assert verifier.verify(good, holder=world.official.certificate, at=lab.T).status == "short-lived"

    with pytest.raises(CouldNotCheckError) as caught:
        verifier.verify(world.issue(**short_lived(lab, 24.1)), holder=world.official.certificate, at=lab.T)
    assert caught.value.code == "STATUS_UNKNOWN"


BAD_LISTS = {
    "no distribution point": ("ACRL_FORM", lambda lab: {"with_point": False}),
    "point not critical": ("ACRL_FORM", lambda lab: {"critical": False}),
    "list of user certificates": (
        "ACRL_FORM",
        lambda lab: {
            "point": lab.distribution_point(
                only_contains_attribute_certs=False, only_contains_user_certs=True
            )
        },
    ),
    "indirect": ("ACRL_FORM", lambda lab: {"point": lab.distribution_point(indirect_crl=True)}),
    "some reasons only": (
        "ACRL_FORM",
        lambda lab: {
            "point": lab.distribution_point(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))
        },
    ),
    "delta": ("ACRL_FORM", lambda lab: {"extra": ((x509.DeltaCRLIndicator(1), True),)}),
    "no number": ("ACRL_FORM", lambda lab: {"number": None}),
    "unknown critical extension": (
        "ACRL_FORM",
        lambda lab: {
            "extra": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),)
        },
    ),
    "entry of another issuer": (
        "ACRL_FORM",
        lambda lab: {
            "entry_extra": ((x509.CertificateIssuer([x509.DirectoryName(lab.name("another"))]), True),)
        },
    ),
    "removeFromCRL in a complete list": (
        "ACRL_FORM",
        lambda lab: {"reason": x509.ReasonFlags.remove_from_crl},
    ),
    "signed by another key": (
        "ACRL_SIGNATURE",
        lambda lab: {"signer": ec.generate_private_key(ec.SECP256R1())},
    ),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_a_list_with_one_thing_wrong_is_refused(world, lab, case: str) -> None:
    code, change = BAD_LISTS[case]
    with pytest.raises(RefusedError) as caught:
        RevocationLists(world.trust(), [lab.make_acrl(world.authority, 5, **change(lab))])
    assert caught.value.code == code
    assert "?" not in caught.value.text("zh")


def test_a_list_of_a_stranger_is_refused(world, lab) -> None:
    with pytest.raises(RefusedError) as caught:
        RevocationLists(world.trust(), [lab.make_acrl(lab.identity("别的机构"))])
    assert caught.value.code == "ACRL_UNTRUSTED"


def test_an_authority_that_may_not_sign_lists(lab) -> None:
    """RFC 5280, section 6.3.3 (f): its key usage is stated, without cRLSign."""
    silent = lab.World(authority=lab.identity("无列表权", usage=("digital_signature",)))
    with pytest.raises(RefusedError) as caught:
        RevocationLists(silent.trust(), [silent.acrl()])
    assert caught.value.code == "ACRL_UNTRUSTED"


def test_numbers_never_go_backwards(world) -> None:
    lists = RevocationLists(world.trust(), [world.acrl(number=7)])
    with pytest.raises(RefusedError) as caught:
        lists.add(world.acrl(number=6))
    assert caught.value.code == "ACRL_BACKWARDS"
    assert lists.find_list(world.trust().authorities[0]).number == 7


def test_trailing_bytes_and_nonsense(world) -> None:
    for data in (world.acrl() + b"\x00", b"", b"\x30\x00", b"hello"):
        with pytest.raises(RefusedError) as caught:
            RevocationLists(world.trust(), [data])
        assert caught.value.code == "NOT_DER"
