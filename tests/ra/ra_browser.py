"""A browser for tests: keeps cookies, brings the form token of the last page, signs in by a one-time link."""

import re
from html import unescape
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from onecert.server.operators import Operator

BASE = "https://127.0.0.1:8443/ra"


class Browser:
    def __init__(self, app: Flask, ra: Any, operator: Operator | None, *, language: str = "en") -> None:
        self.client = app.test_client()
        self.language = language
        self.page = ""
        if operator is not None:
            with ra.database.transaction() as connection:
                token = ra.operators.create_link(connection, operator.id)
            self.get(f"/sign-in/{token}")
            assert self.post(f"/sign-in/{token}", follow=False).status_code == 303

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._keep(self.client.get(self._url(path), base_url=BASE, **self._options(options)))

    def post(self, path: str, form: Any = None, *, follow: bool = True, **options: Any) -> TestResponse:
        form = {"csrf_token": self.token, **(form or {})}
        answer = self.client.post(self._url(path), base_url=BASE, data=form, **self._options(options))
        self._keep(answer)
        return self.get(answer.location) if follow and answer.status_code == 303 else answer

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.client.open(
            f"/v1{path}",
            method=method,
            base_url=BASE,
            json=body if body is not None else ({} if method == "POST" else None),
            headers={
                "Accept-Language": self.language,
                **{k.replace("_", "-"): v for k, v in headers.items()},
            },
            environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
        )

    @property
    def token(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.page)
        return found[1] if found else ""

    def value(self, name: str) -> str:
        """The value of a hidden field on the last page."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        assert found, f"no field {name}"
        return unescape(found[1])

    @property
    def text(self) -> str:
        """What the last page says, without its tags."""
        body = re.sub(r"<[^>]+>", " ", self.page.partition("<main")[2])
        return re.sub(r"\s+", " ", unescape(body))

    def _keep(self, answer: TestResponse) -> TestResponse:
        if answer.mimetype == "text/html" and answer.status_code != 303:
            self.page = answer.get_data(as_text=True)
        return answer

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        headers = {"Accept-Language": self.language, "Accept": "text/html", **options.pop("headers", {})}
        return {"headers": headers, "environ_overrides": {"REMOTE_ADDR": "127.0.0.1"}, **options}

    @staticmethod
    def _url(path: str) -> str:
        return path.removeprefix("https://127.0.0.1:8443").removeprefix("/ra") or "/"
