"""Login by challenge: bound to application, session and minutes, good once, in every process."""

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.evidence import CrlFolder
from onecert.verifier.login import MAX_TTL, PREFIX, Challenge, Login, LoginError, default_algorithm
from onecert.verifier.login_store import ChallengeStore, MemoryStore, SqliteStore, StoredChallenge
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, spki_der
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey
from onecert.verifier.trust_list import load_trust_list
from onecert.verifier.verifier import Verifier

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ChallengeStore:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "logins.sqlite")


def make(world: Any, store: ChallengeStore | None = None, **more: Any) -> Login:
    verifier = Verifier(
        trust_list=load_trust_list(world.trust_list(), keys=world.list_keys, at=T),
        evidence=CrlFolder(world.publish_crls()),
        application="tax",
    )
    return Login(verifier, store=store, **more)


def refusal(login: Login, *args: Any, **more: Any) -> str:
    with pytest.raises(VerifyError) as caught:
        login.verify(*args, **{"session": "session one", "at": T + MINUTE, **more})
    assert caught.value.text("zh") != caught.value.text("en")
    return caught.value.code


def test_login(world: Any, store: ChallengeStore) -> None:
    login, leaf = make(world, store), world.leaf()
    challenge = login.challenge(session="session one", at=T)
    assert challenge.text.startswith(PREFIX + "\n")
    assert "session one" not in challenge.text
    result = login.verify(
        challenge.id, leaf.der, leaf.sign(challenge.data), session="session one", at=T + MINUTE
    )
    assert result.identity.id == "uscc:91440300MA5DEM004J"
    assert refusal(login, challenge.id, leaf.der, leaf.sign(challenge.data)) == "LOGIN_CHALLENGE_USED"


def test_the_challenge_is_found_by_its_text_too(world: Any, store: ChallengeStore) -> None:
    login, leaf = make(world, store), world.leaf("pearl")
    for form in ("object", "data"):
        challenge = login.challenge(session="session one", at=T)
        given = challenge if form == "object" else challenge.data
        login.verify(given, leaf.der, leaf.sign(challenge.data), session="session one", at=T)
    # A text with the id of a real challenge but other content is not that challenge.
    challenge = login.challenge(session="session one", at=T)
    forged = challenge.data.replace(b"random: ", b"random: X")
    assert refusal(login, forged, leaf.der, leaf.sign(forged)) == "LOGIN_CHALLENGE_UNKNOWN"


def test_a_wrong_answer_uses_the_challenge_up(world: Any, store: ChallengeStore) -> None:
    login, leaf, other = make(world, store), world.leaf(), world.leaf()
    challenge = login.challenge(session="session one", at=T)
    assert refusal(login, challenge, leaf.der, other.sign(challenge.data)) == "LOGIN_SIGNATURE"
    assert refusal(login, challenge, leaf.der, leaf.sign(challenge.data)) == "LOGIN_CHALLENGE_USED"


def test_refusals(world: Any, store: ChallengeStore) -> None:
    login, leaf = make(world, store), world.leaf()
    other = make(world, store, application="social")

    def answer(target: Login = login, **more: Any) -> str:
        challenge = login.challenge(session="session one", at=T)
        given = more.pop("challenge", challenge.id)
        signature = more.pop("signature", leaf.sign(challenge.data))
        return refusal(target, given, more.pop("certificate", leaf.der), signature, **more)

    assert answer(session="s2") == "LOGIN_OTHER_SESSION"
    assert answer(other) == "LOGIN_OTHER_APPLICATION"
    assert answer(at=T + MAX_TTL) == "LOGIN_CHALLENGE_EXPIRED"
    assert answer(at=T - 2 * MINUTE) == "LOGIN_CHALLENGE_EXPIRED"
    for nobody in ("A" * 22, "", "x" * 10_000, "\ud800", b"", b"id: \n", b"\xff" * 5000):
        assert answer(challenge=nobody) == "LOGIN_CHALLENGE_UNKNOWN"
    assert answer(algorithm="rsa-sha1") == "LOGIN_ALGORITHM"
    assert answer(algorithm="ecdsa-sha1") == "LOGIN_ALGORITHM"
    assert answer(algorithm="rsa-sha256") == "ALGORITHM_MISMATCH"
    assert answer(algorithm="ecdsa-sha384") == "LOGIN_SIGNATURE"
    for wrong in (b"", b"0" * 64, b"0" * 100_000):
        assert answer(signature=wrong) == "LOGIN_SIGNATURE"
    assert answer(certificate=b"0") in {"NOT_DER", "NOT_PEM"}
    assert answer(certificate=world.leaf(usages=("key_encipherment",)).der) == "KEY_USAGE"
    assert answer(certificate=world.leaf("stranger").der) == "ISSUER_UNKNOWN"


