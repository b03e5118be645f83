"""Chinese and English: catalogues read from .po files at start, and what formats a value for a person.

A msgid is the English text itself, with facts as ``%(name)s``. The catalogues are plain gettext .po
files, read with Babel's reader; nothing is compiled, so a translation can be corrected in a running
installation's folder and is there after a restart. A text is looked up in the catalogue of the member
that speaks first, then in the server's, then in the others, because two members may mean different things
by the same English word.

Leaves out: more than two languages, and contexts (msgctxt); English needs no catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from io import BytesIO

from babel.dates import format_date as babel_format_date
from babel.dates import format_datetime as babel_format_datetime
from babel.messages.pofile import read_po

from onecert.verifier.errors import VerifyError

__all__ = [
    "DEFAULT_LANGUAGE",
    "LANGUAGES",
    "Message",
    "Sentence",
    "_",
    "best_language",
    "current_language",
    "format_date",
    "format_datetime",
    "gettext",
    "ngettext",
    "set_language",
    "translate",
    "translate_plural",
]

LANGUAGES: Mapping[str, str] = {"zh": "中文", "en": "English"}
DEFAULT_LANGUAGE = "zh"
SERVER_PACKAGE = "onecert.server"

# China has had one time without summer time since 1991. A fixed offset gives the same answer as the tz
# database for every moment this system meets, also on a machine without tzdata.
CHINA_TIME = timezone(timedelta(hours=8), "Asia/Shanghai")
_BABEL_LOCALES = {"zh": "zh_Hans_CN", "en": "en_GB"}


class Message(str):
    """An English msgid kept as a value; given as a fact of another text it is translated there."""

    __slots__ = ()


class Sentence:
    """A msgid with its facts, spoken when it is shown; as a fact of another text it is spoken there."""

    __slots__ = ("facts", "msgid")

    def __init__(self, msgid: str, **facts: object) -> None:
        self.msgid = msgid
        self.facts = facts

    @classmethod
    def joined(cls, sentences: Sequence[Sentence]) -> Sentence:
        """Several sentences as one, with semicolons between them."""
        facts = {str(number): sentence for number, sentence in enumerate(sentences)}
        return cls("; ".join(f"%({name})s" for name in facts), **facts)

    def __str__(self) -> str:
        """The English text."""
        return self.msgid % self.facts if self.facts else self.msgid

    def __repr__(self) -> str:
        return f"Sentence({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sentence) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _(msgid: str) -> Message:
    """Mark a text for the catalogues without translating it yet."""
    return Message(msgid)


Plurals = Mapping[str, tuple[str, ...]]
_speaker: ContextVar[tuple[str, str]] = ContextVar(
    "onecert_speaker", default=(DEFAULT_LANGUAGE, SERVER_PACKAGE)
)


@contextmanager
def set_language(language: str, package: str | None = None) -> Iterator[None]:
    """Speak this language inside the block, with the texts of ``package`` first."""
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}")
    token = _speaker.set((language, package or _speaker.get()[1]))
    try:
        yield
    finally:
        _speaker.reset(token)


def current_language() -> str:
    """The language of the current request or block: "zh" or "en"."""
    return _speaker.get()[0]


def translate(msgid: str) -> str:
    """The text in the current language, its ``%(name)s`` still unfilled; unknown: the msgid itself."""
    return _lookup(msgid, plural=False)[0]


def translate_plural(singular: str, plural: str, count: int) -> str:
    """Like ``translate`` for a text that depends on a number. Chinese has one form."""
    if current_language() == "en":
        return singular if count == 1 else plural
    return _lookup(singular, plural=True)[0]


def gettext(msgid: str, **facts: object) -> str:
    """The text in the current language with its facts filled in.

    A fact that is a ``Message`` or a verifier's error is translated, a time is shown in Chinese time, a
    sequence is listed.
    A fact that is missing shows as its name: a page that explains an error must not fail itself.
    """
    return translate(msgid) % _Facts({name: _speak(value) for name, value in facts.items()})


def ngettext(singular: str, plural: str, count: int, **facts: object) -> str:
    """``gettext`` for a text that depends on a number, which it knows as ``%(count)s``."""
    spoken = {name: _speak(value) for name, value in facts.items()}
    return translate_plural(singular, plural, count) % _Facts({"count": str(count), **spoken})


def best_language(accept_language: str) -> str:
    """Choose from an Accept-Language header (RFC 9110, section 12.5.4); Chinese when it names neither."""
    best, best_quality = DEFAULT_LANGUAGE, 0.0
    for part in accept_language[:500].split(","):
        tag, _semicolon, parameters = part.strip().partition(";")
        language = tag.strip().lower().split("-")[0]
        try:
            quality = float(parameters.strip().removeprefix("q=")) if parameters.strip() else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best


def format_datetime(value: datetime, *, seconds: bool = True) -> str:
    """A moment as a person in China reads it, for example "2026年11月21日 17:00:00"."""
    zh = "yyyy年M月d日 HH:mm:ss" if seconds else "yyyy年M月d日 HH:mm"
    en = "d MMM yyyy, HH:mm:ss" if seconds else "d MMM yyyy, HH:mm"
    pattern = zh if current_language() == "zh" else en
    locale = _BABEL_LOCALES[current_language()]
    return str(babel_format_datetime(value.astimezone(UTC), pattern, tzinfo=CHINA_TIME, locale=locale))


def format_date(value: date | datetime) -> str:
    """A day as a person in China reads it. Of a moment it is the day in China."""
    if isinstance(value, datetime):
        value = value.astimezone(CHINA_TIME).date()
    pattern = "yyyy年M月d日" if current_language() == "zh" else "d MMM yyyy"
    return str(babel_format_date(value, pattern, locale=_BABEL_LOCALES[current_language()]))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"({key})"


def _speak(value: object) -> str:
    if isinstance(value, Message):
        return translate(value)
    if isinstance(value, Sentence):
        return gettext(value.msgid, **value.facts)
    if isinstance(value, VerifyError):
        return value.text(current_language())
    if isinstance(value, datetime):
        return format_datetime(value)
    if isinstance(value, date):
        return format_date(value)
    if isinstance(value, Sequence | frozenset | set) and not isinstance(value, str | bytes):
        items = sorted(value) if isinstance(value, frozenset | set) else value
        return ("、" if current_language() == "zh" else ", ").join(_speak(item) for item in items)
    return str(value)


def _lookup(msgid: str, *, plural: bool) -> tuple[str, ...]:
    language, package = _speaker.get()
    if language == "en" or not msgid:
        return (msgid,)
    for speaker in dict.fromkeys((package, SERVER_PACKAGE, *_installed_packages())):
        found = _catalogue(speaker, language).get((msgid, plural))
        if found is not None:
            return found
    return (msgid,)


@cache
def _installed_packages() -> tuple[str, ...]:
    # "onecert.ca.member:member" -> "onecert.ca". The member itself is not imported: the verifier's texts
    # apart, looking up a word must not start a service.
    return tuple(sorted(point.module.rpartition(".")[0] for point in entry_points(group="onecert.members")))


@cache
def _catalogue(package: str, language: str) -> Mapping[tuple[str, bool], tuple[str, ...]]:
    try:
        path = files(package) / "locale" / language / "LC_MESSAGES" / "messages.po"
    except ModuleNotFoundError:
        return {}
    if not path.is_file():
        return {}
    texts: dict[tuple[str, bool], tuple[str, ...]] = {}
    for message in read_po(BytesIO(path.read_bytes()), locale=language):
        if not message.id or message.fuzzy:
            continue
        if isinstance(message.id, tuple):
            texts[str(message.id[0]), True] = tuple(map(str, message.string or ()))
        elif message.string:
            texts[str(message.id), False] = (str(message.string),)
    return texts
