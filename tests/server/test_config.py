"""Settings: file and environment, every fault at once, and secrets only as files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from onecert.server.config import DatabaseConfig, ServerConfig, Settings, load_settings
from onecert.server.errors import ConfigError
from onecert.server.languages import set_language


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Limits:
    most: int
    least: int = 0


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    pin_file: Path
    name: str = "demo"
    size: int = 3
    is_open: bool = False
    every: timedelta = timedelta(hours=24)
    hosts: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    peers: Mapping[str, str] = field(default_factory=dict)
    colour: Colour = Colour.RED
    mode: Literal["slow", "fast"] = "slow"
    module: Path | None = None
    limits: Limits | None = None

    def __post_init__(self) -> None:
        if self.size > 100:
            raise ValueError("size is at most 100")


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with set_language("en"):
        yield


SECTIONS = {"server": ServerConfig, "demo": DemoConfig, "database.demo": DatabaseConfig}


def load(tmp_path: Path, toml: str, **environ: str) -> Settings:
    file = tmp_path / "onecert.toml"
    file.write_text(toml, encoding="utf-8")
    return load_settings(SECTIONS, file=file, environ=environ, foreign=["other"])


def faults(tmp_path: Path, toml: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, toml, **environ)
    assert caught.value.code == "SETTINGS_WRONG"
    return caught.value.faults


def test_file_fills_every_type(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [demo]
        pin_file = "pins/demo"
        name = "名字"
        size = 7
        is_open = true
        every = "1d2h3m4s"
        hosts = ["a", "b"]
        files = ["x.pem", "/y.pem"]
        peers = { ca = "https://ca:8443/ca" }
        colour = "blue"
        mode = "fast"
        module = "/usr/lib/module.so"
        limits = { most = 9 }
        [database.demo]
        url = "sqlite:///x.db"
        """,
    )
    demo = settings.section("demo", DemoConfig)
    assert demo == DemoConfig(
        pin_file=tmp_path / "pins/demo",
        name="名字",
        size=7,
        is_open=True,
        every=timedelta(days=1, hours=2, minutes=3, seconds=4),
        hosts=("a", "b"),
        files=(tmp_path / "x.pem", Path("/y.pem")),
        peers={"ca": "https://ca:8443/ca"},
        colour=Colour.BLUE,
        mode="fast",
        module=Path("/usr/lib/module.so"),
        limits=Limits(most=9),
    )
    assert settings["database.demo"].url == "sqlite:///x.db"
    assert settings["server"] == ServerConfig()


def test_environment_fills_and_wins(tmp_path: Path) -> None:
    demo = load(
        tmp_path,
        '[demo]\npin_file = "file"\nsize = 7',
        ONECERT_DEMO_SIZE="8",
        ONECERT_DEMO_IS_OPEN="yes",
        ONECERT_DEMO_EVERY="90s",
        ONECERT_DEMO_HOSTS="a, b",
        ONECERT_DEMO_PEERS="ca=https://ca/ca,ra=https://ra/ra",
        ONECERT_DEMO_MODULE="",
        ONECERT_DATABASE_DEMO_URL="sqlite:///x.db",
        ONECERT_DATA="/data",
        ONECERT_OTHER_ANYTHING="belongs to another program",
        PATH="/bin",
    )
    assert demo["demo"].size == 8
    assert demo["demo"].is_open is True
    assert demo["demo"].every == timedelta(seconds=90)
    assert demo["demo"].hosts == ("a", "b")
    assert demo["demo"].peers == {"ca": "https://ca/ca", "ra": "https://ra/ra"}
    assert demo["demo"].module is None
    assert demo["database.demo"].url == "sqlite:///x.db"


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """
        stray = 1
        [demo]
        size = "many"
        colour = "green"
        every = "soon"
        hosts = "a"
        sise = 3
        limits = { many = 1 }
        [unknown]
        [server]
        https_port = true
        """,
        ONECERT_SERVER_HTTP_PORT="eighty",
        ONECERT_DEMO_IS_OPEN="perhaps",
        ONECERT_NOWHERE="x",
    )
    text = "\n".join(found)
    for part in (
        "stray stands outside a section",
        "[unknown] is not a section",
        "[demo] size: a whole number",
        "[demo] colour: one of red, blue",
        "[demo] every: a duration",
        "[demo] hosts: a list",
        "[demo] sise: is not a setting; there are: colour, every",
        "[demo] pin_file: is missing",
        "[demo] limits: it has no many",
        "[demo] is_open: true or false",
        "[server] https_port: a whole number",
        "[server] http_port: a whole number",
        "ONECERT_NOWHERE: is not a setting",
    ):
        assert part in text
    assert len(found) == 13


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ('[demo]\npin_file = "p"\nsize = 101', "size is at most 100"),
        ('[demo]\npin_file = ""', "a path is expected"),
        ('[demo]\npin_file = "p"\nlimits = {}', "something is missing in it"),
        ('[demo]\npin_file = "p"\nmode = 3', "one of slow, fast"),
        ('[demo]\npin_file = "p"\npeers = ["x"]', "a table is expected"),
        ('[demo]\npin_file = "p"\nname = 3', "a text is expected"),
        ('[demo]\npin_file = "p"\n[server]\ntls_key = "k"', "given together"),
        ('[demo]\npin_file = "p"\n[server]\nhttps_port = 70000', "not a port"),
        ('[demo]\npin_file = "p"\n[server]\nlog_level = "LOUD"', "DEBUG, INFO"),
        ('[demo]\npin_file = "p"\n[server]\nthreads = 0', "between 1 and 256"),
        ('[demo]\npin_file = "p"\n[database.demo]\nurl = "postgresql://u:secret@h/d"', "password_file"),
        ('[demo]\npin_file = "p"\n[database.others]\nurl = "x"', "[database.others] is not a section"),
        ("[demo\n", "is not TOML"),
    ],
)
def test_one_fault(tmp_path: Path, toml: str, expected: str) -> None:
    (fault,) = [each for each in faults(tmp_path, toml) if "pin_file: is missing" not in each]
    assert expected in fault
    assert "secret" not in fault


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings({"server": ServerConfig}, file=tmp_path / "none.toml", environ={})


def test_secret_as_a_value_is_a_mistake_of_the_programmer() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Careless:
        token_pin: str = ""

    with pytest.raises(TypeError, match="path of a file"):
        load_settings({"careless": Careless}, file=None, environ={})


def test_faults_in_chinese(tmp_path: Path) -> None:
    with set_language("zh"):
        found = faults(tmp_path, "[demo]\nsize = true")
    assert found == ("[demo] size: 应为整数", "[demo] pin_file: 缺少此项")
