"""Name comparison, RFC 5280, section 7.1."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from onecert.verifier.der import DerError
from onecert.verifier.names import (
    attribute_values,
    canonical_name,
    check_name,
    display_name,
    email_addresses,
    is_within,
    names_match,
)

PRINTABLE, UTF8, BMP = _ASN1Type.PrintableString, _ASN1Type.UTF8String, _ASN1Type.BMPString


def cn(value: str, kind: _ASN1Type = UTF8) -> bytes:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value, _type=kind)]).public_bytes()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cn("Issuing CA", PRINTABLE), cn("Issuing CA")),
        (cn("Issuing CA"), cn("ISSUING ca")),
        (cn("Issuing CA"), cn("  Issuing   CA ")),
        (cn("珠江认证中心"), cn("珠江认证中心", BMP)),
        (cn("Straße"), cn("STRASSE")),
        (cn("１２３"), cn("123")),  # full width digits
        (cn("a\u00adb"), cn("ab")),  # soft hyphen: mapped to nothing
        (cn("A\u030a"), cn("Å")),  # combining ring
    ],
)
def test_the_same_name(one: bytes, other: bytes) -> None:
    assert names_match(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cn("Issuing CA"), cn("IssuingCA")),
        (cn("Issuing CA 1"), cn("Issuing CA 2")),
        (cn("珠江"), cn("海港")),
        (cn("a\ue000"), cn("a")),  # private use: prohibited, so compared by its bytes
    ],
)
def test_another_name(one: bytes, other: bytes) -> None:
    assert not names_match(one, other)


def test_order_of_rdns_matters_and_inside_an_rdn_does_not() -> None:
    country = x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")
    firm = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A")
    assert not names_match(
        x509.Name([country, firm]).public_bytes(), x509.Name([firm, country]).public_bytes()
    )
    both = x509.RelativeDistinguishedName([country, firm])
    swapped = x509.RelativeDistinguishedName([firm, country])
    assert names_match(x509.Name([both]).public_bytes(), x509.Name([swapped]).public_bytes())


def test_subtree() -> None:
    base = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")])
    below = x509.Name([*base, x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A")])
    assert is_within(canonical_name(below.public_bytes()), canonical_name(base.public_bytes()))
    assert not is_within(canonical_name(base.public_bytes()), canonical_name(below.public_bytes()))


def test_shown_to_people() -> None:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.org"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Doe, Jane"),
        ]
    ).public_bytes()
    assert display_name(name) == "CN=Doe\\, Jane,emailAddress=a@example.org,C=CN"
    assert email_addresses(name) == ["a@example.org"]
    assert display_name(b"\x30\x80") == "(unreadable name)"


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Either a canonical form or DerError; showing never fails."""
    display_name(data)
    with suppress(DerError):
        canonical_name(data)


@given(st.text(max_size=20))
def test_case_and_blanks_never_matter(text: str) -> None:
    try:
        one = cn("x" + text)
    except (ValueError, UnicodeEncodeError):
        return
    assert names_match(one, one)
    if text.isascii() and text.isprintable():
        assert names_match(one, cn(" X" + text.upper().replace(" ", "  ")))


def test_chinese_characters_need_no_preparation() -> None:
    """They take the short way; a soft hyphen, which counts for nothing, makes a name take the long one."""
    for start in range(0x4E00, 0xA000, 16):
        text = "Ab  " + "".join(map(chr, range(start, start + 16)))
        assert names_match(cn(text), cn(text + "\u00ad"))


_OIDS = (NameOID.STREET_ADDRESS, NameOID.USER_ID, NameOID.SURNAME)


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(_OIDS), st.text("A珠", min_size=1, max_size=60)),
            min_size=1,
            max_size=3,
            unique_by=lambda pair: pair[0],
        ),
        max_size=4,
    )
)
def test_values_of_one_attribute_in_their_order(rdns: list[list[tuple[x509.ObjectIdentifier, str]]]) -> None:
    """RDNs of one or several attributes, short and long: what cryptography reads, in that order."""
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(oid, text, _type=UTF8) for oid, text in rdn])
            for rdn in rdns
        ]
    )
    der = name.public_bytes()
    check_name(der)
    for oid in _OIDS:
        expected = [(0x0C, str(one.value).encode()) for one in name.get_attributes_for_oid(oid)]
        assert attribute_values(der, oid.dotted_string) == expected
