"""How fast pushes are sent beside other libraries: `python -m benchmarks.libraries [ROUNDS [SECONDS]]`.

Each sender is a process of its own that sends the same message of 250 bytes to the same devices, with all that a push
has (encryption with a new key, VAPID token, TTL, urgency), 100 at once, to the same push service, which costs next to
nothing: it looks where a request ends and answers 201. In turns, over plain HTTP and over TLS; of each the median of
the rounds, ratios round by round. CPU is that of the sender with its threads and children, without the push service.
On a machine that does something else, look at the CPU: who has more processes is then given more of the time.

Each is used the best way that its documents show:

- pushdesk: with one and two sender processes, which are given pushes as the engine gives them, and without any.
- pywebpush async: `webpush_async` with one aiohttp session for all and the VAPID key read beforehand; it signs a token
  for each push. Beside it the same with `WebPusher.send_async` below it and a token that is signed once.
- pywebpush sync: `webpush` with a requests session for all, one after the other: it can no more in a thread.
- node web-push: with an https agent that keeps connections; it knows no plain HTTP. It is fetched from npm into
  `.cache/web-push`; without node or npm it is left out, and that is said.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import msgspec
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.library_senders import Counted, Device, DeviceKeys, Load
from benchmarks.processes import load_average
from benchmarks.transport import Sink
from pushdesk.webpush.encryption import encode_base64url
from pushdesk.webpush.vapid import SigningKey
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUNDS: Final = 5
SECONDS: Final = 4.0
STUCK_S: Final = 60.0
"""A sender that takes so much longer than it counts for has failed."""
DEVICES: Final = 200
MESSAGE: Final = '{"web_push":8030,"notification":{"title":"A turn has ended"}}'.ljust(250)
NODE: Final = "node web-push"
NODE_VERSION: Final = "3.6.7"
NODE_FOLDER: Final = CHECKOUT / ".cache" / "web-push"
ONE, TWO, ASYNC = "pushdesk, one sender process", "pushdesk, two sender processes", "pywebpush async"
SENDERS: Final = {
    ONE: "pushdesk-1",
    TWO: "pushdesk-2",
    "pushdesk, no sender process": "pushdesk-0",
    ASYNC: "pywebpush-async",
    "pywebpush async, token signed once": "pywebpush-token-once",
    "pywebpush sync": "pywebpush-sync",
    NODE: "node",
}
GOALS: Final = (
    ("sends/s of one sender process by pywebpush async's", ONE, ASYNC, 4.0),
    ("sends/s of one sender process by node web-push's", ONE, NODE, 8.0),
    ("sends/s of two sender processes by one's", TWO, ONE, 1.3),
)


def find_node() -> str | None:
    """Fetch web-push for node; returns why it cannot be had, or None."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no node, or no npm"
    if (NODE_FOLDER / "node_modules" / "web-push").exists():
        return None
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    command = ("npm", "install", "--prefix", str(NODE_FOLDER), "--no-audit", "--no-fund", f"web-push@{NODE_VERSION}")
    fetched = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 (a fixed program)
    return None if fetched.returncode == 0 else "npm could not fetch it"


def load_for(origin: str, key: SigningKey) -> Load:
    """Make devices of a push service; their private halves are nobody's."""
    private = (generate_private_key(SECP256R1()) for _ in range(DEVICES))
    points = (each.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for each in private)
    return Load(
        origin=origin,
        devices=[
            Device(
                f"{origin}/push/{'e' * 140}{number:09}",
                DeviceKeys(encode_base64url(point), encode_base64url(os.urandom(16))),
            )
            for number, point in enumerate(points)
        ],
        message=MESSAGE,
        pem=key.to_pem().decode(),
        public_key=key.public_key,
        private_key=key.to_base64url(),
    )


async def count(sender: str, file: Path, seconds: float, environment: Mapping[str, str]) -> Counted:
    """Run a sender to its end."""
    program = (
        ("node", str(CHECKOUT / "benchmarks" / "web_push.cjs"))
        if sender == SENDERS[NODE]
        else (sys.executable, "-m", "benchmarks.library_senders", sender)
    )
    process = await asyncio.create_subprocess_exec(
        *program, str(file), str(seconds), env=environment, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds + STUCK_S):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{sender} ended with {process.returncode}"
    return msgspec.json.decode(out, type=Counted)


