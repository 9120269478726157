"""`python -m simulator`: serve a simulated Procore until SIGTERM or SIGINT."""

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.project_writer import WorldOptions
from simulator.server import serving, sole_use
from simulator.settings import Settings
from simulator.world import make_world, options_of

_WORLD = ("seed", "files", "max_file_bytes", "projects", "file_bytes", "further_files")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; the exit code. What it serves is printed as one line of JSON when it is ready."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings().parsed(arguments.switch)
        if arguments.latency_ms is not None:
            settings = settings.changed({"latency_ms": arguments.latency_ms})
        faults = json.loads(arguments.faults.read_text("utf-8")) if arguments.faults else []
        with contextlib.ExitStack() as stack:
            stack.enter_context(sole_use(arguments.folder))
            make_world(arguments.folder, _options(arguments), time.time())
            served = stack.enter_context(serving(arguments.folder, settings, faults))
            sys.stdout.write(json.dumps(served.facts) + "\n")
            sys.stdout.flush()
            stop.wait()
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return 0


def _options(arguments: argparse.Namespace) -> WorldOptions:
    """What was asked for; the rest as the folder's world has it, or the defaults."""
    asked: dict[str, Any] = {name: getattr(arguments, name) for name in _WORLD if getattr(arguments, name) is not None}
    known = options_of(arguments.folder) or WorldOptions()
    return WorldOptions(**{name: asked.get(name, getattr(known, name)) for name in _WORLD})


def _parser() -> argparse.ArgumentParser:
    defaults = WorldOptions()
    parser = argparse.ArgumentParser(
        prog="simulator",
        description="A Procore on loopback with a believable construction project. The same folder continues the same "
        "world on the same ports; what is being served is in FOLDER/simulator.json.",
        epilog="Switches: " + ", ".join(f"{name}={value}" for name, value in Settings().described().items()),
    )
    parser.add_argument("--folder", type=Path, required=True, help="where the world is kept")
    parser.add_argument("--seed", type=int, help=f"another seed, another world ({defaults.seed})")
    parser.add_argument("--files", type=int, help=f"files in the sample project ({defaults.files})")
    parser.add_argument(
        "--max-file-bytes", type=int, help=f"no file is larger; 0 = no limit ({defaults.max_file_bytes})"
    )
    parser.add_argument("--projects", type=int, help=f"how many projects ({defaults.projects})")
    parser.add_argument("--further-files", type=int, help=f"files in each other project ({defaults.further_files})")
    parser.add_argument("--file-bytes", type=int, help="plain files of exactly this size, for measuring")
    parser.add_argument("--latency-ms", type=float, help="delay of every answer")
    parser.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE", help="see below; repeatable")
    parser.add_argument("--faults", type=Path, help="a fault script (JSON), see simulator/faults.py")
    return parser


if __name__ == "__main__":
    sys.exit(main())
