"""Work spread over processes or threads of this computer; results are the same for any number."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from multiprocessing import get_context, parent_process
from typing import Generic, Self, TypeVar, overload

from giblet.errors import GibletError
from giblet.log import log_to_stderr, quiet_libraries

T = TypeVar("T")
R = TypeVar("R")
_entered = ExitStack()  # for as long as a worker lives


@contextmanager
def worker_processes(n: int, begin: Callable, *arguments: object) -> Iterator[ProcessPoolExecutor]:
    """``n`` new processes, each of which calls ``begin(*arguments)`` first.

    They start with nothing of this process (spawn), log as a command does, leave Ctrl-C to this
    process, and end with it, however it ends. At the end of the block tasks that have not begun
    are dropped, and those that run are waited for, but not after Ctrl-C.

    Raises GibletError where a process was killed.
    """
    start = (begin, *arguments)
    pool = ProcessPoolExecutor(n, get_context("spawn"), _begin_worker, start)
    try:
        with _closed_after(pool):
            yield pool
    except BrokenProcessPool as error:
        raise GibletError(
            f"one of {n} processes was killed, most likely as memory ran out. Free memory, or let "
            "one job run at a time (snakemake --cores 1)"
        ) from error


@contextmanager
def _closed_after(pool: Executor) -> Iterator[None]:
    """Drop tasks that have not begun, and wait for those that run; after Ctrl-C do not wait."""
    waits = True
    try:
        yield
    except KeyboardInterrupt:
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)


def _begin_worker(begin: Callable, *arguments: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    quiet_libraries()
    _entered.enter_context(log_to_stderr())
    begin(*arguments)


def _end_with_parent() -> None:
    """A process that waits for tasks does not see that nobody is left to send them."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def in_threads(function: Callable[[T], R], items: Iterable[T], n_jobs: int) -> Iterator[R]:
    """``function`` of each item, in order, of ``n_jobs`` items at a time.

    It helps where time goes to NumPy, torch or other processes, which run side by side. With one
    job, everything runs in the caller's thread. Context variables are those of the caller. After
    an error no further item begins. Ctrl-C waits for none.

    >>> list(in_threads(abs, [-1, 2, -3], n_jobs=2))
    [1, 2, 3]
    """
    if n_jobs == 1:
        yield from map(function, items)
        return
    threads = ThreadPoolExecutor(n_jobs)
    with _closed_after(threads):
        waiting = [threads.submit(copy_context().run, function, item) for item in items]
        for one in waiting:
            yield one.result()


class cached_property(Generic[T, R]):
    """`functools.cached_property` without the lock that Python 3.11 has.

    That lock is one for all objects: threads that compute it of different objects wait for each
    other. Without it, threads that ask the same object first may each compute it.
    """

    def __init__(self, function: Callable[[T], R]):
        self._function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: T, owner: type | None = None) -> R: ...

    def __get__(self, instance: T | None, owner: type | None = None) -> Self | R:
        if instance is None:
            return self
        # found there first from now on, as this class has no __set__
        return vars(instance).setdefault(self._name, self._function(instance))
