"""Whom to call: a refusal names the CA of the certificate and its hotline, from the signed list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import (
    RawSignature,
    RefusedError,
    RevocationEvidence,
    Verifier,
    VerifyError,
    load_trust_list,
    verify_form,
)
from onecert.verifier.explanation import error_as_dict

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def with_hotline(content: dict[str, Any]) -> None:
    """harbour has a hotline; the others have none."""
    value = {"hotline": "0755-12345678", "website": "https://harbour.example"}
    extension = {"Type": "urn:onecert:extension:contact", "Critical": False, "Value": value}
    for service in content["TrustedEntitiesList"][0]["TrustedEntityServices"]:
        information = service["ServiceInformation"]
        if information["ServiceDigitalIdentity"]["OtherIds"] == ["harbour"]:
            information["ServiceInformationExtensions"].append(extension)


def department(world: Any) -> Verifier:
    listed = load_trust_list(world.trust_list(change=with_hotline), keys=world.list_keys, at=T)
    crls = [world.crl(ca) for ca in ("pearl", "harbour", "summit")]
    return Verifier(trust_list=listed, evidence=RevocationEvidence(crls=crls), application="tax")


def refusal(world: Any, leaf: Any) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        department(world).verify(leaf.der, at=T)
    return caught.value


def test_revoked(world: Any) -> None:
    """In both languages, after what the person can do."""
    leaf = world.leaf()
    world.revoke("harbour", leaf)
    error = refusal(world, leaf)
    assert error.code == "CERT_REVOKED"
    assert error.hint("zh") == "请联系发证机构。 发证机构：海港CA，客服电话 0755-12345678。"
    assert error.hint("en").endswith("Issuing certification authority: Harbour CA, hotline 0755-12345678.")
    contact = {"service": "harbour", "ca": "海港CA", "ca_en": "Harbour CA", "hotline": "0755-12345678"}
    assert error.contact() == error_as_dict(error)["ca"] == contact


def test_a_form_of_a_revoked_signer(world: Any) -> None:
    leaf = world.leaf()
    world.revoke("harbour", leaf)
    signature = RawSignature(value=leaf.sign(b'{"year":2026}'), certificate=leaf.der)
    with pytest.raises(RefusedError) as caught:
        verify_form(b'{"year":2026}', signature, verifier=department(world), at=T)
    assert "0755-12345678" in caught.value.hint("zh")


@pytest.mark.parametrize("ca", ["harbour", "pearl"])
def test_expired_and_held(world: Any, ca: str) -> None:
    """One without a hotline is named all the same."""
    held = world.leaf(ca)
    world.revoke(ca, held, x509.ReasonFlags.certificate_hold)
    for leaf in (world.leaf(ca, not_after=T - DAY), held):
        hint = refusal(world, leaf).hint("zh")
        assert {"harbour": "海港CA，客服电话 0755-12345678", "pearl": "珠江CA。"}[ca] in hint


def test_strangers_and_forgers(world: Any) -> None:
    """A CA that is not listed, and somebody who writes harbour's name: nobody's hotline is given out."""
    stranger = world.leaf("stranger", extensions={})
    world.cas["stranger"], own = world.cas["harbour"], world.cas["stranger"]
    forged = world.leaf("stranger", extensions={})
    world.cas["stranger"] = own
    for leaf in (stranger, forged):
        error = refusal(world, leaf)
        assert error.contact() == {}
        assert "发证机构：" not in error.hint("zh")


def test_explained(world: Any) -> None:
    """The answer of an explanation says the same."""
    leaf = world.leaf()
    world.revoke("harbour", leaf)
    answer = department(world).explain(leaf.der, at=T).answer
    assert isinstance(answer, VerifyError)
    assert "0755-12345678" in answer.hint("en")
