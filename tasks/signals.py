"""SIGTERM and Ctrl-C ask a run to stop; asked a second time, the process ends at once (which loses nothing either)."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ASKED_BY = {signal.SIGTERM: "the process was asked to end", signal.SIGINT: "a person interrupted it"}


@contextmanager
def stopping_on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Inside, the first SIGTERM or SIGINT calls `stop(reason)` in the running event loop; the next one does what it did
    before. Does nothing in other threads than the main one, where Python delivers no signals."""
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
