"""The Django middleware, in a small project that Django itself runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from types import ModuleType
from typing import Any
from urllib.parse import quote

import django
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from onecert.verifier import RevocationEvidence, Verifier, load_trust_list
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.django import CertificateMiddleware

FIRM_ID = "uscc:91440300MA5DEM004J"
AT = datetime.fromisoformat("2026-11-21T09:00:00+00:00")
MIDDLEWARE = ["onecert.verifier.web.django.CertificateMiddleware"]


def who(request: HttpRequest) -> HttpResponse:
    identity = request.onecert_identity
    claim = request.headers.get("Client-Cert", "")
    return HttpResponse(f"{identity and identity.id} {claim}")


@pytest.fixture(scope="module", autouse=True)
def project() -> Iterator[None]:
    urls = ModuleType("urls")
    urls.urlpatterns = [path("", who), path("health", who), path("open/page", who)]  # type: ignore[attr-defined]  # a module made here
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="test", USE_TZ=True, DATABASES={})
        django.setup()
    with override_settings(ROOT_URLCONF=urls):
        yield


@pytest.fixture
def ask(world: Any) -> Iterator[Callable[..., Any]]:
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=AT)
    verifier = Verifier(
        trust_list=trust_list, evidence=RevocationEvidence(crls=[world.crl("harbour")]), application="tax"
    )
    options = {
        "verifier": verifier,
        "certificates": ClientCertificates(header="X-Client-Certificate"),
        "exempt": ["/health", "/open/"],
        "clock": lambda: AT,
    }
    with override_settings(MIDDLEWARE=MIDDLEWARE, ONECERT=options):
        yield lambda place="/", **headers: Client().get(place, headers=headers)


def test_view_is_told_the_identity(ask: Callable[..., Any], world: Any) -> None:
    """Through nginx on this machine; another header that claims a certificate is gone."""
    leaf = world.leaf()
    answer = ask(**{"X-Client-Certificate": quote(leaf.pem.decode()), "Client-Cert": ":forged:"})
    assert answer.content.decode() == f"{FIRM_ID} "


def test_refusals(ask: Callable[..., Any], world: Any) -> None:
    """Nobody, and a CA that is not listed."""
    assert ask().status_code == 403
    answer = ask(**{"X-Client-Certificate": quote(world.leaf("stranger").pem.decode())})
    assert answer.status_code == 403
    assert "ISSUER_UNKNOWN" in answer.content.decode()


@pytest.mark.parametrize(("place", "status"), [("/health", 200), ("/open/page", 200), ("/", 403)])
def test_exempt_paths(ask: Callable[..., Any], place: str, status: int) -> None:
    """Health checks come without a certificate; a name that only begins the same is not exempt."""
    assert ask(place).status_code == status
    assert ask("/healthy").status_code == 403


@pytest.mark.parametrize(
    "options", [None, {}, {"verifier": "nowhere.verifier"}, {"verifier": 5}, {"verifer": 1}]
)
def test_wrong_settings_stop_the_start(options: Any) -> None:
    """A typing error in the settings must not leave the application open."""
    with override_settings(ONECERT=options), pytest.raises((ImproperlyConfigured, ImportError)):
        CertificateMiddleware(lambda request: HttpResponse())
