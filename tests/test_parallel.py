"""Work over threads and processes: order, context, errors, and an end with the parent."""

import os
import signal
import subprocess
import sys
import time
from contextvars import ContextVar
from threading import Barrier

import pytest

from giblet.errors import GibletError
from giblet.parallel import in_threads, worker_processes

WORD = ContextVar("word", default="")


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def test_two_items_run_at_once_in_the_context_of_the_caller_and_in_order():
    both = Barrier(2, timeout=60)  # passes only where two threads wait

    def meet(k):
        both.wait()
        return k, WORD.get()

    token = WORD.set("here")
    try:
        assert list(in_threads(meet, [3, 1, 2, 0], 2)) == [(k, "here") for k in (3, 1, 2, 0)]
    finally:
        WORD.reset(token)


def test_an_error_of_one_item_reaches_the_caller_and_no_further_item_begins():
    begun = []

    def fail(k):
        begun.append(k)
        time.sleep(0.05)
        raise GibletError(f"item {k}")

    with pytest.raises(GibletError, match="item 0"):
        list(in_threads(fail, range(50), 2))
    assert len(begun) < 10


def test_a_process_that_is_killed_is_one_line():
    killed = "one of 1 processes was killed, most likely as memory ran out"
    with pytest.raises(GibletError, match=killed), worker_processes(1, os.getpid) as processes:
        processes.submit(kill_oneself).result()


SCRIPT = """
import os, sys, time
from giblet.parallel import worker_processes
if __name__ == "__main__":
    with worker_processes(1, time.sleep, 0) as processes:
        print(processes.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    assert os.path.exists(f"/proc/{child}")
    parent.kill()
    parent.wait()
    for _ in range(600):
        if not os.path.exists(f"/proc/{child}"):
            break
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{child}")
