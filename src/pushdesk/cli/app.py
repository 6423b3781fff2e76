"""The commands and their options. What a command needs is imported when it runs: `pushdesk --version` is quick."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pushdesk import __version__
from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.on_demand import group_on_demand
from pushdesk.cli.output import say, tell
from pushdesk.cli.usage import Commands, run_to_end
from pushdesk.errors import EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable

ELSEWHERE: Final = {
    "broadcast": "Send a notification to all users, or to a list.",
    "turn": "Tell of a turn of an agent that has ended.",
    "why": "Say why a user did not get what was sent to them.",
    "doctor": "Look at everything that keeps pushes from arriving.",
    "seal": "Seal the secrets in the database, or unseal them.",
    "simulate": "Run a push service on this machine, for trying out.",
    "cancel": "Send nothing more of what was accepted.",
    "enroll": "Invite one browser to get a user's notifications.",
    "scaletest": "Measure a server with thousands of conversations.",
}
"""The commands that have a module of their own, and what they are for."""
GROUPS: Final = ("broadcasts", "db", "keys", "services", "subscriptions", "tokens", "users")


def main() -> None:
    """Run the command line, and end with its exit code."""
    sys.exit(run_to_end(app, sys.argv[1:]))


def _print_version(*, wanted: bool) -> None:
    if wanted:
        say(f"pushdesk {__version__}")
        raise typer.Exit


def console(
    context: typer.Context,
    *,
    server: options.ServerSettings,
    theme: options.Theme = None,
    read_only: options.ReadOnly = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit")
    ] = False,
) -> None:
    """Show the console, with the server in it; or run one of the commands below."""
    flags = options.given(**server._asdict(), theme=theme)
    command = context.invoked_subcommand
    if command is None:
        from pushdesk.cli.console import run_console

        end(lambda: run_console(flags, os.environ, read_only=read_only))
    if read_only and command != attach.__name__:
        tell("--read-only is for the console: `pushdesk --read-only` and `pushdesk attach URL --read-only`.")
        raise typer.Exit(EXIT_USAGE)
    if flags := flags | options.given(read_only=read_only):
        flag = next(iter(flags))
        command = f"{command} COMMAND" if command in GROUPS else command
        tell(f"{flag} stands before the command. Write `pushdesk {command} {flag} ...`.")
        raise typer.Exit(EXIT_USAGE)


def serve(*, server: options.ServerSettings) -> None:
    """Run the server without a console."""
    from pushdesk.cli.serve import run_serve

    end(lambda: run_serve(options.given(**server._asdict()), os.environ))


def attach(
    url: Annotated[str, typer.Argument(metavar="URL", help="The server, such as https://push.example.com")],
    *,
    token_file: options.TokenFile = None,
    insecure: options.Insecure = False,
    read_only: options.ReadOnly = False,
    theme: options.Theme = None,
    data_dir: options.DataDir = None,
    config: options.ConfigFile = None,
) -> None:
    """Show the console of a server that runs elsewhere."""
    from pushdesk.cli.attach import Attaching, run_attach

    attaching = Attaching(url, token_file=token_file, insecure=insecure, read_only=read_only)
    end(lambda: run_attach(attaching, options.given(data_dir=data_dir, config=config, theme=theme), os.environ))


def send(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whom to notify")],
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The first line")],
    body: Annotated[str | None, typer.Argument(metavar="BODY", help="The text below it")] = None,
    *,
    url: options.Url = None,
    icon: Annotated[str | None, typer.Option("--icon", metavar="URL", help="A small picture beside the text")] = None,
    image: Annotated[str | None, typer.Option("--image", metavar="URL", help="A large picture below the text")] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TEXT", help="A later one with this tag replaces it on the screen")
    ] = None,
    topic: options.Topic = None,
    urgency: options.Urgency = None,
    ttl: options.Ttl = None,
    send_at: options.SendAt = None,
    idempotency_key: options.IdempotencyKey = None,
    wait: options.Wait = 10.0,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Send a notification to all devices of a user.

    Exit code 0 if a push service took it, 1 if there was nobody to send to or none took it.
    """
    from pushdesk.cli.send import Sending, read_key, run_send

    message = {
        "title": title,
        "body": body,
        "url": url,
        "icon": icon,
        "image": image,
        "tag": tag,
        "topic": topic,
        "urgency": urgency,
        "ttl": ttl,
        "send_at": send_at,
    }

    def run() -> int:
        waits_s = wait if send_at is None else 0
        return run_send(Sending(user, message, waits_s, as_json, read_key(idempotency_key), reach), os.environ)

    end(run)


HERE: Final[dict[str, Callable[..., None]]] = {"serve": serve, "attach": attach, "send": send}
app = Commands(
    name="pushdesk",
    cls=group_on_demand(HERE, ELSEWHERE, GROUPS),
    help="A self-hosted Web Push server with an operator's console in the terminal.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(invoke_without_command=True)(console)
