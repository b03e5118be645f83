"""Evidence records: made when a form is accepted, checked years later from the record alone.

root -> issuing CA -> signer; authorities below roots of their own (A to 2036, B to 2046). The form is signed
and stamped at S, recorded at T, stamped anew, and checked when CA, lists and authority A have long ended.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.verifier import CouldNotCheckError, RefusedError, RevocationEvidence, VerifyError
from onecert.verifier.signatures import DEFAULT_ALGORITHMS
from onecert.verifier.signed_form import (
    EvidenceTrust,
    FormPolicy,
    PathTrust,
    RawSignature,
    TimestampTrust,
    canonical_json,
    check_evidence,
    load_evidence,
    make_evidence,
    renew_evidence,
)

DAY, YEAR = timedelta(days=1), timedelta(days=365)


class Archive:
    """Two authorities, and what a checker trusts."""

    def __init__(self, office: Any, new_authority: Any) -> None:
        self.office = office
        pki = office.pki
        self.roots = [pki.root(f"Root {name}", not_after=pki.T + 40 * YEAR) for name in "AB"]
        self.authorities = [
            new_authority(pki, root, f"Authority {name}", not_after=pki.T + years * YEAR)
            for name, years, root in zip("AB", (10, 20), self.roots, strict=True)
        ]

    def timestamps(self, at: datetime, *, lists: bool = True) -> TimestampTrust:
        pki = self.office.pki
        crls = [
            pki.crl(root, this_update=at - DAY / 24, next_update=at + DAY) for root in self.roots if lists
        ]
        path = PathTrust(
            anchors=tuple(root.anchor for root in self.roots), evidence=RevocationEvidence(crls=crls)
        )
        return TimestampTrust(path=path)

    def trust(self, at: datetime, *, lists: bool = True, **changes: Any) -> EvidenceTrust:
        changes.setdefault("timestamps", self.timestamps(at, lists=lists))
        return EvidenceTrust(anchors=(self.office.root.anchor,), **changes)

    def stamp(self, at: datetime, which: int = 0) -> Callable[[bytes, str], bytes]:
        def token(data: bytes, hash_algorithm: str = "sha256") -> bytes:
            made: bytes = self.office.token(
                data, at, authority=self.authorities[which], algorithm=hash_algorithm
            )
            return made

        return token

    def form(self, *, stamped: bool = True) -> Any:
        office = self.office
        at = office.now
        signature = office.stamped(at - DAY, authority=self.authorities[0]) if stamped else office.cms()
        return office.verify(signature, timestamps=self.timestamps(at))

    def record(self, *, stamped: bool = True, archived: bool = True, **changes: Any) -> bytes:
        at = self.office.now
        return make_evidence(
            self.form(stamped=stamped), at=at, stamp=self.stamp(at) if archived else None, **changes
        )


@pytest.fixture
def archive(office: Any, new_authority: Any) -> Archive:
    return Archive(office, new_authority)


def test_years_later(archive: Archive, document: bytes) -> None:
    """Five years on: the signer's certificate and every list have ended, nothing is asked of anybody."""
    at = archive.office.now + 5 * YEAR
    checked = check_evidence(archive.record(), document, trust=archive.trust(at, lists=False), at=at)
    assert checked.form.signer.signed_at == archive.office.now - DAY
    assert checked.archive.archived_at == archive.office.now
    assert checked.document_seen
    assert checked.warnings == ()
    assert checked.as_dict()["archive"][0]["authority"] == "CN=Authority A,C=CN"


def test_without_the_document(archive: Archive) -> None:
    """The digests are enough for CMS with attributes; the result says that nobody saw the document."""
    at = archive.office.now + 5 * YEAR
    checked = check_evidence(archive.record(), trust=archive.trust(at, lists=False), at=at)
    assert not checked.document_seen
    assert len(checked.form.document_sha256) == 64


def test_without_archive_timestamp(archive: Archive, document: bytes) -> None:
    """The signature's own timestamp carries the record as long as its authority is good."""
    at = archive.office.now + 5 * YEAR
    record = archive.record(archived=False)
    checked = check_evidence(record, document, trust=archive.trust(at, lists=False), at=at)
    assert checked.form.signer.time.source == "timestamp"


