"""Reads the address of a server or a database file, as it is written on a command line.

A profile's model turns it into a profile entry: see ``from_address`` of ``hdm.sql.SqlProfile``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote

from hdm.config.secrets import is_reference, remember
from hdm.errors import UsageError

_ADDRESS = re.compile(
    r"(?://)?(?:(?P<who>.*)@)?(?://)?(?P<host>\[[^\]]*\]|[^/:?@]*)(?::(?P<port>\d+))?"
    r"(?:/(?P<path>(?:[^?@/][^?@]*)?))?(?:\?(?P<options>.*))?",
    re.DOTALL,
)
FILE_MARK = "#"
"""Stands between a file and a table where the ending of the file's name does not show where it ends."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of ``//user:password@host:port/database.table?option=value``; what is left out is empty.

    ``user/password@//host`` is read too. ``path`` is what stands before the first dot after the host,
    ``object`` the rest.
    """

    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    path: str = ""
    object: str = ""
    options: dict[str, str] = field(default_factory=dict, repr=False)

    def entry(self, *, host: str, database: str = "database") -> dict[str, Any]:
        """Return the keys of a profile entry that the address gives; options stand under their own names.

        ``host`` and ``database`` are the names of the keys for the host and for ``path``. Raises
        ``UsageError`` if an option repeats one of the other keys.
        """
        parts: dict[str, Any] = {
            host: self.host, "port": self.port, "user": self.user, "password": self.password,
            database: self.path,
        }  # fmt: skip
        twice = sorted(set(parts) & set(self.options))
        if twice:
            raise UsageError(
                f"an address names {', '.join(twice)} after '?', where it has a place of its own",
                hint="write SYSTEM://USER@HOST:PORT/DATABASE.TABLE?OPTION=VALUE",
            )
        said = {name: _plain(value) for name, value in self.options.items()}
        return {name: value for name, value in {**parts, **said}.items() if value not in ("", None)}


def split_address(rest: str) -> Address:
    """Return the parts of what follows ``SYSTEM:`` in an address.

    Raises ``UsageError`` if it has another form; the error does not repeat the text, which may hold a
    password.
    """
    found = _ADDRESS.fullmatch(rest)
    if found is None:
        raise UsageError(
            "an address has another form than hdm can read",
            hint="write SYSTEM://USER@HOST:PORT/DATABASE.SCHEMA.TABLE?OPTION=VALUE",
        )
    user, password = _login(found["who"] or "")
    path, _, named = unquote(found["path"] or "").partition(".")
    return Address(
        host=unquote(found["host"].strip("[]")),
        port=int(found["port"]) if found["port"] else None,
        user=user,
        password=password,
        path=path,
        object=named,
        options=dict(parse_qsl(found["options"] or "", keep_blank_values=True)),
    )


def split_file(rest: str, endings: Iterable[str], system: str) -> tuple[str, str]:
    """Return the absolute path of a database file, and the table that is named after it.

    ``shop.db.orders`` is table ``orders`` of the file ``shop.db`` if that file exists, or else if ``endings``
    has ``db``; ``FILE#TABLE`` leaves nothing to find out. Raises ``UsageError`` if it is not certain where
    the file's name ends.
    """
    rest = rest.removeprefix("//") if rest.startswith("//") else rest
    file, mark, table = rest.partition(FILE_MARK)
    if not mark:
        file, table = _by_name(rest, endings, system)
    if not file:
        raise UsageError("an address names no file", hint=f"write {system}:FILE.TABLE, e.g. {system}:shop.db")
    return str(Path(file).expanduser().absolute()), table


class AtFile:
    """Mixin of a profile's model for a database that is one file: reads ``FILE.TABLE`` and ``FILE#TABLE``."""

    endings: ClassVar[tuple[str, ...]] = ()
    """Endings of such files, by which a file is known that is yet to be made."""

    @classmethod
    def from_address(cls, rest: str) -> tuple[dict[str, Any], str]:
        """Return the profile entry and the table of an address such as ``shop.db.orders``.

        Raises ``UsageError`` if it is not certain where the file's name ends.
        """
        system = cls.__name__.removesuffix("Profile").lower()
        file, table = split_file(rest, cls.endings, system)
        return {"path": file}, table


def _by_name(rest: str, endings: Iterable[str], system: str) -> tuple[str, str]:
    folder, slash, name = rest.rpartition("/")
    parts = name.split(".")
    cuts = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    there = [cut for cut in cuts if cut and Path(f"{folder}{slash}{cut}").expanduser().is_file()]
    known = [cut for cut in cuts[1:] if cut.rpartition(".")[2].lower() in set(endings)]
    if len(there) > 1:
        raise UsageError(
            f"{rest}: both {' and '.join(folder + slash + cut for cut in there)} are files",
            hint=f"write {system}:FILE{FILE_MARK}TABLE",
        )
    found = (there or known)[:1]
    if not found:
        raise UsageError(
            f"{rest}: it is not certain where the file's name ends, and there is no such file",
            hint=f"write {system}:FILE{FILE_MARK}TABLE, or end the file's name with "
            + " or ".join(f".{one}" for one in endings),
        )
    return f"{folder}{slash}{found[0]}", name[len(found[0]) + 1 :]


def _login(who: str) -> tuple[str, str]:
    """Return user and password of ``user:password`` or ``user/password``; a reference stays as it is.

    The password is masked from then on wherever text is written out.
    """
    cut = min((at for mark in ":/" if (at := who.find(mark)) >= 0), default=len(who))
    user, password = who[:cut], who[cut + 1 :]
    if not is_reference(password):
        remember(password := unquote(password))
    return unquote(user.lstrip("/")), password


def _plain(value: str) -> Any:
    """Return an option's value as YAML would read it, for settings that are numbers or true and false."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if value.isdecimal() else value
