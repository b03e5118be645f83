"""The curve of SM2: points, and sums of multiples by table.

GB/T 32918.5 gives the numbers. Points are affine pairs; running sums are Jacobian triples with ``None`` for
the point at infinity. A table holds, for each window of a scalar, the multiples of a point that the window
can ask for, so that a product is one addition for each window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = [
    "GENERATOR",
    "A",
    "B",
    "N",
    "P",
    "Point",
    "Table",
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
_Sum = tuple[int, int, int]
Table = Sequence[Sequence[Point]]

GENERATOR: Point = (
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
)
_SCALAR_BITS = 256
_FEW = 8


def is_on_curve(point: Point) -> bool:
    """Tell whether the coordinates are in range and fulfil the curve's equation."""
    x, y = point
    return 0 <= x < P and 0 <= y < P and (y * y - (x * x + A) * x - B) % P == 0


def has_x(point: _Sum, residue: int) -> bool:
    """Tell whether the x-coordinate of ``point`` is ``residue`` modulo N, without a division."""
    x, _, z = point
    zz = z * z % P
    # P is greater than N by less than N: two numbers below P have this residue, or one.
    return residue * zz % P == x or (residue + N < P and (residue + N) * zz % P == x)


def _double(point: _Sum) -> _Sum | None:
    x, y, z = point
    if not y:
        return None
    zz, yy = z * z % P, y * y % P
    beta = x * yy % P
    alpha = 3 * (x - zz) * (x + zz) % P  # because a = -3
    x3 = (alpha * alpha - 8 * beta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add(total: _Sum | None, point: Point) -> _Sum | None:
    x2, y2 = point
    if total is None:
        return x2, y2, 1
    x1, y1, z1 = total
    zz = z1 * z1 % P
    h = (x2 * zz - x1) % P
    r = (y2 * z1 * zz - y1) % P
    if not h:
        return None if r else _double(total)
    hh = h * h % P
    v, hhh = x1 * hh % P, h * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - y1 * hhh) % P, z1 * h % P


def _affine(points: Sequence[_Sum]) -> list[Point]:
    """Many points at the price of one inversion."""
    products = [1]
    for _, _, z in points:
        products.append(products[-1] * z % P)
    inverse = pow(products[-1], -1, P)
    found: list[Point] = []
    for (x, y, z), before in zip(reversed(points), reversed(products[:-1]), strict=True):
        one = inverse * before % P
        inverse = inverse * z % P
        square = one * one % P
        found.append((x * square % P, y * square * one % P))
    found.reverse()
    return found


def make_table(point: Point, width: int) -> Table:
    """Multiples 1 to 2**(width - 1) of ``point`` * 2**(width * i), for each window i of a scalar."""
    size = 1 << (width - 1)
    table: list[list[Point]] = []
    base = point
    for _ in range(_SCALAR_BITS // width + 1):
        row: list[_Sum] = []
        last: _Sum | None = None
        for _ in range(size):
            last = _add(last, base)
            row.append(_finite(last))
        twice = _finite(_double(row[-1]))  # the base of the next window
        affine = _affine([*row, twice])
        base = affine.pop()
        table.append(affine)
    return table


def _finite(point: _Sum | None) -> _Sum:
    # The group has a prime order far beyond the sizes of windows: small multiples are never infinity.
    if point is None:
        raise ArithmeticError("infinity")
    return point


def _table_terms(scalar: int, table: Table) -> Iterable[Point]:
    size = len(table[0])
    width, mask = size.bit_length(), 2 * size - 1
    for row in table:
        digit = scalar & mask
        scalar >>= width
        if digit > size:
            scalar += 1
            x, y = row[2 * size - digit - 1]
            yield x, P - y
        elif digit:
            yield row[digit - 1]


def sum_of(terms: Iterable[tuple[int, Table]], start: _Sum | None = None) -> _Sum | None:
    """The sum of scalar * point, with the tables of the points."""
    points = [point for scalar, table in terms for point in _table_terms(scalar, table)]
    # Affine additions that share an inversion are cheaper than Jacobian ones, while there are many.
    while len(points) > _FEW:
        fewer = _add_pairs(points)
        if fewer is None:
            break
        points = fewer
    total = start
    for point in points:
        total = _add(total, point)
    return total


def _add_pairs(points: list[Point]) -> list[Point] | None:
    """Half as many points with the same sum; ``None`` when a pair cannot be added in this way."""
    pairs = list(zip(points[::2], points[1::2], strict=False))
    product, products = 1, []
    for (x1, _), (x2, _) in pairs:
        products.append(product)
        product = product * (x2 - x1) % P
    if not product:
        return None  # a point and itself, or its negative
    inverse = pow(product, -1, P)
    found = [points[-1]] if len(points) % 2 else []
    for ((x1, y1), (x2, y2)), before in zip(reversed(pairs), reversed(products), strict=True):
        slope = (y2 - y1) * (inverse * before % P) % P
        inverse = inverse * (x2 - x1) % P
        x3 = (slope * slope - x1 - x2) % P
        found.append((x3, (slope * (x1 - x3) - y1) % P))
    return found


def multiply(scalar: int, point: Point) -> _Sum | None:
    """scalar * point without a table, for keys that are met once: signed windows of 5 bits."""
    twice = _finite(_double((*point, 1)))
    odd: list[_Sum] = [(*point, 1)]
    step = _affine([twice])[0]
    for _ in range(7):
        odd.append(_finite(_add(odd[-1], step)))
    multiples = _affine(odd)  # 1, 3, …, 15

    digits: list[int] = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & 31
            if digit > 15:
                digit -= 32
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    total: _Sum | None = None
    for digit in reversed(digits):
        if total is not None:
            total = _double(total)
        if digit:
            x, y = multiples[abs(digit) >> 1]
            total = _add(total, (x, y if digit > 0 else P - y))
    return total
