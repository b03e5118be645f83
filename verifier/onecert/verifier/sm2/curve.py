"""The curve of SM2: points, and sums of multiples by table.

GB/T 32918.5 gives the numbers. Points are affine pairs. Running sums are (X, Y, ZZ, ZZZ) with x = X / ZZ,
y = Y / ZZZ and ZZ**3 = ZZZ**2, or ``None`` for the point at infinity. A table holds, for each window of a
scalar, the multiples of a point that the window can ask for: a product is one addition for each window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = [
    "GENERATOR",
    "A",
    "B",
    "N",
    "P",
    "Point",
    "Sum",
    "Table",
    "add_pairs",
    "affine",
    "has_x",
    "is_on_curve",
    "make_table",
    "multiply",
    "sum_of",
]

P = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
A = P - 3
B = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
N = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123

Point = tuple[int, int]
Sum = tuple[int, int, int, int]

GENERATOR: Point = (
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
)
_SCALAR_BITS = 256
_ODD_MULTIPLES = 8


def is_on_curve(point: Point) -> bool:
    """Tell whether the coordinates are in range and fulfil the curve's equation."""
    x, y = point
    return 0 <= x < P and 0 <= y < P and (y * y - (x * x + A) * x - B) % P == 0


@dataclass(frozen=True)
class Table:
    """Multiples 1 to ``size`` of a point * 2**(width * i), for each window i: 32 octets of x, 32 of y."""

    width: int
    octets: bytes

    @property
    def size(self) -> int:
        """Multiples of one window. Windows are signed: half of what ``width`` bits can say."""
        return 1 << (self.width - 1)

    def terms(self, scalar: int) -> Iterator[Point]:
        """Points that add up to ``scalar`` * the table's point."""
        width, size, octets = self.width, self.size, self.octets
        mask, start = 2 * size - 1, -64
        while scalar:
            digit = scalar & mask
            scalar >>= width
            if digit > size:
                scalar += 1
                at = start + 64 * (2 * size - digit)
                y = P - int.from_bytes(octets[at + 32 : at + 64])
                yield int.from_bytes(octets[at : at + 32]), y
            elif digit:
                at = start + 64 * digit
                yield int.from_bytes(octets[at : at + 32]), int.from_bytes(octets[at + 32 : at + 64])
            start += 64 * size


def has_x(point: Sum, residue: int) -> bool:
    """Tell whether the x-coordinate of ``point`` is ``residue`` modulo N, without a division."""
    x, _, zz, _ = point
    # P is greater than N by less than N: two numbers below P have this residue, or one.
    return residue * zz % P == x or (residue + N < P and (residue + N) * zz % P == x)


def affine(point: Sum) -> Point:
    """The coordinates themselves."""
    x, y, zz, zzz = point
    inverse = pow(zzz, -1, P)
    return x * (zz * inverse % P) ** 2 % P, y * inverse % P


def _double(point: Sum) -> Sum:
    # No point has y = 0: the order of the group is odd.
    x, y, zz, zzz = point
    v = 4 * y * y % P
    w = 2 * y * v % P
    s = x * v % P
    m = 3 * (x - zz) * (x + zz) % P  # because a = -3
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - w * y) % P, v * zz % P, w * zzz % P


def _add(total: Sum | None, point: Point) -> Sum | None:
    x2, y2 = point
    if total is None:
        return x2, y2, 1, 1
    x1, y1, zz, zzz = total
    p = (x2 * zz - x1) % P
    r = (y2 * zzz - y1) % P
    if not p:
        return None if r else _double(total)
    pp = p * p % P
    ppp = p * pp % P
    q = x1 * pp % P
    x3 = (r * r - ppp - 2 * q) % P
    return x3, (r * (q - x3) - y1 * ppp) % P, zz * pp % P, zzz * ppp % P


def add_pairs(pairs: Sequence[tuple[Point, Point]]) -> list[Point]:
    """The sums of many pairs at the price of one inversion.

    Raises:
        ValueError: a point and its negative are among them.
    """
    product = 1
    steps: list[tuple[int, int, int, int, int, int]] = []
    for (x1, y1), (x2, y2) in pairs:
        if x1 == x2 and y1 == y2:
            rise, run = 3 * (x1 - 1) * (x1 + 1), 2 * y1
        else:
            rise, run = y2 - y1, x2 - x1
        steps.append((x1, y1, x2, rise, run, product))
        product = product * run % P
    inverse = pow(product, -1, P)
    sums: list[Point] = []
    for x1, y1, x2, rise, run, before in reversed(steps):
        slope = rise * (inverse * before % P) % P
        inverse = inverse * run % P
        x3 = (slope * slope - x1 - x2) % P
        sums.append((x3, (slope * (x1 - x3) - y1) % P))
    sums.reverse()
    return sums


def make_table(point: Point, width: int) -> Table:
    """The table of a point; it costs an addition for each entry."""
    rows = [[point]]
    total: Sum = (*point, 1, 1)
    for _ in range(_SCALAR_BITS // width):
        for _ in range(width):
            total = _double(total)
        rows.append([affine(total)])
    # Small multiples are never infinity, because the order of the group is a large prime.
    for _ in range(width - 1):
        sums = iter(add_pairs([(multiple, row[-1]) for row in rows for multiple in row]))
        for row in rows:
            row += [next(sums) for _ in range(len(row))]
    octets = b"".join(coordinate.to_bytes(32) for row in rows for multiple in row for coordinate in multiple)
    return Table(width, octets)


def sum_of(terms: Iterable[tuple[int, Table]]) -> Sum | None:
    """The sum of scalar * point, with the tables of the points."""
    total: Sum | None = None
    for scalar, table in terms:
        for point in table.terms(scalar):
            total = _add(total, point)
    return total


def multiply(terms: Iterable[tuple[int, Point]]) -> Sum | None:
    """The sum of scalar * point without tables, for points that are met once: signed windows of 5 bits."""
    factors = [(_digits(scalar), _odd_multiples(point)) for scalar, point in terms]
    total: Sum | None = None
    for place in range(_SCALAR_BITS, -1, -1):
        if total is not None:
            total = _double(total)
        for digits, multiples in factors:
            digit = digits.get(place)
            if digit is not None:
                x, y = multiples[abs(digit) >> 1]
                total = _add(total, (x, y if digit > 0 else P - y))
    return total


def _odd_multiples(point: Point) -> list[Point]:
    """1, 3, …, 15 times the point."""
    odd = [point]
    (step,) = add_pairs([(point, point)])
    while len(odd) < _ODD_MULTIPLES:
        *more, step = add_pairs([(multiple, step) for multiple in (*odd, step)])
        odd += more
    return odd


def _digits(scalar: int) -> dict[int, int]:
    """Place -> odd digit between -15 and 15: the scalar is the sum of digit * 2**place."""
    digits: dict[int, int] = {}
    place = 0
    while scalar:
        zeros = (scalar & -scalar).bit_length() - 1
        scalar >>= zeros
        place += zeros
        digit = scalar & 31
        if digit > 15:
            digit -= 32
        digits[place] = digit
        scalar -= digit
    return digits
