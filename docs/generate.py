"""Write docs/reference/{commands,components,errors}.md, and the picture of the rooms in
docs/architecture.md, from the code; ``--check`` only compares.

``make docs`` runs it; a test holds the pages equal to the code.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from hdm.cli import VERBS, cli
from hdm.cli.environment import flags, names_of
from hdm.components import registry
from hdm.components.keys import keys_of, summary
from hdm.dialects import dialect
from hdm.dialects.netezza_errors import ERRORS as NETEZZA
from hdm.dialects.netezza_errors import WORDS
from hdm.dialects.sqlstates import STATES
from hdm.errors import HdmError, Recovery

DOCS = Path(__file__).resolve().parent
NOTE = "Written by `make docs` from the code; do not edit.\n"


def commands() -> Iterator[str]:
    """Every verb with its help, as ``hdm VERB --help`` prints it."""
    yield f"# Commands\n\n{NOTE}"
    yield from _help(cli, "hdm", click.Context(cli, info_name="hdm", terminal_width=100))


def _help(command: click.Command, name: str, context: click.Context) -> Iterator[str]:
    yield f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for verb in VERBS if command is cli else command.list_commands(context):
            inner = command.get_command(context, verb)
            if inner is not None:
                below = click.Context(inner, info_name=verb, parent=context, terminal_width=100)
                yield from _help(inner, f"{name} {verb}", below)


_VARIABLES = """\
Each flag of each command is read from a variable of its own, `HDM_<COMMAND>_<FLAG>`, and then from the
plain `HDM_<FLAG>`: `hdm cp snap --append` from `HDM_CP_SNAP_APPEND`, then `HDM_APPEND`. What stands on
the command line comes first. Whatever a variable sets is said in a line on standard error, but for
`HDM_ENV` and `HDM_PROFILES`.

- Of a flag without a value, `0`, `false`, `no`, `off`, `n`, `f` and nothing are false; `1`, `true`,
  `yes`, `on`, `y` and `t` are true; all else is an error that names the variable. A variable with no text
  in it leaves other flags unset.
- A flag that may be repeated takes a list with commas.

These are no flags, and keep their meaning: `HDM_HOME` (hdm's own folder), `HDM_LEASE_TTL` (seconds of a
lease), `HDM_DRAIN` (seconds to stop in), `HDM_SILENCE` (seconds without an answer), `HDM_DEBUG`
(tracebacks).

## The twelve-factor mode

