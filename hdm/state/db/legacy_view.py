"""The view ``state_manager``, with the 26 columns of hashmap_data_migrator's table of that name."""

from __future__ import annotations

COLUMNS = (
    "state_id", "run_id", "job_id", "correlation_id_in", "correlation_id_out", "action", "status",
    "source_name", "source_type", "sink_name", "sink_type", "source_entity", "source_filter",
    "sink_entity", "sink_filter", "first_record_pulled", "last_record_pulled", "git_sha",
    "sourcing_start_time", "sourcing_end_time", "sinking_start_time", "sinking_end_time",
    "updated_on", "row_count", "created_on", "manifest_name",
)  # fmt: skip

SELECT = """SELECT c.chunk_id AS state_id, j.run_id AS run_id, c.job_id AS job_id,
  c.corr_in AS correlation_id_in, c.corr_out AS correlation_id_out,
  CASE WHEN c.sinking_end_time IS NOT NULL THEN 'sinking post-push'
       WHEN c.sinking_start_time IS NOT NULL THEN 'sinking pre-push'
       WHEN c.sourcing_end_time IS NOT NULL THEN 'sourcing post-pull'
       ELSE 'sourcing pre-pull' END AS action,
  CASE WHEN c.status IN ('committed', 'verified') THEN 'success'
       WHEN c.status IN ('dead', 'waived') THEN 'failure'
       ELSE 'in_progress' END AS status,
  j.source_name AS source_name, j.source_type AS source_type,
  j.sink_name AS sink_name, j.sink_type AS sink_type,
  ds.name AS source_entity, c.source_filter AS source_filter,
  dt.name AS sink_entity, c.sink_filter AS sink_filter,
  c.first_key AS first_record_pulled, c.last_key AS last_record_pulled, r.git_sha AS git_sha,
  c.sourcing_start_time AS sourcing_start_time, c.sourcing_end_time AS sourcing_end_time,
  c.sinking_start_time AS sinking_start_time, c.sinking_end_time AS sinking_end_time,
  c.updated_on AS updated_on, COALESCE(c.rows_loaded, c.rows_extracted) AS row_count,
  c.created_on AS created_on, r.manifest_name AS manifest_name
FROM hdm_chunk c
JOIN hdm_job j ON j.job_id = c.job_id
JOIN hdm_run r ON r.run_id = j.run_id
JOIN hdm_dataset ds ON ds.dataset_id = j.source_dataset_id
JOIN hdm_dataset dt ON dt.dataset_id = j.sink_dataset_id
WHERE c.attempt > 0 AND c.status <> 'superseded'"""
"""Query of the view. A chunk appears with its first attempt, as the old table got its row when work began."""


def create(dialect: str) -> str:
    """Return the SQL statement that makes the view, on the system that SQLAlchemy calls ``dialect``.

    An existing view is replaced, except in SQLite, where it stays as it is.
    """
    head = {
        "sqlite": "CREATE VIEW IF NOT EXISTS",
        "postgresql": "CREATE OR REPLACE VIEW",
        "mysql": "CREATE OR REPLACE VIEW",
        "mssql": "CREATE OR ALTER VIEW",
    }[dialect]
    return f"{head} state_manager AS\n{SELECT}"
