"""The command ``hdm cp``: copies a table or files from one end to another, without a manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from hdm.api import running
from hdm.api.copying import DELTA, SNAP, Copy, copy
from hdm.api.line_words import line_words
from hdm.api.routes import Wishes
from hdm.api.table_meta import table_meta
from hdm.cli import logs
from hdm.cli.ends import given, place_options
from hdm.cli.options import LogLevel, max_wait_option
from hdm.cli.output import in_a_line, say, say_lines, tell
from hdm.cli.progress import Quiet, display_for
from hdm.cli.run import bound_memory
from hdm.cli.signals import STOPPED, stop_signals
from hdm.config.visible import visible
from hdm.errors import HdmError, UsageError
from hdm.files.atomic_file import is_there

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def command_cp() -> None:
    """Copy a table or files from SRC to DST by one line, without a manifest.

    \b
    hdm cp snap  sqlite:shop.db.orders duckdb:w.duckdb.orders    all rows, each time
    hdm cp delta sqlite:shop.db.orders duckdb:w.duckdb.orders    what is new since the last time
    hdm cp meta  sqlite:shop.db.orders postgres:w.public.orders  the table's definition, as DDL

    An end is SYSTEM:CONNECTION.TABLE, CONNECTION.TABLE (with system: in the profile), an address such as
    postgresql://user@host/database.schema.table, a database file and a table, s3://BUCKET/FOLDER, or a path.
    """


def _copy_options(function: F) -> F:
    options = [
        click.argument("source", required=False),
        click.argument("target", required=False),
        place_options(),
        click.option("--file-format", "--format", "file_format", metavar="FORMAT",
                     help="Format of files, of a stage too (default: as DST ends, else parquet)."),
        click.option("-b", "--s3-bucket", "bucket", default="", help="Bucket to stage files in."),
        click.option("-P", "--s3-prefix", "prefix", default="", help="Folder in that bucket."),
        click.option("-R", "--s3-region", "region", default="", help="Region of that bucket."),
        click.option("--stage-connection", default="", metavar="CONNECTION",
                     help="Connection that reaches that bucket (default: as boto3 finds credentials)."),
        click.option("-s", "--stage", default="", help="DST's own stage over that bucket."),
        click.option("-r", "--csv-rows", "file_rows", type=click.IntRange(min=1),
                     help="Most rows of one file."),
        click.option("-y", "--csv-bytes", "file_bytes", type=click.IntRange(min=1),
                     help="About most bytes of one file."),
        click.option("-B", "--commit-batch-size", "chunk_rows", type=click.IntRange(min=1),
                     help="About most rows of one chunk, which is committed as a whole."),
        click.option("-i", "--repeat", type=click.FloatRange(min=0), default=0,
                     help="Seconds to wait before it is done again, until it is stopped; 0: once."),
        click.option("-o", "--output", type=click.Choice(["yaml", "json"]),
                     help="Print the manifest that would be run, and run nothing."),
        click.option("-I", "--include-connections", "included", is_flag=True,
                     help="With -o, also print connections that no profiles file has, as comments (yaml)."),
        click.option("--write-profiles", "written", type=click.Path(dir_okay=False),
                     help="With -o, write those connections into a new profiles file."),
        click.option("--workers", type=click.IntRange(1, 256), help="Threads."),
        max_wait_option,
        click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True),
        click.option("-l", "--log-level", type=LogLevel(),
                     help="warn: only what was moved; error: only what failed; info, debug: log lines, too."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@command_cp.command("snap")
@_copy_options
@click.option("-a", "--append", is_flag=True, help="Add the rows to those of TARGET, once, and replace none.")
def snap(append: bool, **options: Any) -> int:
    """Copy all rows of SOURCE to TARGET, in the place of what is there."""
    return _carry_out(SNAP, append=append, **options)


@command_cp.command("delta")
@_copy_options
@click.option("-p", "--primary-keys", "keys", metavar="A,B", default="",
              help="Columns that tell rows apart (default: the primary key of SOURCE).")  # fmt: skip
@click.option("-d", "--delta-driver", "--watermark", "watermark", metavar="COLUMN", default="",
              help="Column that is greater in each new or changed row.")  # fmt: skip
def delta(keys: str, watermark: str, **options: Any) -> int:
    """Copy what is new in SOURCE since the last call to TARGET, merged by key.

    What was moved is on record in hdm's state database, as that of hdm run: $HDM_HOME, else the home folder.
    """
    named = tuple(part.strip() for part in keys.split(",") if part.strip())
    return _carry_out(DELTA, keys=named, watermark=watermark, **options)


@command_cp.command("meta")
@click.argument("source", required=False)
@click.argument("target", required=False)
@place_options(short=False)
@click.option(
    "-e", "--execute-ddl", "execute", is_flag=True, help="Create the table; else only print the DDL."
)
@click.option("-l", "--log-level", type=LogLevel(), default="error", show_default=True)
def meta(
    source: str | None, target: str | None, env: str, profiles: str | None, execute: bool, log_level: str
) -> int:
    """Map the definition of the table SOURCE to the system of TARGET, and print the DDL.

    What cannot be mapped is said on standard error. Ends with 1 if the target refused something.
    """
    logs.set_up("text", None, log_level)
    found = table_meta(
        given(source, "SOURCE"), given(target, "TARGET"), execute=execute, env=env, profiles=profiles
    )
    for sql in found.sql:
        say_lines(f"{visible(sql)};")
    for gap in found.report.gaps:
        say(f"{gap.status.value}: {gap.kind} {gap.name}: {gap.reason}", err=True)
    for one in found.refused:
        say(f"refused: {one.statement.kind} {one.statement.name}: {one.error}", err=True)
    if execute:
        say(f"{len(found.applied)} objects applied, {len(found.refused)} of them refused", err=True)
    return 1 if found.refused else 0


def _carry_out(
    verb: str, source: str | None, target: str | None, env: str, profiles: str | None, *,
    repeat: float, output: str | None, included: bool, written: str | None, workers: int | None,
    max_wait: float, log_format: str, log_level: str | None, **wishes: Any,
) -> int:  # fmt: skip
    logs.set_up(log_format, None, log_level or "warning")
    wishes["file_format"] = wishes.pop("file_format") or ""
    made = copy(
        verb, given(source, "SOURCE"), given(target, "TARGET"), Wishes(**wishes), env=env, profiles=profiles
    )
    for note in made.notes:
        tell(note)
    if output:
        return _print(made, output, included, written)
    if log_level in (None, "info", "debug"):
        for line in made.why:
            say(f"hdm: {line}", err=True)
    bound_memory()
    display = display_for(log_format, quiet=log_level == "error")
    if log_level == "warning" and log_format == "text":
        display = Quiet(quiet=False)
    with stop_signals() as stop, line_words(made.ends, addresses=made.addresses):
        return _repeat(made, running.Wishes((), (), workers, max_wait, stop), display, repeat)


def _repeat(made: Copy, wishes: running.Wishes, display: running.Display, seconds: float) -> int:
    """Run a copy once, or again and again until it is told to stop; return the exit code.

    Where it repeats, an error that may pass is said, and the next round tries again.
    """
    while True:
        try:
            code = made.project.preflight().run(wishes, display).exit_code
        except HdmError as error:
            if not seconds or isinstance(error, UsageError):
                raise
            say(f"hdm: {in_a_line(error)}", err=True)
            code = error.exit_code
        if not seconds:
            return code
        if wishes.stop.wait(seconds):
            return STOPPED


def _print(made: Copy, output: str, included: bool, written: str | None) -> int:
    if written is not None:
        _write(written, made)
    if output == "json":
        say_lines(json.dumps(made.manifest, indent=2, ensure_ascii=False))
        return 0
    for line in made.why:
        say(f"# {line}")
    shown = yaml.safe_dump(made.connections, sort_keys=False, allow_unicode=True) if made.connections else ""
    if shown and included:
        say("# connections of this manifest, for a profiles file (mode 0600):")
        for line in shown.splitlines():
            say(f"#   {line}")
    say_lines(made.text.rstrip("\n"))
    if shown and not included and written is None:
        say(
            "hdm: the manifest names connections that no profiles file has: add -I or --write-profiles",
            err=True,
        )
    return 0


def _write(path: str, made: Copy) -> None:
    """Write the connections into a new file that only its owner can read; never into one that is there."""
    if is_there(Path(path)):
        raise UsageError(f"{path} is there already", hint="name a new file, and join the two by hand")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(yaml.safe_dump(made.connections, sort_keys=False, allow_unicode=True))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
