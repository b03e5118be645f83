"""Values of attributes: what is written is read again, and what cannot be both is refused with its reason."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc5755

from onecert.verifier import MalformedError
from onecert.verifier.attribute_certificate.parse import SINGLE_VALUED
from onecert.verifier.attribute_certificate.values import (
    STANDARD,
    SYNTAXES,
    decode_value,
    encode_value,
    split_value,
)

NAME = {"directory": "CN=市局,O=深圳市示例单位,C=CN"}
# syntax, JSON, DER where it is known by heart
VALUES = [
    ("role", "urn:onecert:role:tax", "3018a116861475726e3a6f6e65636572743a726f6c653a746178"),
    ("role", {"name": "urn:a:role:b", "authority": [NAME, {"uri": "https://a.example/"}]}, None),
    ("ietf", "组一", "300a30080c06e7bb84e4b880"),
    ("ietf", {"kind": "string", "values": ["b", "a"]}, "300830060c01620c0161"),
    ("ietf", {"kind": "string", "values": ["a"], "authority": [NAME]}, None),
    ("ietf", {"kind": "oid", "values": ["1.2.3", "2.999.1"], "authority": [{"dns": "a.example"}]}, None),
    ("ietf", {"kind": "octets", "values": ["00ff", ""]}, "3008300604020 0ff0400"),
    ("service", {"service": {"uri": "ldap://a/"}, "ident": {"mail": "a@b.example"}}, None),
    ("service", {"service": {"ip": "10.0.0.1"}, "ident": {"oid": "1.2.3"}, "auth_info": "31"}, None),
    ("service", {"service": {"ip": "2001:db8::1"}, "ident": {"der": "a00a06032a0304a0030c0161"}}, None),
    ("clearance", {"policy": "1.2.3", "classes": ["unclassified"]}, "300406022a03"),
    ("clearance", {"policy": "1.2.3", "classes": []}, "300706022a03030100"),
    ("clearance", {"policy": "1.2.3", "classes": ["unmarked", "topSecret", 6, 63]}, None),
    (
        "clearance",
        {"policy": "1.2.3", "classes": ["secret"], "categories": [{"type": "1.2.4", "value": "0500"}]},
        "301406022a03030203 08310a30088002 2a04a1020500",
    ),
    ("clearance", {"policy": "1.2.3", "classes": ["secret"], "form": "rfc3281"}, "300880022a0381020308"),
    ("utf8", "深圳市", "0c09e6b7b1e59cb3e5b882"),
    ("printable", "Desk 7", "13064465736b2037"),
    ("ia5", "desk@a.example", None),
    ("uri", "https://a.example/?b=%E5", None),
    ("integer", 0, "020100"),
    ("integer", -128, "020180"),
    ("integer", 128, "02020080"),
    ("integer", 2**159 - 1, "0214" + "7f" + "ff" * 19),
    ("boolean", True, "0101ff"),
    ("oid", "2.999.3", "0603883703"),
    ("encrypted", "MBEGCSqGSIb3DQEHA6AEMAIEAA==", None),
]


@pytest.mark.parametrize(("syntax", "value", "der"), VALUES)
def test_a_value_becomes_its_octets_and_is_itself_again(syntax, value, der) -> None:
    encoded = encode_value(syntax, value)
    assert decode_value(syntax, encoded) == value
    if der is not None:
        assert encoded.hex() == der.replace(" ", "")


def test_every_syntax_is_tried() -> None:
    assert {syntax for syntax, _, _ in VALUES} == set(SYNTAXES)
    assert {each.syntax for each in STANDARD.values()} <= set(SYNTAXES)


@pytest.mark.parametrize(
    ("syntax", "specification"),
    [
        ("role", rfc5755.RoleSyntax()),
        ("ietf", rfc5755.IetfAttrSyntax()),
        ("service", rfc5755.SvceAuthInfo()),
        ("clearance", rfc5755.Clearance()),
    ],
)
def test_another_implementation_writes_the_same_octets(syntax, specification) -> None:
    for own, value, _ in VALUES:
        if own != syntax or (isinstance(value, dict) and "form" in value):
            continue
        if isinstance(value, dict) and "categories" in value:
            continue  # pyasn1's modules write the explicit tag [1] of a category's value as a primitive one
        der = encode_value(syntax, value)
        theirs, rest = decoder.decode(der, asn1Spec=specification)
        assert not rest
        assert encoder.encode(theirs) == der


@pytest.mark.parametrize(
    ("syntax", "value", "detail"),
    [
        ("role", "no-colon", "URI"),
        ("role", "urn:a role", "URI"),
        ("role", "urn:onecert:role:t\u0430x", "URI"),  # a Cyrillic letter that looks like a Latin one
        ("role", "urn:a:\x00", "URI"),
        ("role", "urn:" + "a" * 600, "URI"),
        ("role", 7, "object"),
        ("role", {"name": "urn:a:b", "authority": []}, "list of 1"),
        ("role", {"name": "urn:a:b", "authority": [{"uri": "a:b"}] * 9}, "list of 1"),
        ("role", {"name": "urn:a:b", "since": 1}, "missing: authority"),
        ("ietf", {"kind": "number", "values": [1]}, "kind"),
        ("ietf", {"kind": "string", "values": []}, "list of 1"),
        ("ietf", {"kind": "string", "values": ["a", "a"]}, "twice"),
        ("ietf", {"kind": "string", "values": [1]}, "text"),
        ("ietf", {"kind": "octets", "values": ["0"]}, "hexadecimal"),
        ("ietf", {"kind": "octets", "values": ["FF"]}, "hexadecimal"),
        ("ietf", {"kind": "oid", "values": ["1.40"]}, "InvalidValue"),
        ("ietf", {"kind": "oid", "values": ["1.2.03"]}, "object identifier"),
        ("ietf", {"kind": "string", "values": ["a"], "more": 1}, "not known: more"),
        ("service", {"service": NAME}, "missing: ident"),
        ("service", {"service": NAME, "ident": {"uri": "a:b", "dns": "c"}}, "one member"),
        ("service", {"service": NAME, "ident": {"fax": "1"}}, "one of"),
        ("service", {"service": NAME, "ident": {"dns": "市.example"}}, "ascii"),
        ("service", {"service": NAME, "ident": {"ip": "10.0.0"}}, "does not appear"),
        ("service", {"service": NAME, "ident": {"directory": "no name"}}, ""),
        ("service", {"service": NAME, "ident": {"der": "0500"}}, "GeneralName"),
        ("clearance", {"policy": "1.2.3", "classes": ["secret", "secret"]}, "twice"),
        ("clearance", {"policy": "1.2.3", "classes": ["top secret"]}, "none of"),
        ("clearance", {"policy": "1.2.3", "classes": [5]}, "none of"),
        ("clearance", {"policy": "1.2.3", "classes": [64]}, "none of"),
        ("clearance", {"policy": "1.2.3", "form": "x501"}, "form"),
        ("clearance", {"policy": "1.2.3", "categories": [{"type": "1.2.4", "value": "05"}]}, "truncated"),
        ("clearance", {"policy": "1.2.3", "categories": [{"type": "1.2.4", "value": "0500"}] * 2}, "twice"),
        ("utf8", "", "text"),
        ("utf8", " a", "text"),
        ("utf8", "a" * 1001, "text"),
        ("utf8", "e\u0301", "normal form"),
        ("utf8", None, "text"),
        ("printable", "a@b", "PrintableString"),
        ("printable", "市", "PrintableString"),
        ("ia5", "市", "ASCII"),
        ("uri", "https://市.example/", "URI"),
        ("integer", True, "number"),
        ("integer", 1.0, "number"),
        ("integer", "1", "number"),
        ("integer", 2**159, "number"),
        ("integer", -(2**159) - 1, "number"),
        ("boolean", 1, "true"),
        ("oid", "1", "object identifier"),
        ("oid", "2." + "9" * 40, "object identifier"),
        ("encrypted", "!", "base64"),
        ("encrypted", "MAA=", ""),
        ("encrypted", 1, "base64"),
        ("dance", "a", "syntax"),
    ],
)
def test_what_is_not_a_value_of_its_syntax(syntax, value, detail) -> None:
    with pytest.raises(MalformedError) as caught:
        encode_value(syntax, value)
    assert caught.value.code == "ATTRIBUTE_VALUE"
    assert detail in caught.value.facts["detail"]


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\x85", "\u202e", "\u2066", "\u200b", "\u2028", "\ue000"]
)
@pytest.mark.parametrize("syntax", ["utf8", "ietf"])
def test_characters_that_nobody_sees_are_named(syntax, character) -> None:
    with pytest.raises(MalformedError) as caught:
        encode_value(syntax, f"a{character}b")
    assert caught.value.code == "ATTRIBUTE_TEXT"
    assert caught.value.facts["character"] == f"U+{ord(character):04X}"
    text = f"a{character}b".encode()
    string = bytes((0x0C, len(text))) + text
    inner = bytes((0x30, len(string))) + string
    with pytest.raises(MalformedError) as read:
        decode_value(syntax, string if syntax == "utf8" else bytes((0x30, len(inner))) + inner)
    assert read.value.code == "ATTRIBUTE_TEXT"


@pytest.mark.parametrize(
    ("syntax", "der"),
    [
        ("role", "3009a1078605757 26e3a61 00"),  # a byte behind it
        ("role", "3005a103820161"),  # a DNS name
        ("role", "3007860575726e3a61"),  # no explicit tag
        ("role", "300ba000a1078605 75726e3a61"),  # an authority without a name
        ("ietf", "3002 3000"),  # no value
        ("ietf", "3009 3007 0c0161 06022a03"),  # two kinds
        ("ietf", "3008 3006 0c0161 0c0161"),  # one twice
        ("ietf", "3005 3003 160161"),  # an IA5String
        ("ietf", "3006 3004 0c02c080"),  # not UTF-8
        ("service", "3003 820161"),  # half of it
        ("clearance", "3008 06022a03 03020640"),  # the default is written
        ("clearance", "3008 06022a03 03020600"),  # zero bits at the end
        ("clearance", "300e 06022a03 0308000000000000000001"),  # shortened, and above bit 63
        ("clearance", "300d 80022a03 a207 3005 80012a a100"),  # a category without its value
        ("clearance", "301880022a03a212 300780012ba1020500 300780012aa1020500"),  # categories out of order
        ("utf8", "1302 6162"),
        ("printable", "1301 2a"),
        ("integer", "02020001"),
        ("integer", "0215" + "7f" + "ff" * 20),
        ("boolean", "010101"),
        ("encrypted", "3003 06012a"),
    ],
)
def test_octets_that_are_not_a_value(syntax, der) -> None:
    with pytest.raises(MalformedError) as caught:
        decode_value(syntax, bytes.fromhex(der.replace(" ", "")))
    assert caught.value.code == "ATTRIBUTE_VALUE"


def test_sizes_are_bounded() -> None:
    long = b"\x0c\x82\x20\x00" + b"a" * 0x2000
    with pytest.raises(MalformedError, match="too long"):
        decode_value("utf8", long)
    with pytest.raises(MalformedError, match="too long"):
        encode_value("ietf", {"kind": "octets", "values": ["00" * 3000, "11" * 3000]})


def test_groups_are_compared_one_by_one() -> None:
    """Two groups in one value hold each of the two, also for the same authority only."""
    both = encode_value("ietf", {"kind": "string", "values": ["a", "b"]})
    assert split_value("ietf", both) == (encode_value("ietf", "a"), encode_value("ietf", "b"))
    named = encode_value("ietf", {"kind": "string", "values": ["a"], "authority": [NAME]})
    assert split_value("ietf", named) == (named,) != split_value("ietf", encode_value("ietf", "a"))
    assert split_value("boolean", b"\x01\x01\xff") == (b"\x01\x01\xff",)


def test_writers_and_the_verifier_know_the_same_attributes_of_one_value() -> None:
    assert {each.oid for each in STANDARD.values() if each.single} == SINGLE_VALUED


def test_access_identity_carries_no_secret() -> None:
    """RFC 5755, section 4.4.2: authInfo must not be there, which authenticationInfo may have."""
    value = {"service": {"uri": "ldap://a/"}, "ident": {"mail": "a@b.example"}, "auth_info": "31"}
    der = STANDARD["authenticationInfo"].encode(value)
    assert STANDARD["authenticationInfo"].decode(der) == value
    for ask in (
        lambda: STANDARD["accessIdentity"].encode(value),
        lambda: STANDARD["accessIdentity"].decode(der),
    ):
        with pytest.raises(MalformedError, match="no auth_info") as caught:
            ask()
        assert caught.value.code == "ATTRIBUTE_VALUE"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["1.2.3", "urn:a:b", "00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "kind", "values", "authority", "policy", "uri"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(syntax=st.sampled_from(SYNTAXES), value=JSON, data=st.binary(max_size=40))
def test_only_our_own_errors_and_one_form(syntax, value, data) -> None:
    """What was encoded decodes to what encodes to the same; what decodes is encoded to its own octets."""
    with suppress(MalformedError):
        der = encode_value(syntax, value)
        assert encode_value(syntax, decode_value(syntax, der)) == der
    with suppress(MalformedError):
        assert encode_value(syntax, decode_value(syntax, data)) == data
