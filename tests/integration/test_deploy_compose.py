"""What docker-compose.yml describes: images, rights, ways in. Needs docker-compose, and no Docker."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from deploy_site import MEMBERS, ROOT, SERVICES, described_members, needs, run


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The compose file as docker-compose understands it, in a folder without secrets."""
    program = needs("docker-compose", "docker-compose")
    return understood(program, tmp_path_factory.mktemp("compose"), "docker-compose.yml")


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same with the further processes of the CA."""
    program = needs("docker-compose", "docker-compose")
    return understood(
        program, tmp_path_factory.mktemp("compose"), "docker-compose.yml", "docker-compose.scale.yml"
    )


def understood(program: str, copy: Path, *files: str) -> dict[str, Any]:
    command = [program]
    for name in files:
        shutil.copy(ROOT / name, copy)
        command += ["-f", str(copy / name)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(copy)}
    command.append("config")
    first = Path(program).read_bytes()[:200].partition(b"\n")[0]
    if not first.startswith(b"#!"):
        return json.loads(run(*command, "--format", "json", env=environment))
    # docker-compose 1 speaks YAML only. It is a Python program, so its Python can read that.
    interpreter = first.decode().removeprefix("#!").split()[0]
    convert = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout, default=str)"
    return json.loads(run(interpreter, "-c", convert, data=run(*command, env=environment)))


def test_each_image_holds_only_its_members(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"postgres", "nginx", *SERVICES}
    described = {name: services[name]["build"]["args"] for name in SERVICES}
    assert {name: args["MEMBERS"].split() for name, args in described.items()} == MEMBERS
    assert all(args["SERVICE"] == name for name, args in described.items())
    assert described_members() == MEMBERS
    assert "MEMBERS" not in json.dumps(services["nginx"]), "nginx holds no code of ours"


def test_containers_can_do_little(compose: dict[str, Any]) -> None:
    """Read-only, no capabilities, no new privileges, a user that is not root."""
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not str(service["user"]).startswith("0"), name
        assert "cap_add" not in service, name
        assert not service.get("privileged"), name
        assert service["healthcheck"], name
    assert {compose["services"][name]["user"] for name in SERVICES} == {"10001:10001"}


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Target -> source."""
    found = {}
    for each in service.get("volumes", []):
        if isinstance(each, str):
            source, target = each.split(":")[:2]
        else:
            source, target = each["source"], each["target"]
        found[target] = source
    return found


def test_only_nginx_is_reachable_from_outside(compose: dict[str, Any]) -> None:
    """Ports at nginx only; no service shares a volume, a secret or a needless network with another one."""
    services = compose["services"]
    assert [name for name, service in services.items() if service.get("ports")] == ["nginx"]
    assert {name: sorted(service["networks"]) for name, service in services.items()} == {
        "postgres": ["database"],
        "ca": ["database"],
        "ra": ["database", "orders"],
        "pmi": ["database", "status"],
        "supervision": ["database"],
        "nginx": ["orders", "outside", "status"],
    }
    assert {name: bool(each and each.get("internal")) for name, each in compose["networks"].items()} == {
        "outside": False,
        "database": True,
        "orders": True,
        "status": True,
    }
    front = mounts(services["nginx"])
    for name in SERVICES:
        own = mounts(services[name])
        assert own["/var/lib/onecert"] == f"{name}-data"
        assert own[f"/run/onecert/{name}"] == front[f"/run/onecert/{name}"] == f"{name}-socket"
        assert [each["source"] for each in services[name]["secrets"]] == [f"database-{name}"]
        for other in SERVICES:
            if other != name:
                assert not any(other in source for source in own.values() if "/" not in source), (name, other)


def test_no_secret_is_in_the_repository(compose: dict[str, Any]) -> None:
    """Secrets are files under deploy/secrets, and git ignores whatever lies there."""
    for secret in compose["secrets"].values():
        assert re.search(r"/deploy/secrets/database-\w+$", secret["file"])
    assert (ROOT / "deploy/secrets/.gitignore").read_text().splitlines()[-2:] == ["*", "!.gitignore"]
    assert not any(
        "PASSWORD" in key and not key.endswith("_FILE")
        for s in compose["services"].values()
        for key in s.get("environment") or {}
    )


def test_further_processes_of_the_ca(scaled: dict[str, Any]) -> None:
    """As little rights, the same image, data and secret; another socket, which nginx is told of."""
    services = scaled["services"]
    assert set(services) == {"postgres", "nginx", "ca-2", "ca-worker", "ca-status", *SERVICES}
    first = services["ca"]
    for name in ("ca-2", "ca-worker"):
        more = services[name]
        for key in ("image", "read_only", "cap_drop", "security_opt", "user", "networks", "secrets"):
            assert more[key] == first[key], (name, key)
        assert mounts(more) == mounts(first), name
        assert "ports" not in more
        assert more["healthcheck"]
    assert services["ca-worker"]["entrypoint"] == ["onecert", "worker", "--members", "ca"]
    sockets = services["ca-2"]["environment"]
    front = mounts(services["nginx"])
    told = {
        "ONECERT_SERVER_HTTPS_SOCKET": ("ca", "ca-2.conf"),
        "ONECERT_SERVER_HTTP_SOCKET": ("ca-status", "ca-2-status.conf"),
    }
    assert set(sockets) == set(told)
    for key, (folder, file) in told.items():
        assert front[f"/etc/onecert/upstream/{folder}/ca-2.conf"].endswith(f"deploy/nginx/{file}")
        assert f"server unix:{sockets[key]} " in (ROOT / "deploy/nginx" / file).read_text()
        configuration = (ROOT / "deploy/nginx/onecert.conf").read_text()
        assert f"include /etc/onecert/upstream/{folder}/*.conf;" in configuration
