"""Wagtail's and Django's tables with the rows that their migrations leave: see ``wagtail_app.py``."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers import provision
from tests.servers.process import run


def make(place: Path) -> None:
    """A copy of the database; made on first use in a venv of its own."""
    programs = provision.venv("wagtail")
    made = programs.parent / "wagtail.db"
    with provision.once("wagtail-database"):
        if not made.exists():
            run([programs / "python", "-P", Path(__file__).with_name("wagtail_app.py"), made], timeout=600)
    shutil.copy(made, place)
