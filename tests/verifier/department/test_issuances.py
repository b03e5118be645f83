"""A service whose CA must report what it issues: only the time on record counts.

harbour has the duty; its leaves claim to be ten days old.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecert.testkit.documents import sign_document
from onecert.testkit.trust_roles import TrustHolders
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.evidence import CrlFolder
from onecert.verifier.issuances import (
    RECORD_TYP,
    IssuanceRecordError,
    IssuanceRecordFile,
    load_issuance_record,
)
from onecert.verifier.login import Login
from onecert.verifier.login_store import MemoryStore
from onecert.verifier.signed_form.signers import ListedSigners, SignerQuestion
from onecert.verifier.trust_list import load_trust_list, load_trust_root
from onecert.verifier.verifier import Verifier

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOLDERS = TrustHolders()
ROOT = load_trust_root(HOLDERS.sign_root(1, at=T - DAY))
SHA256 = "0" * 64
EMPTY: dict[str, Any] = {"entries": 0, "digits": 0, "index": hashlib.sha256(b"-\n").hexdigest()}


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def payload(**changes: Any) -> dict[str, Any]:
    found = {
        "number": 4,
        "issued_at": written(T - timedelta(hours=1)),
        "next_update": written(T + DAY),
        "services": {"harbour": EMPTY},
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


def parts_of(rows: dict[str, str], digits: int = 1) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the head says of a service with these rows, and its parts by their name."""
    shards = []
    for number in range(16**digits):
        prefix = f"{number:x}".zfill(digits) if digits else ""
        shards.append("".join(f"{key} {rows[key]}\n" for key in sorted(rows) if key.startswith(prefix)))
    found = {hashlib.sha256(shard.encode()).hexdigest(): shard.encode() for shard in shards if shard}
    lines = [hashlib.sha256(shard.encode()).hexdigest() if shard else "-" for shard in shards]
    index = "".join(f"{line}\n" for line in lines).encode()
    name = hashlib.sha256(index).hexdigest()
    return {"entries": len(rows), "digits": digits, "index": name}, found | {name: index}


def lay_down(folder: Path, parts: dict[str, bytes]) -> None:
    (folder / "issuance-record").mkdir(exist_ok=True)
    for name, data in parts.items():
        (folder / "issuance-record" / f"{name}.txt").write_bytes(data)


def signed(content: Any, keys: Any = None) -> bytes:
    return sign_document(content, typ=RECORD_TYP, keys=keys or HOLDERS.timestamp.keys)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "issuance-record.json"
    path.write_bytes(signed(payload()))
    lay_down(tmp_path, {EMPTY["index"]: b"-\n"})
    return path


def duty(content: dict[str, Any]) -> None:
    for service in content["TrustedEntitiesList"][0]["TrustedEntityServices"]:
        information = service["ServiceInformation"]
        if information["ServiceDigitalIdentity"]["OtherIds"] == ["harbour"]:
            information["ServiceInformationExtensions"].append(
                {
                    "Type": "urn:onecert:extension:issuance-log",
                    "Critical": True,
                    "Value": {"required": True},
                }
            )


def make(world: Any, path: Path | None, **lists: Any) -> Verifier:
    trust_list = load_trust_list(world.trust_list(change=duty, **lists), keys=world.list_keys, at=T)
    return Verifier(
        trust_list=trust_list,
        evidence=CrlFolder(world.publish_crls()),
        application="tax",
        issuances=None if path is None else IssuanceRecordFile(path, root=lambda: ROOT),
    )


def put(path: Path, leaf: Any, issued: datetime, **changes: Any) -> None:
    others = {hashlib.sha256(bytes([number])).hexdigest(): written(T) for number in range(20)}
    harbour, parts = parts_of(others | {hashlib.sha256(leaf.der).hexdigest(): written(issued)})
    lay_down(path.parent, parts)
    content = payload(services={"harbour": harbour}, number=changes.pop("number", 5), **changes)
    path.write_bytes(signed(content))


def refused(verifier: Verifier, leaf: Any, at: datetime = T) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        verifier.verify(leaf.der, at=at)
    assert caught.value.text("zh") not in {caught.value.code, caught.value.text("en")}
    return caught.value


def test_on_record(world: Any, record: Path) -> None:
    leaf = world.leaf("harbour")
    verifier = make(world, record)
    put(record, leaf, T - 9 * DAY)
    result = verifier.verify(leaf.der, at=T)
    assert result.as_dict()["issue_time"] == "recorded"
    assert verifier.verify(world.leaf("pearl").der, at=T).as_dict()["issue_time"] == "claimed"


def test_not_on_record(world: Any, record: Path) -> None:
    """A thief's certificate, or one that the CA has kept to itself."""
    error = refused(make(world, record), world.leaf("harbour"))
    assert (error.code, isinstance(error, RefusedError)) == ("CA_ISSUE_NOT_ON_RECORD", True)


def test_without_a_record(world: Any) -> None:
    assert refused(make(world, None), world.leaf("harbour")).code == "CA_ISSUE_TIME_UNKNOWN"


