"""An operator's browser: signs in by a one-time link, then uses the services as a page's script would."""

import re
import ssl
from typing import Any

import httpx

FORM_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="csrf_token"')


class Desk:
    """One signed-in operator at one service."""

    def __init__(self, service_url: str, link: str, tls_anchor: str) -> None:
        context = ssl.create_default_context(cafile=tls_anchor)
        self._client = httpx.Client(verify=context, timeout=30, follow_redirects=True)
        self.url = service_url
        page = self._client.get(link)
        page.raise_for_status()
        token = FORM_TOKEN.search(page.text)
        if token is None:
            raise RuntimeError("the sign-in page holds no form")
        self._client.post(
            link,
            data={"csrf_token": token[1] or token[2]},
            headers={"Origin": str(httpx.URL(link).copy_with(path="")).rstrip("/")},
        ).raise_for_status()

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET under the service."""
        return self._client.get(f"{self.url}{path}", params=parameters or None)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """POST JSON under the service."""
        return self._client.post(f"{self.url}{path}", json=body, headers=headers or None)

    def close(self) -> None:
        """Close the browser."""
        self._client.close()
