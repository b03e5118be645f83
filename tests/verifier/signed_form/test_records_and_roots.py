"""Evidence records after the officers have changed: each list counts with the keys of its own time.

root 1 (officers A) -> root 2, two days after T, with other holders and officers B
record: a firm's form, judged and stamped at T by a list of officers A
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from onecert.testkit.trust_roles import RoleHolders, TrustHolders, make_keys
from onecert.verifier import (
    EvidenceTrust,
    RefusedError,
    RevocationEvidence,
    RootFolder,
    Verifier,
    VerifyError,
    load_trust_list,
    walk_roots,
)
from onecert.verifier.cli import main
from onecert.verifier.signed_form import check_evidence, load_evidence, make_evidence, verify_form
from onecert.verifier.signed_form.recorded_signers import ROOT_OVERLAP

DAY = timedelta(days=1)


@pytest.fixture
def firm(office: Any, world: Any) -> Any:
    office.signer = world.leaf("harbour")
    return office


@pytest.fixture
def roots(firm: Any, world: Any) -> tuple[bytes, bytes]:
    """The root of the world, and the next one: nobody who held a key before holds one now."""
    module: Any = sys.modules[type(world).__module__]
    before: TrustHolders = module.HOLDERS
    after = TrustHolders(root=RoleHolders(make_keys(2), 2), list=RoleHolders(make_keys(2), 2))
    return world.root_file, after.sign_root(2, at=firm.now + 2 * DAY, before=before.root)


def recorded(firm: Any, world: Any, document: bytes, *, archived_at: Any = None) -> bytes:
    evidence = RevocationEvidence(crls=[world.crl(ca) for ca in ("pearl", "harbour", "summit")])
    listed = load_trust_list(world.trust_list(), keys=world.list_keys, at=firm.now)
    form = verify_form(
        document,
        firm.stamped(firm.now - DAY),
        verifier=Verifier(trust_list=listed, evidence=evidence, application="tax"),
        timestamps=authorities(firm),
        at=firm.now,
    )
    stamp = None if archived_at is None else (lambda data, _="sha256": firm.token(data, archived_at))
    return make_evidence(form, at=archived_at or firm.now, stamp=stamp)


def trust(firm: Any, *roots: bytes) -> EvidenceTrust:
    return EvidenceTrust(timestamps=authorities(firm), roots=walk_roots(*roots))


def authorities(firm: Any) -> Any:
    return firm.timestamps(
        firm.pki.crl(firm.root, this_update=firm.now - DAY, next_update=firm.now + 3000 * DAY)
    )


@pytest.mark.parametrize("archived", [True, False])
def test_after_the_roll_over(
    firm: Any, world: Any, document: bytes, roots: tuple[bytes, bytes], archived: bool
) -> None:
    """Years later, the officers of then have gone: proved by the archive's or the signature's timestamp."""
    record = recorded(firm, world, document, archived_at=firm.now if archived else None)
    later = firm.now + 300 * DAY
    checked = check_evidence(record, document, trust=trust(firm, *roots), at=later)
    assert checked.form.signer.judged.list_sequence == 1
    with pytest.raises(VerifyError) as caught:
        check_evidence(record, document, trust=replace(trust(firm, *roots), roots=()), at=later)
    assert caught.value.code == "EVIDENCE_NO_LIST_KEYS"


def test_only_the_newest_root(firm: Any, world: Any, document: bytes, roots: tuple[bytes, bytes]) -> None:
    """The new officers' keys alone say nothing about a list of the old ones."""
    newest = walk_roots(*roots)[1:]
    known = replace(trust(firm, *roots), roots=newest)
    with pytest.raises(RefusedError) as caught:
        check_evidence(recorded(firm, world, document), document, trust=known, at=firm.now)
    assert caught.value.code == "TRUST_LIST_SIGNATURE"


@pytest.mark.parametrize(("after", "fine"), [(-1, True), (1, False)])
def test_keys_that_were_given_up(
    firm: Any, world: Any, document: bytes, roots: tuple[bytes, bytes], after: int, fine: bool
) -> None:
    """Stamped when the former keys had been given up for longer than a department may not know of it: a thief
    may have signed the list since, with an old date."""
    at = firm.now + 2 * DAY + ROOT_OVERLAP + timedelta(hours=after)
    record = recorded(firm, world, document, archived_at=at)
    known = trust(firm, *roots)
    if fine:
        assert check_evidence(record, document, trust=known, at=at)
        return
    with pytest.raises(RefusedError) as caught:
        check_evidence(record, document, trust=known, at=at)
    assert caught.value.code == "EVIDENCE_ROOT_ENDED"


def test_roots_are_walked(roots: tuple[bytes, bytes]) -> None:
    """A root that the one before has not signed, or that leaves one out, is none."""
    first, second = roots
    assert [root.version for root in walk_roots(first, second)] == [1, 2]
    stranger = TrustHolders().sign_root(2, at=walk_roots(first)[0].issued_at + DAY)
    for documents in ((first, stranger), (first, second, second), (second, first)):
        with pytest.raises(VerifyError):
            walk_roots(*documents)


