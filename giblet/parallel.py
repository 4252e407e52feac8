"""Work spread over processes or threads of this computer; results are the same for any number."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import copy_context
from multiprocessing import get_context, parent_process
from typing import TypeVar

from giblet.errors import GibletError

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def worker_processes(n: int, begin: Callable, *arguments: object) -> Iterator[ProcessPoolExecutor]:
    """``n`` new processes, each of which calls ``begin(*arguments)`` first.

    They start with nothing of this process (spawn), leave Ctrl-C to it, and end with it, however
    it ends. At the end of the block tasks that have not begun are dropped.

    Raises GibletError where a process was killed.
    """
    start = (begin, *arguments)
    pool = ProcessPoolExecutor(n, get_context("spawn"), _begin_worker, start)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise GibletError(
            f"one of {n} processes was killed, most likely as memory ran out. Free memory, or let "
            "one job run at a time (snakemake --cores 1)"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(begin: Callable, *arguments: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*arguments)


def _end_with_parent() -> None:
    """A process that waits for tasks does not see that nobody is left to send them."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def in_threads(function: Callable[[T], R], items: Iterable[T], n_jobs: int) -> Iterator[R]:
    """``function`` of each item, in order, of ``n_jobs`` items at a time.

    It helps where time goes to NumPy, torch or other processes, which run side by side. With one
    job, everything runs in the caller's thread. Context variables are those of the caller.

    >>> list(in_threads(abs, [-1, 2, -3], n_jobs=2))
    [1, 2, 3]
    """
    if n_jobs == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(n_jobs) as threads:
        waiting = [threads.submit(copy_context().run, function, item) for item in items]
        try:
            for one in waiting:
                yield one.result()
        finally:
            threads.shutdown(cancel_futures=True)
