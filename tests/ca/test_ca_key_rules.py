"""Key rules: each flaw with a key that has it, and keys without flaw; known keys, lists of weak keys."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from ca_batches import Sender
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select

from onecert.ca import models
from onecert.ca.certificates.key_blocklist import KeyBlocklist, debian_fingerprint
from onecert.ca.certificates.key_rules import (
    check_rsa,
    check_strength,
    has_close_primes,
    has_plain_bits,
    is_roca,
    known_keys,
)
from onecert.ca.certificates.keys import check_key
from onecert.ca.errors import BlockedKeyError, UnsupportedKeyError, WeakKeyError
from onecert.ca.errors.keys import KeyListError
from onecert.server.languages import gettext, set_language

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


class Numbers:
    def __init__(self, n: int, e: int = 65537) -> None:
        self.n, self.e = n, e


def modulus(bits: int = 2048) -> int:
    """Looks like the product of two primes: no small factor, random bits."""
    return int(rsa.generate_private_key(65537, bits).public_key().public_numbers().n)


GOOD = modulus()
# k·M + 65537^a, the form of the faulty library's primes.
PRIMORIAL = 1
for prime in [p for p in range(3, 168) if all(p % q for q in range(2, int(p**0.5) + 1))]:
    PRIMORIAL *= prime
_rng = random.Random(9)


def roca_prime(bits: int) -> int:
    """Of the form of the faulty library's primes, with no small factor."""
    while True:
        number = _rng.getrandbits(bits - PRIMORIAL.bit_length()) * PRIMORIAL + pow(65537, 7, PRIMORIAL)
        if all(number % factor for factor in range(2, 1000)):
            return number


def without_small_factor(number: int) -> int:
    """The next number that no small prime divides."""
    while any(number % factor == 0 for factor in range(2, 1000)):
        number += 1
    return number


