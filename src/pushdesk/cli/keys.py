"""`pushdesk keys`: the VAPID keys, and what can be done with them. docs/keys.md tells what each means."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.confirmation import do_confirmed
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import counted, say, say_json, tell
from pushdesk.errors import EXIT_DONE, PushdeskError
from pushdesk.model import ExportedKey, KeyState, Service, VapidKey
from pushdesk.new_file import NewFile
from pushdesk.paging import every

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from pushdesk.desk import Desk

LARGEST: Final = 64 * 1024
"""Bytes of a file that is read: a key has some hundred."""
_TIME: Final = "%Y-%m-%d %H:%M UTC"

KeyId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="Its id, as `pushdesk keys list` shows it")]


class Format(StrEnum):
    """How a key is written."""

    PEM = "pem"
    RAW = "raw"


keys = options.group("keys", "The VAPID keys, with which pushes are signed.")


@keys.command("list", short_help="List the keys, with their devices.")
def list_(
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """List the keys, the newest first: their devices, how far a retirement is, and who would be lost by its end."""

    async def work(desk: Desk) -> None:
        found = await every(desk.keys)
        if as_json:
            say_json(msgspec.to_builtins(found))
            return
        for key in found:
            for line in lines(key):
                say(line)

    end(lambda: run_on_desk(work, reach))


@keys.command()
def rotate(
    *,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Make a new key current. The old one goes on signing for its own devices until it is retired."""

    def run() -> int:
        key = do_confirmed(lambda desk, word: desk.rotate_key(confirm=word), "rotate", yes=yes, reach=reach)
        return _tell_changed(key, as_json=as_json, words="is current from now on")

    end(run)


