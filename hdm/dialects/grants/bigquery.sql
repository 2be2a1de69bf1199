-- BigQuery: the least privileges that hdm needs. Replace the names that begin with hdm_ (hdm_database is the project); as an owner of the dataset.
-- SQL cannot give a right on the project; one is needed, to run jobs: gcloud projects add-iam-policy-binding PROJECT
--   --member=serviceAccount:ACCOUNT --role=roles/bigquery.jobUser (https://cloud.google.com/bigquery/docs/access-control).

-- [source] to read the tables of a dataset, and what it holds
GRANT `roles/bigquery.dataViewer` ON SCHEMA hdm_database.hdm_schema TO "serviceAccount:hdm_user";  -- SELECT on the table

-- [sink] to make, fill and drop tables in a dataset: the targets, the ledger and staging tables
GRANT `roles/bigquery.dataEditor` ON SCHEMA hdm_database.hdm_schema TO "serviceAccount:hdm_user";  -- dataEditor on the dataset