PRIME = (1 << 521) - 1  # far from random, but prime
FLAWS: dict[str, tuple[Any, str]] = {
    "exponent 3": (Numbers(GOOD, 3), "exponent"),
    "exponent 1": (Numbers(GOOD, 1), "exponent"),
    "even exponent": (Numbers(GOOD, 65538), "exponent"),
    "endless exponent": (Numbers(GOOD, (1 << 300) + 1), "exponent"),
    "another exponent for a modulus that may be known": (Numbers(GOOD, 65539), "exponent"),
    "a factor below 1000": (Numbers(GOOD // 997 * 997), "small factor"),
    "even modulus": (Numbers(GOOD - 1), "small factor"),
    "ROCA": (Numbers(roca_prime(1024) * roca_prime(1024)), "ROCA"),
    "two close primes": (Numbers(_rng.getrandbits(1024) | (1 << 1023) | 1), "close primes"),
    "near a power of two": (Numbers((1 << 2048) - 1942289), "not random"),
    "zeros in the middle": (
        Numbers(without_small_factor(GOOD >> 1200 << 1200 | GOOD & ((1 << 900) - 1))),
        "not random",
    ),
}
close = FLAWS["two close primes"][0]
while any((close.n + 2 * step) % factor == 0 for step in (0, 1) for factor in range(3, 1000)):
    close.n += 2
close.n *= close.n + 2


@pytest.mark.parametrize("name", FLAWS)
def test_rsa_flaw_is_found_and_named(name: str) -> None:
    numbers, flaw = FLAWS[name]
    with pytest.raises(WeakKeyError) as caught:
        check_rsa(numbers)
    assert flaw in str(caught.value)
    with set_language("zh", "onecert.ca"):
        spoken = gettext(caught.value.text, **caught.value.facts)
    assert not any(word in spoken for word in ("exponent", "modulus", "random"))


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_ordinary_rsa_keys_pass(bits: int) -> None:
    for number in [modulus(bits)] if bits > 2048 else [GOOD, modulus(), modulus()]:
        check_rsa(Numbers(number))  # type: ignore[arg-type]


def test_the_single_fingerprints() -> None:
    assert has_close_primes(PRIME * PRIME)
    assert not has_close_primes(PRIME * ((1 << 607) - 1))
    assert not is_roca(GOOD)
    assert not has_plain_bits(GOOD)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_small_multiples_of_the_generator(curve: Any) -> None:
    order = {"secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551}.get(curve.name)
    guesses = [1, 2, 256] + ([order - 1] if order else [])
    for guess in guesses:
        with pytest.raises(WeakKeyError):
            check_strength(ec.derive_private_key(guess, curve).public_key())
    check_strength(ec.generate_private_key(curve).public_key())


def test_points_off_the_curve_are_no_keys() -> None:
    """The parser's promise, on which the rules stand: off the curve, at infinity, beyond the field."""
    for x, y in ((1, 1), (0, 0), (2**256 - 1, 5)):
        with pytest.raises(ValueError):  # noqa: PT011 -- whichever of the parser's
            ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    with pytest.raises(ValueError):  # noqa: PT011
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x00")


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Add two points of edwards25519 (RFC 8032, section 5.1.4)."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P,
    )


def root(y: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    return x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P


def small_order_ys() -> set[int]:
    """The y of all points whose eightfold is the neutral element, found by arithmetic."""
    eighth = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    point, found = (root(eighth), eighth), set()
    step = point
    for _number in range(8):
        found.add(step[1])
        step = add(step, point)
    assert step == point, "not of order eight"
    return found


def test_ed25519_points_of_small_order() -> None:
    ys = small_order_ys()
    assert len(ys) == 5
    for y in (*ys, P, P + 1):
        for sign in (0, 1 << 255):
            key = Ed25519PublicKey.from_public_bytes((y | sign).to_bytes(32, "little"))
            with pytest.raises(WeakKeyError):
                check_strength(key)
    check_strength(Ed25519PrivateKey.generate().public_key())


def test_kinds_that_a_profile_does_not_name() -> None:
    with pytest.raises(UnsupportedKeyError):
        check_key(ec.generate_private_key(ec.SECP256R1()).public_key(), ("rsa-2048",))
    with pytest.raises(UnsupportedKeyError):
        check_key(ec.generate_private_key(ec.SECP521R1()).public_key(), ("p-256", "p-384"))
    with pytest.raises(UnsupportedKeyError):
        check_key(rsa.generate_private_key(65537, 1024).public_key(), ("rsa-2048",))


# ------------------------------------------------------------------ keys in print

EC_KEYS = {
    "RFC 6979, A.2.5": (ec.SECP256R1(), "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"),
    "RFC 6979, A.2.6": (
        ec.SECP384R1(),
        "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
    ),
    "RFC 9500, 2.3, testECCP256": (
        ec.SECP256R1(),
        "E6CB5BDD80AA45AE9C95E8C15476679FFEC953C16851E711E743939589C64FC1",
    ),
    "RFC 9500, 2.3, testECCP384": (
        ec.SECP384R1(),
        "E2563328DFABF68188606B91324281C1D58A4456431B09D510B35FECC9F307CA1822846FA2671371A9A81BAC0E35749D",
    ),
    "RFC 9500, 2.3, testECCP521": (
        ec.SECP521R1(),
        (
            "01D924DCCA0A887F8D99767A37D874E637A12CCB477D6E08665356694D68B7655E5069638FDE7B45C854013DC77A35B1"
            "8655B84C966A60220D40F91ED9F5145802EA"
        ),
    ),
}
RFC_9500_PRIMES = {
    "testRSA1024": (
        (
            "E9D86E4DC34A985A7EC75A6F54A75CE45139E45240B386AB711DB791BCD98718A13BAF218C24493646680756CB50A6CB"
            "EE158E2521449912301C0D4149111845"
        ),
        (
            "C191FA3B550B391A7CB0728376277295E61C654F0BEF2F58DCE5C962A10B7DD75F06015465E55076E466263EEBCAED20"
            "D2EBAB39313E8BC567320FE8B2DC62B3"
        ),
    ),
    "testRSA2048": (
        (
            "DD105702382F232B3681F53791E22617C7BF4E9ACB81ED48DAF6D6995DA3EAB642839AFF012D2EA628B90AF279FD3E6F"
            "7C93CD80F072F01FF2443B3EE8F24ED469A79613A41BD24020F92FD11059BD1D0F301B5BA7A9D3637CA8D65C1A981541"
            "7D8EAB734B0B4F3A2C661D9A1A82F3AC734C40530669AB8E473045A58E65539D"
        ),
        (
            "CCF1E5BB90C8E9781EA75BEBF10BC252E11EB023A0260F1887552A56863F4A6421E8C600BF523D6CB1B0ADBDD65BFEE4"
            "A88A037E3D1A415E5BB95648DA5A0CA26B54F4A63948522C3D5F89B94A72EFFF95134D5940CE45758F30898090895658"
            "8EEF575B3E4BC4C368CFE813EE9C252C2B02E0DF91F1AA01938D38685D60BA6F"
        ),
    ),
    "testRSA4096": (
        (
            "E041BDF1C9B569ACF5E8022D211B871B5F292141A589FD0F6DCB59476B1C1DA4018DD7A1E1083932745EF3C66CF7FF31"
            "3EED4CB1681DEF9D29CC3FE87AF7AD19E9EF345662C9C4F4E6E707AA4E9949634C086471A55B6746C2AEEF8771EF21A2"
            "EE8AB4DEC4C2043C70CFBA89E5EB2F62EA07C74BD416676912A9589FB3ED70288F8A03D191C58A8896E8B20F1EDE9180"
            "CED30359F75F48AFE97C46EE59C9271E7137554AD7055617848FD3041CD63047F6462C0E66E1839F63C612D4A357F5E5"
            "76356AAAE7C64AC0BFD9D65EDF4B2F34DADBDF690620C895CA44D961DA05B1362B4AD5DAACB90FF586335ECD7E1D7A16"
            "00CB1AB372695B6EC7717621DBBE9357"
        ),
        (
            "CCF55129D3B924C838A76CD369D46E9CB813FE3B39BAF1EB101847D31D09135003AB2FC239431CDA6E9908883DE8A054"
            "6E352837D4EB95CB41D8EEC14A66CD38C2247E82A394392927BBF570A8655E0F2AC243E5FB876FD20B487673A2772DA9"
            "70C1DF47A32DEA8A75E7095473229C693C886A316D2CECBF03597B04CA9ECABDA3366E076488059B24596F5DF6E85697"
            "DBE62AB2F8CC71AC7F743B64126D01F2B3612716ECA76975E514ED4D78A32290BE0A82F14414992BD1803DADC983DDF2"
            "76D2CAE1A0A903F91E78BE3C0BCAF58F3CE98D123AA6C85F6551C57007FE477AC87E038B9A94ACC620DE12258105344A"
            "0CFB3765505E8E7EC86AC086F6556423"
        ),
    ),
}
ED25519_KEYS = {
    "RFC 8410, 10.3": "D4EE72DBF913584AD5B6D8F1F769F8AD3AFE7C28CBF1D4FBE097A88F44755842",
    "RFC 8032, 7.1, TEST 1": "9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60",
    "RFC 8032, 7.1, TEST 2": "4CCD089B28FF96DA9DB6C346EC114E0F5B8A319F35ABA624DA8CF6ED4FB8A6FB",
    "RFC 8032, 7.1, TEST 3": "C5AA8DF43F9F837BEDB7442F31DCB7B166D38535076F094B85CE3A2E0B4458F7",
}


def digest(public_key: Any) -> str:
    spki = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def printed_keys() -> dict[str, Any]:
    found: dict[str, Any] = {
        source: ec.derive_private_key(int(number, 16), curve) for source, (curve, number) in EC_KEYS.items()
    }
    for name, primes in RFC_9500_PRIMES.items():
        p, q = (int(prime, 16) for prime in primes)
        d = pow(65537, -1, (p - 1) * (q - 1))
        parts = (p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p))
        numbers = rsa.RSAPrivateNumbers(*parts, rsa.RSAPublicNumbers(65537, p * q))
        found[f"RFC 9500, 2.1, {name}"] = numbers.private_key()
    return found | {
        source: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        for source, seed in ED25519_KEYS.items()
    }


def test_known_keys_are_those_in_print() -> None:
    assert known_keys() == {digest(key.public_key()) for key in printed_keys().values()}


@pytest.mark.parametrize(
    "source", ["RFC 6979, A.2.5", "RFC 9500, 2.3, testECCP384", "RFC 9500, 2.1, testRSA2048"]
)
def test_a_key_in_print_is_refused(source: str, lite: Any, csr: Any) -> None:
    with pytest.raises(BlockedKeyError):
        lite.issue(csr_pem=csr(printed_keys()[source]))


# ------------------------------------------------------------------ lists


def importer(world: Any) -> KeyBlocklist:
    return KeyBlocklist(world.parts.database, world.parts.audit, world.parts.clock)


def test_debian_names_a_key_as_its_tool_did() -> None:
    """openssl-vulnkey: the SHA-1 of what `openssl rsa -modulus` prints, without its first 20 digits."""
    numbers = rsa.RSAPublicNumbers(65537, GOOD)
    printed = f"Modulus={GOOD:X}\n".encode()
    assert debian_fingerprint(numbers.public_key()) == hashlib.sha1(printed).hexdigest()[20:]
    assert debian_fingerprint(ec.generate_private_key(ec.SECP256R1()).public_key()) == ""


@pytest.mark.parametrize("way", ["one by one", "batch"])
def test_listed_keys_are_refused(way: str, world: Any, csr: Any) -> None:
    """One by its SHA-256, one as Debian's lists name it; a third is issued."""
    by_hash, by_modulus = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    lines = [
        "# weak keys", "", f"{digest(by_hash.public_key()).upper()}  # seen in a firmware",
        debian_fingerprint(by_modulus.public_key()),
    ]  # fmt: skip
    assert importer(world).add(lines, reason="test", actor="command:test") == 2
    assert importer(world).add(lines, reason="test", actor="command:test") == 0
    orders = [world.order_payload(csr_pem=csr(key)) for key in (by_hash, by_modulus)]
    orders.append(world.order_payload())
    if way == "batch":
        sender = Sender(world)
        batch = sender.send(*orders)
        world.parts.batch_work.run()
        codes = [line.get("code") for line in sender.results(batch)]
        assert codes == ["KEY_BLOCKED", "KEY_BLOCKED", None]
        return
    for key in (by_hash, by_modulus):
        with pytest.raises(BlockedKeyError):
            world.issue(csr_pem=csr(key))
    assert world.issue().record.state == "issued"


@pytest.mark.parametrize("line", ["zz", "0" * 63, "0" * 65, "0" * 21, "Modulus=00", "eHh4eHh4eHg="])
def test_a_list_of_another_form_is_refused_with_its_line(line: str, lite: Any) -> None:
    with pytest.raises(KeyListError) as caught:
        importer(lite).add(["# good", "0" * 20, line], reason="test", actor="command:test")
    assert caught.value.facts["line"] == 3
    with lite.context.database.reading() as connection:
        assert connection.execute(select(models.key_fingerprints)).all() == []
