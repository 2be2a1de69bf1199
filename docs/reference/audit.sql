-- Twelve questions that an auditor asks of the state database. Each is one plain statement that
-- runs on SQLite, PostgreSQL, MySQL and MariaDB. Values in angle brackets are the auditor's.

-- Q1 who ran what, with which code and manifest, and how did it end?
SELECT run_id, resumed_from, started_by, host, env, manifest_name, manifest_sha256, git_sha, git_dirty, hdm_version, status, started_at, ended_at, error_class FROM hdm_run ORDER BY started_at DESC;

-- Q2 does every job balance: extracted = loaded + filtered + rejected? (must return no row; rejected rows lie in quarantine: hdm quarantine list)
SELECT job_id, SUM(rows_extracted) AS extracted, SUM(rows_loaded) AS loaded, SUM(rows_filtered) AS filtered, SUM(rows_rejected) AS rejected, SUM(rows_extracted) - SUM(rows_loaded) - SUM(rows_filtered) - SUM(rows_rejected) AS unexplained FROM hdm_chunk WHERE status IN ('committed', 'verified') AND bound_kind <> 'legacy' GROUP BY job_id HAVING SUM(rows_extracted) <> SUM(rows_loaded) + SUM(rows_filtered) + SUM(rows_rejected) OR COUNT(*) <> COUNT(rows_loaded);

-- Q3 where did this target row (its _hdm_chunk_id) come from?
SELECT c.chunk_id, d.namespace, d.name, c.source_filter, j.snapshot_token, a.uri, a.sha256, c.lease_owner, j.run_id, c.sourcing_start_time FROM hdm_chunk c JOIN hdm_job j ON j.job_id = c.job_id JOIN hdm_dataset d ON d.dataset_id = j.source_dataset_id LEFT JOIN hdm_artifact a ON a.chunk_id = COALESCE(c.corr_in, c.chunk_id) AND a.state IN ('PUBLISHED', 'CONSUMED') WHERE c.chunk_id = '<chunk>';

-- Q4 where has everything from this source table gone (forward lineage, any number of hops)?
WITH RECURSIVE f(dataset_id, depth) AS (SELECT dataset_id, 0 FROM hdm_dataset WHERE name = '<table>' UNION SELECT e.to_dataset_id, f.depth + 1 FROM hdm_lineage_edge e JOIN f ON e.from_dataset_id = f.dataset_id WHERE f.depth < 20) SELECT d.namespace, d.name, MIN(f.depth) AS hops FROM f JOIN hdm_dataset d ON d.dataset_id = f.dataset_id GROUP BY d.namespace, d.name ORDER BY hops, d.name;

-- Q5 what is unfinished, who holds it, is the lease dead?
SELECT c.chunk_id, c.status, c.attempt, c.lease_owner, c.lease_expires_at, w.heartbeat_at, w.state AS worker_state, c.error_class FROM hdm_chunk c LEFT JOIN hdm_worker w ON w.worker_id = c.lease_owner WHERE c.status NOT IN ('committed', 'verified', 'waived', 'superseded') ORDER BY c.lease_expires_at, c.chunk_id;

-- Q6 is any committed watermark ahead of its data? (must return no row)
SELECT w.pipeline_key, w.seq, w.value, c.chunk_id, c.chunk_no, c.status FROM hdm_watermark w JOIN hdm_chunk c ON c.job_id = w.job_id AND c.chunk_no <= w.chunk_no WHERE c.status IN ('pending', 'leased', 'written', 'dead');

-- Q7 which chunks took more than one attempt, which workers were fenced off, did more than one commit?
SELECT e.chunk_id, COUNT(DISTINCT e.attempt) AS holders, SUM(CASE WHEN e.event_type = 'lease.lost' THEN 1 ELSE 0 END) AS fenced, COUNT(DISTINCT CASE WHEN e.event_type = 'chunk.committed' THEN e.attempt END) AS committers FROM hdm_event e WHERE e.chunk_id IS NOT NULL GROUP BY e.chunk_id HAVING COUNT(DISTINCT e.attempt) > 1 OR SUM(CASE WHEN e.event_type = 'lease.lost' THEN 1 ELSE 0 END) > 0 ORDER BY e.chunk_id;

