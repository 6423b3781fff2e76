"""`pushdesk doctor`: looks at everything that goes wrong at an operator's, and says what to do about it."""

from __future__ import annotations

import asyncio
import os
import textwrap
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.output import counted, say, say_json
from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_USAGE, PushdeskError
from pushdesk.plain_text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pushdesk.config import Config
    from pushdesk.doctor.examination import Circumstances
    from pushdesk.doctor.findings import Finding
    from pushdesk.storage.sealing import Sealer

WIDTH: Final = 80


def doctor(
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave out what needs the network: push services, clock, access URL")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings too")] = False,
    as_json: options.AsJson = False,
    host: options.Host = None,
    port: options.Port = None,
    access_url: options.AccessUrl = None,
    allow_origin: options.AllowOrigin = None,
    trusted_proxy: options.TrustedProxy = None,
    seal_key_file: options.SealKeyFile = None,
    allow_endpoint: options.AllowEndpoint = None,
    data_dir: options.DataDir = None,
    config: options.ConfigFile = None,
) -> None:
    """Look at everything that keeps pushes from arriving, and say what to do. Changes nothing, pushes nothing.

    Exit code 0 if nothing is broken, 1 if something is, 2 if the configuration cannot be read.
    """
    flags = options.given(
        host=host,
        port=port,
        access_url=access_url,
        allow_origin=allow_origin,
        trusted_proxy=trusted_proxy,
        seal_key_file=seal_key_file,
        allow_endpoint=allow_endpoint,
        data_dir=data_dir,
        config=config,
    )
    end(lambda: _run(flags, os.environ, offline=offline, strict=strict, as_json=as_json))


def _run(flags: Mapping[str, object], environ: Mapping[str, str], *, offline: bool, strict: bool, as_json: bool) -> int:
    from pushdesk.doctor.examination import examine
    from pushdesk.doctor.findings import are_healthy

    # The C library's own timeouts for names are longer than anybody waits here, and a thread in it cannot be ended.
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:2")
    circumstances = look_around(flags, environ, offline=offline)
    findings = asyncio.run(examine(circumstances))
    if as_json:
        say_json({"healthy": are_healthy(findings, strict=strict), "findings": msgspec.to_builtins(findings)})
    else:
        for line in report(findings):
            say(line)
    if circumstances.config_error is not None:
        return EXIT_USAGE
    return EXIT_DONE if are_healthy(findings, strict=strict) else EXIT_NO


def look_around(flags: Mapping[str, object], environ: Mapping[str, str], *, offline: bool) -> Circumstances:
    """Return what an examination starts from: configuration, server, token, what the sealing key is."""
    from pushdesk.cli.datadir import holder_of
    from pushdesk.cli.open_files import files_needed
    from pushdesk.clock import SystemClock
    from pushdesk.doctor.examination import Circumstances, Server

    config, error = _read(flags, environ)
    holder = holder_of(config.data_dir)
    return Circumstances(
        config=config,
        config_error=error,
        clock=SystemClock(),
        environ=environ,
        sealer=_sealer(config),
        files_needed=files_needed(config),
        server=None if holder is None else Server(holder.pid, holder.url),
        address_problem=_address_problem(config) if holder is None else None,
        holds_other_things=_holds_other_things(config.data_dir),
        token=_token(config.data_dir, environ),
        is_offline=offline,
    )


def report(findings: Sequence[Finding]) -> list[str]:
    """Return findings as lines for a person, by subject."""
    from pushdesk.doctor.findings import Level

    lines: list[str] = []
    subject = ""
    for finding in findings:
        if finding.check.subject != subject:
            subject = finding.check.subject
            lines.append(subject)
        lines += _wrapped(f"  {finding.level.glyph} ", finding.what)
        if finding.level is not Level.OK:
            lines += _wrapped("    ", finding.why)
        lines += _wrapped("    → ", finding.advice)
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    lines.append("")
    warnings = counted(counts[Level.WARNING], "warning")
    lines.append(
        f"{counts[Level.BROKEN]} broken, {warnings}, {counts[Level.OK]} ok, {counts[Level.NOT_LOOKED_AT]} not looked at"
    )
    return lines


def _wrapped(mark: str, text: str) -> list[str]:
    """Return a text in lines of a terminal's width, the first with a mark; a command's words are not broken."""
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _read(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[Config, PushdeskError | None]:
    """Read the configuration; where it cannot be read, return the defaults for what can be looked at all the same."""
    from pushdesk.cli.hosting import default_data_dir, read_config
    from pushdesk.config import FILE_NAME, Config, Secret

    try:
        return read_config(flags, environ), None
    except PushdeskError as error:
        named = flags.get("--config") or environ.get("PUSHDESK_CONFIG")
        told = (
            flags.get("--data-dir") or environ.get("PUSHDESK_DATA_DIR") or (_named_in(_path(named)) if named else None)
        )
        data_dir = _path(told or default_data_dir())
        file = _path(named) if named else data_dir / FILE_NAME
        return Config(data_dir=data_dir, file=file, seal_key=Secret(environ.get("PUSHDESK_SEAL_KEY", ""))), error


def _named_in(file: Path) -> object:
    """Return the data directory that a file names in which something else may be wrong; None if it names none."""
    from pushdesk.config_file import read_config_file

    try:
        server = read_config_file(file, must_exist=False).tables.get("server")
    except PushdeskError:
        return None
    return server.get("data_dir") if isinstance(server, dict) else None


def _path(text: object) -> Path:
    from pathlib import Path

    return Path(str(text)).expanduser().absolute()


def _sealer(config: Config) -> Sealer | PushdeskError:
    from pushdesk.seal_key import seal_key
    from pushdesk.storage.sealing import Sealer

    try:
        return Sealer(seal_key(config))
    except PushdeskError as error:
        return error


def _holds_other_things(data_dir: Path) -> bool:
    """Whether a folder was not made for pushdesk; why it cannot be read is for the examination to find."""
    from pushdesk.cli.datadir import holds_other_things

    try:
        return holds_other_things(data_dir)
    except OSError:
        return False


def _token(data_dir: Path, environ: Mapping[str, str]) -> str | None:
    from pushdesk.cli.datadir import client_token

    if token := environ.get("PUSHDESK_ADMIN_TOKEN"):
        return token
    try:
        return client_token(data_dir, None, environ)
    except PushdeskError:
        return None


def _address_problem(config: Config) -> PushdeskError | None:
    from pushdesk.cli.sockets import check_address

    try:
        check_address(config.server.host, config.server.port)
    except PushdeskError as error:
        return error
    return None