With `HDM_12FACTOR_MODE` (or Halfpipe's `HP_12FACTOR_MODE`) and no argument, the command is `HDM_COMMAND`
and `HDM_SUBCOMMAND` (`cp`, `snap`), and its ends are `HDM_SOURCE_DSN`, `HDM_SOURCE_TYPE`,
`HDM_SOURCE_OBJECT`, `HDM_SOURCE_S3_REGION`, and the same with `TARGET`. `TYPE` may be left out if the
address begins with it. In this mode, and only in it, `HP_<NAME>` is read where `HDM_<NAME>` is not set,
and hdm says which it read and which mean nothing to it.

| plain variable | flag | of |
|---|---|---|"""


def environment() -> Iterator[str]:
    """Each plain variable, with the commands whose flag it sets."""
    yield f"# Environment variables\n\n{NOTE}\n{_VARIABLES}"
    found: dict[str, tuple[str, list[str]]] = {}
    for path, option in flags(cli):
        flag = max(option.opts, key=len)
        found.setdefault(names_of(path, option)[1], (flag, []))[1].append(" ".join(path))
    for name, (flag, commands_) in sorted(found.items()):
        shown = (
            "every command that has it" if len(commands_) > 12 else ", ".join(f"`{one}`" for one in commands_)
        )
        yield f"| `{name}` | `{flag}` | {shown} |"
    yield ""


def components() -> Iterator[str]:
    """Every type that a manifest may name, with the keys of its ``conf`` and its profile."""
    yield f"# Components\n\n{NOTE}"
    for kind in registry.KINDS:
        yield f"## {kind.replace('_', ' ').capitalize()}\n"
        for name in registry.names(kind):
            found: Any = registry.find(kind, name)
            yield f"### {found.__name__}\n\n{summary(found)}\n"
            yield from _keys("conf", getattr(found, "Config", None))
            yield from _keys("profile", getattr(found, "Profile", None))


def _keys(title: str, model: Any) -> Iterator[str]:
    if model is None or not model.model_fields:
        return
    yield f"| {title} | takes | default | what it does |\n|---|---|---|---|"
    for key in keys_of(model):
        default = "required" if key.required else f"`{key.default}`" if key.default else ""
        takes, words = (text.replace("|", "\\|") for text in (key.type, key.description))
        yield f"| `{key.name}` | {takes} | {default} | {words} |"
    yield ""


_CODED = {
    "snowflake": """Numbers of the server and of its connector, six digits each. A beginning stands for its
range.""",
    "oracle": """Codes of the server (ORA), of python-oracledb (DPY) and of its thick mode (DPI). A beginning
stands for its range: ORA-20 are 20000 to 20999. An error around another one (a failed login, recursive SQL, a
parallel server) counts as that one.""",
    "sqlserver": """Numbers of SQL Server and Azure SQL. The state database on SQL Server tries the same ones
again.""",
    "netezza": """What the server says, since neither it nor nzpy gives codes. By ODBC, SQLSTATEs count
besides.""",
}
_UNKNOWN = """\
A chunk whose attempt ends with an error is tried again, or is dead until `hdm retry`. The database's own code
decides, then the SQLSTATE. A code of which nothing is known is tried again only if the driver's class says
that it may pass (`OperationalError`, `InterfaceError`, `InternalError`); an error without any code always is.
"""
_AFTER = {
    Recovery.RETRY: "tried again",
    Recovery.BURY: "the chunk is dead: `hdm retry`",
    Recovery.ABORT: "the chunk is dead: mend what is said, then `hdm retry`",
}


def errors() -> Iterator[str]:
    """What hdm does after each error code of the systems whose dialects list theirs."""
    yield f"# Errors of the systems\n\n{NOTE}"
    yield _UNKNOWN
    for name, words in _CODED.items():
        yield f"## {name}\n\n{words}\n"
        listed = {f"*{said}*": NETEZZA[code] for said, code in WORDS} if name == "netezza" else None
        yield from _codes(listed or dialect(name).errors)
    yield "## SQLSTATE\n\nFor numbers that the tables above do not know, and for any system by ODBC.\n"
    yield from _codes(STATES)


def _codes(listed: Mapping[str, type[HdmError]]) -> Iterator[str]:
    yield "| class | what follows | codes |\n|---|---|---|"
    for kind in sorted(set(listed.values()), key=lambda kind: (_AFTER[kind.recovery], kind.__name__)):
        codes = sorted(code for code, known in listed.items() if known is kind)
        shown = (", " if codes[0].startswith("*") else " ").join(codes)
        yield f"| {kind.__name__} | {_AFTER[kind.recovery]} | {shown} |"
    yield ""


def rooms() -> str:
    """docs/architecture.md with the layers of import-linter as a picture, highest first."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    before, mark, rest = page.partition("<!-- rooms: written by `make docs` -->\n")
    _, end, after = rest.partition("<!-- /rooms -->")
    return "".join((before, mark, "```mermaid\n", "\n".join(_layers()), "\n```\n", end, after))


def _layers() -> Iterator[str]:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    yield "flowchart TB"
    for contract in contracts:
        if contract["type"] != "layers":
            continue
        within = contract["containers"][0]
        layers = [re.findall(r"\w+", layer) for layer in contract["layers"]]
        yield f"  subgraph in_{within.replace('.', '_')} [{within.replace('.', '/')}/]"
        yield from (f"    {_node(within, room)}[{room}]" for layer in layers for room in layer)
        yield "  end"
        for above, below in pairwise(layers):
            yield f"  {_row(within, above)} --> {_row(within, below)}"


def _node(within: str, room: str) -> str:
    return f"{within}.{room}".replace(".", "_")


def _row(within: str, layer: list[str]) -> str:
    return " & ".join(_node(within, room) for room in layer)


def main() -> int:
    """Write, or with ``--check`` end with 1 if a page is not what the code says."""
    stale = []
    made = {
        "reference/commands": commands,
        "reference/components": components,
        "reference/variables": environment,
        "reference/errors": errors,
        "architecture": rooms,
    }
    for name, parts in made.items():
        page = DOCS / f"{name}.md"
        text = "\n".join(parts()) if parts is not rooms else rooms()
        if "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(page.name)
    if stale:
        sys.stderr.write(f"not what the code says any more: {', '.join(stale)}; run: make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
