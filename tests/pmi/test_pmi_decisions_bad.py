"""Whatever is asked over HTTP: an answer that says no, never a permit, never a fault of the program."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.token

TEXT = st.text(max_size=5)
HOSTILE = ['"', "a\nb", "Role::x", 'Form::"7"', "\u202e", "x" * 9000, "2026-11-21T09:00:00Z"]
KEYS = st.sampled_from(["type", "id", "attributes", "__entity", "a"])
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(HOSTILE),
    st.lists(TEXT, max_size=3),
    st.dictionaries(KEYS, TEXT, max_size=3),
)
FORM = {"type": "Form", "id": "7", "attributes": {"amount": 500}}
FIELDS = (
    *("certificate_pem", "action", "resource", "target", "context", "use_roles", "attribute_certificates"),
    *("at", "after", "per_page", "entity", "more"),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=st.sampled_from(["decisions", "decisions/past", "who-can", "what-can"]), data=st.data())
def test_odd_questions_are_refused_or_denied(pmi, lab, path: str, data: st.DataObject) -> None:
    """A good question about somebody without a role, with some of its fields drawn."""
    good: dict[str, Any] = {"action": "approve", "resource": FORM}
    if "decisions" in path:
        good["certificate_pem"] = pmi.other.public_bytes(lab.Encoding.PEM).decode()
    if path.endswith("past"):
        good["at"] = lab.T.isoformat()
    drawn = data.draw(st.dictionaries(st.sampled_from(FIELDS), ODD, min_size=1, max_size=3))
    answer = auditor(pmi).post(
        f"/v1/{path}", data=json.dumps({**good, **drawn}), content_type="application/json"
    )
    assert answer.status_code in {200, 401, 403, 404, 422, 429}, answer.data
    if answer.status_code == 200:
        assert answer.json.get("decision", "deny") == "deny"
        assert not answer.json.get("holders") or path == "what-can"


def auditor(pmi: Any) -> Any:
    if not hasattr(pmi, "auditor_client"):
        pmi.auditor_client = pmi.client(pmi.auditor)
    return pmi.auditor_client
