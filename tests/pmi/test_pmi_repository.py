"""What leaves the repository: pulled by relying parties, carried as a bundle, written as LDIF."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.pmi.repository.ldif import SCHEMA, write_ldif
from onecert.pmi.tokens import POLICY_KEY
from onecert.verifier.attribute_certificate import AttributeCertificateVerifier
from onecert.verifier.attribute_certificate.bundle import open_attribute_bundle
from onecert.verifier.attribute_certificate.pull import RepositoryClient
from onecert.verifier.bundle.memory import MemoryBundleMemory
from onecert.verifier.certificate import as_parsed
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.fetch.transfer import FetchAnswer, FetchRequest

pytestmark = pytest.mark.token


class Wire:
    """A ``Fetch`` to the application itself; counts, and can be away."""

    def __init__(self, client) -> None:
        self.client = client
        self.asked: list[tuple[int, str]] = []
        self.is_away = False
        self.answer: bytes | None = None

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        if self.is_away:
            raise CouldNotCheckError("FETCH_FAILED", url=request.url, detail="away")
        headers = {"If-None-Match": request.etag} if request.etag else {}
        found = self.client.get(request.url.removeprefix("http://pmi"), headers=headers)
        self.asked.append((found.status_code, request.url))
        if found.status_code == 304:
            return FetchAnswer(data=None, etag=request.etag)
        assert found.status_code == 200, found.data
        return FetchAnswer(data=self.answer or found.data, etag=found.headers["ETag"])


@pytest.fixture
def wire(pmi):
    return Wire(pmi.client())


def source(pmi, wire, **changes) -> RepositoryClient:
    return RepositoryClient("http://pmi", fetch=wire, now=pmi.clock.now, **changes)


def test_a_relying_party_pulls_verifies_and_asks_no_more_than_it_needs(pmi, lab, wire) -> None:
    """Pulled once, used for a minute, confirmed by its ETag; a new grant and a revocation are seen then."""
    serial = pmi.grant(lab.APPROVER_ROLE).serial
    pull, holder = source(pmi, wire), as_parsed(pmi.holder)
    first = pull.find(holder)
    verified = pmi.stranger().verify(first.certificates[0], holder=holder, at=pmi.clock.now())
    assert verified.serial_hex == serial
    assert pull.find(holder) == first
    assert [status for status, _url in wire.asked] == [200]
    pmi.clock.advance(timedelta(minutes=1))
    assert pull.find(holder) == first
    assert [status for status, _url in wire.asked] == [200, 304]
    (authority,) = pull.authorities(holder)
    assert (authority.name, authority.kind) == ("tax-office", "soa")
    assert authority.acrl == "http://127.0.0.1:8080/pmi/tax-office.acrl"
    assert authority.ocsp == "http://127.0.0.1:8080/pmi/tax-office/ocsp"
    pmi.grant(lab.READER_ROLE)
    pmi.parts.revocations.revoke(serial, reason="superseded", operator=pmi.officer)
    pmi.clock.advance(timedelta(minutes=1))
    later = pull.find(holder)
    assert len(later.certificates) == 1
    assert later.certificates != first.certificates
    assert not pull.find(as_parsed(pmi.other))


def test_while_the_repository_is_away_the_last_answer_counts_for_a_time(pmi, lab, wire) -> None:
    pmi.grant(lab.READER_ROLE)
    pull, holder = source(pmi, wire, max_age=timedelta(hours=1)), as_parsed(pmi.holder)
    wire.is_away = True
    with pytest.raises(CouldNotCheckError):
        pull.find(holder)
    wire.is_away = False
    pmi.clock.advance(timedelta(minutes=1))
    first = pull.find(holder)
    wire.is_away = True
    pmi.clock.advance(timedelta(minutes=59))
    assert pull.find(holder) == first
    pmi.clock.advance(timedelta(minutes=2))
    with pytest.raises(CouldNotCheckError):
        pull.find(holder)


@pytest.mark.parametrize("answer", [b"{}", b"[", b'{"holder_sha256": "x", "certificates": ["!"]}'])
def test_an_answer_that_cannot_be_read_is_nobody_can_tell(pmi, wire, answer: bytes) -> None:
    wire.answer = answer
    with pytest.raises(CouldNotCheckError) as caught:
        source(pmi, wire).find(as_parsed(pmi.holder))
    assert caught.value.code == "REPOSITORY_ANSWER"


def test_what_names_a_key_is_found_by_a_renewed_certificate(pmi, lab, wire) -> None:
    """Bound to a key: found by the key, also for a certificate that was never seen here."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    entity = "uscc:91440300MA5DEM0X11"
    old = pmi.holders.know(pmi.ca.issue("示例公司", key), entity)
    pmi.grant(lab.READER_ROLE, holder=old, holder_form="key")
    pmi.grant(lab.READER_ROLE, holder=old, holder_form="certificate")
    pull = source(pmi, wire)
    assert len(pull.find(as_parsed(old)).certificates) == 2
    renewed = as_parsed(pmi.ca.issue("示例公司", key))
    assert len(pull.find(renewed).certificates) == 1
    assert len(pull.find(as_parsed(pmi.other)).certificates) == 0


