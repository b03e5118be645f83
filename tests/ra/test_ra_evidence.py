"""Evidence: what is taken and refused, kept encrypted, part of what is approved, found when damaged."""

import hashlib
import io
import os
import struct
import time
import zipfile
import zlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from ra_fakes import T, idcard, make_csr
from sqlalchemy import select, update

from onecert.ra.errors import (
    ContentChangedError,
    EvidenceDamagedError,
    EvidenceMissingError,
    EvidenceRefusedError,
    NotFoundError,
    RequestKeyReusedError,
    TokenNotReadyError,
    WrongStateError,
)
from onecert.ra.evidence.files import PART, Files, FolderError, Use
from onecert.ra.evidence.looking import look_at
from onecert.ra.evidence.tables import evidence
from onecert.ra.life.machine import State
from onecert.ra.models import applications
from onecert.server.languages import gettext, set_language
from onecert.server.models import audit_entries
from onecert.server.operators import SamePersonError

MEGABYTE = 1_000_000
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def picture(
    form: str = "JPEG", size: tuple[int, int] = (320, 200), colour: str = "white", **more: Any
) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, form, **more)
    return out.getvalue()


def pdf(more: bytes = b"", body: bytes = b"1 0 obj<</Type/Catalog>>endobj\n") -> bytes:
    return b"%PDF-1.4\n" + body + more + b"xref\n0 1\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"


def bomb() -> bytes:
    """A PNG of a few octets that says it has 60,000 × 60,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9999))


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("evil.docm", "macro")
    return out.getvalue()


def packed_script() -> bytes:
    """JavaScript inside a compressed object stream, its name written with #xx."""
    packed = zlib.compress(b"2 0 <</S/#4aavaScript/#4aS(app.alert(1))>>")
    return b"5 0 obj<</Type/ObjStm/Filter/FlateDecode>>stream\n" + packed + b"\nendstream endobj\n"


