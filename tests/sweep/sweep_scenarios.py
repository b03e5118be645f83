"""What a CA does: prepared once, done, done again as by a client that got no answer, looked at.

An act may be repeated with the same idempotency key until it is answered. Its answer is a mapping of facts:
what was answered once must be answered again, and stay true.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from ca_batches import Sender, part
from ca_ceremonies import hold as hold_file
from ca_ceremonies import rekeyed_file
from ca_lists import revoke, with_lists
from ca_mass_revocations import People
from ca_profiles import PIN, Officers, profile_text
from sweep_points import Crash

from onecert.ca.authorities.authorities import RETIRED
from onecert.ca.authorities.life import AuthorityLife
from onecert.ca.batches import batches
from onecert.ca.errors.profiles import ProfileVersionTakenError
from onecert.ca.issuing.ledger import INTENDED
from onecert.ca.issuing.order_notices import DELIVERY_TYPE, open_revocation
from onecert.ca.issuing.orders import ORDER_TYPE
from onecert.ca.member import renew_lists, roll_delegates
from onecert.ca.revocation import mass_selection as mass_revocation_selection
from onecert.server.documents import sign_document
from onecert.verifier.signed_form import load_timestamp, read_timestamp_response, request_timestamp

__all__ = ["SCENARIOS", "NotNowError", "Scenario", "small_chunks"]

Memo = dict[str, Any]
Answer = Mapping[str, Any]
PEOPLE = ("何见证", "郑主持")


class NotNowError(Exception):
    """The CA answered that it cannot do it now."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One act, from its preparation to what must be true afterwards.

    Args:
        prepare: makes the world and the documents of the act; never faulted.
        act: does it, the first time or again.
        look: names what is wrong in the end, given the last answer.
        is_start: the act is the start of the service itself.
        opened: run on each opening of the world, for what tests put into its memory.
    """

    name: str
    prepare: Callable[[Any, Memo], None]
    act: Callable[[Any, Memo], Answer]
    look: Callable[[Any, Memo, Answer], list[str]] = lambda _world, _memo, _answer: []
    opened: Callable[[Any, Memo], None] = lambda _world, _memo: None
    is_start: bool = False


@contextmanager
def small_chunks() -> Iterator[None]:
    """Chunks of ten, so that thirty lines are three transactions."""
    with patch.object(batches, "CHUNK_LINES", 10), patch.object(mass_revocation_selection, "CHUNK", 10):
        yield


def _harbour(world: Any) -> Any:
    return world.hold("harbour").register("harbour:*", "harbour:*+early")


def _post(world: Any, path: str, body: bytes) -> Any:
    answer = world.service.app.test_client().post(
        path, data=body, headers={"Content-Type": "application/jose"}
    )
    if answer.status_code >= 300:
        raise NotNowError(answer.status_code, (answer.json or {}).get("code", "no problem document"))
    return answer.json


def _record(world: Any, serial: str) -> Any:
    return world.parts.ledger.certificate("harbour", serial)


def _unless(condition: bool, text: str) -> list[str]:
    return [] if condition else [text]


# ------------------------------------------------------------------ one order


def _prepare_order(world: Any, memo: Memo) -> None:
    memo["document"] = _harbour(world).order()


def _order(world: Any, memo: Memo) -> Answer:
    if memo.get("by_http", True):
        answer = _post(world, "/v1/orders", memo["document"])
    else:
        answer = world.parts.issuance.issue(memo["document"]).as_json()
    return {"serial": answer["serial"], "certificate": answer["certificate_pem"]}


def _order_twice(world: Any, memo: Memo) -> Answer:
    """Two clients at once with one order; each may fail, and those that are answered are told the same."""
    answers: list[Answer] = []
    failures: list[BaseException] = []

    def client() -> None:
        try:
            answers.append(_order(world, memo))
        except BaseException as exc:
            failures.append(exc)

    assert world.service is not None
    if memo.get("by_http", True):
        # Made by one thread: older releases of Python 3.11 cannot parse in several (python/cpython#106905).
        world.service.app.test_client()
    clients = [threading.Thread(target=client) for _ in range(2)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    for failure in failures:
        if isinstance(failure, Crash):
            raise failure
    if not answers:
        raise failures[0]
    return {**answers[0], "different": len({each["serial"] for each in answers}) - 1}


def _look_order(world: Any, memo: Memo, answer: Answer) -> list[str]:
    record = _record(world, answer["serial"])
    return _unless(
        record.state == "issued" and not answer.get("different", 0), "two answers to one order, or not issued"
    )


def _prepare_intent(world: Any, memo: Memo) -> None:
    """An order that was interrupted before its signature was recorded."""
    _prepare_order(world, memo)
    world.token.gone = True
    certifier = world.parts.certifier
    finish, certifier.finish = certifier.finish, _interrupted
    try:
        world.parts.issuance.issue(memo["document"])
    except InterruptedError:
        pass
    finally:
        certifier.finish, world.token.gone = finish, False
    (memo["intent"],) = world.parts.ledger.unfinished()
    assert memo["intent"].state == INTENDED


def _interrupted(*_args: Any, **_named: Any) -> Any:
    raise InterruptedError


def _recover(world: Any, memo: Memo) -> Answer:
    """Start the service, which resolves what was left behind."""
    world._service = None
    assert world.service is not None
    return {"serial": memo["intent"].serial}


def _prepare_old_intent(world: Any, memo: Memo) -> None:
    _prepare_intent(world, memo)
    world.clock.advance(timedelta(hours=3))


def _look_given_up(world: Any, memo: Memo, answer: Answer) -> list[str]:
    record = _record(world, answer["serial"])
    return _unless(
        (record.state, record.status) == ("abandoned", "revoked"), "an old intent was not given up"
    )


# ------------------------------------------------------------------ orders that follow a certificate


def _prepare_following(kind: str, when: str) -> Callable[[Any, Memo], None]:
    def prepare(world: Any, memo: Memo) -> None:
        memo["old"] = _harbour(world).issue().record
        subject = world.order_payload()["subject"]
        if kind == "change":
            subject |= {"common_name": "深圳市更名贸易有限公司", "organization": "深圳市更名贸易有限公司"}
        order = world.order_payload(
            kind=kind,
            subject=subject,
            replaces={"authority": "harbour", "serial": memo["old"].serial},
            revoke_replaced={"reason": "superseded", "when": when},
        )

        memo["document"] = sign_document(order, typ=ORDER_TYPE, keys=[world.ra_key])
        delivery = {
            "order": order["order"],
            "registration_authority": "ra",
            "created_at": world.clock.now().isoformat(),
            "delivered_by": ["clerk3"],
        }
        memo["delivery"] = sign_document(delivery, typ=DELIVERY_TYPE, keys=[world.ra_key])

    return prepare


def _change(world: Any, memo: Memo) -> Answer:
    answer = _order(world, memo)
    _post(world, "/v1/deliveries", memo["delivery"])
    return answer


def _look_followed(world: Any, memo: Memo, answer: Answer) -> list[str]:
    old, new = _record(world, memo["old"].serial), _record(world, answer["serial"])
    return [
        *_look_order(world, memo, answer),
        *_unless(
            (old.status, old.reason, new.status) == ("revoked", "superseded", "good"),
            f"the old one is {old.status} ({old.reason}), the new one {new.status}",
        ),
        *_unless(old.serial in world.serials_on_list(), "the old one is not on the list"),
    ]


# ------------------------------------------------------------------ batch

LINES, REFUSED = 30, 17


def _prepare_batch(world: Any, memo: Memo) -> None:
    _harbour(world)
    orders = [world.order_payload() for _ in range(LINES)]
    orders[REFUSED - 1] |= {"identity": {"uscc": "wrong"}}
    memo["content"] = part(*orders)
    memo["batch"], memo["head"] = Sender(world).head([memo["content"]])


def _batch(world: Any, memo: Memo) -> Answer:
    parts = world.parts
    parts.batches.open(memo["head"])
    parts.batches.add_part(memo["batch"], 1, memo["content"])
    parts.batch_work.run()
    progress = parts.batches.progress(memo["batch"])
    if progress.state != "done":
        raise NotNowError(503, progress.state)
    lines = Sender(world).results(memo["batch"])
    return {"serials": tuple(line.get("serial", line.get("code")) for line in lines)}


def _look_batch(world: Any, memo: Memo, answer: Answer) -> list[str]:
    issued = [each for each in answer["serials"] if each.islower() or each.isdigit()]
    return _unless(
        len(set(issued)) == LINES - 1 and len(answer["serials"]) == LINES,
        f"{len(set(issued))} certificates of {len(answer['serials'])} lines",
    )


# ------------------------------------------------------------------ revocation


def _prepare_revocation(*reasons: str) -> Callable[[Any, Memo], None]:
    def prepare(world: Any, memo: Memo) -> None:
        serial = memo["serial"] = _harbour(world).issue().record.serial
        world.parts.responders.prepare()
        for reason in reasons[:-1]:
            revoke(world, serial, reason=reason)
        memo["document"] = world.revocation(serial, reason=reasons[-1])
        memo["reason"] = reasons[-1]

    return prepare


def _revoke(world: Any, memo: Memo) -> Answer:
    if memo.get("by_http", True):
        answer = _post(world, "/v1/revocations", memo["document"])
    else:
        order = open_revocation(world.parts.desk, memo["document"])
        answer = world.parts.revocation.revoke(order).as_json()
    return {"serial": answer["serial"], "revoked_at": answer["revoked_at"], "reason": answer["reason"]}


def _look_revoked(world: Any, memo: Memo, answer: Answer) -> list[str]:
    status = _record(world, memo["serial"]).status
    wanted = {"certificateHold": "hold", "removeFromCRL": "good"}.get(memo["reason"], "revoked")
    on_list = memo["serial"] in world.serials_on_list()
    return [
        *_unless(status == wanted, f"status {status} after {memo['reason']}"),
        *_unless(on_list == (wanted != "good"), f"on the list: {on_list} after {memo['reason']}"),
    ]


MANY = 25


def _prepare_mass(world: Any, memo: Memo) -> None:
    sender = Sender(_harbour(world))
    batch = sender.send(*(world.order_payload() for _ in range(MANY)))
    world.parts.batch_work.run()
    memo["serials"] = {line["serial"] for line in sender.results(batch)}
    people = People(world)
    for name, person in (("li", "E12345671"), ("wang", "E12345672")):
        people.officer(name, person)
    memo["officers"] = people.officers
    memo["proposal"] = people.proposal(selection={"profile": "organisation"})


def _mass(world: Any, memo: Memo) -> Answer:
    people = People(world)
    people.officers = memo["officers"]
    made = people.service.propose(memo["proposal"])[0]
    if made.state == "proposed":
        people.confirm(made)
    world.parts.mass_revocation_work.run()
    shown = world.parts.mass_revocations.show(made.mass_revocation)
    if shown.state != "done":
        raise NotNowError(503, shown.state)
    return {"number": made.mass_revocation, "done": shown.done, "changed": shown.changed}


def _look_mass(world: Any, memo: Memo, answer: Answer) -> list[str]:
    return [
        *_unless(answer["changed"] == MANY == answer["done"], f"{answer['changed']} changed"),
        *_unless(world.serials_on_list() == memo["serials"], "the list is not the selection"),
    ]


# ------------------------------------------------------------------ lists, answers, timestamps


def _prepare_lists(world: Any, memo: Memo) -> None:
    with_lists(_harbour(world), partitions=3, delta_hours=6)
    sender = Sender(world)
    batch = sender.send(*(world.order_payload() for _ in range(9)))
    world.parts.batch_work.run()
    serials = [line["serial"] for line in sender.results(batch)]
    for serial in serials[:4]:
        revoke(world, serial, reason="certificateHold")
    revoke(world, serials[0], reason="removeFromCRL")
    world.clock.advance(timedelta(hours=1))


def _publish(world: Any, memo: Memo) -> Answer:
    world.parts.publisher.publish_all("harbour")
    return {}


def _look_lists(world: Any, memo: Memo, answer: Answer) -> list[str]:
    return _unless(len(world.serials_on_list()) == 3, "not three on the full list")


def _prepare_rolled(world: Any, memo: Memo) -> None:
    _harbour(world).hold("city-tsa").issue()
    roll_delegates(world.parts)
    world.parts.responders.prepare()
    world.clock.advance(timedelta(days=700))
    renew_lists(world.parts, world.clock.now())


def _roll(world: Any, memo: Memo) -> Answer:
    roll_delegates(world.parts)
    return {
        name: current.certificate_der
        for name, delegates in (
            ("harbour", world.parts.ocsp_delegates),
            ("city-tsa", world.parts.timestamp_delegates),
        )
        for current in [delegates.current(world.parts.authorities.get(name))]
    }


def _look_rolled(world: Any, memo: Memo, answer: Answer) -> list[str]:
    return _unless(len(answer) == 2, "a delegate is missing")


def _prepare_timestamp(world: Any, memo: Memo) -> None:
    _harbour(world).hold("city-tsa")
    roll_delegates(world.parts)
    memo["request"] = request_timestamp(b"declaration of November")


def _timestamp(world: Any, memo: Memo) -> Answer:
    request = memo["request"]
    answer = world.parts.timestamps.answer("city-tsa", request.der)
    try:
        token = load_timestamp(read_timestamp_response(answer, request))
    except Exception as exc:  # a refusal is an answer that says why
        raise NotNowError(200, str(exc)) from exc
    off = abs(token.at - memo["at"]()) if hasattr(token, "at") else timedelta(0)
    return {"is_right": off < timedelta(minutes=3)}


def _look_timestamp(world: Any, memo: Memo, answer: Answer) -> list[str]:
    return _unless(answer["is_right"], "a timestamp of another time")


def _prepare_ahead(world: Any, memo: Memo) -> None:
    sender = Sender(_harbour(world))
    batch = sender.send(*(world.order_payload() for _ in range(5)))
    world.parts.batch_work.run()
    revoke(world, sender.results(batch)[0]["serial"])


def _ahead(world: Any, memo: Memo) -> Answer:
    world.parts.responders.prepare()
    world.parts.responders.follow()
    return {}


def _check(world: Any, memo: Memo) -> Answer:
    world.parts.check_rounds.step()
    found = world.parts.check_rounds.check_lists()
    return {"findings": [each.as_json() for each in found]}


# ------------------------------------------------------------------ authorities and profiles


def _hold(world: Any, memo: Memo) -> Answer:
    world.hold("harbour")
    return {"record": world.ceremony("harbour").record()}


def _rekey(world: Any, memo: Memo) -> Answer:
    hold_file(world, rekeyed_file())
    return {"certificate": world.parts.authorities.get("harbour-b").certificate_der}


def _prepare_profile(world: Any, memo: Memo) -> None:
    officers = memo["officers"] = Officers(_harbour(world))
    officers.add("qian", "E12345671")
    officers.add("sun", "E12345672")


def _seat_officers(world: Any, memo: Memo) -> None:
    world.parts.profile_desk._tokens = memo["officers"]


def _install(world: Any, memo: Memo) -> Answer:
    desk = world.parts.profile_desk
    try:
        drafted = desk.draft("harbour", profile_text(), in_force_from=None, actor="operator:editor")
    except ProfileVersionTakenError:
        pass
    else:
        for officer in ("qian", "sun"):
            desk.sign(drafted.id, officer, pin=PIN, sha256=drafted.profile.sha256)
        desk.install(drafted.id, actor="operator:qian")
    newest = desk.versions("harbour", "organisation")[0]
    return {"version": newest["version"], "document": newest["document"]}


def _look_installed(world: Any, memo: Memo, answer: Answer) -> list[str]:
    world.parts.authorities.reload()
    in_force = world.parts.authorities.get("harbour").profile("organisation").version
    return _unless(answer["version"] == in_force == 2, f"version {in_force} is in force")


def _end_authority(world: Any, memo: Memo) -> Answer:
    life = AuthorityLife(world.parts, world.roots, actor="command:test")
    retired = life.record("harbour", RETIRED) or life.retire("harbour", PEOPLE, "its time has come")
    return {"retired": retired, "destroyed": life.destroy("harbour", PEOPLE)}


def _look_ended(world: Any, memo: Memo, answer: Answer) -> list[str]:
    left = [label for label in world.token.keys if "harbour" in label]
    return _unless(not left, f"keys left on the token: {left}")


SCENARIOS = (
    Scenario(name="order", prepare=_prepare_order, act=_order, look=_look_order),
    Scenario(name="order-twice", prepare=_prepare_order, act=_order_twice, look=_look_order),
    Scenario(name="recovery", prepare=_prepare_intent, act=_recover, look=_look_order, is_start=True),
    Scenario(
        name="recovery-late", prepare=_prepare_old_intent, act=_recover, look=_look_given_up, is_start=True
    ),
    Scenario(name="renew", prepare=_prepare_following("renew", "issued"), act=_order, look=_look_followed),
    Scenario(
        name="change", prepare=_prepare_following("change", "delivered"), act=_change, look=_look_followed
    ),
    Scenario(name="batch", prepare=_prepare_batch, act=_batch, look=_look_batch),
    Scenario(name="revoke", prepare=_prepare_revocation("keyCompromise"), act=_revoke, look=_look_revoked),
    Scenario(name="hold", prepare=_prepare_revocation("certificateHold"), act=_revoke, look=_look_revoked),
    Scenario(
        name="release",
        prepare=_prepare_revocation("certificateHold", "removeFromCRL"),
        act=_revoke,
        look=_look_revoked,
    ),
    Scenario(name="mass-revocation", prepare=_prepare_mass, act=_mass, look=_look_mass),
    Scenario(name="lists", prepare=_prepare_lists, act=_publish, look=_look_lists),
    Scenario(name="delegates", prepare=_prepare_rolled, act=_roll, look=_look_rolled),
    Scenario(name="timestamp", prepare=_prepare_timestamp, act=_timestamp, look=_look_timestamp),
    Scenario(name="answers-ahead", prepare=_prepare_ahead, act=_ahead),
    Scenario(name="checker", prepare=_prepare_ahead, act=_check),
    Scenario(name="ceremony", prepare=lambda _world, _memo: None, act=_hold),
    Scenario(name="re-key", prepare=lambda world, _memo: _harbour(world) and None, act=_rekey),
    Scenario(
        name="profile", prepare=_prepare_profile, act=_install, look=_look_installed, opened=_seat_officers
    ),
    Scenario(
        name="end-of-authority",
        prepare=lambda world, _memo: _harbour(world) and None,
        act=_end_authority,
        look=_look_ended,
    ),
)
