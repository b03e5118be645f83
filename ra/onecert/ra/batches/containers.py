"""What an uploaded file is, by its content and never by its name, and whether it is safe to open.

    kind = sniff(data)             # csv | xlsx; anything else is refused with what to do instead
    check_workbook(data)           # before anything is unpacked into memory

A ZIP is judged by its directory first (entries, sizes, ratio, names, overlaps), then each part is inflated
once as a stream that stops at the size the directory promised. Whoever reads it afterwards meets no more than
that. XML with a document type (entities) is refused, and so are macros and links to other files.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from onecert.ra.errors.batches import BatchFileError
from onecert.server.languages import _

__all__ = ["MAX_ROWS", "check_workbook", "open_requests", "sniff"]

MAX_ROWS = 100_000
_ENTRIES_MAX = 500
_UNPACKED_MAX = 400 * 1024 * 1024
_RATIO_MAX = 200  # deflate cannot exceed 1032; a sheet of data has 5 to 40
_SMALL = 1024 * 1024  # below this a ratio says nothing
_BLOCK = 1024 * 1024
_REQUEST_MAX = 16 * 1024
_REQUESTS_UNPACKED_MAX = 256 * 1024 * 1024

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|table|meta|div|\?xml)", re.I | re.S
)
# A cell or row beyond the column BZ or the row 199,999: readers keep a grid as large as the farthest cell.
_FAR = re.compile(
    rb"""\br\s*=\s*["'](?:[A-Za-z]{3,}[0-9]|[C-Zc-z][A-Za-z][0-9]|[A-Za-z]{0,2}(?:[0-9]{7}|[2-9][0-9]{5}))"""
)
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.I)
_OVERLAP = 64