async def measure(rounds: int, seconds: float, names: list[str]) -> dict[tuple[str, str], list[Counted]]:
    """Return what came of each round, by way and sender."""
    found: dict[tuple[str, str], list[Counted]] = defaultdict(list)
    authority, key = trustme.CA(), SigningKey.generate()
    with TemporaryDirectory() as name:
        folder = Path(name)
        authority.cert_pem.write_to_path(folder / "authority.pem")
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "localhost.pem")
        trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), "authority.pem")
        environment = {
            **os.environ,
            **{variable: str(folder / file) for variable, file in trusted.items()},
            "NODE_PATH": str(NODE_FOLDER / "node_modules"),
        }
        async with Sink() as plain, Sink(str(folder / "localhost.pem")) as secure:
            ways = {"plain": plain.origin, "TLS": secure.origin}
            for way, origin in ways.items():
                (folder / f"{way}.json").write_bytes(msgspec.json.encode(load_for(origin, key)))
            for number in range(rounds):
                for way in ways:
                    sending = [each for each in names if way == "TLS" or each != NODE]
                    # Each is first in turn.
                    first = number % len(sending)
                    for each in sending[first:] + sending[:first]:
                        file = folder / f"{way}.json"
                        found[way, each].append(await count(SENDERS[each], file, seconds, environment))
                sys.stderr.write(f"round {number + 1} of {rounds}\n")
    return found


def rates(counted: list[Counted]) -> list[float]:
    return [each.sends / each.seconds for each in counted]


def costs(counted: list[Counted]) -> list[float]:
    return [1e6 * each.cpu_s / each.sends for each in counted]


def ratio(values: list[float], others: list[float]) -> float:
    """Return the median of the ratios of the rounds."""
    return median(value / other for value, other in zip(values, others, strict=True))


def tables(found: dict[tuple[str, str], list[Counted]]) -> list[str]:
    lines = [
        "| | sender | sends/s | by pywebpush async's | CPU a send, us | by pywebpush async's |",
        "| --- | --- | --: | --: | --: | --: |",
    ]
    for (way, name), counted in sorted(
        found.items(), key=lambda item: (item[0][0] == "TLS", list(SENDERS).index(item[0][1]))
    ):
        other = found[way, ASYNC]
        lines.append(
            f"| {way} | {name} | {median(rates(counted)):.0f} | {ratio(rates(counted), rates(other)):.2f} "
            f"| {median(costs(counted)):.0f} | {ratio(costs(counted), costs(other)):.2f} |"
        )
    lines += ["", "| goal | | plain | TLS |", "| --- | --- | --: | --: |"]
    for goal, name, other_name, least in GOALS:
        reached = [
            f"{ratio(rates(found[way, name]), rates(found[way, other_name])):.2f}"
            if (way, other_name) in found
            else "-"
            for way in ("plain", "TLS")
        ]
        lines.append(f"| {goal} | at least {least:g} | {' | '.join(reached)} |")
    reached = [f"{ratio(costs(found[way, TWO]), costs(found[way, ONE])):.2f}" for way in ("plain", "TLS")]
    lines.append(f"| CPU a send of two sender processes by one's | at most 1.15 | {' | '.join(reached)} |")
    return lines


def main() -> None:
    rounds, seconds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, SECONDS
    if len(sys.argv) > 2:
        seconds = float(sys.argv[2])
    before, missing = load_average(), find_node()
    names = [name for name in SENDERS if name != NODE or missing is None]
    found = asyncio.run(measure(rounds, seconds, names))
    if missing is not None:
        print(f"Without {NODE}: {missing}.\n")
    print("\n".join(tables(found)))
    print(
        f"\n{rounds} rounds of {seconds:g} s; load average {before:.1f} before, {load_average():.1f} after. "
        f"{NODE} {NODE_VERSION} is over TLS only, as it knows nothing else."
    )


if __name__ == "__main__":
    main()
