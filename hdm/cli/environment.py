"""Reads the flags of any command from environment variables, and whole commands in the twelve-factor mode.

A flag of ``hdm cp snap`` is read from ``HDM_CP_SNAP_<FLAG>`` and then from ``HDM_<FLAG>``; what stands on the
command line comes first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

OWN, OTHER = "HDM_", "HP_"
"""The beginnings of hdm's own variables, and of Halfpipe's, which are read only in the twelve-factor mode."""
MODE = "12FACTOR_MODE"
FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})
TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
SIDES = ("SOURCE", "TARGET")
PARTS = ("DSN", "TYPE", "OBJECT", "S3_REGION")
"""What a variable says of an end: its address, its system, the table, and the region of a bucket."""
READ = frozenset({MODE, "COMMAND", "SUBCOMMAND", *(f"{side}_{part}" for side in SIDES for part in PARTS)})
"""Names without their beginning that are no flags, and count in the twelve-factor mode."""
KNOWN = frozenset({"HDM_ENV", "HDM_PROFILES"})
"""Variables that set flags and are not told of: they say where, and not what."""


def names_of(path: tuple[str, ...], option: click.Option) -> tuple[str, ...]:
    """Return the variables from which an option of the command ``path`` is read, the first one first."""
    flag = max(option.opts, key=len).lstrip("-")
    words = ["_".join((*path, flag)), flag] if path else [flag]
    return tuple(OWN + word.replace("-", "_").upper() for word in words)


def in_mode(environ: Mapping[str, str] | None = None) -> bool:
    """Return True if ``HDM_12FACTOR_MODE`` or ``HP_12FACTOR_MODE`` has a value that does not look false."""
    environ = os.environ if environ is None else environ
    return any(environ.get(f"{start}{MODE}", "").strip().lower() not in FALSE for start in (OWN, OTHER))


def first_of(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the variable ``HDM_<name>``, or in the twelve-factor mode ``HP_<name>``; None if none is set."""
    environ = os.environ if environ is None else environ
    if f"{OWN}{name}" in environ or not in_mode(environ):
        return environ.get(f"{OWN}{name}")
    return environ.get(f"{OTHER}{name}")


def command_of(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the words of the command that the environment names, as if they had been typed."""
    words = [first_of(name, environ) or "" for name in ("COMMAND", "SUBCOMMAND")]
    if not words[0].strip():
        raise click.UsageError(f"{OWN}{MODE} is set, and {OWN}COMMAND names no command: e.g. cp")
    return [part for word in words for part in word.split()]


def borrowed(
    root: click.Group, words: list[str], environ: Mapping[str, str] | None = None
) -> tuple[list[str], list[str]]:
    """Return Halfpipe's variables that the command ``words`` reads, and those that it does not know.

    One whose name hdm's own variable has too is in neither list: hdm's own counts.
    """
    environ = os.environ if environ is None else environ
    command: click.Command | None = root
    for word in words:
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), word)
    flags = (
        {names_of((), one)[0] for one in command.params if isinstance(one, click.Option)}
        if command
        else set()
    )
    theirs = [name for name in environ if name.startswith(OTHER)]
    left = sorted(name for name in theirs if f"{OWN}{name.removeprefix(OTHER)}" not in environ)
    meant = [n for n in left if f"{OWN}{n.removeprefix(OTHER)}" in flags or n.removeprefix(OTHER) in READ]
    return meant, [name for name in left if name not in meant]


class Flags(dict[str, Any]):
    """Click's map of defaults, which looks up each flag in the environment when it is asked for.

    ``get`` of a command's name returns the map for that command; ``get`` of an option's name its value.
    """

    def __init__(
        self, command: click.Command | None = None, path: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None, tell: Callable[[str], object] | None = None,
        told: set[str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__({"": None})  # click takes an empty map for none
        self.command, self.path = command, path
        self.environ = os.environ if environ is None else environ
        self._tell_of, self._told = tell or (lambda text: None), set() if told is None else told

    def __contains__(self, name: object) -> bool:
        return self.get(str(name)) is not None

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the map of the command ``name`` or the value of the option ``name``; ``default`` if unset.

        Raises ``click.UsageError``, which names the variable, for a value that the option does not take.
        """
        command = self.command
        if isinstance(command, click.Group):
            inner = command.get_command(click.Context(command), name)
            if inner is not None:
                return Flags(inner, (*self.path, name), self.environ, self._tell_of, self._told)
        option = next((one for one in (command.params if command else ()) if one.name == name), None)
        if not isinstance(option, click.Option) or option.is_eager:
            return default
        for variable in names_of(self.path, option):
            value = first_of(variable.removeprefix(OWN), self.environ)
            if value is not None and (value.strip() or option.is_flag):
                self._tell(variable, option)
                return _converted(option, variable, value)
        return default

    def _tell(self, variable: str, option: click.Option) -> None:
        shown = variable if variable in self.environ else f"{OTHER}{variable.removeprefix(OWN)}"
        if shown not in self._told and shown not in KNOWN:
            self._told.add(shown)
            self._tell_of(f"--{max(option.opts, key=len).lstrip('-')} is taken from the variable {shown}")


def _converted(option: click.Option, variable: str, value: str) -> Any:
    """Return the value that a variable's text stands for."""
    if option.is_flag:
        if value.strip().lower() in FALSE | TRUE:
            return value.strip().lower() in TRUE
        raise click.UsageError(f"{variable} is {value!r}: write true or false")
    texts = [part.strip() for part in value.split(",")] if option.multiple else [value]
    try:
        made = [option.type.convert(text, option, None) for text in texts if text]
    except click.UsageError as wrong:
        from hdm.config.located import suggest

        hint = suggest(value, getattr(option.type, "choices", ()))
        raise click.UsageError(f"{variable} is {value!r}: {hint or wrong.message}") from None
    return tuple(made) if option.multiple else made[0]


def flags(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    """Yield each flag of a command and of those below it, with the words of the command that has it."""
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_eager and path:
            yield path, option
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from flags(inner, (*path, name))
