"""Forms of every kind through the HTTP service: base64 in, a verdict out, and its evidence record."""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_jws_forms import jws
from test_pdf_forms import blank
from test_pdf_forms import sign as sign_pdf
from test_xml_forms import FORM
from test_xml_forms import sign as sign_xml

from onecert.verifier import EvidenceTrust, RevocationEvidence, Verifier, load_trust_list
from onecert.verifier.service import create_service
from onecert.verifier.signed_form import extras


class Service:
    """The service of a department, asked without a network."""

    def __init__(self, office: Any, world: Any) -> None:
        office.signer = world.leaf("harbour")
        self.office = office
        evidence = RevocationEvidence(crls=[world.crl(ca) for ca in ("pearl", "harbour", "summit")])
        listed = load_trust_list(world.trust_list(), keys=world.list_keys, at=office.now)
        self.application = create_service(
            Verifier(trust_list=listed, evidence=evidence, application="tax"),
            trust=EvidenceTrust(list_keys=world.list_keys),
            clock=lambda: office.now,
        )

    def post(self, path: str, **fields: Any) -> tuple[int, Any]:
        said: list[str] = []
        encoded = {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in fields.items()}
        body = json.dumps(encoded).encode()
        request = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": path,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
        }
        data = b"".join(self.application(request, lambda status, headers: said.append(status)))
        return int(said[0].split()[0]), json.loads(data)


@pytest.fixture
def service(office: Any, world: Any) -> Service:
    return Service(office, world)


@pytest.mark.parametrize("kind", ["cms", "jws", "xml", "pdf"])
def test_kinds(service: Service, document: bytes, kind: str) -> None:
    """Who signed, and a record that the service accepts again."""
    office = service.office
    request: dict[str, Any] = {
        "cms": lambda: {"signature": office.cms(), "document": document},
        "jws": lambda: {"signature": jws(office, document), "document": document},
        "xml": lambda: {"signature": sign_xml(office, FORM)},
        "pdf": lambda: {"signature": sign_pdf(office, blank())},
    }[kind]()
    status, form = service.post("/v1/forms", kind=kind, evidence=True, **request)
    assert (status, form["verdict"]) == (200, "accepted")
    assert form["signers"][0]["identity"]["id"] == "uscc:91440300MA5DEM004J"
    held = service.post("/v1/evidence", record=base64.b64decode(form["record"]))[1]
    assert held["verdict"] == "accepted"
    other = {"cms": "jws", "jws": "pdf", "xml": "cms", "pdf": "xml"}[kind]
    status, refused = service.post("/v1/forms", kind=other, **request)
    assert (status, refused["verdict"]) == (200, "refused")


@pytest.mark.parametrize("kind", ["xml", "pdf"])
def test_a_service_without_the_extra(service: Service, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No fault of the form: nobody can tell here, and the answer names what to install."""

    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'lxml'")

    monkeypatch.setattr(extras, "import_module", missing)
    status, answer = service.post("/v1/forms", kind=kind, signature=b"<a/>")
    assert (status, answer["verdict"], answer["code"]) == (200, "could-not-check", "FORM_EXTRA_MISSING")
    assert f"onecert-verifier[{kind}]" in answer["hint"]["en"] + answer["text"]["en"]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "doc"},
        {"kind": "jws", "certificate": "MAA="},
        {"kind": "cms", "element": "a"},
        {"kind": "xml", "allow_filling": True},
        {"kind": "pdf", "allow_filling": "yes"},
    ],
)
def test_wrong_requests(service: Service, fields: dict[str, Any]) -> None:
    """A field that this kind does not have is not passed over."""
    status, problem = service.post("/v1/forms", signature=b"x", **fields)
    assert (status, problem["code"]) == (400, "SERVICE_REQUEST")
