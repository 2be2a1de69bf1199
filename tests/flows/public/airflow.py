"""Airflow's metadata database, made and filled by Airflow: see ``airflow_app.py``."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers import provision
from tests.servers.process import run


def make(place: Path) -> None:
    """A copy of the database; made on first use in a venv of its own."""
    programs = provision.venv("airflow")
    home = programs.parent / "home"
    script, done = Path(__file__).with_name("airflow_app.py"), home / "filled.txt"
    with provision.once("airflow-database"):
        if not done.exists() or done.read_text(encoding="utf-8") != script.read_text(encoding="utf-8"):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            run([programs / "python", "-P", script, home], timeout=600)
            shutil.copy(script, done)
    shutil.copy(home / "airflow.db", place)
