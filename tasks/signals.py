"""SIGTERM and Ctrl-C ask a run to stop; asked a second time, the process ends at once (which loses nothing either)."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ASKED_BY = {signal.SIGTERM: "the process was asked to end", signal.SIGINT: "a person interrupted it"}


class Together:
    """Runs that stop together, because they are children of one job: whatever stops their parent stops them."""

    def __init__(self) -> None:
        self._stops: set[Callable[[str], None]] = set()
        self._reason: str | None = None

    def stop(self, reason: str) -> None:
        """Stop all of them, and those that begin later as well."""
        self._reason = reason
        for stop in list(self._stops):
            stop(reason)

    @contextmanager
    def one(self, stop: Callable[[str], None]) -> Iterator[None]:
        """While inside, `stop` is called when they stop."""
        self._stops.add(stop)
        try:
            if self._reason is not None:
                stop(self._reason)
            yield
        finally:
            self._stops.discard(stop)


_TOGETHER: ContextVar[Together | None] = ContextVar("together", default=None)


def stop_with(together: Together) -> None:
    """Runs that begin in the present asyncio task from here on stop with the others, not by signals."""
    _TOGETHER.set(together)


@contextmanager
def stopping_on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Inside, the first SIGTERM or SIGINT calls `stop(reason)` in the running event loop; the next one does what it did
    before. Does nothing in other threads than the main one, where Python delivers no signals. A child of a job stops
    with its parent instead."""
    together = _TOGETHER.get()
    if together is not None:
        with together.one(stop):
            yield
        return
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _ASKED_BY}

    def restore() -> None:
        for number in list(before):
            loop.remove_signal_handler(number)
            signal.signal(number, before.pop(number))

    def asked(number: signal.Signals) -> None:
        restore()
        stop(_ASKED_BY[number])

    for number in _ASKED_BY:
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        restore()
