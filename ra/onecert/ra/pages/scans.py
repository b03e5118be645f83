"""Scans that come with the form of an application: a line for each paper, before the first save as after.

The draft is kept first, so that every file belongs to a record from its first moment; with scripts a file is
sent as soon as it is chosen, without them it goes with the form. What was refused is named, the rest is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from flask import render_template, request
from werkzeug.datastructures import FileStorage

from onecert.ra.applications.records import Application
from onecert.ra.cases.records import Case
from onecert.ra.content.fields import Kind
from onecert.ra.evidence.materials import Material, materials_of, required_materials, wanted_materials
from onecert.ra.evidence.records import Evidence
from onecert.ra.life.machine import Business
from onecert.ra.pages.common import the_operator, the_ra
from onecert.server.errors import ServiceError
from onecert.server.languages import gettext

__all__ = ["FIELD", "Refused", "Scans", "Sent", "keep", "part", "read", "scans_of"]

FIELD = "scan-"  # and the material's name
Sent = tuple[str, FileStorage]  # material, file
Refused = tuple[str, str, str]  # file name, why, what to do


@dataclass(frozen=True, kw_only=True)
class Line:
    """One paper: whether it must be there, and what is there."""

    material: Material
    is_required: bool
    kept: Sequence[Evidence]


@dataclass(frozen=True, kw_only=True)
class Scans:
    """What the part of the form shows."""

    record_id: str  # empty before the first save
    wanted: Sequence[Line]
    further: Sequence[Line]
    refused: Sequence[Refused]
    file_mb: int

    @property
    def has_files(self) -> bool:
        """Whether anything is kept already."""
        return any(line.kept for line in (*self.wanted, *self.further))


def scans_of(
    application: Application | None, business: Business, kind: Kind, refused: Sequence[Refused] = ()
) -> Scans:
    """The papers of this business, with what the application has of them; None: nothing is saved yet."""
    ra = the_ra()
    kept = ra.evidence.all_of(the_operator(), application.id) if application is not None else []
    required = required_materials(ra.config.materials_required, business, kind)
    wanted = wanted_materials(business, kind)

    def line(material: Material) -> Line:
        there = [item for item in kept if item.material == material.name and item.set_aside_at is None]
        return Line(material=material, is_required=material in required, kept=there)

    return Scans(
        record_id=application.id if application is not None else "",
        wanted=[line(material) for material in wanted],
        further=[
            line(material)
            for material in materials_of(business, kind)
            if material not in wanted and not material.late
        ],
        refused=refused,
        file_mb=ra.config.evidence_file_mb,
    )


def part(application: Application, refused: Sequence[Refused]) -> str:
    """The part of the form alone, for the script that has sent files."""
    scans = scans_of(application, application.business, application.kind, refused)
    return render_template("ra/form_scans.html", scans=scans)


def read() -> list[Sent]:
    """The files that came with the form, each with its paper."""
    return [
        (name.removeprefix(FIELD)[:32], file)
        for name, file in request.files.items(multi=True)
        if name.startswith(FIELD) and file.filename
    ]


def keep(record: Application | Case, sent: Iterable[Sent]) -> list[Refused]:
    """Keep each; which are refused, and why. What could not be kept for another reason is raised."""
    ra, operator = the_ra(), the_operator()
    refused = []
    for material, file in sent:
        try:
            ra.evidence.add(operator, record.id, material, cast(BinaryIO, file.stream))
        except ServiceError as exc:
            if not exc.is_refusal:
                raise
            hint = gettext(exc.hint, **exc.facts) if exc.hint else ""
            refused.append(((file.filename or "")[:80], gettext(exc.text, **exc.facts), hint))
    return refused
