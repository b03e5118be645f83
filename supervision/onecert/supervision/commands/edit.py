"""`onecert trust-list draft add`, `edit`, `sample`: one service of the draft, without a whole file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import opened_supervision, show_preview
from onecert.supervision.draft import Draft, draft_json
from onecert.supervision.draft_file import read_service_file
from onecert.supervision.edits import add_certificates, add_sample, add_service, change_service
from onecert.supervision.uploads import read_certificates, read_profile
from onecert.verifier.trust_list import SupplyKind

__all__ = ["draft_add", "draft_edit", "draft_sample"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_CONTACT = ("hotline", "email", "website")


@click.command("add")
@click.argument("file", type=_FILE, metavar="FILE")
@common_options
def draft_add(file: Path, data: Path, config: Path | None) -> None:
    """Add the service in FILE, written as one of the services of a draft file."""
    service = read_service_file(file)
    _edit(data, config, lambda draft: add_service(draft, service), str(service.get("id", ""))[:63], "added")


@click.command("edit")
@click.argument("authority")
@click.option("--name-zh", metavar="TEXT")
@click.option("--name-en", metavar="TEXT")
@click.option("--entity-zh", metavar="TEXT")
@click.option("--entity-en", metavar="TEXT")
@click.option("--hotline", metavar="TEXT")
@click.option("--email", metavar="TEXT")
@click.option("--website", metavar="URL")
@click.option("--supply", multiple=True, metavar="KIND=URL", help="All addresses of this kind, given anew.")
@click.option("--issuance-log/--no-issuance-log", default=None, help="Must every issuance be on record?")
@click.option("--profile", type=_FILE, metavar="FILE", help="The identity profile.")
@click.option("--certificate", type=_FILE, metavar="FILE", help="One more certificate of the authority.")
@common_options
def draft_edit(authority: str, data: Path, config: Path | None, **given: Any) -> None:
    """Change parts of AUTHORITY in the draft; what is not named stays. An empty text takes it away."""
    pems = read_certificates(given["certificate"].read_bytes()) if given["certificate"] else []
    profile = read_profile(given["profile"].read_bytes()) if given["profile"] else None
    points = _points(given["supply"])

    def change(draft: Draft) -> Draft:
        draft.service(authority)
        now = next(each for each in draft_json(draft)["services"] if each["id"] == authority)
        changes: dict[str, Any] = {"supply_points": {**now.get("supply_points", {}), **points}}
        for key in ("name", "entity"):
            changes[key] = _given(now[key], {each: given[f"{key}_{each}"] for each in ("zh", "en")})
        changes["contact"] = _given(now.get("contact", {}), {key: given[key] for key in _CONTACT})
        if given["issuance_log"] is not None:
            changes["issuance_log"] = given["issuance_log"]
        if profile is not None:
            changes["identity_profile"] = profile
        return add_certificates(change_service(draft, authority, changes), authority, pems)

    _edit(data, config, change, authority, "edited")


@click.command("sample")
@click.argument("authority")
@click.argument("certificate", type=_FILE)
@click.option("--id", "expected", default="", help="The id that the profile must give.")
@click.option("--class", "holder_class", default="", help="The class that it must give.")
@click.option("--refused", default="", metavar="CODE", help="Or the code with which it must be refused.")
@common_options
def draft_sample(  # noqa: PLR0917 -- click hands over by name
    authority: str,
    certificate: Path,
    expected: str,
    holder_class: str,
    refused: str,
    data: Path,
    config: Path | None,
) -> None:
    """Add CERTIFICATE as a sample of the identity profile of AUTHORITY."""
    if bool(expected) == bool(refused):
        raise click.UsageError("give either --id or --refused")
    sample = {
        "certificate_pem": read_certificates(certificate.read_bytes())[0],
        "id": expected,
        "class": holder_class,
        "refused": refused,
    }
    _edit(data, config, lambda draft: add_sample(draft, authority, sample), authority, "samples")


def _edit(data: Path, config: Path | None, change: Any, authority: str, part: str) -> None:
    with opened_supervision(data, config) as (the, _):
        the.editor.edit(change, actor=command_actor(), details={"authority": authority, "part": part})
        show_preview(the.editor.preview())


def _given(now: dict[str, str], given: dict[str, str | None]) -> dict[str, str]:
    merged = {**now, **{key: value for key, value in given.items() if value is not None}}
    return {key: value for key, value in merged.items() if value}


def _points(given: tuple[str, ...]) -> dict[str, list[str]]:
    points: dict[str, list[str]] = {}
    for each in given:
        kind, _, url = each.partition("=")
        if kind not in {known.value for known in SupplyKind}:
            raise click.UsageError(f"--supply: {kind!r} is none of {', '.join(SupplyKind)}")
        points.setdefault(kind, [])
        if url:
            points[kind].append(url)
    return points
