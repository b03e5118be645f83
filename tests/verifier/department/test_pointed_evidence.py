"""Evidence of a form whose signer's CA is on a list that ours points to: judged again from the record alone.

own list -> pearl            pointer gd -> harbour, summit, under roots of its own
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_pointed_lists import DAY, FIRM, HOUR, Lists, Quiet, T, status

from onecert.testkit.trust_roles import RoleHolders, TrustHolders, make_keys
from onecert.verifier import EvidenceTrust, RawSignature, VerifyError, verify_form, walk_roots
from onecert.verifier.signed_form import check_evidence, load_evidence, make_evidence

FORM = b'{"year":2026}'


@pytest.fixture
def lists(world: Any, tmp_path: Path) -> Iterator[Lists]:
    (tmp_path / "site").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "site"))
    Thread(target=server.serve_forever, daemon=True).start()
    yield Lists(world, tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()


def recorded(lists: Lists, ca: str = "summit") -> bytes:
    leaf = lists.world.leaf(ca)
    signature = RawSignature(value=leaf.sign(FORM), certificate=leaf.der)
    form = verify_form(FORM, signature, verifier=lists.verifier(), at=T)
    return make_evidence(form, at=T, include_document=True)


def trust(lists: Lists) -> EvidenceTrust:
    return EvidenceTrust(roots=walk_roots(lists.sites["own"].root))


def test_judged_again(lists: Lists) -> None:
    """With the record and our own roots; whatever gd or our pointer has become since."""
    lists.publish()
    record = recorded(lists)
    assert [each.id for each in load_evidence(record).pointed] == ["gd"]
    # The pointer is withdrawn, and gd's own list: the record holds what was in force then.
    lists.terms["gd"] = lists.grant(
        "gd", history=[status("granted", T - 400 * DAY), status("withdrawn", T + HOUR)]
    )
    lists.sites["own"].publish(lists.own_payload(sequence=2), version=2)
    lists.sites["gd"].publish(lists.payload("harbour", sequence=2), version=2)
    checked = check_evidence(record, trust=trust(lists), at=T + 3 * HOUR)
    [signer] = checked.form.signers
    assert signer.identity is not None
    assert (signer.identity.id, signer.identity.ca_service) == (FIRM, "gd/summit")
    assert "EVIDENCE_POINTED_LIST" in checked.warnings


def test_after_new_roots_of_the_other_list(lists: Lists) -> None:
    """gd has changed all its keys once: the record has the root that followed the one we name."""
    lists.publish()
    site = lists.sites["gd"]
    before = site.holders
    site.holders = TrustHolders(root=RoleHolders(make_keys(2), 2))
    site.root = site.holders.sign_root(2, at=T - DAY, before=before.root)
    site.publish(lists.payload("harbour", "summit"), version=2)
    (site.folder / "trust-roots" / "2.json").write_bytes(site.root)
    record = recorded(lists)
    assert load_evidence(record).pointed[0].roots == (site.root,)
    assert check_evidence(record, trust=trust(lists), at=T + HOUR)


def test_a_signer_of_ours_needs_no_other_list(lists: Lists) -> None:
    """Old readers go on reading such records."""
    lists.publish()
    record = load_evidence(recorded(lists, "pearl"))
    assert (record.pointed, record.schema) == ((), 1)


def altered(record: bytes, **changes: Any) -> bytes:
    """The record with another ``pointed``, and the digest that fits."""
    import hashlib  # noqa: PLC0415  only here

    from onecert.verifier.signed_form.canonical_json import canonical_json  # noqa: PLC0415

    content = json.loads(record)
    content.pop("sha256")
    content["trust"]["pointed"][0] |= changes
    content["sha256"] = hashlib.sha256(canonical_json(content)).hexdigest()
    return json.dumps(content).encode()


def test_forged_lists(lists: Lists) -> None:
    """A list that others have signed, one that we do not point to, a root that nobody handed over to."""
    lists.publish()
    record = recorded(lists)
    forged = TrustHolders()
    root = forged.sign_root(2, at=T - DAY)
    own = (lists.sites["own"].folder / "trust-list.json").read_bytes()
    for changes, code in (
        ({"document": base64.b64encode(own).decode()}, "TRUST_LIST_SIGNATURE"),
        ({"id": "xx"}, "EVIDENCE_LIST"),
        ({"roots": [base64.b64encode(root).decode()]}, "TRUST_ROOT_SIGNATURE"),
    ):
        with pytest.raises(VerifyError) as caught:
            check_evidence(altered(record, **changes), trust=trust(lists), at=T + HOUR)
        assert caught.value.code == code


def test_the_other_list_has_ended(lists: Lists) -> None:
    """Nothing proves the time, so that both lists must be in force now."""
    lists.publish()
    with pytest.raises(VerifyError) as caught:
        check_evidence(recorded(lists), trust=trust(lists), at=T + timedelta(days=31))
    assert caught.value.code in {"TRUST_LIST_EXPIRED", "REVOCATION_UNKNOWN"}
