"""The city's attribute authorities: two sources of authority, a sub-bureau with a delegation; the policy.

city-roles              roles of firms
tax-bureau              roles of tax officials
└─ tax-nanshan          a sub-bureau: makes people of this city approvers and readers, delegates no further
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from city import City

HERE = Path(__file__).resolve().parent
ROLE_AUTHORITY, BUREAU, SUB_BUREAU = "city-roles", "tax-bureau", "tax-nanshan"
APPROVER = "urn:onecert:role:tax.approver"
READER = "urn:onecert:role:tax.reader"
AUTHORITIES = (
    (ROLE_AUTHORITY, "soa", "一证通运营中心", "城市角色属性权威"),
    (BUREAU, "soa", "深圳市示例税务局", "税务角色权威源"),
    (SUB_BUREAU, "aa", "深圳市示例税务局南山分局", "南山税务属性权威"),
)
# Holders whom the sub-bureau may give anything: people and firms of this city.
NAME_SPACE = "L=深圳市,ST=广东省,C=CN"
_END = "-----END CERTIFICATE-----\n"


def give_privileges(city: City) -> None:
    """Keys, certificates of the operations authority, catalogue, policy, and the sub-bureau's delegation."""
    for name, kind, organization, title in AUTHORITIES:
        _make_authority(city, name, kind, organization, title)
    city.command("pmi", "catalogue", "publish", HERE / "roles.toml", "--apply")
    city.command("pmi", "policy", "publish", HERE / "policy.toml", "--apply")
    # Every department gets this file, and compares its digest with paper.
    city.command("pmi", "policy", "key", "--out", city.papers / "policy-key.pem")
    _delegate(city)


def _make_authority(city: City, name: str, kind: str, organization: str, title: str) -> None:
    request, certificate = city.papers / f"{name}.csr", city.papers / f"{name}.pem"
    city.command(
        *("pmi", "authority", "request", name, "--kind", kind, "--csr", request),
        *("--organization", organization),
    )
    issued = city.command(
        *("ca", "issue", "--authority", "operations", "--profile", "attribute-authority", "--csr", request),
        *("--common-name", title, "--organization", organization),
        *("--approved-by", "何见证", "--approved-by", "冯主持", "--apply"),
    )
    first, *above = issued.split(_END)[:-1]
    certificate.write_text(first + _END, "ascii")
    chain = city.papers / f"{name}-chain.pem"
    chain.write_text("".join(each + _END for each in above), "ascii")
    city.command("pmi", "authority", "install", name, "--certificate", certificate, "--chain", chain)


def _delegate(city: City) -> None:
    """One administrator asks, the other approves."""
    asked = city.command(
        *("pmi", "delegation", "grant", BUREAU, "--to", SUB_BUREAU, "--role", APPROVER, "--role", READER),
        *("--depth", "0", "--permitted", NAME_SPACE),
        *("--operator", "administrator1", "--apply"),
    )
    grant = json.loads(asked.splitlines()[0])
    if grant["serial"] is None:
        city.command("pmi", "approve", grant["id"], "--operator", "administrator2", "--apply")
