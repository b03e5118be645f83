"""Behind a proxy on this machine: plain HTTP on two sockets in the file system, and no port at all."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest

from onecert.server.config import DatabaseConfig, ServerConfig, Settings, load_settings
from onecert.server.errors import ConfigError
from onecert.server.languages import set_language
from onecert.server.members import Context, Member, Service
from onecert.server.operators import SignInConfig
from onecert.server.serve import CannotListenError, Server


@dataclass(frozen=True, kw_only=True)
class EchoConfig:
    """No settings."""


def _build(_config: EchoConfig, context: Context) -> Service:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        said = [environ["wsgi.url_scheme"], environ["PATH_INFO"], environ.get("HTTP_X_A", "-")]
        return [" ".join([*said, context.public_url, context.status_url]).encode()]

    return Service(app=app, status=app)


MEMBER = Member(
    name="echo",
    config=EchoConfig,
    migrations="onecert.server.migrations",
    catalogue="onecert.server",
    roles={},
    build=_build,
)


def make_settings(folder: Path, **server: object) -> Settings:
    config = ServerConfig(
        https_socket=folder / "https.sock",
        http_socket=folder / "http.sock",
        public_url="https://pki.example.cn",
        status_url="http://status.example.cn",
        threads=4,
    )
    return Settings(
        {
            "server": replace(config, **server),
            "sign_in": SignInConfig(),
            "echo": EchoConfig(),
            "database.echo": DatabaseConfig(),
        }
    )


@contextmanager
def serving(folder: Path, **server: object) -> Iterator[Server]:
    running = Server([MEMBER], folder / "data", make_settings(folder, **server))
    running.start()
    try:
        yield running
    finally:
        running.stop()


def ask(path: Path, url: str, **headers: str) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        return client.get(url, headers=headers)


def test_sockets_instead_of_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the owner and the group reach the sockets; nothing is bound to an address; no TLS key is made."""
    families: list[int] = []
    bind = socket.socket.bind
    monkeypatch.setattr(
        socket.socket, "bind", lambda self, address: (families.append(self.family), bind(self, address))[1]
    )
    with serving(tmp_path) as running:
        assert families == [socket.AF_UNIX, socket.AF_UNIX]
        for name in ("https.sock", "http.sock"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o660
        assert (running.https_url, running.http_url) == (
            "https://pki.example.cn/",
            "http://status.example.cn/",
        )
    assert not (tmp_path / "data" / "tls").exists()


def test_pages_know_that_the_browser_has_https(tmp_path: Path) -> None:
    with serving(tmp_path):
        urls = "https://pki.example.cn/echo http://status.example.cn/echo"
        assert ask(tmp_path / "https.sock", "http://pki.example.cn/echo/x").text == f"https /x - {urls}"
        assert ask(tmp_path / "http.sock", "http://status.example.cn/echo/y").text == f"http /y - {urls}"


def test_header_with_an_underscore_is_nobodys(tmp_path: Path) -> None:
    """X_A would arrive under the name of X-A, which a proxy sets or removes."""
    with serving(tmp_path):
        assert " v " in ask(tmp_path / "https.sock", "http://a/echo/", **{"X-A": "v"}).text
        assert " v " not in ask(tmp_path / "https.sock", "http://a/echo/", X_A="v").text


def test_only_one_of_the_two(tmp_path: Path) -> None:
    """Status may stay on its port."""
    with serving(tmp_path, http_socket=None, http_port=0) as running:
        assert httpx.get(running.http_url + "healthz").text == "ok\n"
        assert ask(tmp_path / "https.sock", "http://a/healthz").text == "ok\n"


def test_monitors_on_the_socket(tmp_path: Path) -> None:
    """Who asks over a socket cannot be told, so details are given there only when the settings say so."""
    with serving(tmp_path):
        assert ask(tmp_path / "http.sock", "http://a/readyz").status_code == 403
        assert ask(tmp_path / "https.sock", "http://a/echo/metrics").status_code == 403
    with serving(tmp_path, monitors=("unix",)):
        assert ask(tmp_path / "http.sock", "http://a/readyz").status_code == 200


def test_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    with serving(tmp_path):
        with pytest.raises(CannotListenError) as caught:
            Server([MEMBER], tmp_path / "more", make_settings(tmp_path))
        assert caught.value.facts["address"] == str(tmp_path / "https.sock")
        assert ask(tmp_path / "https.sock", "http://a/healthz").status_code == 200


def test_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    """A kill -9 leaves the file behind."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "https.sock"))
    dead.close()
    with serving(tmp_path):
        assert ask(tmp_path / "https.sock", "http://a/healthz").status_code == 200


def test_many_at_once(tmp_path: Path) -> None:
    """More requests than threads, each on a connection of its own."""
    answers: list[int] = []
    with serving(tmp_path):
        threads = [
            threading.Thread(
                target=lambda: answers.append(ask(tmp_path / "https.sock", "http://a/echo/").status_code)
            )
            for _ in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [200] * 24


@pytest.mark.parametrize(("path", "url"), [("https_socket", "public_url"), ("http_socket", "status_url")])
def test_address_of_the_proxy_is_needed(tmp_path: Path, path: str, url: str) -> None:
    """Nobody could guess what stands in certificates and links."""
    file = tmp_path / "onecert.toml"
    file.write_text(f'[server]\n{path} = "x.sock"\n')
    with set_language("en"), pytest.raises(ConfigError, match=f"{url} is needed with {path}"):
        load_settings({"server": ServerConfig}, file=file, environ={})
