"""A whole city in one process, and people who sit before it in Debian's Chromium.

``SCREENSHOTS=folder`` keeps a picture of every page that is looked at.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "demo")]

from people import Mode, Person  # noqa: E402


class CityForTests:
    """A running city: addresses, new one-time links, files."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.https, self.http, self.office_port = (_free_port() for _ in range(3))
        self.log = data.with_name("city.log")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "demo", "up", "--data", str(data)),
                    *("--https-port", str(self.https), "--http-port", str(self.http)),
                    *("--office-port", str(self.office_port)),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("停止 stop"):
                break
        else:
            self.stop()
            raise RuntimeError(f"the city did not start:\n{self.log.read_text()[-3000:]}")

    def service(self, name: str) -> str:
        return f"https://127.0.0.1:{self.https}/{name}"

    @property
    def office(self) -> str:
        return f"https://127.0.0.1:{self.office_port}"

    def link(self, service: str, operator: str) -> str:
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "onecert"),
                *("operators", "link", service, operator, "--data", str(self.data)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# For one module at a time: while it is open, nothing else in this process can have an event loop.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        reason = "needs Debian's chromium, which the set-up installs for root"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


_running: list[CityForTests] = []


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> CityForTests:
    _running.append(CityForTests(tmp_path_factory.mktemp("browser") / "city"))
    return _running[-1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """The city ends with the last test that looks at it, not with the last of all: it has clocks and jobs."""
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        while _running:
            _running.pop().stop()


@pytest.fixture
def person(chromium: Browser, city: CityForTests) -> Iterator[Callable[..., Person]]:
    """``person("clerk1", language="zh", mode="keyboard")`` is signed in at the RA."""
    pictures = os.environ.get("SCREENSHOTS")
    here: list[Person] = []

    def enter(operator: str, *, service: str = "ra", language: str = "zh", mode: Mode = "mouse") -> Person:
        one = Person(
            chromium,
            city.service(service),
            city.link(service, operator),
            language=language,
            mode=mode,
            shots=Path(pictures) if pictures else None,
        )
        here.append(one)
        return one

    yield enter
    for one in here:
        one.close()