def sniff(data: bytes) -> str:
    """Return `csv` or `xlsx`.

    Raises:
        BatchFileError: it is something else; the error says what, and how to make it readable.
    """
    if not data.strip(b"\xef\xbb\xbf \t\r\n\0"):
        raise BatchFileError(_("The file is empty."), _("Download the template, fill it in and save it."))
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise BatchFileError(
                _("The workbook is protected by a password, so it cannot be read."),
                _("Remove the password (File, Info, Protect Workbook) and upload it again."),
            )
        raise BatchFileError(
            _("This is an old Excel workbook (.xls)."),
            _("Save it as “Excel Workbook (.xlsx)” or as CSV UTF-8."),
        )
    if data.startswith(b"PK"):
        return _sniff_zip(data)
    head = data[:4096].lstrip(b"\xef\xbb\xbf")
    if _HTML.match(head):
        raise BatchFileError(
            _("This is a web page and not a spreadsheet, whatever its name says."),
            _("Open it in Excel or WPS and save it as “Excel Workbook (.xlsx)”."),
        )
    if head.startswith(
        (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"{\\rtf", b"GIF8", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")
    ):
        raise _no_table()
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\0" in data:
        raise BatchFileError(
            _("The file contains zero bytes, so it is not a text table, or it is damaged."),
            _("Open it in Excel or WPS and save it as “Excel Workbook (.xlsx)” or as CSV UTF-8."),
        )
    return "csv"


def _no_table() -> BatchFileError:
    return BatchFileError(
        _("This is not a table of applications."), _("Upload a CSV file or an Excel workbook (.xlsx).")
    )


def _sniff_zip(data: bytes) -> str:
    archive = _open(data)
    names = {entry.filename for entry in archive.infolist()}
    if "mimetype" in names:
        raise BatchFileError(
            _("This is an OpenDocument file (.ods)."),
            _("Save it as “Excel Workbook (.xlsx)” or as CSV UTF-8."),
        )
    if "xl/workbook.bin" in names:
        raise BatchFileError(
            _("This is a binary Excel workbook (.xlsb)."),
            _("Save it as “Excel Workbook (.xlsx)” or as CSV UTF-8."),
        )
    if "xl/workbook.xml" in names:
        return "xlsx"
    if any(name.lower().endswith((".csr", ".pem", ".der", ".req")) for name in names):
        raise BatchFileError(
            _("This archive holds certificate requests and no table."),
            _("Upload the table here, and this archive in the field for requests."),
        )
    raise _no_table()


def _open(data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError) as exc:
        raise BatchFileError(
            _("The file is damaged: its archive cannot be opened."),
            _("Open it in Excel or WPS, save it again, and upload the new file."),
        ) from exc


def _bomb() -> BatchFileError:
    return BatchFileError(
        _("The file unpacks to far more than it holds, as files made to do harm do. It was not opened."),
        _("Copy the rows into a fresh template and upload that."),
    )


def check_workbook(data: bytes) -> None:
    """Check an XLSX file whole, without building anything of it in memory.

    Raises:
        BatchFileError: it is dangerous, damaged or too large; the sentence says which.
    """
    archive = _open(data)
    entries = archive.infolist()
    _check_directory(entries, len(data), entries_max=_ENTRIES_MAX, unpacked_max=_UNPACKED_MAX)
    for entry in entries:
        _check_name(entry.filename.lower())
    for entry in entries:
        is_sheet = entry.filename.lower().startswith("xl/worksheets/")
        for block in _inflated(archive, entry):
            _check_block(block, entry.filename.lower(), is_sheet=is_sheet)


def _check_directory(
    entries: list[zipfile.ZipInfo], octets: int, *, entries_max: int, unpacked_max: int
) -> None:
    if len(entries) > entries_max:
        raise BatchFileError(
            _("The archive has too many parts (%(count)s)."),
            _("Copy the rows into a fresh template and upload that."),
            count=len(entries),
        )
    if len({entry.filename for entry in entries}) != len(entries):
        raise _bomb()
    for entry in entries:
        if entry.flag_bits & 0x1:
            raise BatchFileError(
                _("The archive is protected by a password."), _("Pack it again without a password.")
            )
        if entry.file_size > _SMALL and entry.file_size > _RATIO_MAX * max(1, entry.compress_size):
            raise _bomb()
    # Parts that share their bytes are how small files become huge ones.
    if sum(entry.compress_size for entry in entries) > octets:
        raise _bomb()
    if sum(entry.file_size for entry in entries) > unpacked_max:
        raise _bomb()


def _check_name(name: str) -> None:
    hint = _("Copy the rows into a fresh template and upload that.")
    if "vbaproject" in name or name.startswith(("xl/macrosheets", "xl/activex")):
        raise BatchFileError(_("The workbook holds macros. It was not opened."), hint)
    if name.startswith("xl/externallinks"):
        raise BatchFileError(_("The workbook refers to other files. It was not opened."), hint)
    if name.startswith(("xl/connections", "xl/querytables", "xl/embeddings", "xl/model")):
        raise BatchFileError(_("The workbook draws data from elsewhere or holds other files."), hint)


def _inflated(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content of one part, block by block with some of the block before; never more than was promised."""
    before, read = b"", 0
    try:
        with archive.open(entry) as stream:
            while block := stream.read(_BLOCK):
                read += len(block)
                if read > entry.file_size:
                    raise _bomb()
                yield before + block
                before = block[-_OVERLAP:]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as exc:
        raise BatchFileError(
            _("The file is damaged: its archive cannot be opened."),
            _("Open it in Excel or WPS, save it again, and upload the new file."),
        ) from exc
    if read != entry.file_size:
        raise _bomb()


def _check_block(block: bytes, name: str, *, is_sheet: bool) -> None:
    if not name.endswith((".xml", ".rels")):
        return
    if _DOCTYPE.search(block) or b"\0" in block:
        raise BatchFileError(
            _("The workbook contains a document type declaration, which no spreadsheet program writes."),
            _("Copy the rows into a fresh template and upload that."),
        )
    if is_sheet and _FAR.search(block):
        raise BatchFileError(
            _("The sheet uses cells far beyond its data, after column BZ or row 200,000."),
            _("Copy the rows into a fresh template: formatting of whole columns comes along otherwise."),
        )


def open_requests(data: bytes, *, entries_max: int = MAX_ROWS) -> dict[str, bytes]:
    """Read an archive of certificate requests: the file's name without its ending -> its octets.

    Folders inside are allowed and ignored; two files of one name are refused.

    Raises:
        BatchFileError
    """
    if not data.startswith(b"PK"):
        raise BatchFileError(
            _("The archive of requests is not a ZIP file."),
            _("Pack the request files (.csr) into a ZIP file."),
        )
    archive = _open(data)
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    entries = [entry for entry in entries if "__MACOSX" not in entry.filename]
    _check_directory(entries, len(data), entries_max=entries_max, unpacked_max=_REQUESTS_UNPACKED_MAX)
    found: dict[str, bytes] = {}
    for entry in entries:
        stem = entry.filename.rpartition("/")[2].rpartition(".")[0] or entry.filename.rpartition("/")[2]
        if stem in found:
            raise BatchFileError(
                _("The archive has two requests called “%(name)s”."),
                _("Give each request a name of its own."),
                name=stem[:64],
            )
        if entry.file_size > _REQUEST_MAX:
            raise BatchFileError(
                _("“%(name)s” in the archive is too long for a certificate request."),
                _("Put only the requests (.csr) into the archive."),
                name=entry.filename[-64:],
            )
        found[stem] = _whole(archive, entry)
    return found


def _whole(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as stream:
            return _bounded(stream)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as exc:
        raise BatchFileError(
            _("The file is damaged: its archive cannot be opened."),
            _("Open it in Excel or WPS, save it again, and upload the new file."),
        ) from exc


def _bounded(stream: IO[bytes]) -> bytes:
    content = stream.read(_REQUEST_MAX + 1)
    if len(content) > _REQUEST_MAX:
        raise _bomb()
    return content
