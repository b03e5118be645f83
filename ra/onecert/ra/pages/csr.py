"""The preview of a certificate request, as a part of a page: the form asks for it while the clerk works.

Nothing is kept. A private key that was pasted by mistake is named as one and not repeated.
"""

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.duplicates import find_key_holder
from onecert.ra.content.csr import MAX_OCTETS, CertificateRequest, RequestFault, load_request
from onecert.ra.operators.roles import ENTRY, MEDIA
from onecert.ra.pages.common import the_operator, the_ra
from onecert.server.languages import gettext
from onecert.server.web import requires_role

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """`POST /csr/preview` with `csr` or the file `csr_file`, and the form's own fields."""
    pages = Blueprint("csr", __name__)
    pages.add_url_rule("/csr/preview", "preview", _preview, methods=["POST"])
    return pages


@requires_role(ENTRY, MEDIA)
def _preview() -> AnyResponse:
    file = request.files.get("csr_file")
    uploaded = file.read(MAX_OCTETS + 1) if file is not None else b""
    data: str | bytes = uploaded or request.form.get("csr", "")
    found: CertificateRequest | None = None
    fault = None
    if data.strip():
        try:
            found = load_request(data)
        except RequestFault as refused:
            fault = refused.fault
    shown = {
        "found": found,
        "fault": None
        if fault is None
        else {
            "code": fault.code,
            "text": gettext(fault.text, **fault.facts),
            "hint": gettext(fault.hint, **fault.facts) if fault.hint else "",
        },
        "holder": None if found is None else _holder(found),
        "issued": _issued_names(),
    }
    # htmx puts in what has status 200; a fault of the request is no fault of this question.
    return make_response(render_template("ra/csr_preview.html", **shown))


def _holder(found: CertificateRequest) -> str | None:
    """The number of another application with this key, empty when it is out of reach; None: nobody has it."""
    ra, operator = the_ra(), the_operator()
    besides = request.form.get("application", "")[:36] or None
    with ra.database.reading() as connection:
        holder = find_key_holder(connection, found.key_sha256, besides)
        if holder is None:
            return None
        scope = ra.reach.scope(connection, operator)
    return holder.number if scope.covers(holder.point, holder.authority, holder.kind.value) else ""


def _issued_names() -> list[str]:
    """The names that the certificate will carry, from the form as it is; empty while nothing is typed."""
    form = request.form
    names = {
        "CN": form.get("device_name", "") or form.get("name", "") or form.get("organization_name", ""),
        "O": form.get("organization_name", ""),
        "OU": form.get("organizational_unit", ""),
        "L": form.get("locality", ""),
        "ST": form.get("state_or_province", ""),
    }
    if not names["CN"].strip():
        return []
    return [f"{label}={text.strip()[:128]}" for label, text in names.items() if text.strip()] + ["C=CN"]
