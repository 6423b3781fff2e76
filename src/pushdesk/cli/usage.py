"""What was typed: nothing that is not text gets to a command, and what is wrong with it is told in one line."""

from __future__ import annotations

import errno
import sys
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import typer
from typer.core import TyperCommand
from typer.main import get_command

from pushdesk.cli.output import leave, tell
from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_USAGE, PushdeskError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer.models import CommandFunctionType

_PATHS: Final = {"FILE", "FILE|-"}
"""How parameters are shown that may be any bytes: what a file is called."""
_UNWRITABLE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class Command(TyperCommand):
    """A command that takes text: what is not UTF-8 on the command line comes as half surrogate pairs (PEP 383)."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (typer does not export the context's class)
        """Run the command.

        Raises:
            typer.BadParameter: An argument is not UTF-8.
        """
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            given = value if isinstance(value, list | tuple) else [value]
            if parameter.metavar not in _PATHS and not all(is_text(each) for each in given):
                raise typer.BadParameter("not UTF-8", ctx=ctx, param_hint=_name(parameter))
        return super().invoke(ctx)


class Commands(typer.Typer):
    """Commands, each of which is a `Command` unless said otherwise.

    A parameter of theirs that is a NamedTuple is an option for each of its fields, where it stands.
    """

    def command(
        self,
        name: str | None = None,
        *,
        cls: type[TyperCommand] | None = Command,
        **more: Any,  # noqa: ANN401 (typer's own)
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Return a decorator that adds a command; see `typer.Typer.command`."""
        return _flat(super().command(name, cls=cls, **more))

    def callback(self, **more: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:  # noqa: ANN401 (as above)
        """Return a decorator that sets what runs before the commands; see `typer.Typer.callback`."""
        return _flat(super().callback(**more))


def _flat(
    add: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> Callable[[CommandFunctionType], CommandFunctionType]:
    """Return a decorator that adds a function for whose NamedTuples typer is shown their fields.

    It raises a `ValueError` for a field that two of them share, or that is a parameter of its own.
    """

    def decorate(function: CommandFunctionType) -> CommandFunctionType:
        bundles: dict[str, Any] = {}
        options: list[Parameter] = []
        for parameter in signature(function, eval_str=True).parameters.values():
            kind: Any = parameter.annotation
            if not _is_named_tuple(kind):
                options.append(parameter)
                continue
            bundles[parameter.name] = kind
            options += [
                parameter.replace(name=name, annotation=hint, default=kind._field_defaults.get(name, Parameter.empty))
                for name, hint in get_type_hints(kind, include_extras=True).items()
            ]

        @wraps(function)
        def run(**given: Any) -> Any:  # noqa: ANN401 (whatever the options are)
            for name, kind in bundles.items():
                given[name] = kind(*(given.pop(field) for field in kind._fields))
            return function(**given)

        run.__signature__ = Signature(options)  # type: ignore[attr-defined]  # what typer looks at
        add(run)
        return function

    return decorate


def _is_named_tuple(kind: object) -> bool:
    # There is no class that they share.
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def show_help(context: typer.Context) -> None:
    """Show the help of a group whose command was not named, as the mistake that it is."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(EXIT_USAGE)


def is_text(value: object) -> bool:
    """Say whether a value is no string, or one that can be encoded."""
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)


def run_to_end(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit code.

    Args:
        app: The commands.
        arguments: What was typed after the program's name.
    """
    try:
        code = get_command(app).main(list(arguments), prog_name="pushdesk", standalone_mode=False)
    except typer.TyperException as error:
        tell(_in_a_line(error))
        return EXIT_USAGE
    except PushdeskError as error:
        tell(str(error))
        return error.exit_code
    except typer.Abort:
        return EXIT_NO
    except OSError as error:
        # Help is written by typer itself.
        leave(sys.stdout)
        if error.errno == errno.EPIPE:
            return EXIT_DONE
        if error.errno not in _UNWRITABLE:
            raise
        tell(f"{error.strerror}.")
        return EXIT_NO
    return code if isinstance(code, int) else EXIT_DONE


def _in_a_line(error: typer.TyperException) -> str:
    """Return what is wrong, and where to read how it is right."""
    said = error.format_message()
    if isinstance(error, typer.BadParameter) and error.message:
        name = error.param_hint or _name(error.param)
        # The words of pydantic, which typer lets check the types.
        what = error.message.removeprefix("Value error, ").partition(", unable to")[0]
        is_sentence = what.startswith("Input should be")
        said = f"{name} {what.replace('Input should be', 'must be', 1)}" if is_sentence else f"{name}: {what}"
    said = " ".join(said.split())
    context = getattr(error, "ctx", None)
    hint = f" Try `{context.command_path} -h`." if context is not None else ""
    return f"{said if said.endswith(('.', '?')) else f'{said}.'}{hint}"


def _name(parameter: Any) -> str:  # noqa: ANN401 (typer does not export its class)
    """Return a parameter's name as the help has it."""
    return str(
        parameter.opts[-1] if parameter.param_type_name == "option" else parameter.metavar or parameter.name.upper()
    )
