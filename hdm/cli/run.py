"""The command ``hdm run``: moves what a manifest says; run again, moves what is left."""

from __future__ import annotations

import click

from hdm import api
from hdm.api.running import Wishes
from hdm.cli.options import LogLevel, manifest_options, max_wait_option, site_option
from hdm.cli.progress import display_for
from hdm.cli.signals import stop_signals

MMAP_FROM = 4 * 1024 * 1024
"""The size in bytes from which malloc maps each block by itself and returns it to the system when freed."""


@click.command()
@manifest_options
@site_option
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level",
    type=LogLevel(),
    default="warning",
    show_default=True,
)
@click.option(
    "--select",
    "chosen",
    multiple=True,
    metavar="PATTERN",
    help="Only tables, sources or sinks of that name (* and ? stand for any); may be repeated.",
)
@click.option(
    "--full-refresh",
    "refreshed",
    multiple=True,
    metavar="PATTERN",
    help="Read these tables whole, whatever was read before, and nothing else; may be repeated.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Threads (default: the orchestrator's conf).")
@max_wait_option
@click.option("--quiet", "-q", is_flag=True, help="No bars and no summary; failures only.")
def command_run(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    log_format: str,
    log_level: str,
    chosen: tuple[str, ...],
    refreshed: tuple[str, ...],
    workers: int | None,
    max_wait: float,
    quiet: bool,
) -> int:
    """Move the tables that MANIFEST names; run it again to move what is left.

    If it is killed at any moment, the next run goes on where it stopped. SIGTERM drains: no new chunk
    is claimed, those in work are finished or handed back, and the process ends within 30 seconds.
    """
    bound_memory()
    project = api.open(manifest, env, profiles, site)
    ready = project.preflight(chosen, refreshed)
    with stop_signals() as stop:
        wishes = Wishes(chosen, refreshed, workers, max_wait, stop)
        return ready.run(wishes, display_for(log_format, quiet=quiet)).exit_code


def bound_memory() -> None:
    """Make memory allocators give freed memory back, so that the peak depends on the widest batch only.

    Arrow's default allocator keeps much memory per thread; jemalloc does not. If Arrow is built without
    jemalloc, malloc is used. Python's own strings and bytes come from malloc. Whenever a large block is
    freed, malloc raises the size from which it maps a block by itself, up to 32 MiB, and keeps freed blocks
    below that size; a threshold that was set explicitly stays. mallopt(3) has the numbers: M_ARENA_MAX is
    -8, M_MMAP_THRESHOLD -3. Without glibc nothing is changed.
    """
    import ctypes

    import pyarrow as pa

    try:
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(0)
    except NotImplementedError:
        pa.set_memory_pool(pa.system_memory_pool())
    try:
        ctypes.CDLL(None).mallopt(-8, 2)
        ctypes.CDLL(None).mallopt(-3, MMAP_FROM)
    except (OSError, AttributeError):
        return