REFUSED = {
    "empty": (b"", "EVIDENCE_EMPTY"),
    "a text called .jpg": ("身份证".encode() * 50, "EVIDENCE_TYPE"),
    "html": (b"<!DOCTYPE html><script>alert(1)</script>", "EVIDENCE_TYPE"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "EVIDENCE_TYPE"),
    "zip": (archive(), "EVIDENCE_TYPE"),
    "gif": (picture("GIF"), "EVIDENCE_TYPE"),
    "tiff": (picture("TIFF"), "EVIDENCE_TYPE"),
    "webp": (picture("WEBP"), "EVIDENCE_TYPE"),
    "program": (b"MZ\x90\0" + bytes(200), "EVIDENCE_TYPE"),
    "html in a png's comment": (
        picture("PNG").replace(b"IEND", b"tEXt<script>alert(1)</script>IEND"),
        "EVIDENCE_TWO_TYPES",
    ),
    "zip behind a jpeg": (picture() + archive(), "EVIDENCE_TWO_TYPES"),
    "zip behind a pdf": (pdf() + archive(), "EVIDENCE_TWO_TYPES"),
    "pdf inside a jpeg": (picture(comment=b"%PDF-1.4"), "EVIDENCE_TWO_TYPES"),
    "half a jpeg": (picture(size=(900, 900), quality=95)[:-900], "EVIDENCE_BROKEN"),
    "half a png": (picture("PNG", (900, 900))[:200], "EVIDENCE_BROKEN"),
    "a jpeg's first octets": (picture()[:20], "EVIDENCE_BROKEN"),
    "half a pdf": (pdf()[:40], "EVIDENCE_BROKEN"),
    "bomb of pixels": (bomb(), "EVIDENCE_PIXELS"),
    "progressive bomb": (picture(size=(9000, 5000), progressive=True), "EVIDENCE_PIXELS"),
    "pdf with a script": (pdf(b"<</OpenAction<</S/JavaScript/JS(x)>>>>\n"), "EVIDENCE_ACTIVE"),
    "pdf with a hidden script": (pdf(packed_script()), "EVIDENCE_ACTIVE"),
    "pdf with a password": (pdf(b"<</Encrypt 3 0 R>>\n"), "EVIDENCE_LOCKED"),
    "50 MB": (picture() + bytes(50 * MEGABYTE), "EVIDENCE_TOO_LARGE"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name: str) -> None:
    """By content, whatever it is called; a sentence and a next step in both languages."""
    content, code = REFUSED[name]
    with pytest.raises(EvidenceRefusedError) as caught:
        look_at(io.BytesIO(content), max_octets=20 * MEGABYTE)
    assert caught.value.code == code
    said = []
    for language in ("en", "zh"):
        with set_language(language, "onecert.ra"):
            said += [gettext(caught.value.text, **caught.value.facts), gettext(caught.value.hint)]
    assert not any("%(" in text for text in said)
    assert all(max(text) >= "一" for text in said[2:])


def test_what_is_taken() -> None:
    """JPEG, PNG, PDF; the copy for the screen is small, upright, and has none of the camera's words."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise
    exif[0x010F] = "SECRET MAKER"
    content = picture(size=(4000, 2000), exif=exif)
    seen = look_at(io.BytesIO(content), max_octets=20 * MEGABYTE)
    assert (seen.media_type, seen.width, seen.height) == ("image/jpeg", 4000, 2000)
    assert seen.sha256 == hashlib.sha256(content).hexdigest()
    assert seen.preview is not None
    with Image.open(io.BytesIO(seen.preview)) as copy:
        assert copy.width < copy.height <= 1800
        assert not copy.getexif()
    assert b"SECRET" in content
    assert b"SECRET" not in seen.preview
    clear = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(clear, "PNG")
    assert look_at(clear, max_octets=MEGABYTE).preview is not None
    assert look_at(io.BytesIO(pdf()), max_octets=MEGABYTE).media_type == "application/pdf"


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 7])
def test_files_open_to_what_was_written_and_to_nothing_else(tmp_path: Path, size: int) -> None:
    """Every length around the parts; changed, cut at a part, parts swapped, another use, another key."""
    files, key, name = Files(tmp_path / "e"), os.urandom(32), "ab-1"
    content = os.urandom(size)
    files.write(name, Use.ORIGINAL, key, io.BytesIO(content))
    path = files.path(name, Use.ORIGINAL)
    assert b"".join(files.read(name, Use.ORIGINAL, key)) == content
    assert (path.stat().st_mode & 0o777, files.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    whole = path.read_bytes()
    assert content[:64] not in whole or size < 16
    head, parts = whole[:5], [whole[at : at + PART + 16] for at in range(5, len(whole), PART + 16)]
    wrong = [b"", head, whole[:-1], whole + b"x", whole[:5] + bytes([whole[5] ^ 1]) + whole[6:]]
    if len(parts) > 2:
        wrong += [head + b"".join(parts[:-1]), head + b"".join([parts[1], parts[0], *parts[2:]])]
    for octets in wrong:
        path.write_bytes(octets)
        with pytest.raises(EvidenceDamagedError):
            list(files.read(name, Use.ORIGINAL, key))
    path.write_bytes(whole)
    with pytest.raises(EvidenceDamagedError):
        list(files.read(name, Use.ORIGINAL, os.urandom(32)))
    path.rename(files.path(name, Use.PREVIEW))
    with pytest.raises(EvidenceDamagedError) as lost:
        list(files.read(name, Use.ORIGINAL, key))
    assert lost.value.code == "EVIDENCE_LOST"
    with pytest.raises(EvidenceDamagedError) as moved:
        list(files.read(name, Use.PREVIEW, key))
    assert moved.value.code == "EVIDENCE_DAMAGED"


def add(ra: Any, application: Any, material: str = "licence", content: bytes = b"", **more: Any) -> Any:
    by = more.pop("by", ra.entry_clerk)
    return ra.service.evidence.add(by, application.id, material, io.BytesIO(content or picture()), **more)


def content_of(ra: Any, found: Any, by: Any = None) -> bytes:
    return b"".join(ra.service.evidence.open(by or ra.reviewer, found.id, preview=False).parts)


def trail(ra: Any, event: str) -> list[Any]:
    return [row for row in ra.rows(audit_entries) if row["event"] == event]


def disk(ra: Any) -> list[Path]:
    return sorted(path for path in ra.service.evidence.files.folder.rglob("*") if path.is_file())


def test_kept_encrypted_and_found_again(ra) -> None:
    """One file and one copy on disk, neither with what it shows; the same again is the same; audited."""
    draft = ra.create()
    content = picture(comment=b"440300190001010015 in the open")
    kept = add(ra, draft, "agent_id", content)
    assert add(ra, draft, "agent_id", content) == kept
    assert (kept.size, kept.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert len(disk(ra)) == 2
    assert all(b"440300" not in path.read_bytes() for path in disk(ra))
    assert content_of(ra, kept) == content
    ra.service.evidence.open(ra.reviewer, kept.id, preview=True, turn=90)
    assert len(trail(ra, "evidence.opened")) == 1  # opened twice in ten minutes: once in the trail
    assert len(trail(ra, "application.evidence_added")) == 1
    assert ra.events(draft.id) == ["created", "evidence_added"]
    ra.keys.gone = True
    with pytest.raises(TokenNotReadyError):
        content_of(ra, kept)


def test_what_is_approved_has_its_evidence(ra) -> None:
    """In the hash; after submitting nothing comes and nothing goes; a swapped file approves nothing."""
    plain = ra.create()
    licence = add(ra, plain, "licence", picture(colour="red"))
    gone = add(ra, plain, "other", picture(colour="blue"))
    assert ra.service.evidence.remove(ra.entry_clerk, gone.id) is None
    submitted = ra.applications.submit(ra.entry_clerk, plain.id)
    for act in (
        lambda: add(ra, submitted, "other", picture(colour="green")),
        lambda: ra.service.evidence.remove(ra.entry_clerk, licence.id),
    ):
        with pytest.raises(WrongStateError):
            act()
    with ra.database.transaction() as connection:
        connection.execute(update(evidence).values(sha256="0" * 64))
    with pytest.raises(ContentChangedError):
        ra.approve(submitted)
    with ra.database.transaction() as connection:
        connection.execute(update(evidence).values(sha256=licence.sha256))
    assert ra.dispatch.carry_out(ra.approve(submitted).id).state is State.ISSUED


@on_sqlite
def test_set_aside_after_a_return(ra) -> None:
    """What a reviewer had stays on record; the corrected application has another hash without it."""
    draft = ra.create()
    wrong = add(ra, draft, "licence", picture(colour="red"))
    first = ra.applications.submit(ra.entry_clerk, draft.id)
    ra.applications.send_back(ra.reviewer, draft.id, reason="执照不清楚")
    right = add(ra, draft, "licence", picture(colour="blue"))
    aside = ra.service.evidence.remove(ra.entry_clerk, wrong.id)
    assert aside is not None
    assert aside.set_aside_at == T
    again = ra.applications.submit(ra.entry_clerk, draft.id)
    assert again.content_sha256 != first.content_sha256
    assert [each.id for each in ra.service.evidence.all_of(ra.reviewer, draft.id)] == [wrong.id, right.id]
    assert content_of(ra, wrong)
    assert ra.approve(again).state is State.APPROVED


@on_sqlite
def test_without_evidence_the_hash_is_as_before(ra) -> None:
    """An application of before has the hash that it had: nothing about evidence is in it."""
    submitted = ra.submit()
    frozen = ra.service.reach.frozen(ra.reviewer, submitted.id)
    checked = ra.service.entries.recheck(frozen)
    assert frozen.evidence == ()
    assert frozen.sha256(checked) == submitted.content_sha256
    # Nor were there findings then.
    assert replace(frozen, findings=None).sha256(checked) == checked.sha256(frozen.salt)


@on_sqlite
def test_whoever_added_evidence_does_not_review(ra) -> None:
    """A person with both roles adds a scan to a colleague's application, and may not approve it."""
    draft = ra.create()
    both = ra.operator("both", "clerk.entry", "clerk.review", person=idcard(150))
    add(ra, draft, by=both)
    submitted = ra.applications.submit(ra.entry_clerk, draft.id)
    with pytest.raises(SamePersonError):
        ra.applications.approve(both, submitted.id, content_sha256=submitted.content_sha256)


@on_sqlite
def test_required_materials(ra) -> None:
    """The policy names what must be there; what is missing is named."""
    ra.applications._materials_required = ("licence", "new:agent_id", "renew:form")
    draft = ra.create()
    add(ra, draft, "licence")
    with pytest.raises(EvidenceMissingError) as caught:
        ra.applications.submit(ra.entry_clerk, draft.id)
    with set_language("zh", "onecert.ra"):
        assert "经办人身份证" in gettext(caught.value.text, **caught.value.facts)
        assert "执照" not in gettext(caught.value.text, **caught.value.facts)
    add(ra, draft, "agent_id", picture(colour="red"))
    assert ra.applications.submit(ra.entry_clerk, draft.id).state is State.SUBMITTED


@on_sqlite
def test_limits_keys_and_materials(ra) -> None:
    """Number and sum of files; a material of other business; a key for two contents."""
    acts = ra.service.evidence
    draft, other = ra.create(), ra.create(ra.entry("citizen", csr=make_csr()))
    kept = add(ra, draft, request_key="k")
    assert add(ra, draft, request_key="k") == kept
    with pytest.raises(RequestKeyReusedError):
        add(ra, draft, content=picture(colour="red"), request_key="k")
    acts.limits = type(acts.limits)(file_octets=MEGABYTE, record_octets=kept.size + 10, number=2)
    for material, content, code in (
        ("nothing", b"", "EVIDENCE_MATERIAL"),
        ("licence", picture(colour="red"), "EVIDENCE_TOTAL"),
        ("licence", bytes(MEGABYTE + 1), "EVIDENCE_TOO_LARGE"),
    ):
        with pytest.raises(EvidenceRefusedError) as caught:
            add(ra, draft, material, content)
        assert caught.value.code == code
    with pytest.raises(EvidenceRefusedError, match="does not belong"):
        add(ra, other, "licence")
    acts.limits = type(acts.limits)(file_octets=MEGABYTE, record_octets=MEGABYTE, number=1)
    with pytest.raises(EvidenceRefusedError, match="on record for it already"):
        add(ra, draft, "other", picture(colour="red"))
    assert len(disk(ra)) == 2  # nothing of what was refused is left


@on_sqlite
def test_another_point_learns_nothing(ra) -> None:
    """The same file at two points is two files; ids of the other one are not found, and that is audited."""
    here, there = ra.create(), ra.create(ra.entry("citizen"))
    first = add(ra, here, "consent")
    second = add(ra, there, "consent")
    assert first.id != second.id
    with ra.database.transaction() as connection:
        connection.execute(update(applications).where(applications.c.id == there.id).values(point="north"))
    for act in (
        lambda: ra.service.evidence.open(ra.reviewer, second.id, preview=True),
        lambda: ra.service.evidence.remove(ra.entry_clerk, second.id),
        lambda: ra.service.evidence.all_of(ra.reviewer, there.id),
        lambda: add(ra, there, "form"),
    ):
        with pytest.raises(NotFoundError):
            act()
    assert len(trail(ra, "access.refused")) == 4


@on_sqlite
def test_a_failure_leaves_neither_file_nor_record(ra, monkeypatch) -> None:
    """The token, the disk and the record fail in turn."""
    draft = ra.create()
    ra.keys.gone = True
    with pytest.raises(TokenNotReadyError):
        add(ra, draft)
    ra.keys.gone = False
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(FolderError):
            add(ra, draft)
    with monkeypatch.context() as patch:
        patch.setattr(ra.service.evidence, "_write", lambda *_a, **_k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            add(ra, draft)
    assert ra.rows(evidence) == []
    assert disk(ra) == []


@on_sqlite
def test_sweep_and_checker(ra) -> None:
    """Half-written and forgotten files go after their time; missing and changed ones are named."""
    draft = ra.create()
    kept, lost = add(ra, draft), add(ra, draft, "other", picture(colour="red"))
    forgotten = add(ra, draft, "form", picture(colour="blue"))
    ra.service.evidence.remove(ra.entry_clerk, forgotten.id)
    files, keeping = ra.service.evidence.files, ra.service.evidence_keeping
    half = files.path(kept.id, Use.ORIGINAL).with_name(".half.original.1234")
    half.write_bytes(b"half")
    assert keeping.sweep() == 0
    long_ago = time.time() - timedelta(days=3).total_seconds()
    for path in disk(ra):
        os.utime(path, (long_ago, long_ago))
    assert keeping.sweep() == 3
    assert list(keeping.missing()) == []
    files.path(lost.id, Use.ORIGINAL).unlink()
    files.path(kept.id, Use.ORIGINAL).write_bytes(b"OCEV\x01 other octets, many of them")
    assert [(found.evidence_id, found.code) for found in keeping.missing()] == [(lost.id, "EVIDENCE_LOST")]
    assert {found.code for found in keeping.damaged(newest=9)} == {"EVIDENCE_LOST", "EVIDENCE_DAMAGED"}
    with pytest.raises(EvidenceDamagedError):
        content_of(ra, kept)
    with ra.database.reading() as connection:
        assert len(list(connection.execute(select(evidence)))) == 2