def test_a_signature_over_something_else_is_no_login(world: Any) -> None:
    """A form that was signed with the same key cannot be replayed as a login: the text is ours."""
    login, leaf = make(world), world.leaf()
    challenge = login.challenge(session="session one", at=T)
    form = json.dumps({"form": "transfer", "id": challenge.id}).encode()
    assert refusal(login, challenge, leaf.der, leaf.sign(form)) == "LOGIN_SIGNATURE"


def test_every_challenge_differs(world: Any) -> None:
    login = make(world)
    seen = {login.challenge(session="session one", at=T).data for _ in range(50)}
    assert len(seen) == 50


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(minutes=6), -MINUTE])
def test_a_challenge_lives_five_minutes_at_most(world: Any, ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="five minutes"):
        make(world, ttl=ttl)


@pytest.mark.parametrize("name", ["", "line\nbreak", "x" * 101])
def test_names_of_applications(world: Any, name: str) -> None:
    with pytest.raises(ValueError, match="printable name"):
        make(world, application=name)


def test_chinese_name_of_an_application(world: Any) -> None:
    login, leaf = make(world, application="税务申报"), world.leaf()
    challenge = login.challenge(session="会话", at=T)
    assert challenge.data.isascii()
    login.verify(challenge, leaf.der, leaf.sign(challenge.data), session="会话", at=T)


def test_one_of_many_threads_wins(world: Any, store: ChallengeStore) -> None:
    login, leaf = make(world, store), world.leaf()
    challenge = login.challenge(session="session one", at=T)
    signature = leaf.sign(challenge.data)
    outcomes: list[str] = []

    def answer() -> None:
        try:
            login.verify(challenge, leaf.der, signature, session="session one", at=T)
            outcomes.append("accepted")
        except LoginError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=answer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["LOGIN_CHALLENGE_USED"] * 7 + ["accepted"]


def stored(number: int = 0, *, at: datetime = T) -> StoredChallenge:
    return StoredChallenge(
        id=f"{number:022d}", application="tax", session_sha256="x", data=b"d", expires_at=at + MAX_TTL
    )


