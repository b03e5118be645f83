"""Roles of a sub-authority count on a machine while the delegation lies in its folder and is good."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier.attribute_certificate import Constraints
from onecert.verifier.enforce.config import read_config
from onecert.verifier.enforce.department import Department, DepartmentConfig

APPROVER, READER = "urn:onecert:role:tax.approver", "urn:onecert:role:tax.reader"


def test_a_bureau_delegates_to_a_sub_bureau(city: Any, tmp_path: Path) -> None:
    """tax authority -> sub-bureau (approver, no further) -> zhang. Within it: yes; beyond it, or once the
    delegation is revoked or gone: no."""
    lab = sys.modules["enforce_city"].lab
    zhang = city.person("zhang")
    bureau = city.make_authority("税务分局")
    for folder, name, data in (
        ("anchors", "summit.der", city.ca.certificate_der),
        ("crls", "summit.crl", (city.department / "crls" / "summit.crl").read_bytes()),
    ):
        (city.privileges / folder).mkdir()
        (city.privileges / folder / name).write_bytes(data)
    city.serial += 1
    extensions = tuple(
        lab.extension(each.oid.dotted_string, each.value, critical=each.critical)
        for each in Constraints.within(0).to_extensions()
    )
    validity = lab.tlv(
        0x30, lab.generalized(city.at.replace(hour=1)), lab.generalized(city.at.replace(day=28))
    )
    delegation = lab.World(authority=city.authority, official=bureau).issue(
        serial=lab.integer(city.serial), validity=validity, more_extensions=extensions,
        attributes=(lab.attribute("2.5.4.72", lab.role_value(APPROVER)),),
    )  # fmt: skip
    serial = city.serial
    text = base64.encodebytes(delegation).decode()
    pem = f"-----BEGIN ATTRIBUTE CERTIFICATE-----\n{text}-----END ATTRIBUTE CERTIFICATE-----\n".encode()
    kept = city.privileges / "delegations" / "bureau.pem"
    kept.write_bytes(pem + bureau.certificate.public_bytes(Encoding.PEM))
    hour = lab.timedelta(hours=1)
    data = lab.make_acrl(bureau, this_update=city.at - hour, next_update=city.at + 24 * hour)
    (city.privileges / "acrls" / "bureau.acrl").write_bytes(data)
    shorter = lab.tlv(0x30, lab.generalized(city.at - hour), lab.generalized(city.at + 24 * hour))
    own, city.authority = city.authority, bureau
    city.grant(zhang, APPROVER, validity=shorter)
    city.grant(zhang, READER, validity=shorter)
    city.authority = own

    path = tmp_path / "enforce.toml"
    path.write_text(city.config())
    config = DepartmentConfig.read(read_config(path, trusted_owner=False))
    department = Department(config)
    (person,) = department.people(city.at)
    assert person.roles == {APPROVER}
    assert person.proved is not None
    assert [[each.code for each in one] for one in person.proved.findings] == [["EXCEEDS_DELEGATION"]]
    city.revoke(serial)
    assert department.people(city.at)[0].roles == frozenset()
    kept.unlink()
    (person,) = department.people(city.at)
    assert person.proved is not None
    assert {one.code for each in person.proved.findings for one in each} == {"UNTRUSTED"}