@pytest.mark.parametrize(("days", "code"), [(6, ""), (4, "CA_NOT_GRANTED_AT_ISSUE")])
def test_a_backdated_certificate(world: Any, record: Path, days: int, code: str) -> None:
    """harbour was suspended five days ago, granted again since; the leaf claims to be ten days old."""
    states = [("suspended", T - 5 * DAY), ("granted", T - DAY)]
    verifier = make(world, record, status={"harbour": states})
    leaf = world.leaf("harbour")
    put(record, leaf, T - days * DAY)
    if not code:
        assert verifier.verify(leaf.der, at=T)
        return
    assert refused(verifier, leaf).code == code


def test_withdrawn_and_not_on_record(world: Any, record: Path) -> None:
    verifier = make(world, record, status={"harbour": [("withdrawn", T - DAY)]})
    assert refused(verifier, world.leaf("harbour")).code == "CA_ISSUE_NOT_ON_RECORD"


def test_login_asks_the_record(world: Any, record: Path) -> None:
    leaf = world.leaf("harbour")
    login = Login(make(world, record), store=MemoryStore())

    def sign_in() -> Any:
        challenge = login.challenge(session="s", at=T)
        return login.verify(challenge, leaf.der, leaf.sign(challenge.data), session="s", at=T)

    with pytest.raises(RefusedError) as caught:
        sign_in()
    assert caught.value.code == "CA_ISSUE_NOT_ON_RECORD"
    put(record, leaf, T - 9 * DAY)
    assert sign_in()


def test_signed_forms_ask_the_record(world: Any, record: Path) -> None:
    leaf = world.leaf("harbour")
    judge = ListedSigners(make(world, record))
    question = SignerQuestion(
        certificate=parse_certificate(leaf.der), at=T - DAY, known_at=T, time_proved=True
    )
    with pytest.raises(RefusedError) as caught:
        judge.judge(question)
    assert caught.value.code == "CA_ISSUE_NOT_ON_RECORD"
    put(record, leaf, T - 9 * DAY)
    assert judge.judge(question).ca_service == "harbour"
    put(record, leaf, T - timedelta(hours=1), number=6)  # issued after it was used
    with pytest.raises(RefusedError) as caught:
        judge.judge(question)
    assert caught.value.code == "CA_USED_BEFORE_ISSUE"


def _missing(path: Path) -> None:
    path.unlink()


def _of_others(path: Path) -> None:
    path.write_bytes(signed(payload(), TrustHolders().timestamp.keys))


def _by_the_officers(path: Path) -> None:
    path.write_bytes(signed(payload(), HOLDERS.list.keys))


def _of_another_type(path: Path) -> None:
    path.write_bytes(sign_document(payload(), typ="onecert-trust-list+json", keys=HOLDERS.timestamp.keys))


def _of_others_services(path: Path) -> None:
    path.write_bytes(signed(payload(services={"summit": EMPTY})))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_missing, "ISSUANCE_RECORD_MISSING"),
        (_of_others, "ISSUANCE_RECORD_SIGNATURE"),
        (_by_the_officers, "ISSUANCE_RECORD_SIGNATURE"),
        (_of_another_type, "ISSUANCE_RECORD_SIGNATURE"),
        (_of_others_services, "ISSUANCE_RECORD_SERVICE"),
        (lambda path: path.write_bytes(b"{}"), "ISSUANCE_RECORD_MALFORMED"),
        (lambda path: path.write_bytes(path.read_bytes()[:-7]), "ISSUANCE_RECORD_MALFORMED"),
    ],
)
def test_nobody_can_tell(world: Any, record: Path, spoil: Callable[[Path], object], code: str) -> None:
    spoil(record)
    error = refused(make(world, record), world.leaf("harbour"))
    assert (error.code, isinstance(error, CouldNotCheckError)) == (code, True)
    assert make(world, record).verify(world.leaf("pearl").der, at=T)


def test_dates_of_the_record(world: Any, record: Path) -> None:
    leaf = world.leaf("harbour")
    put(record, leaf, T - 9 * DAY)
    verifier = make(world, record)
    assert verifier.verify(leaf.der, at=T)
    known = IssuanceRecordFile(record, root=ROOT)
    with pytest.raises(IssuanceRecordError) as caught:
        known.issued_at("harbour", SHA256, at=T + DAY)
    assert caught.value.code == "ISSUANCE_RECORD_EXPIRED"
    with pytest.raises(IssuanceRecordError) as caught:
        known.issued_at("harbour", SHA256, at=T - 2 * timedelta(hours=1))
    assert caught.value.code == "ISSUANCE_RECORD_FUTURE"


def test_an_older_record_is_not_taken(world: Any, record: Path) -> None:
    leaf = world.leaf("harbour")
    old = record.read_bytes()
    put(record, leaf, T - 9 * DAY)
    verifier = make(world, record)
    assert verifier.verify(leaf.der, at=T)
    record.write_bytes(old)
    assert refused(verifier, leaf).code == "ISSUANCE_RECORD_ROLLBACK"