def test_the_list_that_judged(firm: Any, world: Any, document: bytes, tmp_path: Any) -> None:
    """A newer list comes between the verdict and the record: recorded is the one that judged."""
    old, new = world.trust_list(), world.trust_list(2)
    folder = tmp_path / "published"
    folder.mkdir()
    world.publish(folder, old)

    class Source:
        """What a file or an address gives, whatever it holds now."""

        def current(self, at: Any) -> Any:
            data = (folder / "trust-list.json").read_bytes()
            return load_trust_list(data, keys=world.list_keys, at=at)

    evidence = RevocationEvidence(crls=[world.crl(ca) for ca in ("pearl", "harbour", "summit")])
    verifier = Verifier(trust_list=Source(), evidence=evidence, application="tax")
    form = verify_form(document, firm.cms(), verifier=verifier, at=firm.now)
    world.publish(folder, new, 2)
    record = make_evidence(form, at=firm.now)
    assert load_evidence(record).trust_list == old
    assert check_evidence(record, document, trust=EvidenceTrust(list_keys=world.list_keys), at=firm.now)
    assert verifier.trust_list(firm.now).document == new


class Reported:
    """What the supervision's record of ``day`` says; it is asked about no other day."""

    def __init__(self, day: datetime, issued: dict[str, datetime]) -> None:
        self.day, self.issued = day, issued

    def issued_at(self, service_id: str, certificate_sha256: str, *, at: datetime) -> datetime | None:
        assert (service_id, at) == ("harbour", self.day)
        return self.issued.get(certificate_sha256)


def must_report(content: dict[str, Any]) -> None:
    """harbour has to report what it issues."""
    value = {"Type": "urn:onecert:extension:issuance-log", "Critical": True, "Value": {"required": True}}
    for service in content["TrustedEntitiesList"][0]["TrustedEntityServices"]:
        information = service["ServiceInformation"]
        if information["ServiceDigitalIdentity"]["OtherIds"] == ["harbour"]:
            information["ServiceInformationExtensions"].append(value)


def test_issue_on_record(firm: Any, world: Any, document: bytes) -> None:
    """The CA must report what it issues: a record is checked with what the supervision says on that day."""
    issued = {hashlib.sha256(firm.signer.der).hexdigest(): firm.now - 3 * DAY}
    evidence = RevocationEvidence(crls=[world.crl(ca) for ca in ("pearl", "harbour", "summit")])
    listed = load_trust_list(world.trust_list(change=must_report), keys=world.list_keys, at=firm.now)
    form = verify_form(
        document,
        firm.stamped(firm.now - DAY),
        verifier=Verifier(
            trust_list=listed, evidence=evidence, application="tax", issuances=Reported(firm.now, issued)
        ),
        timestamps=authorities(firm),
        at=firm.now,
    )
    record = make_evidence(form, at=firm.now, stamp=lambda data, _="sha256": firm.token(data, firm.now))
    later = firm.now + 300 * DAY
    known = trust(firm, world.root_file)
    told = replace(known, issuances=Reported(later, issued))
    assert check_evidence(record, document, trust=told, at=later).form.signer.identity is not None
    for issuances, code in (
        (None, "CA_ISSUE_TIME_UNKNOWN"),
        (Reported(later, {}), "CA_ISSUE_NOT_ON_RECORD"),
    ):
        with pytest.raises(VerifyError) as caught:
            check_evidence(record, document, trust=replace(known, issuances=issuances), at=later)
        assert caught.value.code == code


def test_a_root_without_restart(
    firm: Any, world: Any, document: bytes, roots: tuple[bytes, bytes], tmp_path: Any
) -> None:
    """The department's folder: what the verifier has walked to counts at the next check."""
    (tmp_path / "trust-root.json").write_bytes(roots[0])
    known = replace(trust(firm, roots[0]), roots=RootFolder(tmp_path))
    at = firm.now + 2 * DAY + ROOT_OVERLAP + DAY
    record = recorded(firm, world, document, archived_at=at)
    assert check_evidence(record, document, trust=known, at=at)
    (tmp_path / "trust-roots").mkdir()
    (tmp_path / "trust-roots" / "2.json").write_bytes(roots[1])
    with pytest.raises(RefusedError) as caught:
        check_evidence(record, document, trust=known, at=at)
    assert caught.value.code == "EVIDENCE_ROOT_ENDED"


def test_roots_on_the_command_line(
    firm: Any, world: Any, document: bytes, roots: tuple[bytes, bytes], tmp_path: Any, capsys: Any
) -> None:
    """Each file by its own option, or the department's folder; both walk from the first."""
    (tmp_path / "trust-roots").mkdir()
    first, second = tmp_path / "trust-root.json", tmp_path / "trust-roots" / "2.json"
    first.write_bytes(roots[0])
    second.write_bytes(roots[1])
    (tmp_path / "record").write_bytes(recorded(firm, world, document))
    (tmp_path / "list").write_bytes(world.trust_list())
    at = ["--at", f"{firm.now:%Y-%m-%dT%H:%M:%SZ}"]
    for given in ([first, second], [tmp_path]):
        options = [text for path in given for text in ("--trust-root", str(path))]
        assert main(["evidence", *options, *at, str(tmp_path / "record")]) == 0
        # The officers of root 1 have not signed for root 2, which is the newest that the command knows.
        assert main(["trust-list", *options, *at, str(tmp_path / "list")]) != 0
    assert main(["trust-list", "--trust-root", str(first), *at, str(tmp_path / "list")]) == 0
    assert main(["evidence", "--trust-root", str(second), "--trust-root", str(first), str(first)]) == 1
    capsys.readouterr()
