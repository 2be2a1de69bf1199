"""Defines the command line; the module of each command is imported when the command is used."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

VERBS: dict[str, tuple[str, str]] = {
    "run": ("run", "Move what a manifest says; again: move what is left."),
    "plan": ("plan", "Show what would run: tables, chunks, bytes. Touches nothing."),
    "work": ("work", "Help an existing run as one more worker."),
    "cp": ("cp", "Copy a table or files from one place to another: one line, no manifest."),
    "diff": ("diff", "Compare two tables of any two connections, row by row."),
    "sync": ("sync", "Make one table equal another, by the rows that differ."),
    "validate": ("validate", "Compare each target of a manifest with its source."),
    "query": ("query", "Ask a connection by SQL; reads only, unless told to write."),
    "ls": ("ls", "List the tables, views or files of a connection."),
    "certify": ("certify", "Sign what is proven of a run; approve and check certificates."),
    "status": ("status", "Show how runs and their tables stand."),
    "lineage": ("lineage", "Show where a table came from and went to."),
    "openlineage": ("openlineage", "Send what runs have done as OpenLineage events."),
    "retry": ("retry", "Give dead chunks another chance."),
    "waive": ("retry", "Accept the gap that a dead chunk leaves, by name and with a reason."),
    "quarantine": ("quarantine", "List, show, export, replay or waive rows that were set aside."),
    "reload": ("reload", "Read a part of a table from its source again."),
    "gc": ("gc", "Remove what dead attempts left behind, nothing else."),
    "state": ("state", "Upgrade, reconcile, import, verify or anchor the state database."),
    "doctor": ("doctor", "Check drivers, connections, grants, clock, versions."),
    "schema": ("schema", "Print the JSON Schema of manifests or profiles."),
    "components": ("components", "List every source, sink, catalog and orchestrator found."),
    "new": ("new", "Begin a source, sink, check, database or catalog of your own."),
    "catalog": ("catalog", "Crawl, map, compare and create whole schemas."),
    "assess": ("assess", "Take stock before a migration: sizes, risks, gaps, waves."),
}


def _verb_like(word: str) -> str | None:
    """Return the verb that a mistyped word was probably meant to be; None for an option or a file."""
    import difflib

    if word.startswith("-") or any(mark in word for mark in "./\\") or os.path.exists(word):
        return None
    return next(iter(difflib.get_close_matches(word, VERBS, 1)), None)


class _Verbs(click.Group):
    """The group of all verbs, which loads a verb's module on use.

    If the first word is not a verb, it is a manifest's path and the verb is ``run``.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        import importlib

        module = importlib.import_module(f"hdm.cli.{VERBS[cmd_name][0]}")
        return getattr(module, "command_" + cmd_name.replace("-", "_"))  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, words) for verb, (_, words) in VERBS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in VERBS and args[0] not in ("--help", "-h", "--version"):
            near = _verb_like(args[0])
            if near:
                raise click.UsageError(f"no such command {args[0]!r}: did you mean {near!r}?", ctx=ctx)
            args = ["run", *args]
        return super().parse_args(ctx, args)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from hdm._version import __version__

        click.echo(f"hdm {__version__}")
        ctx.exit()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
def cli() -> None:
    """Move tables between data warehouses: resumable, proven, every step on record.

    \b
    hdm MANIFEST -e ENV         is short for: hdm run MANIFEST -e ENV
    hdm plan MANIFEST -e ENV    shows what that would do
    hdm cp snap SRC.T DST.T     copies one table, without any file

    Each flag is also read from HDM_<COMMAND>_<FLAG>, then HDM_<FLAG>: see docs/reference/variables.md.

    Exit codes: 0 all committed, 1 something is dead, in quarantine or failed its checks, 2 a mistake
    in what was written or asked, 3 trouble with the state database, 143 stopped on request.
    """


def main(args: list[str] | None = None) -> Any:
    """Run the command line and exit with its exit code; shows no traceback for a user's mistake."""
    from hdm.cli.environment import Flags
    from hdm.errors import HdmError

    try:
        words = sys.argv[1:] if args is None else args
        flags = Flags(cli, tell=_remark)
        code = cli.main(
            args=words or _by_environment(), prog_name="hdm", standalone_mode=False, default_map=flags
        )
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(2)
    except HdmError as error:
        _say(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as mistake:  # noqa: BLE001 -- a defect of hdm or of a plugin
        _say(mistake)
        sys.exit(1)


def _by_environment() -> list[str]:
    """Return the command that the environment names in the twelve-factor mode; else nothing."""
    from hdm.cli.environment import borrowed, command_of, in_mode

    if not in_mode():
        return []
    words = command_of()
    read, unread = borrowed(cli, words)
    for found, said in ((read, "read as hdm's own"), (unread, "of no meaning to hdm, and not read")):
        if found:
            _remark(f"variables of Halfpipe, {said}: {', '.join(found)}")
    return words


def _remark(text: str) -> None:
    from hdm.cli.output import say

    say(f"hdm: {text}", err=True)


def _say(error: Exception) -> None:
    from hdm.cli.output import describe, say_lines
    from hdm.errors import HdmError, unexpected

    shown = error if isinstance(error, HdmError) else unexpected(error)
    say_lines(f"hdm: {describe(shown)}", err=True)
    if os.environ.get("HDM_DEBUG"):
        import traceback

        say_lines("".join(traceback.format_exception(error)), err=True)
