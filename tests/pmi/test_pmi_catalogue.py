"""The catalogue: read strictly, every fault at once; versions that never change; what a new one touches."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.difference import changes_between
from onecert.pmi.catalogue.errors import (
    AttributeNotAssignableError,
    AttributeUnknownError,
    AttributeValueError,
    HolderUnfitError,
)
from onecert.pmi.catalogue.reading import load_catalogue, read_catalogue
from onecert.pmi.errors import CatalogueWrongError, NoCatalogueError, RequestWrongError, ValidityWrongError
from onecert.pmi.grants.errors import DutySeparatedError
from onecert.pmi.rest.catalogue import changes_json

CLERK = "urn:onecert:role:tax.clerk"
AUDITOR = "urn:onecert:role:tax.auditor"
HEAD = "urn:onecert:role:tax.head"


def role(uri: str, **changes) -> dict:
    return {"uri": uri, "zh": "角色", "en": "Role", "authorities": ["tax-office"], **changes}


def attribute(name: str = "region", **changes) -> dict:
    values = {"oid": "1.3.6.1.4.1.99999.1.7", "syntax": "printable"}
    return {"name": name, "zh": "属性", "en": "Attribute", "authorities": ["tax-office"], **values, **changes}


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({}, "no [[roles]] and no [[attributes]]"),
        ({"roles": [role(CLERK)], "other": []}, "unknown key other"),
        ({"roles": {"a": 1}}, "not a list"),
        ({"roles": [role("not a uri")]}, "uri is not the URI of a role"),
        ({"roles": [role("urn:onecert:role:*")]}, "uri is not the URI of a role"),
        ({"roles": [role(CLERK), role(CLERK)]}, "occurs twice"),
        ({"roles": [role(CLERK, includes=[HEAD])]}, "includes urn:onecert:role:tax.head, which is not here"),
        ({"roles": [role(CLERK, includes=[CLERK])]}, "in a circle"),
        ({"roles": [role(CLERK, includes=[HEAD]), role(HEAD, includes=[CLERK])]}, "in a circle"),
        ({"roles": [role(CLERK, holders="firm")]}, "holders is entity, person or any"),
        ({"roles": [role(CLERK, max_days=0)]}, "max_days is between"),
        ({"roles": [role(CLERK, authorities=[])]}, "authorities names nobody"),
        ({"attributes": [attribute("role")]}, "roles are in [[roles]]"),
        ({"attributes": [attribute("Region")]}, "name is not a small letter"),
        ({"attributes": [attribute("re\u202egion")]}, "name is not a small letter"),
        ({"attributes": [attribute(oid="7.7")]}, "oid is not an object identifier"),
        ({"attributes": [attribute(oid="1.3.6.1.5.5.7.10.4")]}, "belongs to an attribute of RFC 5755"),
        ({"attributes": [attribute(syntax="xml")]}, "syntax is one of"),
        ({"attributes": [attribute(syntax="encrypted")]}, "syntax is one of"),
        ({"attributes": [attribute("group", oid="1.2.3.4")]}, "oid of group is 1.3.6.1.5.5.7.10.4"),
        ({"attributes": [attribute(), attribute("other")]}, "have the same oid"),
        ({"attributes": [attribute(values=["区"])]}, "not one of the syntax printable"),
        ({"attributes": [attribute(multiple="yes")]}, "multiple is true or false"),
        (
            {
                "attributes": [
                    {**attribute("authenticationInfo", syntax="service"), "oid": "1.3.6.1.5.5.7.10.1"}
                ]
            },
            "given encrypted only",
        ),
        (
            {"roles": [role(CLERK)], "exclusions": [{"name": "x", "zh": "x", "en": "x", "roles": [CLERK]}]},
            "fewer than two roles",
        ),
        (
            {
                "roles": [role(CLERK), role(AUDITOR), role(HEAD, includes=[CLERK, AUDITOR])],
                "exclusions": [{"name": "x", "zh": "x", "en": "x", "roles": [CLERK, AUDITOR]}],
            },
            "includes two roles that exclude each other",
        ),
    ],
)
def test_faults_of_a_catalogue(content: dict, part: str) -> None:
    with pytest.raises(CatalogueWrongError) as caught:
        load_catalogue(content)
    assert part in str(caught.value)


def test_every_fault_is_said_at_once() -> None:
    with pytest.raises(CatalogueWrongError) as caught:
        load_catalogue({"roles": [role("x", zh="", max_days=True)], "attributes": [attribute("X")]})
    assert str(caught.value).count("\n") >= 4


def test_a_long_chain_of_roles_and_a_file_that_is_none(tmp_path: Path) -> None:
    uris = [f"urn:onecert:role:level.{number}" for number in range(2000)]
    chain = [role(uri, includes=uris[at + 1 : at + 2]) for at, uri in enumerate(uris)]
    with pytest.raises(CatalogueWrongError, match="16 deep"):
        load_catalogue({"roles": chain})
    assert len(load_catalogue({"roles": chain[-16:]}).with_included(uris[-16:-15])) == 16
    chain[-1]["includes"] = [uris[0]]
    with pytest.raises(CatalogueWrongError, match="circle"):
        load_catalogue({"roles": chain})
    path = tmp_path / "catalogue.toml"
    for content in (b"\xff", b"[[roles]", b"x" * (1024 * 1024 + 1)):
        path.write_bytes(content)
        with pytest.raises(CatalogueWrongError):
            read_catalogue(path)


def test_canonical_json_of_the_first_catalogues_is_what_it_was() -> None:
    """What was published before there were hierarchies has the same hash now."""
    found = load_catalogue({"roles": [role(CLERK)]})
    assert found.sha256 == "0d3cc483f8abeeeb8a001cb59e71b7c8fc076fffc54d959ab22add4e2131cd6a"
    assert load_catalogue(json.loads(found.to_json())) == found


def test_what_differs_between_two_versions() -> None:
    old = load_catalogue({"roles": [role(CLERK), role(HEAD)], "attributes": [attribute()]})
    new = load_catalogue({"roles": [role(CLERK, max_days=7), role(AUDITOR)]})
    found = {(each.what, each.name): (each.kind, each.fields) for each in changes_between(old, new)}
    assert found == {
        ("role", CLERK): ("changed", {"max_days": (366, 7)}),
        ("role", AUDITOR): ("added", {}),
        ("role", HEAD): ("removed", {}),
        ("attribute", "region"): ("removed", {}),
    }
    assert changes_between(old, old) == []


@pytest.mark.token
def test_versions_and_what_a_new_one_touches(pmi, lab) -> None:
    pmi.grant(lab.READER_ROLE)
    with pmi.database.reading() as connection:
        rows = changes_json(connection, pmi.parts, load_catalogue({"roles": [role(CLERK)]}))
    gone = {row["name"]: row for row in rows if row["change"] == "removed"}
    assert (gone[lab.READER_ROLE]["live_certificates"], gone[lab.READER_ROLE]["in_policy"]) == (1, True)
    assert gone["urn:onecert:role:police.chief"]["live_certificates"] == 0
    second = pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    assert second.version == 2
    with pmi.database.reading() as connection:
        assert pmi.parts.catalogues.load(connection, 1).sha256 == pmi.catalogue().sha256
        with pytest.raises(NoCatalogueError):
            pmi.parts.catalogues.load(connection, 3)
    # An attribute is what it was, for good.
    other = lab.WIDE_CATALOGUE.replace('oid = "1.3.6.1.4.1.99999.1.7"', 'oid = "1.3.6.1.4.1.99999.1.77"')
    with pytest.raises(CatalogueWrongError, match=r"region was 1\.3\.6\.1\.4\.1\.99999\.1\.7"):
        pmi.publish_catalogue(other)


@pytest.mark.token
def test_what_the_catalogue_does_not_allow(pmi, lab) -> None:
    """Each rule of the catalogue broken once; nothing is put on record."""
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    with pmi.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM pmi_grants")
    wrong = [
        ({"nothing": ["x"]}, AttributeUnknownError),
        ({"licence": ["x"]}, AttributeNotAssignableError),
        ({"region": ["440399"]}, AttributeValueError),
        ({"region": [440303]}, AttributeValueError),
        ({"limit": ["500"]}, AttributeValueError),
        ({"limit": [1, 2]}, AttributeValueError),
        ({"limit": [True]}, AttributeValueError),
        ({"group": ["ta\u202ex"]}, AttributeValueError),
        ({"group": ["ta\x00x"]}, AttributeValueError),
        ({"group": [{"kind": "string", "values": ["a"]}, "b"]}, AttributeValueError),
        ({"clearance": [{"policy": "x"}]}, AttributeValueError),
        ({"role": [{"name": CLERK, "authority": []}]}, AttributeValueError),
        ({"group": []}, RequestWrongError),
        ({"group": ["a"] * 2}, RequestWrongError),
        ({"group": [f"g{number}" for number in range(33)]}, RequestWrongError),
        ({f"a{number}": ["x"] for number in range(33)}, RequestWrongError),
        ({"gr oup": ["x"]}, RequestWrongError),
        ({"group": [{1, 2}]}, RequestWrongError),
        ({}, RequestWrongError),
    ]
    for attributes, error in wrong:
        with pytest.raises(error):
            pmi.parts.grants.request(pmi.asked(roles=(), attributes=attributes), pmi.officer)
    with pytest.raises(HolderUnfitError):
        pmi.parts.grants.request(pmi.asked(HEAD), pmi.officer)
    too_long = pmi.asked(roles=(), attributes={"limit": [1]}, not_after=lab.T + timedelta(days=11))
    with pytest.raises(ValidityWrongError):
        pmi.parts.grants.request(too_long, pmi.officer)
    assert pmi.parts.grants.page()[1] == 0


@pytest.mark.token
def test_separation_of_duty_over_all_that_a_holder_has(pmi, lab) -> None:
    """clerk and auditor exclude each other; head includes clerk; persons of one firm are apart."""
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    clerk = pmi.grant(CLERK)
    renewed = pmi.holders.know(pmi.ca.holder("张三"), "uscc:91440300MA5DEM004J")
    for holder in (pmi.holder, renewed):
        with pytest.raises(DutySeparatedError) as caught:
            pmi.parts.grants.request(pmi.asked(AUDITOR, holder=holder), pmi.officer)
        assert clerk.serial in str(caught.value)
    assert pmi.grant(AUDITOR, holder=pmi.other).state == "issued"
    with pytest.raises(DutySeparatedError):
        pmi.parts.grants.request(pmi.asked(AUDITOR, CLERK, holder=pmi.other), pmi.officer)

    colleague = pmi.holders.know(pmi.ca.holder("王五"), "uscc:91440300MA5DEM004J", "person:wang")
    assert pmi.grant(AUDITOR, holder=colleague).state == "issued"
    pmi.parts.revocations.revoke(clerk.serial, reason="superseded", operator=pmi.officer)
    assert pmi.grant(AUDITOR, holder=renewed).state == "issued"


@pytest.mark.token
def test_what_excludes_it_came_while_it_waited(pmi, lab) -> None:
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    waiting = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE, CLERK), pmi.officer)
    pmi.grant(AUDITOR)
    with pytest.raises(DutySeparatedError):
        pmi.parts.grants.approve(waiting.id, pmi.approver, content_sha256=waiting.content_sha256)
    assert pmi.parts.grants.load(waiting.id).state == "waiting"


def test_an_empty_catalogue_has_nothing() -> None:
    assert Catalogue().attributes_of("tax-office") == []
    assert Catalogue().with_included(["urn:x:y"]) == {"urn:x:y"}