@pytest.mark.parametrize(
    "content",
    [
        payload(number=0),
        payload(number="4"),
        payload(next_update=written(T + 40 * DAY)),
        payload(next_update=written(T - DAY)),
        payload(issued_at="2026"),
        payload(services=[]),
        payload(services={"Harbour": EMPTY}),
        payload(services={"harbour": []}),
        payload(services=None),
        payload(services={f"s{number}": EMPTY for number in range(501)}),
        payload(services={"harbour": EMPTY | {"index": "A" * 64}}),
        payload(services={"harbour": EMPTY | {"index": SHA256[1:]}}),
        payload(services={"harbour": EMPTY | {"digits": 5}}),
        payload(services={"harbour": EMPTY | {"digits": "0"}}),
        payload(services={"harbour": EMPTY | {"entries": -1}}),
        payload(services={"harbour": EMPTY | {"more": 1}}),
        payload(more=1),
        [],
    ],
)
def test_wrong_records(content: Any) -> None:
    with pytest.raises(IssuanceRecordError) as caught:
        load_issuance_record(signed(content), root=ROOT)
    assert caught.value.code == "ISSUANCE_RECORD_MALFORMED"


ROW = f"{SHA256} {written(T)}\n"
NEXT = f"{'0' * 63}1 {written(T)}\n"


@pytest.mark.parametrize(
    "shard",
    [
        "",
        ROW[:-1],
        ROW + ROW,
        NEXT + ROW,
        ROW.replace("0", "A", 1),
        ROW.replace(" ", "\t"),
        ROW.replace("Z", "z"),
        ROW.replace("\n", "\r"),
        f"{'f' * 64} {written(T)}\n",
        ROW.replace("2026-11-21", "2026-13-21"),
        "\N{FULLWIDTH DIGIT ONE}" * 86,
    ],
)
def test_wrong_shards(tmp_path: Path, shard: str) -> None:
    """Signed and named, and still read strictly; the shard of every digest that begins with 0."""
    name = hashlib.sha256(shard.encode()).hexdigest()
    index = f"{name}\n" * 16
    named: dict[str, Any] = {"entries": 1, "digits": 1, "index": hashlib.sha256(index.encode()).hexdigest()}
    lay_down(tmp_path, {name: shard.encode(), named["index"]: index.encode()})
    assert part_refused(tmp_path, named) == ("" if shard == "" else "ISSUANCE_RECORD_MALFORMED")


@pytest.mark.parametrize("index", ["", "-", "-\n", "-\n" * 17, "-\n" * 15 + "x\n", "-\r\n" * 16])
def test_wrong_indexes(tmp_path: Path, index: str) -> None:
    named: dict[str, Any] = {"entries": 1, "digits": 1, "index": hashlib.sha256(index.encode()).hexdigest()}
    lay_down(tmp_path, {named["index"]: index.encode()})
    assert part_refused(tmp_path, named) == "ISSUANCE_RECORD_MALFORMED"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", ["altered", "gone"])
def test_a_part_is_not_what_was_signed(tmp_path: Path, which: int, how: str) -> None:
    named, parts = parts_of({SHA256: written(T)}, digits=0)
    lay_down(tmp_path, parts)
    path = tmp_path / "issuance-record" / f"{list(parts)[which]}.txt"
    if how == "gone":
        path.unlink()
        assert part_refused(tmp_path, named) == "ISSUANCE_RECORD_MISSING"
    else:
        path.write_bytes(path.read_bytes().replace(b"2026", b"2025").replace(b"a", b"b"))
        assert part_refused(tmp_path, named) == "ISSUANCE_RECORD_MALFORMED"


def part_refused(folder: Path, named: dict[str, Any]) -> str:
    """The code; nothing when the certificate is merely not on record."""
    (folder / "issuance-record.json").write_bytes(signed(payload(services={"harbour": named})))
    try:
        assert (
            IssuanceRecordFile(folder / "issuance-record.json", root=ROOT).issued_at("harbour", SHA256, at=T)
            is None
        )
    except IssuanceRecordError as exc:
        return exc.code
    return ""


@pytest.mark.parametrize("digits", [0, 1, 2, 3])
def test_every_certificate_is_found(tmp_path: Path, digits: int) -> None:
    rows = {
        hashlib.sha256(str(number).encode()).hexdigest(): written(T - number * DAY) for number in range(200)
    }
    named, parts = parts_of(rows, digits)
    lay_down(tmp_path, parts)
    (tmp_path / "issuance-record.json").write_bytes(signed(payload(services={"harbour": named})))
    record = IssuanceRecordFile(tmp_path / "issuance-record.json", root=ROOT)
    for number, sha256 in enumerate(rows):
        assert record.issued_at("harbour", sha256, at=T) == T - number * DAY
        other = hashlib.sha256(sha256.encode()).hexdigest()
        assert record.issued_at("harbour", other, at=T) is None


@given(
    st.binary(max_size=200) | st.text(max_size=80).map(lambda text: json.dumps({"payload": text}).encode())
)
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(IssuanceRecordError):
        load_issuance_record(data, root=ROOT)


def test_what_is_no_record(world: Any) -> None:
    wrong: Any = {}
    with pytest.raises(TypeError, match="issuances"):
        Verifier(trust_list=make(world, None).trust_list(T), application="tax", issuances=wrong)
