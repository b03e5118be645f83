"""Any text in any field: refused at that field, or kept just as the reviewer sees it."""

import re
from html import unescape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ra_fakes import DAY, IDCARD, USCC, make_csr
from test_ra_content import CSR, GOOD, TODAY

from onecert.ra.applications.following import Followed
from onecert.ra.certificates.records import find_by_application
from onecert.ra.config import RaConfig
from onecert.ra.content.checking import check_content
from onecert.ra.content.fields import FIELDS, Kind
from onecert.ra.errors import FollowRefusedError
from onecert.ra.life.machine import Business
from onecert.ra.service import make_ra

OF_KIND = {
    Kind.ORGANISATION: {},
    Kind.CITIZEN: {"name": "李四", "idcard": IDCARD},
    Kind.EMPLOYEE: {"name": "李四", "idcard": IDCARD},
    Kind.DEVICE: {"device_name": "一号网关"},
}
ODD = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '=HYPERLINK("x")',
            "𠮷野家",
            "张〇",
            "😀",
            "\u202eabc",
            "שלום",
            "１２３４５６",
            "ＡＢＣ（深圳）",
            "e\u0301",
            "a\u200bb",
            "line\r\nline",
            "   ",
            "\0",
            "x" * 600,
        ]
    ),
)


def fields_of(kind: Kind) -> dict[str, str]:
    """A complete form of this type."""
    known = {field.name for field in FIELDS[kind]}
    return {name: value for name, value in {**GOOD, **OF_KIND[kind]}.items() if name in known}


@given(st.data())
def test_any_text_is_refused_at_its_field_or_kept_as_it_is(data) -> None:
    """What is accepted stands unchanged in the content that is hashed and shown, or a note says so."""
    kind = data.draw(st.sampled_from(list(Kind)))
    field = data.draw(st.sampled_from(FIELDS[kind]))
    typed = data.draw(ODD)
    outcome = check_content(
        kind, "pearl", {**fields_of(kind), field.name: typed}, CSR, at=TODAY, test_ids=False
    )
    blank = not typed.strip(" \t\u3000\r\n")
    if any(fault.field == field.name for fault in outcome.faults) or blank:
        assert blank or outcome.content is None
        return
    kept = outcome.values[field.name]
    noted = any(note.field == field.name for note in outcome.notes)
    assert noted or kept == typed.replace("\r\n", "\n").strip(" \t\u3000\r\n")
    if outcome.content is not None:
        assert outcome.content.as_json("salt")["fields"][field.name] == kept


@pytest.mark.parametrize(
    ("name", "typed", "accepted"),
    [
        ("agent_name", "𠮷田", True),
        ("agent_name", "阿卜杜拉·买买提", True),
        ("organization_name", "<b>甲</b>有限公司", False),
        ("organization_name", "甲有限公司😀", False),
        ("organization_name", "甲有限公司\u202e", False),
        ("note", "客户说：<b>急</b> 😀 =1+1", True),
        ("note", "עברית", True),
        ("note", "a\u202eb", False),
        ("address", "南山区科技园（北区）1号楼#302", True),
        ("address", "a\u200bb", False),
        ("contact_phone", "0755-88888888", True),
        ("contact_phone", "javascript:alert(1)", False),
        ("agent_position", "总经理", True),
        ("certificate_fee", "200.5", True),
        ("certificate_fee", "-1", False),
        ("certificate_fee", "1e9", False),
        ("certificate_months", "0", False),
        ("certificate_months", "121", False),
        ("fee_method", "bribe", False),
        ("reference_id", "=cmd|calc", False),
        ("consent", "maybe", False),
        ("consent_version", "../2026-11", False),
    ],
)
def test_what_a_field_takes(name, typed, accepted) -> None:
    """Rare characters of names yes; HTML, direction marks, emoji and formulas only where they do no harm."""
    outcome = check_content(Kind.ORGANISATION, "pearl", {**GOOD, name: typed}, CSR, at=TODAY, test_ids=False)
    assert (name not in {fault.field for fault in outcome.faults}) is accepted
    assert all(fault.text and fault.hint for fault in outcome.faults)