def test_without_archive_timestamp_when_the_authority_has_ended(archive: Archive, document: bytes) -> None:
    """Year 11: the authority of the signature's timestamp ended in year 10, and nobody tells what became of
    its key since. The same with the message alone."""
    at = archive.office.now + 11 * YEAR
    record = archive.record(archived=False)
    with pytest.raises(CouldNotCheckError) as caught:
        check_evidence(record, document, trust=archive.trust(at, lists=False), at=at)
    assert caught.value.code == "TIMESTAMP_AUTHORITY_ENDED"
    assert caught.value.facts["ended"] == archive.office.now + 10 * YEAR
    stamped = archive.office.stamped(archive.office.now - DAY, authority=archive.authorities[0])
    for lists_of, code in (
        (archive.office.now, "TIMESTAMP_AUTHORITY_ENDED"),
        (at, "REVOCATION_UNKNOWN"),  # a list of today is silent about certificates that have ended
    ):
        with pytest.raises(CouldNotCheckError) as caught:
            archive.office.verify(stamped, timestamps=archive.timestamps(lists_of), at=at)
        assert caught.value.code == code


def test_only_archive_timestamp(archive: Archive, document: bytes) -> None:
    """A signature without timestamp is proved by the record's stamp; without any it is judged as new."""
    at = archive.office.now + 5 * YEAR
    record = archive.record(stamped=False)
    checked = check_evidence(record, document, trust=archive.trust(at, lists=False), at=at)
    assert checked.form.signer.time.source == "archive"
    record = archive.record(stamped=False, archived=False)
    with pytest.raises(RefusedError) as caught:
        check_evidence(record, document, trust=archive.trust(at), at=at)
    assert caught.value.code == "CERT_EXPIRED"


def test_renewal_outlives_the_authority(archive: Archive, document: bytes) -> None:
    """Stamped by A (to year 10), renewed in year 9 by B (to year 20): good in year 15, when A is gone; not
    renewed: nobody can tell. SHA-256 may have fallen in year 12."""
    office, record = archive.office, archive.record()
    renewed_at, at = office.now + 9 * YEAR, office.now + 15 * YEAR
    renewed = renew_evidence(
        record,
        trust=archive.trust(renewed_at),
        stamp=archive.stamp(renewed_at, 1),
        at=renewed_at,
        document=document,
        hash_algorithm="sha512",
    )
    checked = check_evidence(renewed, document, trust=archive.trust(at, lists=False), at=at)
    assert [t.authority for t in checked.archive.timestamps] == ["CN=Authority A,C=CN", "CN=Authority B,C=CN"]
    assert json.loads(renewed)["archive"][1]["document_digests"].keys() == {"sha512"}

    with pytest.raises(CouldNotCheckError) as caught:
        check_evidence(record, document, trust=archive.trust(at, lists=False), at=at)
    assert caught.value.code == "EVIDENCE_RENEWAL_MISSED"
    # In year 25 B has gone too.
    late = office.now + 25 * YEAR
    with pytest.raises(CouldNotCheckError) as caught:
        check_evidence(renewed, document, trust=archive.trust(late, lists=False), at=late)
    assert caught.value.code == "EVIDENCE_RENEWAL_MISSED"


def test_authority_compromised_after_renewal(archive: Archive, document: bytes) -> None:
    """A is compromised in year 3. Renewed in year 2 by B: the record stands. Not renewed: refused."""
    office, record = archive.office, archive.record()
    renewed_at, at = office.now + 2 * YEAR, office.now + 4 * YEAR
    renewed = renew_evidence(
        record, trust=archive.trust(renewed_at), stamp=archive.stamp(renewed_at, 1), at=renewed_at
    )
    office.pki.revoke(archive.roots[0], archive.authorities[0], at=office.now + 3 * YEAR)
    check_evidence(renewed, document, trust=archive.trust(at), at=at)
    with pytest.raises(RefusedError) as caught:
        check_evidence(record, document, trust=archive.trust(at), at=at)
    assert caught.value.code == "EVIDENCE_ARCHIVE"
    assert "TIMESTAMP_AUTHORITY_REVOKED" in str(caught.value)


def test_broken_digest(archive: Archive, document: bytes) -> None:
    """SHA-256 ends in year 3: a record stamped with SHA-512 before then stands, the other does not."""
    office = archive.office
    at = office.now + 4 * YEAR
    ends = {name: (office.now + 3 * YEAR if name.endswith("sha256") else None)
            for name in DEFAULT_ALGORITHMS.algorithms}  # fmt: skip
    algorithms = replace(DEFAULT_ALGORITHMS, algorithms=ends)
    timestamps = archive.timestamps(at, lists=False)
    path = replace(timestamps.path, parameters=replace(timestamps.path.parameters, algorithms=algorithms))
    trust = archive.trust(at, timestamps=replace(timestamps, path=path), algorithms=algorithms)
    with pytest.raises(RefusedError) as caught:
        check_evidence(archive.record(), document, trust=trust, at=at)
    assert caught.value.code == "EVIDENCE_ARCHIVE"
    assert "ALGORITHM_NOT_ALLOWED" in str(caught.value)


