"""The trust list from its address, on a real server that may answer anything.

timestamp -> roots, one by one -> the list, when the timestamp names another one
"""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "trust_roles"))

from trust_city import DAY, City, T

from onecert.verifier import CouldNotCheckError, FileState, TrustListUrl, VerifyError, load_trust_root
from onecert.verifier.fetch import FetchAnswer, FetchRequest

MINUTE = timedelta(minutes=1)
STAMP, LIST, ROOT_2 = "/s/trust-timestamp.json", "/s/trust-list.json", "/s/trust-roots/2.json"


class Site:
    """The city's files on the web server of the tests."""

    def __init__(self, web: Any, folder: Path) -> None:
        self.web, self.folder = web, folder
        self.city = City().publish()
        self.serve()

    def serve(self) -> None:
        for name, data in self.city.files.items():
            self.web.pages[f"/s/{name}"] = self.web.response(data)

    def asked(self) -> list[str]:
        paths = [asked.path for asked in self.web.asked]
        self.web.asked.clear()
        return paths

    def source(self, address: str = LIST, folder: str = "pki", **settings: Any) -> TrustListUrl:
        return TrustListUrl(
            self.web.url(address),
            root=load_trust_root(self.city.first),
            folder=self.folder / folder,
            state=FileState(self.folder / "state" / "trust.json"),
            **settings,
        )


@pytest.fixture
def site(web: Any, tmp_path: Path) -> Site:
    return Site(web, tmp_path)


def code(source: TrustListUrl, at: Any) -> str:
    with pytest.raises(VerifyError) as caught:
        source.current(at)
    return caught.value.code


@pytest.mark.parametrize("address", [LIST, "/s", "/s/"])
def test_addresses(site: Site, address: str) -> None:
    """Of the list, or of the place where all files lie."""
    assert site.source(address).current(T).sequence == 1
    assert site.asked() == [STAMP, ROOT_2, LIST]


def test_a_list_of_another_name(site: Site) -> None:
    site.web.pages["/s/city.json"] = site.web.pages.pop(LIST)
    assert site.source("/s/city.json").current(T).sequence == 1
    assert site.asked() == [STAMP, ROOT_2, "/s/city.json"]


def test_asked_again_after_an_hour(site: Site) -> None:
    """The list is fetched only when it is another one; a wrong answer leaves the one at hand in use."""
    source = site.source()
    first = source.current(T)
    site.asked()
    assert source.current(T + 50 * MINUTE) is first
    assert site.asked() == []
    site.city.publish_timestamp()
    site.serve()
    assert source.current(T + 60 * MINUTE) is first
    assert site.asked() == [STAMP, ROOT_2]
    site.city.publish()
    site.serve()
    good = site.web.pages[STAMP]
    site.web.pages[STAMP] = site.web.response(b"<html>")
    assert source.current(T + 120 * MINUTE) is first
    # After a failure: a minute, two, four.
    site.web.pages[STAMP] = good
    assert source.current(T + 120.5 * MINUTE) is first
    assert source.current(T + 121 * MINUTE).sequence == 2


def test_asked_in_time_before_the_timestamp_ends(site: Site) -> None:
    """Whoever asks once a day asks at three quarters of the time that is left."""
    source = site.source(every=DAY)
    source.current(T)
    site.city.at = T + 12 * 60 * MINUTE
    site.city.publish()
    site.serve()
    assert source.current(T + 18 * 60 * MINUTE).sequence == 2


def test_the_network_is_gone(site: Site) -> None:
    """The copies serve after a restart, with the roots that were walked, until the timestamp ends."""
    site.city.new_holders()
    site.city.publish()
    site.serve()
    assert site.source().current(T).sequence == 2
    site.web.pages.clear()
    restarted = site.source()
    assert restarted.current(T + 60 * MINUTE).sequence == 2
    assert restarted.root.version == 2
    assert code(restarted, T + DAY) == "TRUST_TIMESTAMP_EXPIRED"
    assert code(site.source(), T + DAY) == "TRUST_TIMESTAMP_EXPIRED"
    assert code(site.source(folder="empty"), T) == "TRUST_LIST_MISSING"
    late = site.source(grace=DAY).current(T + DAY)
    assert late.warnings == ("TRUST_TIMESTAMP_GRACE",)


