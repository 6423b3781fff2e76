"""What several commands share: options for settings of `pushdesk.config.SETTINGS` and to reach a server, and groups.

A NamedTuple of options is one parameter of a command: see `pushdesk.cli.usage.Commands`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

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
Senders: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--senders",
        metavar="NUMBER",
        help="Processes that send; 0 for the server's own [default: one fewer than cores, at least 1]",
    ),
]
CacheTtl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cache-ttl", metavar="DURATION", help="How long subscriptions are remembered; 0 for not at all [default: 3m]"
    ),
]
RetentionDays: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--retention-days", metavar="NUMBER", help="For how many days what is done is kept; 0 for ever [default: 30]"
    ),
]
RetentionRows: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--retention-rows", metavar="NUMBER", help="How many deliveries are kept at most; 0 for all [default: 1000000]"
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
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask")]
Url: TypeAlias = Annotated[str | None, typer.Option("--url", metavar="URL", help="What a click opens")]
Topic: TypeAlias = Annotated[
    str | None, typer.Option("--topic", metavar="TEXT", help="A later one with this topic replaces it on its way")
]
Urgency: TypeAlias = Annotated[
    str | None, typer.Option("--urgency", metavar="WORD", help="very-low, low, normal or high [default: normal]")
]
Ttl: TypeAlias = Annotated[
    int | None, typer.Option("--ttl", metavar="SECONDS", help="How long the push service keeps it [default: 86400]")
]
SendAt: TypeAlias = Annotated[
    str | None, typer.Option("--send-at", metavar="TIME", help="When, such as 2030-01-31T08:00:00Z [default: now]")
]
IdempotencyKey: TypeAlias = Annotated[
    str | None, typer.Option("--idempotency-key", metavar="KEY", help="Makes a repeat harmless for 24 hours")
]
Wait: TypeAlias = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, max=30, help="How long to wait for the outcome")
]


class ServerSettings(NamedTuple):
    """The settings of a server that is started."""

    host: Host = None
    port: Port = None
    data_dir: DataDir = None
    config: ConfigFile = None
    access_url: AccessUrl = None
    allow_origin: AllowOrigin = None
    trusted_proxy: TrustedProxy = None
    click_origin: ClickOrigin = None
    seal_key_file: SealKeyFile = None
    allow_endpoint: AllowEndpoint = None
    senders: Senders = None
    cache_ttl: CacheTtl = None
    retention_days: RetentionDays = None
    retention_rows: RetentionRows = None
    experiments_web_push: ExperimentsWebPush = None
    dev: Dev = False
    log_level: LogLevel = None
    log_file: LogFile = None


class Reach(NamedTuple):
    """Which server to talk to, and with which token."""

    server: Server = None
    """One that runs elsewhere; None for the one that holds the data directory."""
    token_file: TokenFile = None
    insecure: Insecure = False
    """Whether the token may go over plain http to another host."""
    data_dir: DataDir = None
    config: ConfigFile = None

    @property
    def flags(self) -> dict[str, object]:
        """The settings that were given, as `pushdesk.config.load` takes them."""
        return given(data_dir=self.data_dir, config=self.config)


def group(name: str, about: str) -> typer.Typer:
    """Make a group of commands, such as `pushdesk tokens`."""
    made = Commands(
        name=name,
        help=about,
        invoke_without_command=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(show_help)
    return made


def given(**arguments: object) -> dict[str, object]:
    """Turn a command's arguments into what `pushdesk.config.load` takes: the flags that were given."""
    return {f"--{name.replace('_', '-')}": value for name, value in arguments.items() if value}
