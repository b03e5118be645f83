"""Renewal, change, replacement, and handing over: what follows a certificate goes the whole way again."""

import pytest
from ra_fakes import DAY, OTHER_USCC, idcard, make_csr

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.following import Followed
from onecert.ra.certificates.records import find_by_application
from onecert.ra.errors import DuplicateError, FollowRefusedError, InvalidApplicationError
from onecert.ra.life.duties import Duties
from onecert.ra.life.machine import Business, State
from onecert.ra.models import orders
from onecert.server.operators import SamePersonError

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def certificate_of(ra, application):
    with ra.database.reading() as connection:
        return find_by_application(connection, application.id)


def follow(ra, business, certificate, *, reason="", csr="", **fields):
    entry = Entry(
        kind=certificate.kind, authority=certificate.authority, fields=fields, csr=csr or make_csr()
    )
    followed = Followed.of(Business(business), certificate, reason)
    ra.followed = getattr(ra, "followed", 0) + 1
    return ra.applications.follow(ra.entry_clerk, followed, entry, request_key=f"f{ra.followed}")


def carry(ra, draft):
    return ra.dispatch.carry_out(ra.approve(ra.applications.submit(ra.entry_clerk, draft.id)).id)


def last_order(ra):
    return list(ra.ca.orders.values())[-1][0]


def test_a_renewal_ends_the_old_one_when_it_is_handed_over(ra) -> None:
    """issued -> renewed -> handed over: the old one is good until then, and superseded afterwards."""
    old = certificate_of(ra, ra.issue())
    new = carry(ra, follow(ra, "renew", old))
    order = last_order(ra)
    assert (order["kind"], order["replaces"]) == ("renew", {"authority": "pearl", "serial": old.serial_hex})
    assert order["revoke_replaced"] == {"reason": "superseded", "when": "delivered"}
    assert ra.ca.status["pearl", old.serial_hex]["status"] == "good"

    maker = ra.operator("sun", "clerk.media", "clerk.archive", person=idcard(140))
    delivered = ra.applications.deliver(maker, new.id)
    ra.ca.down = True
    ra.dispatch.tell_delivery(delivered.order_id)
    assert ra.rows(orders)[-1]["delivery"] == "pending"
    ra.ca.down = False
    ra.clock.advance(DAY / 24)
    ra.dispatch.run(ra.clock.now())
    assert ra.rows(orders)[-1]["delivery"] == "done"
    with ra.database.reading() as connection:
        assert find_by_application(connection, old.application_id).reason == "superseded"
    assert ra.applications.archive(maker, new.id).state is State.ARCHIVED
    # The renewed one can be renewed in turn: the entity belongs to it now.
    assert carry(ra, follow(ra, "renew", certificate_of(ra, new))).state is State.ISSUED


def test_a_replacement_revokes_first(ra) -> None:
    """The token is lost: the order names the loss, and the old one is on record as revoked at once."""
    old = certificate_of(ra, ra.issue())
    new = carry(ra, follow(ra, "replace", old, reason="keyCompromise"))
    assert new.state is State.ISSUED
    assert last_order(ra)["revoke_replaced"] == {"reason": "keyCompromise"}
    assert certificate_of(ra, ra.load(old.application_id)).status == "revoked"


def test_a_change_takes_new_data_and_a_renewal_keeps_them(ra) -> None:
    """A new name: refused in a renewal, by its field, and ordered as a change."""
    old = certificate_of(ra, ra.issue())
    draft = follow(ra, "renew", old, organization_name="深圳市新名科技有限公司")
    with pytest.raises(InvalidApplicationError) as caught:
        ra.applications.submit(ra.entry_clerk, draft.id)
    assert [fault.field for fault in caught.value.faults] == ["organization_name"]
    changed = carry(ra, follow(ra, "change", old, organization_name="深圳市新名科技有限公司"))
    assert changed.state is State.ISSUED
    assert last_order(ra)["subject"]["organization"] == "深圳市新名科技有限公司"
    assert last_order(ra)["revoke_replaced"]["reason"] == "affiliationChanged"


@only_sqlite
def test_another_holder_is_no_change(ra) -> None:
    """Another firm's code in a change. Must be refused: that is a new application."""
    draft = follow(ra, "change", certificate_of(ra, ra.issue()), uscc=OTHER_USCC)
    with pytest.raises(FollowRefusedError, match="holder"):
        ra.applications.submit(ra.entry_clerk, draft.id)


def test_one_successor_at_a_time_and_no_new_one_beside_it(ra) -> None:
    """Two renewals, or a renewal and a new application of one firm. The second must be a duplicate."""
    old = certificate_of(ra, ra.issue())
    first = follow(ra, "renew", old)
    ra.applications.submit(ra.entry_clerk, first.id)
    with pytest.raises(DuplicateError):
        ra.applications.submit(ra.entry_clerk, follow(ra, "change", old).id)
    with pytest.raises(DuplicateError):
        ra.submit()
    ra.applications.withdraw(ra.entry_clerk, first.id)
    assert carry(ra, follow(ra, "change", old)).state is State.ISSUED


def test_a_revoked_certificate_is_not_renewed(ra) -> None:
    """Revoked as no longer needed: neither renewed nor replaced; a wrong reason is refused as well."""
    old = certificate_of(ra, ra.issue())
    with pytest.raises(FollowRefusedError):
        Followed.of(Business.RENEW, old, "keyCompromise")
    made = ra.certificates.request_change(
        ra.officer, "pearl", old.serial_hex, reason="cessationOfOperation", request_key="r"
    )
    assert ra.revoking.carry_out(made) == "done"
    for business in ("renew", "change", "replace"):
        with pytest.raises(FollowRefusedError):
            follow(ra, business, old)


def test_the_maker_is_another_person_when_the_policy_says_so(ra) -> None:
    """Entered and handed over by one person: allowed by default, refused under make-enter."""
    both = ra.operator("both", "clerk.entry", "clerk.media", person=idcard(141))
    made = ra.create(by=both)
    sent = ra.dispatch.carry_out(ra.approve(ra.applications.submit(both, made.id)).id)
    ra.applications._steps._duties = Duties.from_settings(["make-enter"])
    with pytest.raises(SamePersonError):
        ra.applications.deliver(both, sent.id)
    ra.applications._steps._duties = Duties.from_settings([])
    assert ra.applications.deliver(both, sent.id).state is State.DELIVERED


@only_sqlite
def test_renewal_over_rest(ra) -> None:
    """POST …/renew with a new request only: entered, submitted, and told apart in the list."""
    old = certificate_of(ra, ra.issue())
    browser = ra.browser(ra.entry_clerk)
    made = browser.api(
        "POST", f"/certificates/pearl/{old.serial_hex}/renew", {"csr_pem": make_csr(), "submit": True}
    )
    assert made.status_code == 201, made.json
    assert (made.json["business"], made.json["state"]) == ("renew", "submitted")
    assert made.json["follows"]["serial"] == old.serial_hex
    [found] = browser.api("GET", "/applications?business=renew").json["items"]
    assert found["id"] == made.json["id"]
    refused = browser.api("POST", f"/applications/{made.json['id']}/deliver")
    assert refused.json["code"] == "ROLE_REQUIRED"
