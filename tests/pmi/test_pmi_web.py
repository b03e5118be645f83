"""REST and pages: who may, what is refused and how it is said, in both languages."""

import base64
import io
import json
import re

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.pmi.app import create_app
from onecert.pmi.errors import TooManyQuestionsError
from onecert.pmi.rest import openapi
from onecert.pmi.throttle import Throttle

pytestmark = pytest.mark.token


def pem(certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def question(pmi, **changes) -> dict:
    return {
        "certificate_pem": pem(pmi.holder),
        "action": "approve",
        "resource": {"type": "Form", "id": "7", "attributes": {"amount": 5}},
        **changes,
    }


def test_grant_approve_decide_revoke_over_rest(pmi, lab) -> None:
    officer, approver, anybody = pmi.client(pmi.officer), pmi.client(pmi.approver), pmi.client()
    asked = {"authority": "tax-office", "holder_pem": pem(pmi.holder), "roles": [lab.APPROVER_ROLE]}

    answer = officer.post("/v1/grants", json=asked)
    assert answer.status_code == 202
    grant = answer.get_json()
    assert (grant["state"], grant["needs_approval"]) == ("waiting", True)
    refused = officer.post(
        f"/v1/grants/{grant['id']}/approve", json={"content_sha256": grant["content_sha256"]}
    )
    assert refused.status_code == 403

    answer = approver.post(
        f"/v1/grants/{grant['id']}/approve", json={"content_sha256": grant["content_sha256"]}
    )
    assert answer.status_code == 200
    certificate = answer.get_json()["certificate"]
    assert certificate["status"] == "valid"
    assert "BEGIN ATTRIBUTE CERTIFICATE" in certificate["certificate_pem"]

    decided = anybody.post("/v1/decisions", json=question(pmi)).get_json()
    assert (decided["decision"], decided["obligations"]) == ("permit", ["record the file number"])
    body = "".join(certificate["certificate_pem"].splitlines()[1:-1])
    pushed = question(pmi, attribute_certificates=[body])
    assert anybody.post("/v1/decisions", json=pushed).get_json()["decision"] == "permit"
    assert base64.b64decode(body)

    found = officer.get("/v1/attribute-certificates?holder=张三").get_json()
    assert [row["serial"] for row in found["certificates"]] == [certificate["serial"]]

    where = f"/v1/attribute-certificates/{certificate['serial']}"
    revoked = officer.post(f"{where}/revoke", json={"reason": "privilegeWithdrawn"}).get_json()
    assert (revoked["status"], revoked["acrl_number"]) == ("revoked", 2)
    for language, text in (("zh", "注销"), ("en", "revoked")):
        denied = anybody.post(f"/v1/decisions?language={language}", json=pushed).get_json()
        assert denied["decision"] == "deny"
        (reason,) = [each for each in denied["reasons"] if each["kind"] == "certificate"]
        assert reason["code"] == "REVOKED"
        assert text in reason["text"]
    assert officer.get(where).get_json()["status"] == "revoked"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/v1/grants"),
        ("get", "/v1/grants/x"),
        ("post", "/v1/grants/x/approve"),
        ("get", "/v1/attribute-certificates"),
        ("get", "/v1/attribute-certificates/abc"),
        ("post", "/v1/attribute-certificates/abc/revoke"),
    ],
)
def test_nobody_gets_in_without_signing_in(pmi, method: str, path: str) -> None:
    answer = getattr(pmi.client(), method)(path, json={} if method == "post" else None)
    assert answer.status_code == 401
    assert answer.get_json()["code"] == "SIGN_IN_REQUIRED"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"action": 7}, "body"),
        ({"resource": "Form"}, "body"),
        ({"context": {"a": 1.5}}, "body"),
        ({"attribute_certificates": "AA"}, "attribute_certificates"),
        ({"attribute_certificates": ["%%"]}, "attribute_certificates"),
        ({"attribute_certificates": ["AA=="] * 17}, "attribute_certificates"),
        ({"target": ["x"]}, "target"),
    ],
)
def test_questions_with_a_fault(pmi, changes: dict, field: str) -> None:
    answer = pmi.client().post("/v1/decisions", json=question(pmi, **changes))
    assert answer.status_code == 422
    assert answer.get_json()["code"] == "REQUEST_WRONG"
    assert field in answer.get_json()["detail"]


def test_a_question_that_is_not_json(pmi) -> None:
    answer = pmi.client().post("/v1/decisions", data=b"{", content_type="application/json")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "REQUEST_WRONG")


def test_a_refused_holder_is_told_why(pmi) -> None:
    answer = pmi.client().post(
        "/v1/decisions", json=question(pmi, certificate_pem=pem(pmi.ca.holder("无名")))
    )
    assert (answer.status_code, answer.get_json()["code"]) == (403, "CERT_ISSUER_NOT_LISTED")