def test_stamps_of_strangers(archive: Archive, document: bytes) -> None:
    """Whom to trust is the checker's word: with another anchor, or none, the record proves nothing."""
    at = archive.office.now + YEAR
    record = archive.record()
    other = TimestampTrust(path=PathTrust(anchors=(archive.roots[1].anchor,)))
    with pytest.raises(RefusedError) as caught:
        check_evidence(record, document, trust=archive.trust(at, timestamps=other), at=at)
    assert caught.value.code == "EVIDENCE_ARCHIVE"
    with pytest.raises(CouldNotCheckError) as unknown:
        check_evidence(record, document, trust=archive.trust(at, timestamps=None), at=at)
    assert unknown.value.code == "EVIDENCE_NO_TIMESTAMP_TRUST"
    nobody = replace(archive.trust(at), anchors=())
    with pytest.raises(RefusedError) as caught:
        check_evidence(record, document, trust=nobody, at=at)
    assert caught.value.code == "ISSUER_UNKNOWN"


def test_another_document(archive: Archive, document: bytes) -> None:
    at = archive.office.now + YEAR
    for other in (document + b" ", b"X" + document[1:]):
        with pytest.raises(RefusedError) as caught:
            check_evidence(archive.record(), other, trust=archive.trust(at, lists=False), at=at)
        assert caught.value.code == "EVIDENCE_DOCUMENT"


def test_raw_signature(archive: Archive) -> None:
    """A raw signature over canonical JSON: the record needs the document, or holds it."""
    office = archive.office
    text = b'{"b": 1, "a": [true, 1.50]}'
    key = office.signer.key
    value = key.sign(b'{"a":[true,1.5],"b":1}', ec.ECDSA(hashes.SHA256()))
    raw = RawSignature(
        value=value,
        certificate=office.signer.der,
        timestamp=office.token(value, office.now - DAY, authority=archive.authorities[0]),
    )
    form = office.verify(raw, text, timestamps=archive.timestamps(office.now))
    at = office.now + 3 * YEAR
    trust = archive.trust(at, lists=False)
    bare = make_evidence(form, at=office.now, stamp=archive.stamp(office.now))
    with pytest.raises(CouldNotCheckError) as caught:
        check_evidence(bare, trust=trust, at=at)
    assert caught.value.code == "FORM_DOCUMENT_NEEDED"
    assert check_evidence(bare, text, trust=trust, at=at).form.signer.time.is_proved
    whole = make_evidence(form, at=office.now, stamp=archive.stamp(office.now), include_document=True)
    assert check_evidence(whole, trust=trust, at=at).form.document == text


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value that holds no further values."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and value:
        middle = len(value) // 2
        return value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    return ["AAAA"] if isinstance(value, list) else "x"


def test_altered_in_every_field(archive: Archive, document: bytes) -> None:
    """One field after the other is changed, and the record's own digest made to fit again: refused each
    time, archived or not, with a code."""
    at = archive.office.now + YEAR
    trust = archive.trust(at, lists=False)
    record = archive.record(include_document=True)
    check_evidence(record, document, trust=trust, at=at)
    original = json.loads(record)
    codes = set()
    for path in leaves(original):
        altered = copy.deepcopy(original)
        place = altered
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = changed(place[path[-1]])
        for fixed in (False, True):
            if fixed and (path == ("sha256",) or path[-1] == "token"):
                continue  # itself; and in the newest token there are certificates that nobody signed
            data = with_own_digest(altered) if fixed else json.dumps(altered).encode()
            with pytest.raises(VerifyError) as caught:
                check_evidence(data, document, trust=trust, at=at)
            codes.add(caught.value.code)
    assert {"EVIDENCE_ALTERED", "EVIDENCE_MALFORMED", "EVIDENCE_DOCUMENT"} <= codes
    for path in (("archive",), ("verdict",), ("document", "content"), ("crls",)):
        altered = copy.deepcopy(original)
        place = altered
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        with pytest.raises(VerifyError):
            check_evidence(json.dumps(altered).encode(), document, trust=trust, at=at)


def with_own_digest(value: dict[str, Any]) -> bytes:
    """The record with its SHA-256 as a forger would write it."""
    core = {key: item for key, item in value.items() if key != "sha256"}
    sha256 = hashlib.sha256(canonical_json(core)).hexdigest()
    return json.dumps(value | {"sha256": sha256}).encode()