def test_wrong_questions_and_too_many(pmi) -> None:
    client = pmi.client()
    assert client.get("/v1/holders/xyz/attribute-certificates").status_code == 422
    assert client.get(f"/v1/holders/{'0' * 64}/attribute-certificates?key=1").status_code == 422
    found = client.get(f"/v1/holders/{'0' * 64}/attribute-certificates")
    assert (found.status_code, found.json["certificates"]) == (200, [])
    assert found.headers["Cache-Control"] == "public, max-age=60, must-revalidate"


# --- the bundle ---


@pytest.fixture
def made(pmi, lab, tmp_path):
    """A bundle with two certificates of one holder, one of them for another application only."""
    pmi.serial = pmi.grant(lab.READER_ROLE).serial
    pmi.grant(lab.READER_ROLE, targets=("urn:example:other",))
    pmi.path = tmp_path / "pmi-bundle.zip"
    with pmi.path.open("wb") as file:
        pmi.manifest = pmi.parts.bundles.make(file, target="urn:example:mine")
    pmi.key = pmi.parts.token.own_key(POLICY_KEY).public_key()
    return pmi


def opened(pmi, **changes):
    values = {"keys": [pmi.key], "at": pmi.clock.now(), **changes}
    return open_attribute_bundle(pmi.path, **values)


def test_a_bundle_is_all_that_a_verifier_needs(made, lab) -> None:
    bundle = opened(made)
    assert (bundle.made_at, bundle.use_until) == (lab.T, lab.T + timedelta(hours=24))
    holder = as_parsed(made.holder)
    found = bundle.find(holder)
    assert len(found.certificates) == 1
    verifier = AttributeCertificateVerifier(
        trust=bundle.trust(), status=bundle.status(), delegations=bundle.delegations()
    )
    verified = verifier.verify(found.certificates[0], holder=holder, at=lab.T)
    assert (verified.serial_hex, verified.roles[0].name) == (made.serial, lab.READER_ROLE)
    assert not bundle.find(as_parsed(made.other))
    assert bundle.rules()
    assert next(role["uri"] for role in bundle.catalogue()["roles"]) == "urn:onecert:role:police.chief"


def test_a_bundle_that_was_changed_is_refused(made, lab) -> None:
    """Each octet of the file counts; so does whose key has signed."""
    data = made.path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 40)):
        made.path.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
        with pytest.raises((RefusedError, MalformedError)):
            opened(made)
    made.path.write_bytes(data + b"x")
    with pytest.raises(MalformedError):
        opened(made)
    made.path.write_bytes(data)
    with pytest.raises(RefusedError) as caught:
        opened(made, keys=[ec.generate_private_key(ec.SECP256R1()).public_key()])
    assert caught.value.code == "BUNDLE_SIGNATURE"
    made.path.unlink()
    with pytest.raises(CouldNotCheckError):
        opened(made)