def test_an_attribute_certificate_of_nonsense_denies_with_its_code(pmi) -> None:
    asked = question(pmi, attribute_certificates=[base64.b64encode(b"nonsense").decode()])
    decided = pmi.client().post("/v1/decisions", json=asked).get_json()
    assert decided["decision"] == "deny"
    assert "NOT_DER" in [reason["code"] for reason in decided["reasons"]]


def test_one_address_cannot_ask_without_end(pmi, lab) -> None:
    throttle = Throttle(60)
    for _ in range(10):
        throttle.check("10.0.0.1", lab.T)
    with pytest.raises(TooManyQuestionsError):
        throttle.check("10.0.0.1", lab.T)
    throttle.check("10.0.0.2", lab.T)
    throttle.check("10.0.0.1", lab.T + lab.timedelta(seconds=1))


def each_choice(path: str) -> list[str]:
    """A path with ``<any(a, b):name>`` is one path for each."""
    found = re.search(r"<any\(([^)]*)\):\w+>", path)
    if found is None:
        return [path]
    return [path.replace(found[0], choice.strip()) for choice in found[1].split(",")]


def test_the_description_names_every_path(pmi) -> None:
    app = create_app(pmi.parts)
    served = {
        (re.sub(r"<(\w+)>", r"{\1}", path), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
        for path in each_choice(rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {
        (path, method) for path, methods in openapi.document()["paths"].items() for method in methods
    }
    assert described == served
    answer = pmi.client().get("/v1/openapi.json")
    assert json.loads(answer.data)["openapi"].startswith("3.1")


# --- pages ---


@pytest.mark.parametrize(("language", "title"), [("zh", "授权记录"), ("en", "Grants")])
def test_the_list_of_grants(pmi, lab, language: str, title: str) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    page = pmi.client(pmi.auditor).get(f"/grants?language={language}").text
    assert f"<h1>{title}</h1>" in page
    assert "张三" in page
    assert ("税务审批人" if language == "zh" else "Tax approver") in page


def test_a_grant_by_the_pages(pmi, lab) -> None:
    """An officer fills in the form, another person approves; the certificate is shown and revoked."""
    officer, approver = pmi.client(pmi.officer), pmi.client(pmi.approver)
    form = {
        "authority": "tax-office",
        "roles": [lab.APPROVER_ROLE],
        "holder_pem": pem(pmi.holder),
        "act": "send",
    }
    sent = officer.submit("/grants/new", form)
    assert sent.status_code == 303
    path = sent.headers["Location"].removeprefix("/pmi")

    assert "第二" in officer.get(path).text  # waits for a second person
    page = approver.get(path).text
    shown = re.search(r'name="content_sha256" value="([0-9a-f]{64})"', page)
    assert approver.submit(f"{path}/approve", {"content_sha256": shown[1]}).status_code == 303

    listed = officer.get("/attribute-certificates?status=valid").text
    serial = re.search(r'attribute-certificates/([0-9a-f]{40})"', listed)[1]
    page = officer.get(f"/attribute-certificates/{serial}").text
    assert "有效" in page
    assert "BEGIN ATTRIBUTE CERTIFICATE" in officer.get(f"/attribute-certificates/{serial}/file").text

    assert (
        approver.submit(
            f"/attribute-certificates/{serial}/revoke", {"reason": "affiliationChanged"}
        ).status_code
        == 303
    )
    page = officer.get(f"/attribute-certificates/{serial}").text
    assert "已注销" in page
    assert "/revoke" not in page


def test_a_certificate_file_in_der(pmi, lab) -> None:
    file = (io.BytesIO(pmi.holder.public_bytes(Encoding.DER)), "holder.cer")
    form = {"authority": "tax-office", "roles": [lab.READER_ROLE], "holder_file": file, "act": "send"}
    officer = pmi.client(pmi.officer)
    assert officer.submit("/grants/new", form, content_type="multipart/form-data").status_code == 303


def test_an_auditor_reads_and_changes_nothing(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    auditor = pmi.client(pmi.auditor)
    assert auditor.get(f"/attribute-certificates/{grant.serial}").status_code == 200
    assert auditor.get("/grants/new").status_code == 403
    refused = auditor.submit(f"/attribute-certificates/{grant.serial}/revoke", {"reason": "superseded"})
    assert refused.status_code == 403


def test_a_form_without_its_token_is_refused(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    answer = pmi.client(pmi.officer).post(
        f"/attribute-certificates/{grant.serial}/revoke", data={"reason": "superseded"}
    )
    assert answer.status_code == 403
    assert "attribute_certificate.revoked" not in pmi.events()


def test_names_from_certificates_cannot_inject(pmi, lab) -> None:
    """A holder whose common name is markup."""
    hostile = pmi.holders.know(pmi.ca.holder("<script>alert(1)</script>"), "uscc:91440300MA5DEM0A63")
    grant = pmi.grant(lab.READER_ROLE, holder=hostile)
    for path in ("/grants", f"/grants/{grant.id}", f"/attribute-certificates/{grant.serial}"):
        page = pmi.client(pmi.officer).get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