def test_replay_is_refused_across_processes(tmp_path: Path) -> None:
    """Two other processes use the same challenge through the same file: one is first."""
    path = tmp_path / "logins.sqlite"
    SqliteStore(path).add(stored(), T)
    program = (
        "import sys, pathlib; from onecert.verifier.login_store import SqliteStore;"
        "print(SqliteStore(pathlib.Path(sys.argv[1])).use('0' * 22).again)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sorted(run.communicate(timeout=60)[0].strip() for run in runs) == ["False", "True"]
    assert path.stat().st_mode & 0o077 == 0


def test_old_challenges_go_away(store: ChallengeStore) -> None:
    store.add(stored(1), T)
    store.add(stored(2, at=T + timedelta(hours=1)), T + timedelta(hours=1))
    assert store.use(stored(1).id) is None
    used = store.use(stored(2).id)
    assert used is not None
    assert used.challenge == stored(2, at=T + timedelta(hours=1))


def test_memory_store_is_bounded() -> None:
    memory = MemoryStore(max_challenges=10)
    for number in range(25):
        memory.add(stored(number), T)
    assert [number for number in range(25) if memory.use(stored(number).id)] == list(range(15, 25))


def test_a_store_that_is_gone_could_not_be_checked(tmp_path: Path) -> None:
    with pytest.raises(CouldNotCheckError) as caught:
        SqliteStore(Path("/dev/null/logins.sqlite"))
    assert caught.value.code == "LOGIN_STORE"
    closed = SqliteStore(tmp_path / "x.sqlite")
    closed.close()
    for call in (lambda: closed.add(stored(), T), lambda: closed.use("x")):
        with pytest.raises(CouldNotCheckError):
            call()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE login_challenge SET data = 5",  # bytes(5) would be five zero octets
        "UPDATE login_challenge SET data = 'text'",
        "UPDATE login_challenge SET expires_at = 'never'",
        "UPDATE login_challenge SET expires_at = 9e999",
        "UPDATE login_challenge SET expires_at = 1e300",
        "UPDATE login_challenge SET session_sha256 = x'00'",
        "DROP TABLE login_challenge",
    ],
)
def test_a_damaged_store_could_not_be_checked(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "logins.sqlite"
    store = SqliteStore(path)
    store.add(stored(), T)
    with closing(sqlite3.connect(path)) as other:
        other.execute(damage)
        other.commit()
    with pytest.raises(CouldNotCheckError) as caught:
        store.use(stored().id)
    assert caught.value.code == "LOGIN_STORE"


@pytest.mark.parametrize(
    ("make_key", "name"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "rsa-sha256"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "ecdsa-sha256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "ecdsa-sha384"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "ecdsa-sha512"),
        (ed25519.Ed25519PrivateKey.generate, "ed25519"),
        (ed448.Ed448PrivateKey.generate, "ed448"),
        (mldsa.MLDSA44PrivateKey.generate, "ml-dsa-44"),
        (mldsa.MLDSA65PrivateKey.generate, "ml-dsa-65"),
        (mldsa.MLDSA87PrivateKey.generate, "ml-dsa-87"),
    ],
)
def test_usual_algorithms(make_key: Any, name: str) -> None:
    assert default_algorithm(make_key().public_key()) == name


def test_usual_algorithm_of_a_key_without_one() -> None:
    with pytest.raises(LoginError) as caught:
        default_algorithm(object())  # type: ignore[arg-type]  # a kind of key that does not exist yet
    assert caught.value.code == "LOGIN_ALGORITHM"


def test_pss_is_chosen_by_the_caller(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, 2048)
    monkeypatch.setattr(ec, "generate_private_key", lambda _: key)
    leaf, login = world.leaf(), make(world)
    challenge = login.challenge(session="session one", at=T)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    signature = key.sign(challenge.data, pss, hashes.SHA256())
    login.verify(challenge, leaf.der, signature, session="session one", at=T, algorithm="rsa-pss-sha256")
    assert isinstance(challenge, Challenge)


def test_login_with_ml_dsa(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key = mldsa.MLDSA65PrivateKey.generate()
    monkeypatch.setattr(ec, "generate_private_key", lambda _: key)
    leaf, login = world.leaf(), make(world)
    challenge = login.challenge(session="session one", at=T)
    login.verify(challenge, leaf.der, key.sign(challenge.data), session="session one", at=T)
    again = login.challenge(session="session one", at=T)
    assert refusal(login, again, leaf.der, key.sign(challenge.data)) == "LOGIN_SIGNATURE"


class Sm2World:
    """The world with an SM2 harbour: its certificate, its CRL and one leaf, all signed with SM2."""

    ALGORITHM = bytes.fromhex("300a06082a811ccf55018375")
    CA, HOLDER = 0xCA, 0xC1E7

    def __init__(self, world: Any, tools: Any, tlv: Any, identifier: bytes = DEFAULT_ID) -> None:
        self.world, self.tools, self.tlv, self.identifier = world, tools, tlv, identifier
        leaf = world.leaf("harbour")
        old = world.cas["harbour"]
        self.leaf_der = self._sign(leaf.certificate.tbs_certificate_bytes, leaf.certificate, self.HOLDER)
        world.cas["harbour"] = x509.load_der_x509_certificate(
            self._sign(old.tbs_certificate_bytes, old, self.CA)
        )

    def _sign(self, tbs: bytes, certificate: x509.Certificate | None, private: int | None) -> bytes:
        if certificate is not None and private is not None:
            key = certificate.public_key()
            spki = Sm2PublicKey(self.tools.affine(private))
            tbs = tbs.replace(spki_der(key), spki_der(spki))  # type: ignore[arg-type]  # an EC key here
        tbs = tbs.replace(bytes.fromhex("300a06082a8648ce3d040302"), self.ALGORITHM)
        signature = self.tools.sign(self.CA, tbs, self.identifier)
        return bytes(self.tlv(0x30, tbs, self.ALGORITHM, self.tlv(0x03, b"\x00", signature)))

    def login(self, **more: Any) -> Login:
        folder = self.world.publish_crls("pearl", "summit")
        crl = x509.load_der_x509_crl(self.world.crl("harbour"))
        (folder / "harbour.crl").write_bytes(self._sign(crl.tbs_certlist_bytes, None, None))
        trust_list = load_trust_list(self.world.trust_list(), keys=self.world.list_keys, at=T)
        evidence = CrlFolder(folder)
        return Login(Verifier(trust_list=trust_list, evidence=evidence, application="tax", **more))

    def sign(self, data: bytes, identifier: bytes | None = None) -> bytes:
        chosen = self.identifier if identifier is None else identifier
        return bytes(self.tools.sign(self.HOLDER, data, chosen))


def test_login_with_sm2(world: Any, sm2_tools: Any, pki: Any) -> None:
    """List -> SM2 CA -> SM2 leaf, with its SM2 CRL; the challenge is signed with SM2 and SM3."""
    sm2 = Sm2World(world, sm2_tools, pki.tlv)
    login = sm2.login()
    for algorithm in (None, "sm2-sm3"):
        challenge = login.challenge(session="session one", at=T)
        result = login.verify(
            challenge,
            sm2.leaf_der,
            sm2.sign(challenge.data),
            session="session one",
            at=T,
            algorithm=algorithm,
        )
        assert result.identity.id == "uscc:91440300MA5DEM004J"

    def answer(signature: Any, **more: Any) -> str:
        challenge = login.challenge(session="session one", at=T)
        return refusal(login, challenge, sm2.leaf_der, signature(challenge.data), **more)

    assert answer(lambda data: sm2.sign(data + b".")) == "LOGIN_SIGNATURE"
    assert answer(lambda data: sm2.sign(data, b"another")) == "LOGIN_SIGNATURE"
    assert answer(lambda data: sm2.sign(data, b"")) == "SM2_EMPTY_ID"
    assert answer(sm2.sign, algorithm="ecdsa-sha256") == "ALGORITHM_MISMATCH"


def test_the_policy_of_the_verifier_holds_for_the_answer_too(world: Any, sm2_tools: Any, pki: Any) -> None:
    """An agreed SM2 identifier is that of challenges; an algorithm that is retired signs none."""
    agreed = replace(DEFAULT_ALGORITHMS, sm2_id=b"agreed")
    sm2 = Sm2World(world, sm2_tools, pki.tlv, b"agreed")
    login = sm2.login(algorithms=agreed)
    challenge = login.challenge(session="session one", at=T)
    login.verify(challenge, sm2.leaf_der, sm2.sign(challenge.data), session="session one", at=T)
    challenge = login.challenge(session="session one", at=T)
    signature = sm2.sign(challenge.data, DEFAULT_ID)
    assert refusal(login, challenge, sm2.leaf_der, signature) == "LOGIN_SIGNATURE"

    leaf = world.leaf("pearl")  # its CA signs with RSA
    rsa_only = {name: None for name in DEFAULT_ALGORITHMS.algorithms if not name.startswith("ecdsa")}
    login = sm2.login(algorithms=replace(DEFAULT_ALGORITHMS, algorithms=rsa_only))
    challenge = login.challenge(session="session one", at=T)
    assert refusal(login, challenge, leaf.der, leaf.sign(challenge.data)) == "ALGORITHM_NOT_ALLOWED"
