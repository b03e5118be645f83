"""Attribute certificates whose holders have a newer certificate: bound to it anew, one or all."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.grants.acts import OFFICER
from onecert.pmi.life.errors import SelectionChangedError
from onecert.pmi.life.rebinding import Proposals, Rebound
from onecert.pmi.pages.common import READERS, error_text, titles_of
from onecert.pmi.parts import Parts
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, requires_role

__all__ = ["blueprint"]


def blueprint(parts: Parts) -> Blueprint:
    """The page of what should follow its holder."""
    pages = Blueprint("rebinding", __name__, url_prefix="/rebinding")

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        return _show(parts)

    @pages.post("")
    @requires_role(OFFICER)
    def confirm() -> AnyResponse | str | tuple[str, int]:
        try:
            done = parts.rebindings.confirm(
                request.form.getlist("serials"),
                current_operator(),
                content_sha256=request.form.get("content_sha256", ""),
            )
        except SelectionChangedError:
            changed = gettext(_("Something has changed since this was shown. Look at it again."))
            return _show(parts, problem=changed), 409
        if len(done) == 1 and done[0].grant is not None:
            return redirect(url_for("grants.show", grant_id=done[0].grant.id), 303)
        return _show(parts, done=done)

    return pages


def _show(parts: Parts, *, done: Sequence[Rebound] = (), problem: str = "") -> str:
    proposals = parts.rebindings.proposals()
    return render_template(
        "rebinding.html",
        proposals=[(each, Proposals([each]).sha256) for each in proposals.proposals],
        sha256=proposals.sha256,
        done=[(each, "" if each.error is None else error_text(each.error)) for each in done],
        problem=problem,
        titles=titles_of(parts),
        may_confirm=current_operator().has_role(OFFICER),
    )
