"""A browser as a login sees it: one cookie jar, the headers of a page of the same site, nothing followed.

Cookies are sent back whatever their attributes say. Browsers too treat a loopback address as secure, and a
jar that was stricter would fail a login under trial for its transport.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from onecert.testkit.errors import KitError, NotReachableError

__all__ = ["Answer", "Browser", "LoginAddress"]

TIMEOUT_S = 30
_MAX_BODY = 1024 * 1024


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class LoginAddress:
    """Where the login is, and how its server is known."""

    scheme: str
    host: str
    port: int | None
    path: str  # of the sign-in page, without a slash at the end
    tls: ssl.SSLContext | None = None
    form: str = "flask-onecert"  # one of ``forms.FORMS``
    token: str = ""  # of a program, for ``Authorization``
    application: str = ""  # whose challenges its server signs; what the first one says when it is empty
    clock: Callable[[], datetime] = _now

    @classmethod
    def parse(cls, url: str, *, cafile: str | None = None, insecure: bool = False) -> Self:
        """From the address of the sign-in page.

        Raises:
            KitError: ``LOGIN_URL_MALFORMED``, ``CAFILE_UNREADABLE``.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise KitError("LOGIN_URL_MALFORMED", url=url) from exc
        is_plain = url.isascii() and url.isprintable() and " " not in url
        if not is_plain or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise KitError("LOGIN_URL_MALFORMED", url=url)
        tls = None
        if parts.scheme == "https":
            try:
                tls = ssl.create_default_context(cafile=cafile)
            except OSError as exc:
                raise KitError("CAFILE_UNREADABLE", path=cafile, detail=exc.strerror or exc) from exc
            if insecure:
                tls.check_hostname = False
                tls.verify_mode = ssl.CERT_NONE
        return cls(scheme=parts.scheme, host=parts.hostname, port=port, path=parts.path.rstrip("/"), tls=tls)

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a browser writes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")

    def connect(self) -> http.client.HTTPConnection:
        """A new connection, not opened yet."""
        if self.tls is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_S, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    location: str
    body: bytes

    def json(self) -> dict[str, Any]:
        """The JSON object in it; empty when it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class Browser:
    """One session with one login."""

    def __init__(self, address: LoginAddress, cookies: Mapping[str, str] | None = None) -> None:
        self.address = address
        self.cookies = dict(cookies or {})

    def copy(self) -> Browser:
        """A second one with the cookies of this moment: what a thief of the session has."""
        return Browser(self.address, self.cookies)

    def post(self, path: str, value: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """POST below the sign-in page, with a JSON value or nothing.

        Raises:
            NotReachableError: ``URL_DOWN``.
        """
        body = b"" if value is None else json.dumps(value).encode("utf-8")
        kind = {} if value is None else {"Content-Type": "application/json"}
        return self._ask("POST", self.address.path + path, body, {**kind, **(headers or {})})

    def post_form(self, path: str, fields: Mapping[str, str]) -> Answer:
        """POST a form of a page to a path of the site.

        Raises:
            NotReachableError: ``URL_DOWN``.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        return self._ask("POST", path, urlencode(fields).encode("ascii"), headers)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a path of the site.

        Raises:
            NotReachableError: ``URL_DOWN``.
        """
        return self._ask("GET", path, None, headers or {})

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        own = {
            "User-Agent": "onecert-testkit",
            "Accept": "application/json",
            "Origin": self.address.origin,
            "Sec-Fetch-Site": "same-origin",
        }
        if self.address.token:
            own["Authorization"] = f"Bearer {self.address.token}"
        if self.cookies:
            own["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = self.address.connect()
        try:
            connection.request(method, path, body, {**own, **headers})
            response = connection.getresponse()
            content = response.read(_MAX_BODY)
        except (OSError, http.client.HTTPException) as exc:
            detail = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            raise NotReachableError("URL_DOWN", url=self.address.origin + path, detail=detail) from exc
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie") or ():
            self._keep(line)
        return Answer(status=response.status, location=response.headers.get("Location") or "", body=content)

    def _keep(self, line: str) -> None:
        # By hand: http.cookies forgets a whole cookie for one attribute that is newer than itself.
        pair, *rest = (part.strip() for part in line.split(";"))
        name, equals, value = pair.partition("=")
        attributes = {key.strip().lower(): given for key, _, given in (part.partition("=") for part in rest)}
        if not name or not equals:
            return
        if attributes.get("max-age", "1").startswith(("0", "-")) or "1970" in attributes.get("expires", ""):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value
