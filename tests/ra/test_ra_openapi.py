"""REST as schemathesis sees it: what the document allows, and what it does not, never ends in a 5xx and never
in an answer that the document does not describe, whoever asks.

Longer, by hand: ``OPENAPI_EXAMPLES=100 OPENAPI_SEED=7 pytest tests/ra/test_ra_openapi.py -n0``.
"""

import os
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from ra_fakes import idcard
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from onecert.ra.models import certificates
from onecert.ra.operators.roles import ROLES
from onecert.ra.rest.openapi import document

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "1"))
SEED = int(os.environ.get("OPENAPI_SEED", "1"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class Behind:
    """The application as it stands behind TLS, with somebody's session."""

    def __init__(self, app: Any, cookie: str) -> None:
        self._app = app
        self._cookie = cookie

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ |= {
            "wsgi.url_scheme": "https",
            "HTTP_HOST": "127.0.0.1:8443",
            "SCRIPT_NAME": "/ra",
            "PATH_INFO": environ["PATH_INFO"].removeprefix("/ra"),
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_COOKIE": self._cookie,
        }
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


@pytest.fixture
def known(ra) -> dict[str, list[str]]:
    """Names and numbers that exist: a submitted application, an issued one, a case, the certificate."""
    waiting, issued = ra.submit(), ra.issue(ra.entry("citizen", idcard=idcard(9)))
    certificate = ra.rows(certificates)[0]
    return {
        "id": [waiting.id, issued.id],
        "authority": ["pearl"],
        "serial": [certificate["serial_hex"]],
        "point": ["main"],
        "content_sha256": [str(waiting.content_sha256)],
        "number": [waiting.number, issued.number],
    }


def test_no_answer_is_a_server_error_or_outside_the_document(ra, known) -> None:
    """Every operation, with values as described and with others, by each role and by nobody."""
    callers: dict[str, Behind] = {"nobody": Behind(ra.app, "")}
    for number, role in enumerate(ROLES):
        browser = ra.browser(ra.operator(f"someone{number}", role, person=idcard(400 + number)))
        cookies = (f"{each.key}={each.value}" for each in browser.client._cookies.values())
        callers[role] = Behind(ra.app, "; ".join(cookies))
    schema = schemathesis.openapi.from_dict(document("/ra/v1"))
    schema.app = callers["nobody"]
    faults: dict[str, str] = {}
    done: set[str] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        # Of a path and a query, which are texts, nothing is outside the document.
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE][: 2 if operation.body else 1]
        for mode in modes:
            ask(operation, mode, known, callers, faults, done)
    assert not faults, "\n\n".join(faults.values())
    # The questions are no mere nonsense: a good part of them is answered.
    assert len(done) >= 20, sorted(done)


def ask(
    operation: Any,
    mode: GenerationMode,
    known: dict[str, list[str]],
    callers: dict[str, Behind],
    faults: dict[str, str],
    done: set[str],
) -> None:
    """Each example by each caller, so that making it up is paid for once."""
    chance = random.Random(f"{SEED} {operation.label}")

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def one(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        put_in(case, known, chance, share=1.0 if mode is GenerationMode.POSITIVE else 0.75)
        for role, app in callers.items():
            answer = case.call(base_url="https://127.0.0.1:8443/ra/v1", app=app)
            if answer.status_code < 300:
                done.add(operation.label)
            try:
                case.validate_response(answer, checks=CHECKS)
            except schemathesis.core.failures.FailureGroup as exc:
                for fault in exc.exceptions:
                    told = f"{operation.label} as {role}, {mode.value}: {fault!s:.1200}"
                    faults.setdefault(f"{operation.label} {type(fault).__name__}", told)

    one()


def put_in(case: Any, known: dict[str, list[str]], chance: random.Random, *, share: float) -> None:
    """Something that exists stands where a name or number is asked for, in this share of the places."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            for name in set(part) & set(known):
                if chance.random() < share:
                    part[name] = chance.choice(known[name])
