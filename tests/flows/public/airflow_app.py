"""Make Airflow's metadata database and let Airflow fill it: ``python airflow_app.py FOLDER``.

The DAGs are the examples that Airflow itself carries; every row is written by Airflow.
"""

from __future__ import annotations

import os
import sys

HOME = sys.argv[1]
os.environ.update(
    AIRFLOW_HOME=HOME,
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    AIRFLOW__CORE__LOAD_EXAMPLES="True",
    AIRFLOW__CORE__FERNET_KEY="aGRtIG9ubHkgdGVzdHMgd2l0aCB0aGlzIGtleSAwMTI=",
    AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=f"{HOME}/logs",
)
RUNS = (
    "tutorial_taskflow_api", "example_branch_labels", "example_dynamic_task_mapping", "example_xcom",
    "example_short_circuit_decorator", "example_task_group", "asset_produces_1",
    "asset_alias_example_alias_producer", "example_task_state_store", "example_nested_branch_dag",
)  # fmt: skip
COMMANDS = (
    "dags reserialize",
    "connections create-default-connections",
    "variables set greeting héllo-漢字-🙂",
    'variables set limits {"rows":[1,2,3],"ratio":0.5} --json',
    "pools set narrow 2 one-after-another",
    "pools set wide 128 many --include-deferred",
    "dags unpause example_simplest_dag -y",
    "dags trigger example_simplest_dag --conf {\"size\":3}",
    "backfill create --dag-id tutorial --from-date 2026-01-01 --to-date 2026-01-04",
    "assets materialize --name s3://dag1/output_1.txt",
)  # fmt: skip


def command(line: str) -> None:
    """``airflow LINE`` in this process."""
    from airflow.__main__ import main

    sys.argv = ["airflow", *line.split(" ")]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise


for line in ("db migrate", *COMMANDS, *(f"dags test {name}" for name in RUNS)):
    command(line)
command("tasks clear example_xcom -y")
