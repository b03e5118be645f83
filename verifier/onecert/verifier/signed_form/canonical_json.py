"""JSON in the one spelling over which signatures are made: RFC 8785 (JCS).

Numbers are IEEE 754 doubles written as ECMAScript writes them, members are sorted by UTF-16 code units, text
is UTF-8 with the fewest escapes. What two readers could read differently is refused: repeated keys, lone
surrogates, whole numbers that no double holds, NaN and infinities, deep nesting.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from onecert.verifier.arguments import as_octets
from onecert.verifier.errors import MalformedError

__all__ = ["canonical_json", "canonicalise", "count_separators", "load_json_text"]

MAX_BYTES = 16 * 1024 * 1024
DEPTH_MAX = 64
_SEPARATORS_MAX = 100_000  # commas and brackets, so that nobody waits a second for a form
_DIGITS_MAX = 400  # a double needs 309 before the point, or 340 behind it


def canonicalise(data: bytes, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The canonical spelling of a JSON text, UTF-8, whatever spaces, order and escapes it had.

    Raises:
        MalformedError: ``TOO_LARGE``, ``JSON_NOT_CANONICAL``.
    """
    return canonical_json(load_json_text(data, max_bytes=max_bytes))


def load_json_text(data: bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a JSON text (RFC 8259, I-JSON of RFC 7493).

    Raises:
        MalformedError: ``TOO_LARGE``, ``JSON_NOT_CANONICAL``.
    """
    data = as_octets(data, "a JSON text")
    if len(data) > max_bytes:
        raise MalformedError("TOO_LARGE", kind="JSON", max=max_bytes)
    if count_separators(data) > _SEPARATORS_MAX:
        raise MalformedError("JSON_NOT_CANONICAL", detail="it has too many values")
    try:
        text = bytes(data).decode("utf-8")
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError as exc:
        raise MalformedError("JSON_NOT_CANONICAL", detail="it is not UTF-8") from exc
    except (ValueError, RecursionError) as exc:
        raise MalformedError("JSON_NOT_CANONICAL", detail="it is not JSON") from exc


def count_separators(data: bytes) -> int:
    """A bound for the number of values in a JSON text, without reading it."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def canonical_json(value: Any) -> bytes:
    """The canonical spelling of a value of dicts, lists, texts, numbers, booleans and ``None``.

    Raises:
        MalformedError: ``JSON_NOT_CANONICAL``.
    """
    parts: list[str] = []
    _write(value, parts, 0)
    try:
        return "".join(parts).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise MalformedError("JSON_NOT_CANONICAL", detail="a lone surrogate") from exc


def _refuse(detail: str) -> NoReturn:
    raise MalformedError("JSON_NOT_CANONICAL", source="RFC 8785, section 3.1", detail=detail)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("an object has a key twice")
    return found


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    if len(digits) > _DIGITS_MAX:
        _refuse("a number is too long")
    number = int(digits)
    # Negative zero is a double of its own, written as 0.
    return number if number else 0


def _float(digits: str) -> float:
    if len(digits) > 2 * _DIGITS_MAX:
        _refuse("a number is too long")
    return float(digits)


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth > DEPTH_MAX:
        _refuse("it is nested too deeply")
    if value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, str):
        parts.append(json.dumps(value, ensure_ascii=False))
    elif isinstance(value, int | float):
        parts.append(_number(value))
    elif isinstance(value, dict):
        _write_object(value, parts, depth)
    elif isinstance(value, list | tuple):
        parts.append("[")
        for index, item in enumerate(value):
            if index:
                parts.append(",")
            _write(item, parts, depth + 1)
        parts.append("]")
    else:
        _refuse(f"a {type(value).__name__} is not JSON")


def _write_object(value: dict[Any, Any], parts: list[str], depth: int) -> None:
    if not all(isinstance(key, str) for key in value):
        _refuse("a key is not text")
    parts.append("{")
    # Section 3.2.3: by UTF-16 code units. Lone surrogates are refused at the end.
    for index, key in enumerate(sorted(value, key=lambda text: text.encode("utf-16-be", "surrogatepass"))):
        if index:
            parts.append(",")
        parts.append(json.dumps(key, ensure_ascii=False))
        parts.append(":")
        _write(value[key], parts, depth + 1)
    parts.append("}")


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262, section 6.1.6.1.20), for a double."""
    try:
        double = float(value)
    except OverflowError:
        _refuse("a number is too large")
    if not math.isfinite(double):
        _refuse("a number is too large")
    text = _double(double)
    # What reads as another number must not be signed; the spelling of a double has no more than 17 digits.
    if isinstance(value, int) and int(double) != value and text != str(value):
        _refuse("a whole number that no double holds")
    return text


def _double(double: float) -> str:
    if double == 0:
        return "0"
    # repr gives the fewest digits that come back as the same double, as ECMAScript asks.
    mantissa, _, exponent_text = repr(abs(double)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits times ten to the power of point.
    point = len(whole) + int(exponent_text or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if double < 0 else ""
    return sign + _place(digits, point)


def _place(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    mantissa = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
