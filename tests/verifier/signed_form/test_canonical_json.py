"""RFC 8785: the RFC's own examples, and what has no canonical form."""

from __future__ import annotations

import json
import math
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecert.verifier import MalformedError, VerifyError
from onecert.verifier.signed_form import canonical_json, canonicalise

# Appendix B: IEEE 754 octets and their spelling.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("octets", "spelling"), NUMBERS.items())
def test_numbers(octets: str, spelling: str) -> None:
    number = struct.unpack(">d", bytes.fromhex(octets))[0]
    assert canonical_json(number).decode() == spelling
    assert canonicalise(f"[{number!r}]".encode()).decode() == f"[{spelling}]"


def test_example_of_the_rfc() -> None:
    """Section 3.2.2 and 3.2.3: escapes, numbers, literals, order by UTF-16 code units."""
    text = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonicalise(text.encode()).decode() == expected
    keys = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}
    order = list(json.loads(canonical_json(keys)))
    assert order == ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'["\\ud800"]',
        b'{"\\udc00":1}',
        b"[NaN]",
        b"[Infinity]",
        b"[1e999]",
        b"[9007199254740993]",
        b"[1" + b"0" * 5000 + b"]",
        b"[0." + b"1" * 5000 + b"]",
        b"[" * 100 + b"]" * 100,
        b"[" * 200_000,
        b"[" + b"1," * 200_000 + b"1]",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"",
        b"{} x",
        b"\xef\xbb\xbf{}",
    ],
)
def test_no_canonical_form(text: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        canonicalise(text)
    assert caught.value.code == "JSON_NOT_CANONICAL"


def test_values_that_are_not_json() -> None:
    for value in (b"octets", {1: 2}, [object()], math.nan, 10**400):
        with pytest.raises(MalformedError):
            canonical_json(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_stable(value: object) -> None:
    """The canonical form reads as the same value and is its own canonical form."""
    try:
        once = canonical_json(value)
    except VerifyError:
        return
    assert canonicalise(once) == once
    assert canonicalise(json.dumps(value, indent=2).encode()) == once
    assert json.loads(once, parse_int=float) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_come_back(number: float) -> None:
    assert float(canonical_json(number)) == number


@given(st.binary(max_size=60))
def test_arbitrary_bytes(data: bytes) -> None:
    with suppress(VerifyError):
        canonicalise(data)