def test_after_a_restart_only_the_timestamp_is_fetched(site: Site) -> None:
    site.city.new_holders()
    site.city.publish()
    site.serve()
    site.source().current(T)
    site.asked()
    site.source().current(T + MINUTE)
    assert site.asked() == [STAMP, "/s/trust-roots/3.json"]


def test_an_old_city_is_shown(site: Site) -> None:
    """Also to a program that starts anew, and also when its copies are gone: the state is kept apart."""
    old = dict(site.web.pages)
    site.city.publish()
    site.serve()
    running = site.source()
    assert running.current(T).sequence == 2
    site.web.pages.update(old)
    assert running.current(T + 61 * MINUTE).sequence == 2
    assert site.source().current(T + 61 * MINUTE).sequence == 2  # from the copies
    assert code(site.source(folder="new"), T) == "TRUST_LIST_ROLLBACK"


def test_two_programs_share_folder_and_state(site: Site) -> None:
    """What one of them has fetched serves the other when its own fetch fails."""
    one = site.source()
    one.current(T)

    def dead(request: FetchRequest) -> FetchAnswer:
        raise CouldNotCheckError("FETCH_FAILED", url=request.url, detail="")

    other = site.source(fetch=dead)
    assert other.current(T).sequence == 1
    site.city.publish()
    site.serve()
    assert one.current(T + 61 * MINUTE).sequence == 2
    assert other.current(T + 61 * MINUTE).sequence == 2


def test_copies_that_cannot_be_written(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """They are needed only when the network is gone; the log says so."""
    (site.folder / "pki").write_bytes(b"")
    assert site.source().current(T).sequence == 1
    assert "trust list not kept" in caplog.text


def test_a_state_that_cannot_be_kept(site: Site) -> None:
    """Without memory an old list could not be told from a new one."""
    (site.folder / "state").write_bytes(b"")
    assert code(site.source(), T) == "TRUST_LIST_STATE"


@pytest.mark.parametrize("name", [STAMP, LIST])
def test_an_endless_answer(site: Site, name: str) -> None:
    limit = 256 * 1024 if name == STAMP else 16 * 1024 * 1024
    site.web.pages[name] = site.web.response(b" " * (limit + 1))
    assert code(site.source(), T) == "TRUST_LIST_MISSING"


def test_nobody_waits_while_one_asks(site: Site) -> None:
    """A slow server costs one login its time, not all of them."""
    answers = {site.web.url(f"/s/{name}"): data for name, data in site.city.files.items()}
    asked, released = threading.Event(), threading.Event()
    is_slow = False

    def fetch(request: FetchRequest) -> FetchAnswer:
        if is_slow:
            asked.set()
            assert released.wait(10)
        if request.url not in answers:
            raise CouldNotCheckError("FETCH_STATUS", url=request.url, status=404)
        return FetchAnswer(data=answers[request.url])

    source = site.source(fetch=fetch)
    first = source.current(T)
    is_slow = True
    later = T + 61 * MINUTE
    one = threading.Thread(target=source.current, args=(later,))
    one.start()
    assert asked.wait(10)
    assert source.current(later) is first
    released.set()
    one.join()


def test_one_refresh_has_an_end(site: Site) -> None:
    """Every request is told how much time is left for all of them together."""
    left: list[timedelta] = []

    def fetch(request: FetchRequest) -> FetchAnswer:
        assert request.timeout is not None
        left.append(request.timeout)
        raise CouldNotCheckError("FETCH_TIMEOUT", url=request.url, seconds=1)

    assert code(site.source(fetch=fetch), T) == "TRUST_LIST_MISSING"
    assert timedelta(0) < left[0] <= timedelta(seconds=30)
