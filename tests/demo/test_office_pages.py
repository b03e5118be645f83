"""The tax office's pages: in both languages, for whom they are, and what the browser is told about them."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from app import create_app
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onecert.verifier import VerifyError, load_signer, verify_server_challenge

OFFICE = Path(__file__).resolve().parents[2] / "demo" / "office"
SITE = "https://tax.example"
SIGNED_FIELDS = ("form", "number", "holder", "name", "year", "income", "remark")
HAN = re.compile(r"[\u4e00-\u9fff]")
OTHER_NUMBER = "91440300MA5EYABCXR"


def rows() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((OFFICE / "texts.json").read_text("utf-8"))
    return found


def main_part(page: Any) -> str:
    """Below the head of the page, which offers the other language."""
    return str(page.text.partition("<main>")[2])


def signed(office: Any, browser: Any, leaf: Any) -> str:
    number: str = browser.declare(remark="")
    answer = browser.upload(number, office.sign(browser.document(number), leaf))
    assert answer.status_code == 303, answer.text
    return number


# Languages.


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_in_the_readers_language(office: Any, language: str) -> None:
    """Signed in and not, before and after signing, accepted and refused. Must be of one language."""
    leaf = office.world.leaf(name="Example Ltd")
    stranger, holder = office.browser(language=language), office.browser(leaf, language)
    number = signed(office, holder, leaf)
    draft = holder.declare(remark="")
    record = holder.get(f"/declarations/{number}/evidence").data
    pages = [
        stranger.get("/"),
        stranger.get("/login"),
        stranger.get("/check"),
        stranger.get("/nowhere"),
        stranger.post("/nowhere"),
        stranger.post("/", x="1"),
        stranger.post("/check"),
        stranger.check(b"{}"),
        stranger.check(record),
        stranger.post("/declarations"),
        holder.get("/"),
        holder.get("/declarations/new"),
        holder.post("/declarations", year="1", income="x", remark="\x07"),
        holder.get(f"/declarations/{draft}"),
        holder.get(f"/declarations/{number}"),
        holder.post(f"/declarations/{draft}/signature"),
        holder.upload(draft, b"no signature"),
        holder.upload(number, b"again"),
    ]
    for page in pages:
        assert f'<html lang="{language}">' in page.text
        assert "{" not in main_part(page)
        texts = re.sub(r"<code>.*?</code>|<pre>.*?</pre>|<dd>.*?</dd>", "", main_part(page), flags=re.DOTALL)
        assert bool(HAN.search(texts)) == (language == "zh"), texts


def test_the_language_that_was_chosen_stays(office: Any) -> None:
    """The link of a page leads to the same page, keeps its other arguments, and holds from then on, on the
    sign-in page too; that of a refused form leads to the form."""
    leaf = office.world.leaf()
    browser = office.browser(language="zh")
    page = browser.get("/login?next=/declarations/new")
    assert 'href="/login?next=%2Fdeclarations%2Fnew&amp;language=en"' in page.text
    page = browser.get("/login?next=/declarations/new&language=en")
    assert "Sign in with your certificate" in page.text
    assert 'value="/declarations/new"' in page.text
    assert "Example Tax Office" in browser.get("/").text
    assert "Example Tax Office" in browser.get("/?language=klingon").text

    browser.sign_in(leaf)
    number = browser.declare()
    refused = browser.post("/declarations", year="1", income="1", remark="")
    for answer, target in (
        (refused, "/declarations/new"),
        (browser.upload(number, b"rubbish"), f"/declarations/{number}"),
        (browser.check(b"rubbish"), "/check"),
    ):
        link = re.search(r'href="([^"]+)" lang="(?:zh|en)"', answer.text)
        assert link is not None
        assert link[1].partition("?")[0] == target
        assert browser.get(link[1]).status_code == 200


def test_texts_are_complete() -> None:
    """Both languages for every text, the same facts in both; every text is used, and every use has one."""
    found = rows()
    for code, row in found.items():
        assert set(row) == {"zh", "en"}, code
        assert all(row.values()), code
        assert re.findall(r"{\w+}", row["zh"]) == re.findall(r"{\w+}", row["en"]), code
    sources = [*OFFICE.glob("*.py"), *OFFICE.glob("templates/**/*.html")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    used = set(re.findall(r'\bt\("(\w+)"[,)]', text)) | set(re.findall(r'= "(WRONG_\w+)"', text))
    refusals = set(re.findall(r'(?:FormError|message)\("(\w+)"', text))
    refusals |= {"HTTP_404", "HTTP_405", "HTTP_OTHER"}
    used |= refusals | {f"{code}_HINT" for code in refusals}
    used |= {f"FIELD_{name.upper()}" for name in SIGNED_FIELDS}
    used |= set(re.findall(r'{"code": "(\w+)"}', text)) | set(re.findall(r'\bsaid\("(\w+)"', text))
    used |= {f"EVIDENCE_TIME_{source}" for source in ("now", "timestamp", "archive")}
    assert used == set(found)


# For whom.


@pytest.mark.parametrize("path", ["/declarations/new", "/declarations/0123456789abcdef"])
def test_sign_in_comes_first(office: Any, path: str) -> None:
    away = office.browser().get(path)
    assert (away.status_code, away.location) == (303, f"/login?next={path}")


def test_a_declaration_of_another_holder_is_not_there(office: Any) -> None:
    """Page, document, evidence, signature: the same answer as for one that does not exist."""
    leaf = office.world.leaf()
    owner = office.browser(leaf)
    number = signed(office, owner, leaf)
    other = office.browser(office.world.leaf("pearl", number=OTHER_NUMBER, name="另一家"))
    for path in ("", "/document", "/evidence"):
        there, nowhere = (other.get(f"/declarations/{name}{path}") for name in (number, "0123456789abcdef"))
        assert there.status_code == nowhere.status_code == 404
        assert main_part(there) == main_part(nowhere)
    assert other.upload(number, b"x").status_code == 404
    assert number not in other.get("/").text
    assert number in owner.get("/").text


@pytest.mark.parametrize(
    "number", ["..", "%2e%2e%2fsecret.key", "0123456789ABCDEF", "x" * 5000, "0123456789abcdef\n", "%00"]
)
def test_numbers_that_are_none(office: Any, number: str) -> None:
    """They are parts of paths. Must be not found."""
    assert office.browser(office.world.leaf()).get(f"/declarations/{number}").status_code == 404


def test_whichever_ca_it_is_one_account(office: Any) -> None:
    """Declared with a certificate of one CA. Must be there with one of another."""
    number = office.browser(office.world.leaf("harbour")).declare()
    for ca in ("pearl", "summit"):
        assert office.browser(office.world.leaf(ca)).get(f"/declarations/{number}").status_code == 200


def test_revocation_ends_the_visit(office: Any) -> None:
    """Revoked while signed in; fifteen seconds later the office asks again. Must be out, with the reason."""
    leaf = office.world.leaf()
    browser = office.browser(leaf, "en")
    office.world.revoke("harbour", leaf)
    office.at += timedelta(minutes=2)
    office.publish()
    out = browser.get("/declarations/new")
    assert out.status_code == 403
    assert "CERT_REVOKED" in out.text
    assert browser.get("/declarations/new").status_code == 303


# What is typed.


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("year", "", "WRONG_YEAR"),
        ("year", "2020", "WRONG_YEAR"),
        ("year", "2027", "WRONG_YEAR"),
        ("year", "²⁰²⁶", "WRONG_YEAR"),
        ("year", "9" * 300, "WRONG_YEAR"),
        ("income", "", "WRONG_INCOME"),
        ("income", "-1", "WRONG_INCOME"),
        ("income", "1.005", "WRONG_INCOME"),
        ("income", "1000000000000", "WRONG_INCOME"),
        ("income", "NaN", "WRONG_INCOME"),
        ("income", "sNaN", "WRONG_INCOME"),
        ("income", "-Infinity", "WRONG_INCOME"),
        ("income", "1e999999999", "WRONG_INCOME"),
        ("remark", "a\x07b", "WRONG_REMARK"),
        ("remark", "a\u202eb", "WRONG_REMARK"),
    ],
)
def test_faults_stand_at_their_field(office: Any, field: str, value: str, code: str) -> None:
    """One field wrong. Must be named at it, with what was typed, and nothing is kept."""
    browser = office.browser(office.world.leaf(), "en")
    form = {"year": "2026", "income": "0", "remark": "", field: value}
    page = browser.post("/declarations", **form)
    assert page.status_code == 422
    assert re.findall(r'<span id="(\w+)-fault"', page.text) == [field]
    assert rows()[code]["en"] in page.text
    assert re.findall(r'id="(\w+)"[^>]*\s+aria-invalid="true"', page.text) == [field]
    assert "There are none yet" in browser.get("/").text


def test_all_faults_at_once(office: Any) -> None:
    page = office.browser(office.world.leaf()).post("/declarations")
    assert re.findall(r'<span id="(\w+)-fault"', page.text) == ["year", "income"]


def test_what_is_typed_is_shown_as_text(office: Any) -> None:
    """Markup in a remark. Must not become part of the page."""
    browser = office.browser(office.world.leaf())
    remark = "<script>alert(1)</script>\"'"
    number = browser.declare(remark=remark)
    assert "<script>alert" not in browser.get(f"/declarations/{number}").text
    assert json.loads(browser.document(number))["remark"] == remark


@pytest.mark.parametrize(
    ("typed", "kept"), [("0", "0.00"), ("1e3", "1000.00"), ("00.5", "0.50"), ("0E9", "0.00")]
)
def test_amounts_are_written_one_way(office: Any, typed: str, kept: str) -> None:
    browser = office.browser(office.world.leaf())
    assert json.loads(browser.document(browser.declare(income=typed)))["income"] == kept


# What browsers are told.


def test_every_answer_is_guarded(office: Any) -> None:
    """Pages, downloads, refusals, redirects, style: none without a policy, none kept but the style."""
    leaf = office.world.leaf()
    stranger, holder = office.browser(), office.browser(leaf)
    number = signed(office, holder, leaf)
    paths = [
        "/",
        "/login",
        "/login/login.js",
        "/check",
        "/nowhere",
        "/declarations/new",
        "/static/office.css",
    ]
    paths += [f"/declarations/{number}{part}" for part in ("", "/document", "/evidence")]
    answers = [browser.get(path) for path in paths for browser in (stranger, holder)]
    answers += [stranger.post("/declarations"), stranger.post("/check"), holder.post("/declarations")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if answer.mimetype not in {"text/css", "text/javascript"}:
            assert answer.headers["Cache-Control"] == "no-store"
            # What the policy forbids is not there.
            assert not re.search(r"<script(?! src=\"/)|<style| style=| on\w+=", answer.text)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
def test_posts_of_other_sites(office: Any, code: Any, headers: dict[str, str]) -> None:
    """A page elsewhere posts into the session of who is signed in. Must be refused everywhere."""
    browser = office.browser(office.world.leaf())
    number = browser.declare()
    for path in ("/declarations", f"/declarations/{number}/signature", "/check"):
        page = browser.post_from_elsewhere(path, headers, year="2026", income="1", remark="")
        assert (page.status_code, code(page)) == (422, "OTHER_SITE")
    assert browser.post_from_elsewhere("/logout", headers).status_code == 403
    assert browser.get("/").text.count('<span class="tag') == 1


def test_too_large(office: Any, code: Any) -> None:
    """Seventeen megabytes instead of a signature. Must be refused before they are read."""
    browser = office.browser(office.world.leaf())
    page = browser.announce(f"/declarations/{browser.declare()}/signature", 17 * 1024 * 1024)
    assert (page.status_code, code(page)) == (413, "TOO_LARGE")


def test_the_office_signs_its_challenges(office: Any) -> None:
    """With a key of its own; the page gives the certificate, and a client that pins it signs nothing else."""
    leaf = office.world.leaf()
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signing = create_app(
        office.folder,
        trust_list=office.trust_list,
        signer=load_signer(leaf.pem, key),
        clock=lambda: office.at,
    )
    client = signing.test_client()
    page = client.get("/login", base_url=SITE, headers={"Accept-Language": "en"}).text
    assert "This office signs each challenge" in page
    given = client.get("/server-certificate", base_url=SITE).data
    nonce = bytes(32)
    asked = {"client": base64.b64encode(nonce).decode()}
    message = client.post("/login/challenge", base_url=SITE, json=asked).json
    known = {"trust": given, "client": nonce, "at": office.at}
    assert verify_server_challenge(message, application="tax-office", **known).challenge.id == message["id"]
    with pytest.raises(VerifyError) as caught:
        verify_server_challenge(message, application="customs", **known)
    assert caught.value.code == "LOGIN_SERVER_APPLICATION"
    # An office without a key of its own says nothing of the kind.
    assert "signs each challenge" not in office.browser(language="en").get("/login").text
    assert office.browser().get("/server-certificate").status_code == 404
