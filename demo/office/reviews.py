"""Officials approve signed declarations: whoever proves the right, by the city's policy, at each approval.

This office keeps no list of its officials. It asks for a privilege (``approve`` on a ``TaxDeclaration``) and
takes the answer: attribute certificates from the city, verified here, judged by the city's signed policy.
"""

import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from declarations import Declaration, Declarations
from flask import Flask, Response, abort, g, make_response, redirect, render_template, url_for
from markupsafe import Markup

from onecert.verifier import Verifier, VerifyError
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.decision import Resource
from onecert.verifier.enforce.online import CityPrivileges, open_privileges
from onecert.verifier.enforce.web import Guard
from onecert.verifier.enforce.web.answers import reasons_block
from onecert.verifier.enforce.web.flask import Privileges
from onecert.verifier.fetch import listed_fetch
from onecert.verifier.web.flask import OneCert

REFRESH = timedelta(seconds=2)  # so that leaving an office can be watched; a minute does for a real one


def open_city(
    folder: Path, name: str, address: str, verifier: Verifier, clock: Callable[[], datetime]
) -> CityPrivileges:
    """The privileges that the city gives: one address, one key. ``tls-anchor.pem`` is for https."""
    anchor = folder / "tls-anchor.pem"
    tls = ssl.create_default_context(cafile=str(anchor)) if anchor.exists() else None
    return open_privileges(
        folder / "privileges",
        repository=address,
        policy_keys=[load_pem_public_key((folder / "policy-key.pem").read_bytes())],
        identities=verifier,
        target=TargetIdentity.from_uris(f"urn:onecert:app:{name}"),
        refresh=REFRESH,
        fetch=listed_fetch(tls=tls),
        clock=clock,
    )


def add_reviews(
    app: Flask,
    onecert: OneCert,
    declarations: Declarations,
    city: CityPrivileges,
    clock: Callable[[], datetime],
    check_own_page: Callable[[], None],
) -> None:
    """The pages of officials. An obligation that nobody fulfils denies; ours writes the approval down."""
    guard = Guard(city, source=city.source, clock=clock)
    privileges = Privileges(
        guard, onecert=onecert, target=city.target, language=lambda: str(g.language), denied=denied
    )
    reviews = Reviews(onecert, declarations, privileges, clock, check_own_page)
    approve = privileges.privileged("approve", resource=reviews.resource, handles={"log-approval"})
    app.add_url_rule("/reviews", "reviews", onecert.required(reviews.index))
    app.add_url_rule(
        "/reviews/<number>/approve",
        "approve",
        onecert.required(approve(reviews.approve)),
        methods=["POST"],
    )


class Reviews:
    """The pages of officials."""

    def __init__(
        self,
        onecert: OneCert,
        declarations: Declarations,
        privileges: Privileges,
        clock: Callable[[], datetime],
        check_own_page: Callable[[], None],
    ) -> None:
        self._onecert = onecert
        self._declarations = declarations
        self._privileges = privileges
        self._clock = clock
        self._check_own_page = check_own_page

    def index(self) -> str:
        """All signed declarations, with what can be done about them."""
        return render_template("reviews.html", declarations=self._declarations.signed())

    def approve(self, number: str) -> Any:
        """Runs only when the policy permits it; the decision is kept with the approval."""
        self._check_own_page()
        holder = self._onecert.holder
        assert holder is not None
        decision = self._privileges.granted.decision
        self._declarations.approve(self.find(number), holder, decision.id, at=self._clock())
        return redirect(url_for("reviews"), 303)

    def find(self, number: str) -> Declaration:
        """The declaration that is to be approved."""
        found = self._declarations.find(number)
        if found is None or not found.is_signed:
            abort(404)
        return found

    def resource(self, number: str) -> Resource:
        """What the policy is asked about: the declaration, with what rules may look at."""
        found = self.find(number)
        return Resource(
            type="TaxDeclaration",
            id=number,
            attributes={
                "holder": found.holder_id,
                "year": found.fields["year"],
                "income": int(float(found.fields["income"])),
            },
        )


def denied(error: VerifyError) -> Response:
    """Why not, on a page of this office."""
    # Every part of the block is escaped by the library.
    page = render_template("denied.html", reasons=Markup(reasons_block(error, str(g.language))))
    return make_response(page)
