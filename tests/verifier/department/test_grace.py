"""A department that goes on for a while when nobody confirms the list any more: it shows in every answer."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError, VerifyError, open_verifier
from onecert.verifier.department import load_roots
from onecert.verifier.fetch import FetchAnswer, FetchRequest

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("hours", [0, 6])
def test_grace(world: Any, pki: Any, tmp_path: Path, hours: int) -> None:
    """The timestamp ends at 08:00 the next day; CRLs come anew, the supervision is away."""
    listed = world.trust_list()
    pages = {
        "http://lists.example/trust-list.json": listed,
        "http://lists.example/trust-timestamp.json": world.timestamp(listed, at=pki.T - HOUR),
    }
    now = pki.T

    def fetch(request: FetchRequest) -> FetchAnswer:
        if request.url.endswith(".crl"):
            name = request.url.rpartition("/")[2].removesuffix(".crl")
            return FetchAnswer(data=world.crl(name, this_update=now - HOUR))
        if request.url not in pages:
            raise CouldNotCheckError("FETCH_STATUS", url=request.url, status=404)
        return FetchAnswer(data=pages[request.url])

    (tmp_path / "trust-root.json").write_bytes(world.root_file)
    verifier = open_verifier(
        tmp_path,
        trust_list="http://lists.example/",
        application="tax",
        grace=hours * HOUR,
        fetch=fetch,
    )
    leaf = world.leaf()
    assert verifier.verify(leaf.der, at=now).warnings == ()
    assert [root.version for root in load_roots(tmp_path)] == [1]
    now = pki.T + 23 * HOUR
    if hours:
        result = verifier.verify(leaf.der, at=now)
        assert result.warnings == ("TRUST_TIMESTAMP_GRACE",)
        assert "宽限期" in result.warning_texts("zh")[0]
        assert verifier.trust_list(now).as_dict(now)["warnings"] == ["TRUST_TIMESTAMP_GRACE"]
        now += hours * HOUR
    with pytest.raises(VerifyError) as caught:
        verifier.verify(leaf.der, at=now)
    assert caught.value.code == "TRUST_TIMESTAMP_EXPIRED"