@pytest.mark.parametrize("field", ["certificate", "path", "anchor", "signed_at", "identity"])
def test_forged_verdict_without_archive(archive: Archive, document: bytes, field: str) -> None:
    """No stamp protects the record, and its digest fits: the verdict is judged again, and differs."""
    at = archive.office.now + YEAR
    value = json.loads(archive.record(archived=False))
    signer = value["verdict"]["signers"][0]
    signer[field] = {
        "certificate": "00" * 32,
        "path": ["00" * 32],
        "anchor": "another",
        "signed_at": "2020-01-01T00:00:00Z",
        "identity": {"id": "uscc:91440300MA5DEM004J"},
    }[field]
    with pytest.raises(RefusedError) as caught:
        check_evidence(with_own_digest(value), document, trust=archive.trust(at, lists=False), at=at)
    assert caught.value.code == "EVIDENCE_VERDICT"
    assert caught.value.facts["field"] == field


def test_archive_removed(archive: Archive, document: bytes) -> None:
    """Cutting off the newest stamp of two leaves a record that is only as good as the first."""
    office = archive.office
    renewed_at, at = office.now + 9 * YEAR, office.now + 15 * YEAR
    renewed = renew_evidence(
        archive.record(), trust=archive.trust(renewed_at), stamp=archive.stamp(renewed_at, 1), at=renewed_at
    )
    value = json.loads(renewed)
    for kept, code in (
        (value["archive"][:1], "EVIDENCE_RENEWAL_MISSED"),
        (value["archive"][1:], "EVIDENCE_ALTERED"),
    ):
        data = with_own_digest(value | {"archive": kept})
        with pytest.raises(VerifyError) as caught:
            check_evidence(data, document, trust=archive.trust(at, lists=False), at=at)
        assert caught.value.code == code


def test_stamp_that_is_not_good_is_not_recorded(archive: Archive, new_authority: Any) -> None:
    """An authority that answers with somebody else's token: no record is made."""
    office = archive.office
    form = archive.form()
    stranger = new_authority(office.pki, office.pki.root("Elsewhere"))

    def wrong(data: bytes, hash_algorithm: str = "sha256") -> bytes:
        made: bytes = office.token(data, office.now, authority=stranger)
        return made

    with pytest.raises(RefusedError) as caught:
        make_evidence(form, at=office.now, stamp=wrong)
    assert caught.value.code == "EVIDENCE_ARCHIVE"


def test_policy_of_the_form_travels(archive: Archive, document: bytes) -> None:
    """A form without attributes was accepted because the application allows it; so is its record."""
    office = archive.office
    form = office.verify(
        office.cms("-noattr"), timestamps=archive.timestamps(office.now), allow_no_attributes=True
    )
    assert form.policy == FormPolicy(allow_no_attributes=True)
    record = make_evidence(form, at=office.now, stamp=archive.stamp(office.now))
    at = office.now + YEAR
    check_evidence(record, document, trust=archive.trust(at, lists=False), at=at)
    with pytest.raises(CouldNotCheckError):
        check_evidence(record, trust=archive.trust(at, lists=False), at=at)


def test_reads_as_json(archive: Archive) -> None:
    value = json.loads(archive.record())
    assert (value["type"], value["schema"]) == ("onecert-evidence-record", 1)
    assert base64.b64decode(value["document"]["digests"]["sha256"])


def test_folder_with_lists_of_years(archive: Archive, document: bytes) -> None:
    """Hundreds of old lists at hand: the record keeps those that decide, and reads again."""
    office = archive.office
    lists = [
        office.pki.crl(office.ca, this_update=office.now - n * DAY, next_update=office.now + 300 * DAY)
        for n in range(1, 300)
    ]
    trust = office.trust(office.pki.crl(office.root), office.pki.crl(office.ca), *lists)
    stamped = office.stamped(office.now - 20 * DAY, authority=archive.authorities[0])
    form = office.verify(stamped, timestamps=archive.timestamps(office.now), trust=trust)
    record = make_evidence(form, at=office.now, stamp=archive.stamp(office.now))
    assert len(load_evidence(record).materials.crls) < 40
    at = office.now + YEAR
    assert check_evidence(record, document, trust=archive.trust(at, lists=False), at=at)


def test_too_large(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be read again is not handed out."""
    monkeypatch.setattr("onecert.verifier.signed_form.evidence_record.MAX_BYTES", 5000)
    with pytest.raises(CouldNotCheckError) as caught:
        archive.record()
    assert caught.value.code == "EVIDENCE_TOO_LARGE"
