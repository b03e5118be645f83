"""Every page of the consoles: both languages, wide and narrow, axe-core, nothing on the console."""

from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from people import NARROW, WIDE, Person

LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => a.href.split('#')[0])"
# Pages that differ by a number or a name are one kind.
PEOPLE = {"clerk1": "zh", "clerk2": "en", "media1": "zh", "security1": "en", "admin1": "zh", "auditor1": "en"}


def kind_of(url: str) -> str:
    return "/".join("#" if any(c.isdigit() for c in part) else part for part in urlsplit(url).path.split("/"))


@pytest.mark.token
@pytest.mark.parametrize("operator", PEOPLE)
def test_every_page_can_be_read_by_everybody(operator: str, person: Callable[..., Person]) -> None:
    one = person(operator, language=PEOPLE[operator])
    found, seen, kinds = [], {f"{one.service}/"}, Counter[str]()
    waiting = [f"{one.service}/"]
    while waiting:
        url = waiting.pop(0)
        kinds[kind_of(url)] += 1
        if kinds[kind_of(url)] > 1:
            continue
        answer = one.page.request.get(url)
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        one.page.goto(url)
        assert answer.status < 500, url
        name = kind_of(url).strip("/").replace("/", "-") or "home"
        # The other language and width are looked at by the next person.
        found += one.look(f"{operator}-{name}", widths=(WIDE, NARROW))
        for link in one.page.evaluate(LINKS):
            if link.startswith(one.service) and link not in seen and "language=" not in link:
                seen.add(link)
                waiting.append(link)
    assert len(kinds) >= 4, kinds
    assert not found, "\n".join(found)
