"""The tax office: a department's web application with certificate sign-in and signed declarations.

It knows what every department knows: a folder with the trust root, and the address of the signed
trust list. See ``verifier/examples/flask_app.py`` for the sign-in alone.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Any
from urllib.parse import urlencode

from declarations import Declaration, Declarations, FormError
from flask import Flask, Response, abort, g, redirect, render_template, request, session, url_for
from reviews import add_reviews, open_city
from stamps import Stamps
from texts import LANGUAGES, has_text, text
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from onecert.verifier import ChallengeSigner, CouldNotCheckError, VerifyError, open_verifier
from onecert.verifier.department import load_roots
from onecert.verifier.signed_form import CheckedEvidence, EvidenceTrust, check_evidence
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.answers import language_of
from onecert.verifier.web.flask import OneCert, is_own_page

APPLICATION = "tax-office"
REFRESH = timedelta(seconds=15)  # so that a revocation can be watched; minutes do for a real office
BEIJING = timezone(timedelta(hours=8))
MAX_UPLOAD = 16 * 1024 * 1024
# The page that a form stands on, for who wants to read its refusal in the other language.
PAGE_OF = {"create": "new", "sign": "show", "check": "check", "approve": "reviews"}
log = logging.getLogger(__name__)


def now() -> datetime:
    """The clock of the machine, in UTC."""
    return datetime.now(UTC)


def create_app(
    folder: Path,
    *,
    trust_list: str,
    name: str = APPLICATION,
    privileges: str | None = None,
    certificates: ClientCertificates | None = None,
    signer: ChallengeSigner | None = None,
    clock: Callable[[], datetime] = now,
) -> Flask:
    """The application.

    Args:
        folder: holds ``trust-root.json``, ``secret.key`` and the declarations; for privileges also the public
            key that signs the city's policies, ``policy-key.pem``.
        name: of the application, for challenges and for attribute certificates that name their targets.
        privileges: address of the PMI; without it nobody approves here.
        signer: signs the challenges of a login, for programs that want to know whom they sign for.
    """
    app = Flask(__name__)
    app.secret_key = (folder / "secret.key").read_bytes()
    app.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD
    verifier = open_verifier(folder, trust_list=trust_list, application=name, refresh=REFRESH)
    onecert = OneCert(
        app,
        verifier=verifier,
        certificates=certificates,
        recheck=REFRESH,
        signer=signer,
        clock=clock,
        language=lambda: str(g.language),
    )
    stamps = Stamps(verifier)

    def trust(at: datetime) -> EvidenceTrust:
        # Read each time: roots that followed lie beside the first.
        return EvidenceTrust(roots=load_roots(folder), timestamps=stamps.trust(at))

    declarations = Declarations(folder / "declarations", verifier=verifier, stamps=stamps, trust=trust)
    pages = Pages(onecert, declarations, stamps, trust, clock)
    if privileges is not None:
        city = open_city(folder, name, privileges, verifier, clock)
        add_reviews(app, onecert, declarations, city, clock, check_own_page)
    app.before_request(choose_language)
    app.after_request(guard)
    app.context_processor(
        lambda: {
            "t": said,
            "language": g.language,
            "other_language": other_language(),
            "holder": pages.who(),
            "text_of": text_of,
            "when": when,
            "signs": signer is not None,
            "reviews": privileges is not None,
        }
    )
    app.register_error_handler(VerifyError, pages.refused)
    app.register_error_handler(FormError, pages.refused)
    app.register_error_handler(RequestEntityTooLarge, lambda _: message("TOO_LARGE", 413))
    app.register_error_handler(HTTPException, http_error)
    app.add_url_rule("/", "home", pages.home)
    app.add_url_rule("/declarations/new", "new", onecert.required(pages.new))
    app.add_url_rule("/declarations", "create", onecert.required(pages.create), methods=["POST"])
    app.add_url_rule("/declarations/<number>", "show", onecert.required(pages.show))
    app.add_url_rule("/declarations/<number>/document", "document", onecert.required(pages.document))
    app.add_url_rule("/declarations/<number>/evidence", "evidence", onecert.required(pages.evidence))
    app.add_url_rule(
        "/declarations/<number>/signature", "sign", onecert.required(pages.sign), methods=["POST"]
    )
    if signer is not None:
        pem = DER_cert_to_PEM_cert(signer.certificates[0]).encode("ascii")
        give = partial(download, pem, "office.pem", "application/x-pem-file")
        app.add_url_rule("/server-certificate", "server_certificate", give)
    app.add_url_rule("/check", "check", pages.check, methods=["GET", "POST"])
    return app


class Pages:
    """What each page does."""

    def __init__(
        self,
        onecert: OneCert,
        declarations: Declarations,
        stamps: Stamps,
        trust: Callable[[datetime], EvidenceTrust],
        clock: Callable[[], datetime],
    ) -> None:
        self._onecert = onecert
        self._declarations = declarations
        self._stamps = stamps
        self._trust = trust
        self._clock = clock

    def who(self) -> Any:
        """Who is signed in, for the head of the page; nobody when that cannot be told."""
        try:
            return self._onecert.holder
        except VerifyError:
            return None

    def home(self) -> str:
        """The declarations of who is signed in, or an invitation."""
        holder = self._onecert.holder
        return render_template("home.html", declarations=self._declarations.of(holder.id) if holder else [])

    def new(self) -> str:
        """The empty form."""
        return render_template("new.html", values={}, faults={}, this_year=self._clock().year)

    def create(self) -> Any:
        """Keep what was typed, or show it again with what is wrong."""
        check_own_page()
        values = {name: request.form.get(name, "").strip()[:200] for name in ("year", "income", "remark")}
        holder = self._onecert.holder
        assert holder is not None
        made = self._declarations.create(holder, values, at=self._clock())
        if isinstance(made, Declaration):
            return redirect(url_for("show", number=made.number), 303)
        page = render_template("new.html", values=values, faults=made, this_year=self._clock().year)
        return page, 422

    def show(self, number: str) -> str:
        """What is to be signed; once it is signed, by whom and how that is proved."""
        declaration = self._own(number)
        stamped = bool(declaration.proof and declaration.proof.get("archive"))
        authority = self._stamps.find_authority(self._clock()) if stamped else None
        return render_template("declaration.html", declaration=declaration, authority=authority)

    def document(self, number: str) -> Response:
        """The octets that are signed."""
        return download(self._own(number).document, f"declaration-{number}.json", "application/json")

    def evidence(self, number: str) -> Response:
        """The evidence record."""
        record = self._declarations.evidence(self._own(number))
        if record is None:
            abort(404)
        return download(record, f"evidence-{number}.json", "application/json")

    def sign(self, number: str) -> Any:
        """Take a CMS signature over the document, and keep the evidence."""
        check_own_page()
        declaration, holder = self._own(number), self._onecert.holder
        assert holder is not None
        upload = request.files.get("signature")
        if upload is None or not upload.filename:
            raise FormError("NO_SIGNATURE")
        self._declarations.sign(declaration, holder, upload.stream.read(), at=self._clock())
        log.info("declaration signed", extra={"number": number})
        return redirect(url_for("show", number=number), 303)

    def check(self) -> Any:
        """Judge an evidence record again, for anybody."""
        if request.method == "GET":
            return render_template("check.html", checked=None)
        check_own_page()
        upload = request.files.get("record")
        if upload is None or not upload.filename:
            raise FormError("NO_RECORD")
        at = self._clock()
        checked: CheckedEvidence = check_evidence(upload.stream.read(), trust=self._trust(at), at=at)
        return render_template("check.html", checked=checked, signer=checked.form.signer)

    def refused(self, error: VerifyError | FormError) -> Any:
        """A refusal as a page: what was wrong, what to do, the code for the help desk."""
        if isinstance(error, FormError):
            return message(error.code, 422)
        status = 503 if isinstance(error, CouldNotCheckError) else 422
        language = g.language
        page = render_template(
            "message.html",
            what=error.text(language),
            hint=error.hint(language),
            desk=error.desk(language),
            code=error.code,
        )
        return page, status

    def _own(self, number: str) -> Declaration:
        holder = self._onecert.holder
        found = self._declarations.find(number)
        # Another holder's declaration and none at all look the same from outside.
        if holder is None or found is None or found.holder_id != holder.id:
            abort(404)
        return found


def message(code: str, status: int) -> Any:
    """A page that says one thing."""
    return render_template("message.html", what=said(code), hint=said(f"{code}_HINT"), code=code), status


def http_error(error: HTTPException) -> Any:
    """No such page, a request that cannot be read, or a fault of ours."""
    code = f"HTTP_{error.code}"
    return message(code if has_text(code) else "HTTP_OTHER", error.code or 500)


def check_own_page() -> None:
    """Refuse what a page of another site posts."""
    if not is_own_page():
        raise FormError("OTHER_SITE")


def choose_language() -> None:
    """The language of the link that was clicked, of the last choice, or of the browser."""
    asked = request.args.get("language")
    if asked in LANGUAGES:
        session["language"] = asked
    g.language = session.get("language") or language_of(request.headers.get("Accept-Language", ""))


def other_language() -> str:
    """The address of this page in the other language."""
    other = "en" if g.language == "zh" else "zh"
    if request.method in {"GET", "HEAD"}:
        return f"{request.path}?{urlencode({**request.args, 'language': other})}"
    page = PAGE_OF.get(request.endpoint or "", "home")
    arguments = {} if page == "reviews" else request.view_args or {}
    return url_for(page, **arguments, language=other)


def guard(response: Response) -> Response:
    """Pages load nothing from elsewhere, run no script but our own, and stay out of frames and caches."""
    if "Content-Security-Policy" not in response.headers:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def said(code: str, **facts: object) -> str:
    """A text of this application in the reader's language."""
    return text(code, g.language, **facts)


def when(moment: datetime | str) -> str:
    """A time for people: whole seconds in Beijing."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return said("AT", time=f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}")


def text_of(declaration: Declaration) -> list[tuple[str, str]]:
    """The signed fields, for people."""
    fields = json.loads(declaration.document)
    return [(said(f"FIELD_{name.upper()}"), str(value)) for name, value in fields.items()]


def download(data: bytes, name: str, kind: str) -> Response:
    """A file to keep."""
    answer = Response(data, mimetype=kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
