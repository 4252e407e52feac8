"""Work over threads and processes: order, context, errors, logs, and an end with the parent."""

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from contextvars import ContextVar
from threading import Barrier, Event

import pytest

from giblet.errors import GibletError
from giblet.log import KEEPS_LOG, read_events
from giblet.parallel import cached_property, in_threads, worker_processes

WORD = ContextVar("word", default="")


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def warn():
    logging.getLogger("giblet.x").warning("two\nlines")
    warnings.warn("a library's", stacklevel=1)


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


def test_ctrl_c_does_not_wait_for_items_that_run():
    both, released, ended = Barrier(2, timeout=60), Event(), []

    def stop(k):
        both.wait()
        if k == 0:
            raise KeyboardInterrupt
        ended.append(released.wait(10))

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(stop, [0, 1], 2))
    assert not ended
    released.set()


def test_ctrl_c_does_not_wait_for_processes_that_run():
    begun = []

    def stop():
        with worker_processes(1, os.getpid) as processes:
            begun.append(processes.submit(os.getpid).result())
            begun.append(processes.submit(time.sleep, 20))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    worker, slow = begun
    assert not slow.done()
    os.kill(worker, signal.SIGKILL)


def test_events_and_warnings_of_a_process_are_lines_of_the_log(monkeypatch, capfd):
    monkeypatch.setenv(KEEPS_LOG, "1")
    with worker_processes(1, os.getpid) as processes:
        processes.submit(warn).result()
    lines = capfd.readouterr().err
    events = read_events(lines)
    assert len(events) == len(lines.splitlines())
    assert [event.logger for event in events] == ["giblet.x", "py.warnings"]
    assert events[0].message == "two lines"
    assert "UserWarning: a library's" in events[1].message


class Shape:
    def __init__(self, both):
        self.both, self.n_computed = both, 0

    @cached_property
    def size(self):
        """Of it."""
        self.both.wait()
        self.n_computed += 1
        return self.n_computed


def test_two_threads_compute_a_property_of_two_objects_at_once():
    """`functools.cached_property` of Python 3.11 does not: the barrier would break."""
    both = Barrier(2, timeout=10)
    shapes = [Shape(both), Shape(both)]
    assert list(in_threads(lambda one: one.size, shapes, 2)) == [1, 1]
    assert [one.size for one in shapes] == [1, 1]  # kept
    assert Shape.size.__doc__ == "Of it."


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
