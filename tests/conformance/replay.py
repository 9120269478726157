"""Recorded exchanges with the simulated API, judged by Prism: do they keep to Procore's API description?

`python -m tests.conformance.replay PRISM FOLDER`: Prism's program, and the folder of recordings (tests/servers.py).
Prism stands as a proxy in front of a server that gives each recorded answer again, so every exchange is judged exactly
as it happened, whatever faults the tests script and however many simulators they run. Ends with 1 if there is a
violation, or if Prism finds nothing wrong with exchanges that were spoiled on purpose.
"""

import base64
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.conformance import oas

_MARK = "x-exchange"
_ITEMS_MAX = 50
"""Entries of a long page that are judged: the first, the last and some between."""
Exchange = dict[str, Any]


def main(prism: str, folder: Path) -> int:
    """Judge every recording; the exit code."""
    exchanges = list(_recorded(folder))
    if not exchanges:
        _say(f"There is nothing recorded in {folder}.")
        return 1
    spoiled = list(_spoiled(exchanges))
    upstream = _upstream([*exchanges, *spoiled])
    port = _free_port()
    command = [prism, "proxy", "--errors", "-h", "127.0.0.1", "-p", str(port), "-v", "fatal", str(oas.SUBSET)]
    address = f"http://127.0.0.1:{upstream.server_address[1]}"
    process = subprocess.Popen([*command, address], stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            bad = 0
            for number, exchange in enumerate(exchanges):
                problem = _problem(client, number, exchange)
                if problem:
                    bad += 1
                    _say(f"{exchange['method']} {exchange['address']} → {exchange['status']}\n    {problem}")
            blind = [
                exchange["address"]
                for number, exchange in enumerate(spoiled, len(exchanges))
                if not _problem(client, number, exchange)
            ]
    finally:
        process.terminate()
        process.wait()
        upstream.shutdown()
    _say(f"{len(exchanges)} different exchanges were held against Procore's description; {bad} violate it.")
    if blind or len(spoiled) < 2:
        _say(f"Prism did not object to what was spoiled on purpose: {blind}")
    return 1 if bad or blind or len(spoiled) < 2 else 0


def _spoiled(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """An answer that the description forbids, and a request that it forbids."""
    for exchange in exchanges:
        if exchange["address"] == "/rest/v1.0/me" and exchange["status"] == 200:
            yield {**exchange, "answer": json.dumps({"id": "a text", "login": 1, "name": None}).encode()}
            break
    for exchange in exchanges:
        if "/documents?" in exchange["address"] and exchange["status"] == 200:
            yield {**exchange, "address": exchange["address"].partition("?")[0] + "?view=sideways"}
            break


def _recorded(folder: Path) -> Iterator[Exchange]:
    """Each different exchange once, long pages shortened, without what the description leaves open on purpose."""
    seen = set()
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            exchange: Exchange = json.loads(line)
            exchange["answer"] = _shortened(base64.b64decode(exchange["answer"]))
            key = (exchange["method"], exchange["address"], exchange["body"], exchange["status"], exchange["answer"])
            if key not in seen and not oas.is_beyond(exchange["method"], exchange["address"], exchange["status"]):
                seen.add(key)
                yield exchange


def _shortened(body: bytes) -> bytes:
    try:
        content = json.loads(body)
    except ValueError:
        return body
    entries = content.get("data") if isinstance(content, dict) else content
    if not isinstance(entries, list) or len(entries) <= _ITEMS_MAX:
        return body
    kept = [*entries[:: len(entries) // (_ITEMS_MAX - 1)], entries[-1]]
    return json.dumps({**content, "data": kept} if isinstance(content, dict) else kept).encode()


def _problem(client: httpx.Client, number: int, exchange: Exchange) -> str:
    """What Prism says against an exchange; empty if nothing."""
    answer = client.request(
        exchange["method"],
        exchange["address"],
        headers={**exchange["headers"], _MARK: str(number)},
        content=base64.b64decode(exchange["body"]),
    )
    problems = answer.headers.get("sl-violations", "")
    if answer.status_code == exchange["status"] and not problems:
        return ""
    return problems or answer.text[:2000]


def _upstream(exchanges: list[Exchange]) -> ThreadingHTTPServer:
    """A server that gives the recorded answer of the exchange named in a header."""

    class Recorded(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            exchange = exchanges[int(self.headers[_MARK])]
            self.send_response(exchange["status"])
            for name, value in exchange["answer_headers"].items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(exchange["answer"])))
            self.end_headers()
            self.wfile.write(exchange["answer"])

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("Prism did not start.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
