"""Other readers read what our structures write; and whatever the bytes, only our own errors come out."""

import pytest
from asn1crypto import cms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc5755

from onecert.verifier.attribute_certificate import parse
from onecert.verifier.attribute_certificate.acrl import load_revocation_list
from onecert.verifier.attribute_certificate.encoding import check_der
from onecert.verifier.der import DerError
from onecert.verifier.errors import VerifyError

NO_CHECKS = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_asn1crypto_reads_the_same(world, lab) -> None:
    data = world.issue()
    theirs, ours = cms.AttributeCertificateV2.load(data, strict=True), parse(data)
    info = theirs["ac_info"]
    assert info["serial_number"].native == ours.serial
    assert info["att_cert_validity_period"]["not_before_time"].native == ours.not_before
    assert info["holder"]["base_certificate_id"]["serial"].native == ours.holder.base_certificate_id.serial
    assert theirs.dump(force=True) == data


def test_pyasn1_reads_and_writes_the_same_octets(world) -> None:
    data = world.issue()
    theirs, rest = decoder.decode(data, asn1Spec=rfc5755.AttributeCertificate())
    assert not rest
    assert encoder.encode(theirs) == data


@NO_CHECKS
@given(data=st.binary(max_size=400))
def test_no_foreign_exception_for_random_bytes(world, lab, data: bytes) -> None:
    explained = world.verifier().explain(data, holder=world.official.certificate, at=lab.T)
    assert explained.findings


@NO_CHECKS
@given(at=st.integers(0, 2000), octets=st.binary(min_size=0, max_size=4), drop=st.integers(0, 4))
def test_no_foreign_exception_for_damaged_certificates(world, lab, at: int, octets: bytes, drop: int) -> None:
    """Cut, insert and overwrite anywhere in a good certificate, and in a good list."""
    for good in (_certificate(world), _list(world)):
        place = at % len(good)
        damaged = good[:place] + octets + good[place + drop :]
        if damaged == good:
            continue
        explained = world.verifier().explain(damaged, holder=world.official.certificate, at=lab.T)
        assert explained.findings
        with pytest.raises(VerifyError):
            load_revocation_list(damaged, world.trust())


_made: dict[str, bytes] = {}


def _certificate(world) -> bytes:
    return _made.setdefault("certificate", world.issue())


def _list(world) -> bytes:
    return _made.setdefault("list", world.acrl(1, 2, 3))


@NO_CHECKS
@given(data=st.binary(max_size=60))
def test_the_deep_check_ends_and_only_says_der_error(data: bytes) -> None:
    try:
        check_der(data)
    except DerError:
        return


@pytest.mark.parametrize(
    "bad",
    [
        "0101 01",  # TRUE is FF
        "0202 0001",  # leading zero
        "0303 0801 00",  # nine unused bits
        "0302 0101",  # an unused bit is set
        "0501 00",  # NULL with contents
        "0602 8001",  # padded arc
        "3104 0201 02 0201 01",  # a set out of order (too long for its header, too)
        "3106 020102 020101",  # a set out of order
        "2403 040100",  # a string in pieces
        "1003 020101",  # SEQUENCE, not constructed
        "3081 03 020101",  # long form of a short length
        "3080 0000",  # indefinite
        "3003 0201",  # truncated
        "020101 00",  # a byte behind it
        "1f8100 00",  # high tag number
    ],
)
def test_what_is_not_der(bad: str) -> None:
    with pytest.raises(DerError):
        check_der(bytes.fromhex(bad.replace(" ", "")))


def test_deep_nesting_is_refused_quickly() -> None:
    value = b"\x05\x00"
    for _ in range(40):
        value = b"\x30" + bytes((len(value),)) + value
    with pytest.raises(DerError, match="deeply"):
        check_der(value)
