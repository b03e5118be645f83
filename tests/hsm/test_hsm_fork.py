"""After fork(): a clear error or a fresh beginning, never the parent's handles."""

import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.token

RunProgram = Callable[..., subprocess.CompletedProcess[str]]

PROLOGUE = """
import os, sys, threading, time, traceback
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from onecert.hsm import ForkedError, KeyAlgorithm, ensure_softhsm_token, open_token

ECDSA = ec.ECDSA(hashes.SHA256())

def sign_and_verify(key):
    key.public_key().verify(key.sign(b"x", ECDSA), b"x", ECDSA)

def in_child(act):
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        act()
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)

def wait_for(child):
    _pid, status = os.waitpid(child, 0)
    assert status == 0, status

config = ensure_softhsm_token(STORE, label="forked", pin_file=PIN)
token = open_token(config)
key = token.generate_key("key", KeyAlgorithm.P_256)
"""


def test_a_child_does_not_use_inherited_handles(run_program: RunProgram) -> None:
    done = run_program(
        PROLOGUE
        + """
def act():
    for attempt in (lambda: sign_and_verify(key), token.check, token.key_labels,
                    lambda: token.generate_key("x", KeyAlgorithm.P_256)):
        try:
            attempt()
        except ForkedError as exc:
            print(exc.code)
wait_for(in_child(act))
sign_and_verify(key)
        """
    )
    assert done.stdout.split() == ["TOKEN_FORKED"] * 4


def test_a_child_opens_the_token_afresh_while_its_parent_goes_on(run_program: RunProgram) -> None:
    done = run_program(
        PROLOGUE
        + """
def act():
    with open_token(config) as fresh:
        own = fresh.load_key("key")
        for _turn in range(50):
            sign_and_verify(own)
        fresh.generate_key(f"child-{os.getpid()}", KeyAlgorithm.P_256)
    print("child done")
children = [in_child(act) for _number in range(3)]
for _turn in range(50):
    sign_and_verify(key)
for child in children:
    wait_for(child)
sign_and_verify(key)
assert len(token.key_labels()) == 4, token.key_labels()
        """
    )
    assert done.stdout.count("child done") == 3


def test_fork_waits_for_signatures_under_way_in_other_threads(run_program: RunProgram) -> None:
    """Forking in the middle of a call left 6 of 20 children hanging on a lock that nobody would ever open."""
    run_program(
        PROLOGUE
        + """
stop = threading.Event()
def work():
    while not stop.is_set():
        sign_and_verify(key)
threads = [threading.Thread(target=work) for _number in range(4)]
for thread in threads:
    thread.start()
def act():
    with open_token(config) as fresh:
        sign_and_verify(fresh.load_key("key"))
for _turn in range(20):
    wait_for(in_child(act))
stop.set()
for thread in threads:
    thread.join()
        """,
        timeout_s=120,
    )


def test_a_fork_in_the_middle_of_a_call_is_refused_in_the_child(run_program: RunProgram) -> None:
    """A call that does not end in time: the parent forks all the same, the child must not touch the
    module."""
    done = run_program(
        PROLOGUE
        + """
from onecert.hsm import module
module.FORK_WAIT_S = 0.1
held = token._pool._idle.get()  # a session that somebody is using
def act():
    try:
        open_token(config)
    except ForkedError as exc:
        print(exc.code)
wait_for(in_child(act))
token._pool._idle.put(held)
sign_and_verify(key)
        """
    )
    assert done.stdout.strip() == "TOKEN_FORK_UNSAFE"


def test_multiprocessing_with_fork_can_open_tokens(run_program: RunProgram) -> None:
    run_program(
        PROLOGUE
        + """
import multiprocessing
def work(_number):
    with open_token(config) as fresh:
        sign_and_verify(fresh.load_key("key"))
    return True
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert all(pool.map(work, range(9)))
sign_and_verify(key)
        """
    )