-- Q8 which chunks died, and who waived them and why? (row_no is always -1, the whole chunk)
SELECT d.chunk_id, d.row_no, d.error_class, d.error_msg, d.state, d.resolved_by, d.resolved_at, d.reason FROM hdm_dead_letter d ORDER BY d.state, d.created_on, d.chunk_id, d.row_no;

-- Q9 which loaded jobs were never validated, or failed validation?
SELECT j.job_id, j.pipeline_key, COUNT(v.validation_id) AS checks, SUM(CASE WHEN v.status <> 'pass' THEN 1 ELSE 0 END) AS bad FROM hdm_job j LEFT JOIN hdm_validation v ON v.job_id = j.job_id WHERE j.status = 'success' AND EXISTS (SELECT 1 FROM hdm_chunk c WHERE c.job_id = j.job_id AND c.status IN ('committed', 'verified')) GROUP BY j.job_id, j.pipeline_key HAVING COUNT(v.validation_id) = 0 OR SUM(CASE WHEN v.status <> 'pass' THEN 1 ELSE 0 END) > 0 ORDER BY j.pipeline_key;

-- Q10 when did a schema change and how many jobs loaded under each version?
SELECT d.name, s.version, s.captured_at, s.change_kind, s.change_detail, COUNT(j.job_id) AS jobs FROM hdm_dataset_schema s JOIN hdm_dataset d ON d.dataset_id = s.dataset_id LEFT JOIN hdm_job j ON j.source_dataset_id = s.dataset_id AND j.source_schema_version = s.version GROUP BY d.name, s.version, s.captured_at, s.change_kind, s.change_detail ORDER BY d.name, s.version;

-- Q11 is the trail gapless, linked, and equal to the anchors on record? (must return no row; hdm state verify also recomputes the hashes, and holds every table against them)
SELECT h.run_id FROM hdm_chain_head h LEFT JOIN hdm_event e ON e.run_id = h.run_id LEFT JOIN hdm_event p ON p.run_id = e.run_id AND p.seq = e.seq - 1 LEFT JOIN hdm_anchor a ON a.run_id = e.run_id AND a.seq = e.seq GROUP BY h.run_id, h.seq, h.hash HAVING COUNT(e.seq) <> h.seq OR COALESCE(MAX(e.seq), 0) <> h.seq OR SUM(CASE WHEN e.seq > 1 AND (p.hash IS NULL OR p.hash <> e.prev_hash) THEN 1 ELSE 0 END) > 0 OR MAX(CASE WHEN e.seq = h.seq THEN e.hash END) <> h.hash OR SUM(CASE WHEN a.hash <> e.hash THEN 1 ELSE 0 END) > 0 OR COUNT(a.seq) <> (SELECT COUNT(*) FROM hdm_anchor x WHERE x.run_id = h.run_id);

-- Q12 where does this (PII) column land, and was it changed, masked or lossy on the way? (type UNKNOWN: nobody can say what that target column is made of, look; INDIRECT: the value does not land there, but decides what does)
SELECT dt.name AS target, cl.sink_column, cl.source_type, cl.sink_type, cl.transform_type, cl.transform_subtype, cl.expression, cl.masking, cl.lossy, j.run_id FROM hdm_column_lineage cl JOIN hdm_job j ON j.job_id = cl.job_id JOIN hdm_dataset ds ON ds.dataset_id = j.source_dataset_id JOIN hdm_dataset dt ON dt.dataset_id = j.sink_dataset_id WHERE ds.name = '<table>' AND (cl.source_column = '<column>' OR cl.transform_type = 'UNKNOWN') ORDER BY dt.name, cl.sink_column, cl.transform_type;