@keys.command()
def retire(
    key: KeyId,
    *,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """End a retiring key. Its devices get nothing more until their page is opened."""

    def run() -> int:
        retired = do_confirmed(lambda desk, word: desk.retire_key(key, confirm=word), "retire", yes=yes, reach=reach)
        return _tell_changed(retired, as_json=as_json, words="is retired: nothing is signed with it any more")

    end(run)


@keys.command()
def rollback(
    key: KeyId,
    *,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Make a retiring or retired key current again, with its devices."""

    def run() -> int:
        current = do_confirmed(
            lambda desk, word: desk.roll_back_key(key, confirm=word), "rollback", yes=yes, reach=reach
        )
        return _tell_changed(current, as_json=as_json, words="is current again")

    end(run)


@keys.command(short_help="Make a new key, and end all others for good.")
def revoke(
    *,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """For a key that leaked: make a new one, and end all others for good, with every device that is bound to them."""

    def run() -> int:
        revoked = do_confirmed(lambda desk, word: desk.revoke_keys(confirm=word), "revoke", yes=yes, reach=reach)
        if as_json:
            say_json(msgspec.to_builtins(revoked))
        else:
            lost = _devices(revoked.lost) if revoked.lost else "no devices"
            say(f"{revoked.key.id} is current from now on, and all others are revoked: {lost} lost")
        return EXIT_DONE

    end(run)


@keys.command("import", short_help="Take a key that was used elsewhere.")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="PEM, or the pair of web-push or web-push-php")],
    *,
    current: Annotated[
        bool, typer.Option("--current", help="Let browsers subscribe with it from now on, not only sign for its own")
    ] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Take a key that was used elsewhere: it signs for the devices that subscribed with it."""

    def run() -> int:
        text = _read(file)

        def act(desk: Desk, word: str) -> Awaitable[VapidKey]:
            return desk.import_key(text, current=current, confirm=word)

        key = do_confirmed(act, "import", yes=yes, reach=reach, can_ask=file != "-")
        fits = _devices(key.services) if key.services else "no devices"
        return _tell_changed(key, as_json=as_json, words=f"is {key.state} from now on, and fits {fits}")

    end(run)


@keys.command(short_help="Write a key with its private half.")
def export(
    key: Annotated[str | None, typer.Argument(metavar="ID", help="Its id [default: the current key's]")] = None,
    *,
    form: Annotated[Format, typer.Option("--format", help="PEM, or the pair as web-push has it")] = Format.PEM,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="A new file, which only you may read")
    ] = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Write a key with its private half: whoever has it can send to every device that is bound to it."""

    def run() -> int:
        chosen = key

        async def act(desk: Desk, word: str) -> ExportedKey:
            nonlocal chosen
            # Once: the key that is exported is the one that was warned of, whichever is current by then.
            chosen = chosen or (await desk.stats()).key_id
            return await desk.export_key(chosen, confirm=word)

        # Before the key is fetched, which is told in the log: where it cannot be kept, nobody is given it.
        with nullcontext() if output is None else _new_file(output) as fill:
            exported = do_confirmed(act, "export", yes=yes, reach=reach)
            text = _written(exported, form, as_json=as_json)
            if fill is not None:
                fill(text)
        if output is None:
            for line in text.splitlines():
                say(line)
        else:
            tell(f"the key {exported.id} is in {output}.")
        return EXIT_DONE

    end(run)


def _tell_changed(key: VapidKey, *, as_json: bool, words: str) -> int:
    if as_json:
        say_json(msgspec.to_builtins(key))
    else:
        say(f"{key.id} {words}")
    return EXIT_DONE


def lines(key: VapidKey) -> list[str]:
    """Return what is told of a key: a line, and another one for a retirement."""
    devices = _devices(key.services) if key.services else "no devices"
    if key.services and key.state in {KeyState.RETIRED, KeyState.REVOKED}:
        devices += ", which are being removed" if key.state is KeyState.REVOKED else ", which are being disabled"
    lines = [f"{key.id}  {key.state:<8}  made {key.created_at.strftime(_TIME)}  {devices}"]
    if key.retiring_at is not None:
        progress = [f"retiring since {key.retiring_at.strftime(_TIME)}"]
        before = sum(key.before.values())
        if before:
            moved = max(0, before - key.subscriptions)
            progress.append(f"{moved} of {before} have left it ({key.moved_percent} %)")
        if key.expected_end is not None:
            progress.append(f"the last by {key.expected_end.strftime(_TIME)} at this pace")
        if not key.users_left:
            progress.append("nobody would be lost by retiring it now")
        else:
            progress.append(f"{counted(key.users_left, 'user')} would be lost by retiring it now")
        lines.append(f"{'':8}  {'; '.join(progress)}")
    return lines


def _devices(services: Mapping[Service, int]) -> str:
    parts = ", ".join(f"{number} {service}" for service, number in sorted(services.items()))
    return f"{counted(sum(services.values()), 'device')} ({parts})"


def _written(key: ExportedKey, form: Format, *, as_json: bool) -> str:
    if as_json:
        return msgspec.json.encode(key).decode() + "\n"
    if form is Format.PEM:
        return key.pem
    return msgspec.json.encode({"publicKey": key.public_key, "privateKey": key.private_key}).decode() + "\n"


def _read(file: str) -> str:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise _bad(f"{file} cannot be read: {_reason(error)}.") from None
    if len(content) > LARGEST:
        raise _bad(f"{file} is too large to be a key.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad(f"{file} is not a text in UTF-8.") from None


@contextmanager
def _new_file(name: str) -> Iterator[Callable[[str], None]]:
    """Make a file that only its owner may read, and give what fills it; on any error it is removed again."""
    try:
        file = NewFile(name)
    except FileExistsError:
        raise _bad(f"{name} is there already.", hint="Nothing is overwritten: give another name.") from None
    except (OSError, ValueError) as error:
        raise _not_written(name, error) from None

    def fill(text: str) -> None:
        try:
            file.fill(text)
        except OSError as error:
            raise _not_written(name, error) from None

    with file:
        yield fill


def _not_written(name: str, error: Exception) -> PushdeskError:
    return _bad(f"{name} cannot be written: {_reason(error)}.")


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _bad(detail: str, hint: str = "") -> PushdeskError:
    return PushdeskError(detail, code="bad_field", hint=hint)