def test_a_bundle_that_is_old_or_goes_backwards_is_refused(made, lab, tmp_path) -> None:
    memory = MemoryBundleMemory()
    opened(made, memory=memory)
    old = made.path.read_bytes()
    made.clock.advance(timedelta(hours=1))
    with made.path.open("wb") as file:
        made.parts.bundles.make(file)
    opened(made, memory=memory)
    made.path.write_bytes(old)
    for changes, code in (
        ({"memory": memory}, "BUNDLE_ROLLBACK"),
        ({"max_age": timedelta(minutes=30)}, "BUNDLE_OLD"),
        ({"at": lab.T + timedelta(hours=24)}, "BUNDLE_EXPIRED"),
        ({"at": lab.T - timedelta(hours=1)}, "BUNDLE_CLOCK"),
    ):
        with pytest.raises((RefusedError, CouldNotCheckError)) as caught:
            opened(made, **changes)
        assert caught.value.code == code


# --- LDIF ---


def entries(text: str) -> list[list[tuple[str, bytes]]]:
    """A reader of RFC 2849 that shares nothing with the writer."""
    unfolded = text.replace("\n ", "")
    found = []
    for block in unfolded.split("\n\n")[1:]:
        rows = []
        for line in block.strip("\n").split("\n"):
            if line == "-":
                continue
            name, _colon, rest = line.partition(":")
            value = base64.b64decode(rest[2:], validate=True) if rest.startswith(":") else rest[1:].encode()
            rows.append((name, value))
        found.append(rows)
    return found


def test_ldif_in_the_standard_schema(pmi, lab) -> None:
    pmi.grant(lab.READER_ROLE)
    pmi.grant(lab.APPROVER_ROLE)
    renewed = pmi.holders.know(pmi.ca.holder("张三"), "uscc:91440300MA5DEM004J")
    pmi.grant(lab.READER_ROLE, holder=renewed)
    revoked = pmi.grant(lab.READER_ROLE, holder=pmi.other).serial
    pmi.parts.revocations.revoke(revoked, reason="superseded", operator=pmi.officer)
    with pmi.database.reading() as connection:
        arguments = (connection, pmi.parts.authorities, pmi.parts.publisher, pmi.clock.now())
        lines = list(write_ldif(*arguments))
        changes = entries("".join(write_ldif(*arguments, as_changes=True)))
        acrl = pmi.parts.publisher.newest(connection, "tax-office").der
    assert max(map(len, lines)) <= 77
    assert all(line.isascii() for line in lines)
    authority, holder = entries("".join(lines))
    classes = [value.decode() for name, value in authority if name == "objectClass"]
    assert classes == ["top", "applicationProcess", "pmiAA", "pmiSOA"]
    assert dict(authority)["attributeCertificateRevocationList;binary"] == acrl
    assert holder[0] == ("dn", pmi.holder.subject.rfc4514_string().encode())
    assert [value.decode() for name, value in holder if name == "objectClass"] == ["top", "person", "pmiUser"]
    ders = [value for name, value in holder if name == "attributeCertificateAttribute;binary"]
    assert len(ders) == 3
    verified = pmi.stranger().explain(ders[0], holder=as_parsed(pmi.holder), at=pmi.clock.now())
    assert verified.certificate is not None
    assert changes[1][1:3] == [
        ("changetype", b"modify"),
        ("replace", b"attributeCertificateAttribute;binary"),
    ]
    assert [value for name, value in changes[1] if name.startswith("attributeCertificateA")] == ders
    for oid in ("2.5.4.58", "2.5.4.59", "2.5.4.61", "2.5.6.24", "2.5.6.25", "2.5.6.26"):
        assert f"( {oid} NAME" in SCHEMA
