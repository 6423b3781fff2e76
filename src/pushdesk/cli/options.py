"""What several commands share: options for settings of `pushdesk.config.SETTINGS` and to reach a server, and groups."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from pushdesk.cli.usage import Commands, show_help

Host: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--host", metavar="HOST", help="Address to listen on [default: localhost, which is 127.0.0.1 and ::1]"
    ),
]
Port: TypeAlias = Annotated[
    str | None, typer.Option("--port", metavar="PORT", help="Port to listen on; 0 for a free one [default: 8484]")
]
DataDir: TypeAlias = Annotated[
    str | None, typer.Option("--data-dir", metavar="FOLDER", help="Folder of database, keys, token and log")
]
ConfigFile: TypeAlias = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Configuration [default: pushdesk.toml in the data directory]"),
]
AccessUrl: TypeAlias = Annotated[
    str | None,
    typer.Option("--access-url", metavar="ORIGIN", help="How browsers reach it [default: http://localhost:PORT]"),
]
AllowEndpoint: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-endpoint", metavar="ORIGIN", help="Send to this origin too, such as the simulator; may be repeated"
    ),
]
AllowOrigin: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-origin", metavar="ORIGIN", help="Let pages of this other site subscribe browsers; may be repeated"
    ),
]
ClickOrigin: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--click-origin", metavar="ORIGIN", help="Let clicks on notifications lead to this origin too; may be repeated"
    ),
]
SealKeyFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--seal-key-file", metavar="FILE", help="Key that secrets are sealed with, unless PUSHDESK_SEAL_KEY holds it"
    ),
]
TrustedProxy: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-proxy", metavar="CIDR", help="Believe proxies of this network whose request it is; may be repeated"
    ),
]
Dev: TypeAlias = Annotated[bool, typer.Option("--dev", help="All experiments on, log at debug level")]
CacheTtl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cache-ttl", metavar="DURATION", help="How long subscriptions are remembered; 0 for not at all [default: 3m]"
    ),
]
ExperimentsWebPush: TypeAlias = Annotated[
    str | None,
    typer.Option("--experiments-web-push", metavar="true|false", help="Whether there is push [default: true]"),
]
LogLevel: TypeAlias = Annotated[
    str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error [default: info]")
]
LogFile: TypeAlias = Annotated[
    str | None, typer.Option("--log-file", metavar="FILE", help="Log [default: pushdesk.log in the data directory]")
]
Theme: TypeAlias = Annotated[
    str | None, typer.Option("--theme", metavar="NAME", help="The console's colours [default: pushdesk-dark]")
]
TokenFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token-file", metavar="FILE", help="The server's token, unless PUSHDESK_TOKEN holds it [default: admin.token]"
    ),
]
Insecure: TypeAlias = Annotated[bool, typer.Option("--insecure", help="Send the token over plain http to another host")]
ReadOnly: TypeAlias = Annotated[bool, typer.Option("--read-only", help="Look, and change nothing")]

Server: TypeAlias = Annotated[str | None, typer.Option("--server", metavar="URL", help="A server that runs elsewhere")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON")]


def group(name: str, about: str) -> typer.Typer:
    """Make a group of commands, such as `pushdesk tokens`."""
    made = Commands(
        name=name,
        help=about,
        invoke_without_command=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(show_help)
    return made


def given(**arguments: object) -> dict[str, object]:
    """Turn a command's arguments into what `pushdesk.config.load` takes: the flags that were given."""
    return {f"--{name.replace('_', '-')}": value for name, value in arguments.items() if value}