@pytest.mark.parametrize(
    ("changes", "faulty"),
    [
        ({"agent_id_type": "passport", "agent_idcard": "", "agent_id_no": "E12345678"}, set()),
        ({"agent_id_type": "passport", "agent_idcard": ""}, {"agent_id_no"}),
        ({"agent_id_type": "idcard", "agent_idcard": ""}, {"agent_idcard"}),
        ({"delivery": "post"}, {"recipient", "delivery_address"}),
        ({"delivery": "post", "recipient": "张三", "delivery_address": "深圳市1号"}, set()),
        ({"certificate_months": "24", "service_months": "12"}, {"service_months"}),
        ({"consent": "", "consent_version": ""}, {"consent"}),
    ],
)
def test_fields_that_depend_on_each_other(changes, faulty) -> None:
    """What one field says decides whether another is needed."""
    outcome = check_content(Kind.ORGANISATION, "pearl", {**GOOD, **changes}, CSR, at=TODAY, test_ids=False)
    assert {fault.field for fault in outcome.faults} == faulty


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(note=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=60))
def test_what_was_typed_is_what_the_reviewer_reads(ra, note) -> None:
    """Through draft, database, sealing and page: not a character is lost, and nothing becomes markup."""
    ra.clerk = getattr(ra, "clerk", None) or ra.browser(ra.entry_clerk)
    made = ra.create(ra.entry(note=note, csr=make_csr()))
    kept = ra.service.reach.frozen(ra.entry_clerk, made.id).values["note"]
    ra.clerk.get(f"/applications/{made.id}")
    assert f"<dd>{kept}</dd>" in re.sub(
        r"<dd>(.*?)</dd>", lambda m: f"<dd>{unescape(m[1])}</dd>", ra.clerk.page
    )


def test_an_organisation_needs_address_and_postcode_by_default(ra) -> None:
    """The settings as they come: the fields that the acceptance points' contract wants. A person has none."""
    strict = make_ra(RaConfig(), ra.context, ra.keys).entries
    missing = {fault.field for fault in strict.check(ra.entry()).faults}
    assert missing == {"address", "postcode"}
    assert strict.check(ra.entry("citizen")).faults == ()
    with pytest.raises(ValueError, match="shoe_size"):
        make_ra(RaConfig(fields_required=("organisation.shoe_size",)), ra.context, ra.keys)


def test_a_shorter_term_is_ordered(ra) -> None:
    """12 months are applied for: the order ends then. More than the authority grants is refused."""
    ra.issue(ra.entry(certificate_months="12"))
    [(payload, _answer)] = ra.ca.orders.values()
    assert payload["not_after"] == "2027-11-21T09:00:00Z"


def test_an_early_renewal_says_why(ra) -> None:
    """Before the last month: the reason goes with the order. No other business may be early."""
    issued = ra.issue()
    with ra.database.reading() as connection:
        certificate = find_by_application(connection, issued.id)
    said = Followed.of(Business.RENEW, certificate, early="密钥介质更换型号")
    draft = ra.applications.follow(ra.entry_clerk, said, ra.entry(), request_key="early")
    ra.dispatch.carry_out(ra.approve(ra.applications.submit(ra.entry_clerk, draft.id)).id)
    assert list(ra.ca.orders.values())[-1][0]["early"] == "密钥介质更换型号"
    for business, reason in ((Business.CHANGE, "too early"), (Business.RENEW, "x"), (Business.RENEW, "a\nb")):
        with pytest.raises(FollowRefusedError):
            Followed.of(business, certificate, early=reason)


def test_only_one_renewal_is_asked_why(ra) -> None:
    """In the last month the form does not ask; a year before it does."""
    issued = ra.issue()
    with ra.database.reading() as connection:
        certificate = find_by_application(connection, issued.id)
    clerk = ra.browser(ra.entry_clerk)
    path = f"/certificates/pearl/{certificate.serial_hex}/follow/renew"
    clerk.get(path)
    assert 'name="early"' in clerk.page
    ra.extend("wang")
    ra.clock.advance(certificate.not_after - ra.clock.now() - 20 * DAY)
    again = ra.browser(ra.entry_clerk)
    again.get(path)
    assert 'name="early"' not in again.page
    assert USCC in again.page
