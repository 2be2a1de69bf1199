-- What makes a PostgreSQL database behave like one of SQL Server's. SQLSTATE T0241 is SQL Server's error 241.
CREATE SCHEMA dbo;
CREATE SCHEMA sys;
CREATE SCHEMA ms;
CREATE SCHEMA plain;
SET check_function_bodies = off;
SET search_path = dbo, ms;

-- nvarchar and varchar: cases are equal in both, and they are sorted in two orders
CREATE COLLATION ms.wide (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION ms.narrow (provider = icu, locale = 'sv-u-ks-level2', deterministic = false);
CREATE COLLATION ms."SQL_Latin1_General_CP1_CI_AS"
  (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION ms."Latin1_General_BIN2" FROM "C";
CREATE COLLATION ms."Latin1_General_100_BIN2" FROM "C";
CREATE COLLATION ms."Latin1_General_100_BIN2_UTF8" FROM "C";

CREATE FUNCTION ms.refuse(code text, said text) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '%', said USING ERRCODE = 'T' || lpad(code, 4, '0'); END $$;

-- texts -------------------------------------------------------------------------
CREATE FUNCTION ms.units(x text) RETURNS int IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT char_length(x) + char_length(regexp_replace(x COLLATE "C", '[^\U00010000-\U0010ffff]', '', 'g')) $$;
CREATE FUNCTION ms.narrowed(x text) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS $$
  SELECT regexp_replace(regexp_replace(translate(x COLLATE "C", 'ŁłĄąĘęŚśŻżŹźĆćŃńŐőŰű', 'LlAaEeSsZzZzCcNnOoUu'),
    '[\U00010000-\U0010ffff]', '??', 'g'),
    '[^\u0001-\u007f\u00a0-\u00ff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]', '?', 'g') $$;
CREATE FUNCTION ms.digits(t regtype, other int) RETURNS int STABLE LANGUAGE sql AS $$
  SELECT CASE WHEN t::text ~ 'smalldatetime' THEN 0 WHEN t::text ~ 'datetime"?$' THEN 3
    ELSE coalesce(substring(t::text from '\((\d)\)')::int, other) END $$;
CREATE FUNCTION ms.shown(x timestamp, digits int) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS $$
  SELECT left(to_char(x, 'YYYY-MM-DD HH24:MI:SS.US'), CASE digits WHEN 0 THEN 19 ELSE 20 + least(digits, 6) END)
    || CASE digits WHEN 7 THEN '0' ELSE '' END $$;
CREATE FUNCTION ms.as_text(x text, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN style = 23 AND t::text ~ 'datetime' THEN left(x, 10) ELSE x END $$;
CREATE FUNCTION ms.as_text(x bigint, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT x::text $$;
CREATE FUNCTION ms.as_text(x int, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT x::text $$;
CREATE FUNCTION ms.as_text(x smallint, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT x::text $$;
CREATE FUNCTION ms.as_text(x numeric, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN t::text ~ 'money' AND style <> 2 THEN round(x, 2)::text ELSE x::text END $$;
CREATE FUNCTION ms.as_text(x double precision, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE style WHEN 3 THEN x::text ELSE trim(to_char(x, '9.99999EEEE')) END $$;
CREATE FUNCTION ms.as_text(x date, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT to_char(x, 'YYYY-MM-DD') $$;
CREATE FUNCTION ms.as_text(x time, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT substr(ms.shown('2000-01-01'::date + x, ms.digits(t, 6)), 12) $$;
CREATE FUNCTION ms.as_text(x timestamp, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE style WHEN 23 THEN to_char(x, 'YYYY-MM-DD')
     WHEN 0 THEN CASE WHEN t::text ~ 'datetime"?$' THEN to_char(x, 'Mon FMDD YYYY HH12:MIAM') ELSE ms.shown(x, ms.digits(t, 6)) END
     ELSE ms.shown(x, ms.digits(t, 6)) END $$;
CREATE FUNCTION ms.as_text(x timestamptz, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT ms.shown(x AT TIME ZONE 'UTC', ms.digits(t, 6)) || ' +00:00' $$;
CREATE FUNCTION ms.as_text(x bytea, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN style = 1 THEN '0x' || upper(encode(x, 'hex')) ELSE convert_from(x, 'LATIN1') END $$;
CREATE FUNCTION ms.as_text(x uuid, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT upper(x::text) $$;
CREATE FUNCTION ms.as_text(x boolean, style int, t regtype) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN x THEN '1' ELSE '0' END $$;

-- other types: a text has more rules than a value ------------------------------------
CREATE FUNCTION ms.as_bit(x bigint) RETURNS smallint IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT (x <> 0)::int::smallint $$;
CREATE FUNCTION ms.as_bit(x text) RETURNS smallint IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE lower(x COLLATE "C") WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE (x::bigint <> 0)::int END::smallint $$;
CREATE FUNCTION ms.as_tinyint(x bigint) RETURNS smallint IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE WHEN x BETWEEN 0 AND 255 THEN x ELSE ms.refuse('220', 'Arithmetic overflow error for data type tinyint')::int END::smallint $$;
CREATE FUNCTION ms.as_tinyint(x text) RETURNS smallint IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_tinyint(x::bigint) $$;
CREATE FUNCTION ms.as_number(x numeric) RETURNS numeric IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE WHEN x = 'NaN' THEN ms.refuse('8114', 'Error converting data type')::numeric ELSE x END $$;
CREATE FUNCTION ms.as_number(x double precision) RETURNS numeric IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT x::numeric $$;
CREATE FUNCTION ms.as_number(x text) RETURNS numeric IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE WHEN x COLLATE "C" ~ '^\s*[+-]?(\d+\.?\d*|\.\d+)\s*$' THEN x
   ELSE ms.refuse('8114', 'Error converting data type nvarchar to numeric.') END::numeric $$;
CREATE FUNCTION ms.as_float(x double precision) RETURNS double precision IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE WHEN x::text IN ('NaN', 'Infinity', '-Infinity')
   THEN ms.refuse('8023', 'The supplied value is not a valid instance of data type float.')::float ELSE x END $$;
CREATE FUNCTION ms.as_float(x text) RETURNS double precision IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE WHEN x COLLATE "C" ~* '^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$' THEN x
   ELSE ms.refuse('8114', 'Error converting data type nvarchar to float.') END::double precision $$;
CREATE FUNCTION ms.as_bytes(x bytea, style int) RETURNS bytea IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT x $$;
CREATE FUNCTION ms.as_bytes(x text, style int) RETURNS bytea IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE WHEN style = 0 THEN convert_to(x, 'UTF8')
     WHEN x COLLATE "C" ~* '^0x([0-9a-f]{2})*$' THEN decode(substr(x, 3), 'hex')
     ELSE ms.refuse('8114', 'Error converting data type nvarchar to varbinary.')::bytea END $$;
CREATE FUNCTION ms.implicit_bytes(x bytea) RETURNS bytea IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT x $$;
CREATE FUNCTION ms.implicit_bytes(x text) RETURNS bytea STABLE LANGUAGE sql AS
$$ SELECT ms.refuse('257', 'Implicit conversion from data type nvarchar to varbinary is not allowed.')::bytea $$;
CREATE FUNCTION ms.as_uuid(x uuid) RETURNS uuid IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT x $$;
CREATE FUNCTION ms.as_uuid(x text) RETURNS uuid IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT CASE WHEN x COLLATE "C" ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN x
   ELSE ms.refuse('8169', 'Conversion failed when converting to uniqueidentifier.') END::uuid $$;

CREATE FUNCTION ms.moment(x text, digits int, zoned boolean) RETURNS text[] IMMUTABLE STRICT LANGUAGE plpgsql AS $$
DECLARE p text[] := regexp_match(x COLLATE "C",
  '^\s*(\d{4}-\d\d-\d\d)?[ T]?(?:(\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?)?\s*(Z|[+-]\d\d:\d\d)?\s*$');
BEGIN
  IF p IS NULL OR char_length(coalesce(p[3], '')) > digits OR (p[4] IS NOT NULL AND NOT zoned) THEN
    PERFORM ms.refuse('241', 'Conversion failed when converting date and/or time from character string.');
  END IF;
  RETURN ARRAY[coalesce(p[1], '1900-01-01'), coalesce(p[2], '00:00:00'), rpad(coalesce(p[3], ''), 7, '0'), coalesce(p[4], '')];
END $$;
CREATE FUNCTION ms.as_date(x timestamp) RETURNS date IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT x::date $$;
CREATE FUNCTION ms.as_date(x text) RETURNS date IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT (ms.moment(x, 7, true))[1]::date $$;
CREATE FUNCTION ms.as_datetime2(x timestamp, digits int) RETURNS timestamp IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT round_to FROM (SELECT date_trunc('second', x) + round(extract(microsecond FROM x)::numeric % 1000000 / 1000000, digits) * interval '1 second') AS q(round_to) $$;
CREATE FUNCTION ms.as_datetime2(x text, digits int) RETURNS timestamp IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_datetime2((p[1] || ' ' || p[2] || '.' || left(p[3], 6))::timestamp
     + CASE WHEN substr(p[3], 7) >= '5' THEN interval '1 microsecond' ELSE interval '0' END, digits)
   FROM (SELECT ms.moment(x, 7, true)) AS q(p) $$;
CREATE FUNCTION ms.as_datetime2_7(x timestamp) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.shown(x, 7) $$;
CREATE FUNCTION ms.as_datetime2_7(x text) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.shown((p[1] || ' ' || p[2])::timestamp, 0) || '.' || p[3] FROM (SELECT ms.moment(x, 7, true)) AS q(p) $$;
CREATE FUNCTION ms.as_offset(x timestamptz, digits int) RETURNS timestamptz IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_datetime2(x AT TIME ZONE 'UTC', digits) AT TIME ZONE 'UTC' $$;
CREATE FUNCTION ms.as_offset(x timestamp, digits int) RETURNS timestamptz IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_datetime2(x, digits) AT TIME ZONE 'UTC' $$;
CREATE FUNCTION ms.as_offset(x text, digits int) RETURNS timestamptz IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_offset((p[1] || ' ' || p[2] || '.' || left(p[3], 6) || coalesce(nullif(p[4], ''), 'Z'))::timestamptz, digits)
   FROM (SELECT ms.moment(x, 7, true)) AS q(p) $$;
CREATE FUNCTION ms.as_offset_7(x timestamptz) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.shown(x AT TIME ZONE 'UTC', 7) $$;
CREATE FUNCTION ms.as_offset_7(x text) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.shown((p[1] || ' ' || p[2] || coalesce(nullif(p[4], ''), 'Z'))::timestamptz AT TIME ZONE 'UTC', 0) || '.' || p[3]
   FROM (SELECT ms.moment(x, 7, true)) AS q(p) $$;
CREATE FUNCTION ms.as_time(x time, digits int) RETURNS time IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_datetime2('2000-01-01'::date + x, digits)::time $$;
CREATE FUNCTION ms.as_time(x text, digits int) RETURNS time IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_datetime2('2000-01-01 ' || (regexp_match(x COLLATE "C", '[0-9:.]*$'))[1], digits)::time $$;
CREATE FUNCTION ms.as_time_7(x time) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT substr(ms.shown('2000-01-01'::date + x, 7), 12) $$;
CREATE FUNCTION ms.as_time_7(x text) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT rpad(p[2], 8, ':00') || '.' || p[3] FROM (SELECT ms.moment(x, 7, false)) AS q(p) $$;
CREATE FUNCTION ms.as_datetime(x timestamp) RETURNS timestamp IMMUTABLE STRICT LANGUAGE sql AS $$
  SELECT CASE WHEN x < '1753-01-01' THEN
    ms.refuse('242', 'The conversion resulted in an out-of-range value.')::timestamp
    ELSE date_trunc('second', x) + round(round(extract(microsecond FROM x)::numeric % 1000000 * 300 / 1000000) * 10 / 3)
      * interval '1 millisecond' END $$;
CREATE FUNCTION ms.as_datetime(x text) RETURNS timestamp IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_datetime((p[1] || ' ' || p[2] || '.' || p[3])::timestamp) FROM (SELECT ms.moment(x, 3, false)) AS q(p) $$;
CREATE FUNCTION ms.as_smalldatetime(x timestamp) RETURNS timestamp IMMUTABLE STRICT LANGUAGE sql AS $$
  SELECT CASE WHEN x < '1900-01-01' OR x >= '2079-06-07' THEN
    ms.refuse('242', 'The conversion resulted in an out-of-range value.')::timestamp
    ELSE date_trunc('minute', x + interval '30 seconds') END $$;
CREATE FUNCTION ms.as_smalldatetime(x text) RETURNS timestamp IMMUTABLE STRICT LANGUAGE sql AS
$$ SELECT ms.as_smalldatetime((p[1] || ' ' || p[2] || '.' || p[3])::timestamp) FROM (SELECT ms.moment(x, 3, false)) AS q(p) $$;

-- functions and operators of T-SQL --------------------------------------------------
CREATE OPERATOR ms.+ (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);
CREATE FUNCTION ms.sysutcdatetime() RETURNS timestamp LANGUAGE sql AS
$$ SELECT clock_timestamp() AT TIME ZONE 'UTC' $$;
CREATE FUNCTION ms.getdate() RETURNS timestamp LANGUAGE sql AS
$$ SELECT clock_timestamp() AT TIME ZONE 'America/New_York' $$;
CREATE FUNCTION ms.switchoffset(x timestamptz, zone text) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS $$ SELECT x $$;
CREATE FUNCTION ms.switchoffset(x text, zone text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT x $$;
CREATE FUNCTION ms.date_add(part text, amount bigint, x timestamp) RETURNS timestamp IMMUTABLE LANGUAGE sql AS
$$ SELECT x + (amount || ' ' || part)::interval $$;
CREATE FUNCTION ms.date_add(part text, amount bigint, x timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS
$$ SELECT x + (amount || ' ' || part)::interval $$;
CREATE FUNCTION ms.date_add(part text, amount bigint, x text) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT left(ms.shown(left(x, 19)::timestamp + (amount || ' ' || part)::interval, 7), 20) || substr(x, 21) $$;
CREATE FUNCTION ms.data_length(x text, t regtype) RETURNS bigint IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN t::text ~ '"(var)?char' THEN char_length(x) ELSE 2 * ms.units(x) END $$;
CREATE FUNCTION ms.data_length(x bytea, t regtype) RETURNS bigint IMMUTABLE LANGUAGE sql AS
$$ SELECT octet_length(x) $$;
CREATE FUNCTION ms.replicate(x text, n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT repeat(x, n) $$;
CREATE FUNCTION ms.db_id() RETURNS int LANGUAGE sql AS $$ SELECT 5 $$;
CREATE FUNCTION ms.db_name() RETURNS text LANGUAGE sql AS $$ SELECT said FROM ms.settings WHERE name = 'database' $$;
CREATE FUNCTION ms.serverproperty(x text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE lower(x) WHEN 'productmajorversion' THEN '16' WHEN 'productversion' THEN '16.0.1000.6'
   WHEN 'engineedition' THEN '3' WHEN 'edition' THEN 'Standard Edition (64-bit)' END $$;
CREATE FUNCTION ms.schema_number(id oid, named name) RETURNS int IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE named WHEN 'dbo' THEN 1 ELSE 5 + id::bigint % 16000 END::int $$;
CREATE FUNCTION ms.schema_name(id int) RETURNS text STABLE LANGUAGE sql AS
$$ SELECT nspname::text FROM pg_namespace WHERE ms.schema_number(oid, nspname) = id $$;
CREATE FUNCTION ms.schema_name() RETURNS text STABLE LANGUAGE sql AS $$ SELECT 'dbo' $$;
CREATE FUNCTION ms.schema_id(x text) RETURNS int STABLE LANGUAGE sql AS
$$ SELECT ms.schema_number(oid, nspname) FROM pg_namespace WHERE lower(nspname) = lower(x) $$;
CREATE FUNCTION ms.object_name(id int) RETURNS text STABLE LANGUAGE sql AS
$$ SELECT relname::text FROM pg_class WHERE oid = id $$;
CREATE FUNCTION ms.object_schema_name(id int) RETURNS text STABLE LANGUAGE sql AS
$$ SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = id $$;
CREATE FUNCTION ms.object_id(x text) RETURNS int STABLE LANGUAGE sql AS $$
  SELECT c.oid::int FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
    (SELECT lower(regexp_replace(x COLLATE "C", '[\[\]"]', '', 'g'))) AS q(said)
  WHERE CASE WHEN said ~ '#' THEN n.oid = pg_my_temp_schema() AND lower(c.relname) = substring(said from '#(.*)$')
    ELSE lower(n.nspname || '.' || c.relname) = CASE WHEN said ~ '\.' THEN said ELSE 'dbo.' || said END END
  AND c.relkind IN ('r', 'v') $$;
CREATE FUNCTION ms.object_id(x text, kind text) RETURNS int STABLE LANGUAGE sql AS $$ SELECT ms.object_id(x) $$;
CREATE FUNCTION ms.object_definition(id int) RETURNS text STABLE LANGUAGE sql AS
$$ SELECT '(' || pg_get_expr(adbin, adrelid) || ')' FROM pg_attrdef WHERE oid = id $$;
CREATE FUNCTION ms.col_name(id int, place int) RETURNS text STABLE LANGUAGE sql AS
$$ SELECT attname::text FROM pg_attribute WHERE attrelid = id AND attnum = place $$;
CREATE FUNCTION ms.has_perms_by_name(a text, b text, c text) RETURNS int LANGUAGE sql AS
$$ SELECT CASE c WHEN (SELECT said FROM ms.settings WHERE name = 'refused') THEN 0 ELSE 1 END $$;
CREATE FUNCTION ms.quotename(x text) RETURNS text LANGUAGE sql AS
$$ SELECT '[' || replace(x COLLATE "C", ']', ']]') || ']' $$;
CREATE FUNCTION ms.user_name() RETURNS text LANGUAGE sql AS $$ SELECT 'dbo' $$;
CREATE FUNCTION ms.rows_of(id oid) RETURNS bigint LANGUAGE plpgsql AS
$$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM ' || id::regclass INTO n; RETURN n; END $$;
CREATE FUNCTION ms.declared(kind oid, modifier int) RETURNS text STABLE LANGUAGE sql AS $$
  SELECT CASE WHEN t.typtype = 'd' THEN t.typname::text
    WHEN t.oid = 'numeric'::regtype THEN replace(format_type(kind, modifier), 'numeric', 'decimal')
    ELSE coalesce('{"int2": "smallint", "int4": "int", "int8": "bigint", "float8": "float(53)", "float4": "real",
      "uuid": "uniqueidentifier", "text": "nvarchar(max)", "bytea": "varbinary(max)", "timestamp": "datetime2(6)",
      "timestamptz": "datetimeoffset(6)", "time": "time(6)"}'::json ->> t.typname, t.typname::text) END
  FROM pg_type t WHERE t.oid = kind $$;

-- the catalogue ---------------------------------------------------------------------
CREATE TABLE ms.settings (name text PRIMARY KEY, said text);
INSERT INTO ms.settings VALUES ('snapshots', '1'), ('refused', '');
CREATE TABLE ms.types (name text, id int, octets int);
INSERT INTO ms.types VALUES ('bit', 104, 1), ('tinyint', 48, 1), ('smallint', 52, 2), ('int', 56, 4),
  ('bigint', 127, 8), ('decimal', 106, 17), ('numeric', 108, 17), ('float', 62, 8), ('real', 59, 4), ('date', 40, 3),
  ('time', 41, 5), ('datetime2', 42, 8), ('datetimeoffset', 43, 10), ('datetime', 61, 8), ('smalldatetime', 58, 4),
  ('money', 60, 8), ('smallmoney', 122, 4), ('char', 175, 0), ('varchar', 167, 0), ('nchar', 239, 0),
  ('nvarchar', 231, 0), ('binary', 173, 0), ('varbinary', 165, 0), ('uniqueidentifier', 36, 16), ('xml', 241, -1),
  ('sql_variant', 98, 8016), ('timestamp', 189, 8);
CREATE VIEW sys.types AS SELECT name, id AS system_type_id, id AS user_type_id, octets AS max_length FROM ms.types;
CREATE VIEW sys.databases AS SELECT 5 AS database_id, (SELECT said FROM ms.settings WHERE name = 'database') AS name,
  (SELECT said::int FROM ms.settings WHERE name = 'snapshots') AS snapshot_isolation_state;
CREATE VIEW sys.schemas AS SELECT nspname::text AS name, ms.schema_number(oid, nspname) AS schema_id FROM pg_namespace
  WHERE nspname !~ '^(pg_|ms$|sys$|information_schema$|public$)';
CREATE VIEW ms.objects AS SELECT c.relname::text AS name, c.oid::int AS object_id, ms.schema_number(n.oid, n.nspname) AS schema_id,
  CASE WHEN n.oid = pg_my_temp_schema() THEN 'pg_temp' ELSE n.nspname::text END AS place,
  CASE c.relkind WHEN 'v' THEN 'V' ELSE 'U' END AS type, '2020-01-01'::timestamp AS create_date,
  c.relpersistence = 't' AS temporary, c.relfilenode AS file
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'INFORMATION_SCHEMA', 'ms', 'plain', 'sys', 'public');
CREATE VIEW sys.objects AS SELECT name, object_id, schema_id, type, create_date, 0 AS is_ms_shipped FROM ms.objects WHERE NOT temporary;
CREATE VIEW sys.tables AS SELECT name, object_id, schema_id, 0 AS temporal_type, 0 AS is_ms_shipped, 0 AS is_external,
  0 AS is_memory_optimized FROM sys.objects WHERE type = 'U';
CREATE VIEW sys.views AS SELECT name, object_id, schema_id, is_ms_shipped FROM sys.objects WHERE type = 'V';
CREATE VIEW ms.columns AS SELECT a.attrelid::int AS object_id, a.attname::text AS name, a.attnum::int AS column_id,
    y.id AS system_type_id, y.id AS user_type_id, d.said AS declared, o.temporary,
    CASE WHEN d.said ~ 'max' THEN -1 WHEN d.said ~ '^n(var)?char' THEN 2 * d.one
      WHEN y.octets = 0 THEN d.one ELSE y.octets END AS max_length,
    CASE WHEN d.said ~ '^(decimal|numeric|float)' THEN d.one WHEN d.said ~ '^money' THEN 19 ELSE 0 END AS precision,
    CASE WHEN d.said ~ '^(decimal|numeric)' THEN coalesce(d.two, 0) WHEN d.said ~ 'money' THEN 4
      WHEN d.said ~ '^(time|datetime2|datetimeoffset)' THEN d.one ELSE 0 END AS scale,
    CASE WHEN d.said !~ 'char' THEN NULL WHEN l.collname IN ('wide', 'narrow', 'default')
      THEN 'SQL_Latin1_General_CP1_CI_AS' ELSE l.collname::text END AS collation_name,
    (NOT a.attnotnull)::int AS is_nullable, (a.attidentity <> '')::int AS is_identity,
    (a.attgenerated <> '')::int AS is_computed, 0 AS generated_always_type, 0 AS is_hidden, 0 AS is_rowguidcol,
    CASE WHEN a.attgenerated = '' THEN f.oid::int ELSE 0 END AS default_object_id
  FROM pg_attribute a JOIN ms.objects o ON o.object_id = a.attrelid::int
  CROSS JOIN LATERAL (SELECT s, substring(s from '\((\d+)')::int, substring(s from ',(\d+)\)')::int
    FROM ms.declared(a.atttypid, a.atttypmod) AS s) AS d(said, one, two)
  LEFT JOIN ms.types y ON y.name = regexp_replace(d.said, '\(.*', '')
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped;
CREATE VIEW sys.columns AS SELECT * FROM ms.columns WHERE NOT temporary;
CREATE VIEW ms.temporary_columns AS SELECT * FROM ms.columns WHERE temporary;
CREATE VIEW sys.computed_columns AS SELECT object_id, column_id, object_definition(default_object_id) AS definition,
  1 AS is_persisted FROM ms.columns WHERE is_computed = 1;
CREATE VIEW sys.identity_columns AS SELECT object_id, column_id, name, 1 AS is_identity, 1 AS seed_value, 1 AS increment_value
  FROM ms.columns WHERE is_identity = 1;
CREATE VIEW sys.indexes AS SELECT i.indrelid::int AS object_id, c.relname::text AS name,
    CASE WHEN i.indisprimary THEN 1 ELSE i.indexrelid::int END AS index_id, i.indisprimary::int AS is_primary_key,
    i.indisunique::int AS is_unique, (k.contype = 'u')::int AS is_unique_constraint, 0 AS is_hypothetical, (i.indpred IS NOT NULL)::int AS has_filter,
    CASE WHEN i.indisprimary THEN 1 ELSE 2 END AS type, 'NONCLUSTERED' AS type_desc,
    pg_get_expr(i.indpred, i.indrelid) AS filter_definition, i.indkey AS places
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN ms.objects o ON o.object_id = i.indrelid::int
  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u');
CREATE VIEW sys.index_columns AS SELECT i.object_id, i.index_id, u.place::int AS column_id, u.n::int AS key_ordinal,
    u.n::int AS index_column_id, 0 AS is_descending_key, 0 AS is_included_column
  FROM sys.indexes i CROSS JOIN LATERAL unnest(i.places::int2[]) WITH ORDINALITY AS u(place, n);
CREATE VIEW sys.key_constraints AS SELECT k.conname::text AS name, k.conrelid::int AS parent_object_id,
    CASE k.contype WHEN 'p' THEN 'PK' ELSE 'UQ' END AS type, k.oid::int AS object_id,
    CASE k.contype WHEN 'p' THEN 1 ELSE k.conindid::int END AS unique_index_id, 0 AS is_system_named
  FROM pg_constraint k JOIN ms.objects o ON o.object_id = k.conrelid::int WHERE k.contype IN ('p', 'u');
CREATE VIEW sys.check_constraints AS SELECT k.conname::text AS name, k.conrelid::int AS parent_object_id,
    pg_get_expr(k.conbin, k.conrelid) AS definition, 0 AS is_disabled, 0 AS is_not_trusted, 0 AS parent_column_id
  FROM pg_constraint k JOIN ms.objects o ON o.object_id = k.conrelid::int WHERE k.contype = 'c';
CREATE VIEW sys.foreign_keys AS SELECT k.conname::text AS name, k.oid::int AS object_id,
    k.conrelid::int AS parent_object_id, k.confrelid::int AS referenced_object_id, 0 AS is_disabled,
    CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET_NULL' ELSE 'NO_ACTION' END
      AS delete_referential_action_desc, 'NO_ACTION' AS update_referential_action_desc, 0 AS is_not_trusted
  FROM pg_constraint k WHERE k.contype = 'f';
CREATE VIEW sys.foreign_key_columns AS SELECT k.oid::int AS constraint_object_id, u.n::int AS constraint_column_id,
    k.conrelid::int AS parent_object_id, u.a::int AS parent_column_id, k.confrelid::int AS referenced_object_id,
    u.b::int AS referenced_column_id
  FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(a, b, n) WHERE k.contype = 'f';
CREATE VIEW sys.partitions AS SELECT object_id, CASE WHEN EXISTS (SELECT 1 FROM sys.indexes i
    WHERE i.object_id = o.object_id AND i.index_id = 1) THEN 1 ELSE 0 END AS index_id, 1 AS partition_number,
    file::bigint AS hobt_id, file::bigint AS partition_id, ms.rows_of(object_id::oid) AS rows
  FROM ms.objects o WHERE type = 'U';
CREATE VIEW sys.allocation_units AS SELECT partition_id AS container_id, 1::bigint AS total_pages FROM sys.partitions;
CREATE VIEW sys.sql_modules AS SELECT object_id, pg_get_viewdef(object_id::oid) AS definition FROM sys.views;
CREATE TABLE sys.extended_properties (class int, major_id int, minor_id int, name text, value text);
CREATE TABLE sys.triggers (name text, parent_id int, object_id int, is_disabled int, is_instead_of_trigger int);
CREATE TABLE sys.sequences (name text, schema_id int, object_id int, start_value bigint, increment bigint,
  minimum_value bigint, maximum_value bigint, is_cycling int);
CREATE TABLE sys.security_policies (name text, object_id int, is_enabled int);
CREATE TABLE sys.security_predicates (object_id int, target_object_id int);
CREATE VIEW sys.system_views AS SELECT 'dm_exec_sessions'::text AS name;
CREATE VIEW sys.dm_exec_sessions AS SELECT pg_backend_pid() AS session_id,
  CASE current_setting('transaction_isolation') WHEN 'repeatable read' THEN 5 ELSE 2 END AS transaction_isolation_level;
CREATE SCHEMA "INFORMATION_SCHEMA";
CREATE VIEW "INFORMATION_SCHEMA"."TABLES" AS SELECT ms.db_name() AS "TABLE_CATALOG", place AS "TABLE_SCHEMA", name AS "TABLE_NAME",
  CASE type WHEN 'V' THEN 'VIEW' ELSE 'BASE TABLE' END AS "TABLE_TYPE" FROM ms.objects WHERE NOT temporary;
CREATE VIEW sys.default_constraints AS SELECT default_object_id AS object_id, 'DF_' || default_object_id AS name,
  object_id AS parent_object_id, column_id AS parent_column_id, object_definition(default_object_id) AS definition
  FROM ms.columns WHERE default_object_id <> 0 AND is_computed = 0;
CREATE FUNCTION ms.replaced(x text, a text, b text) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT replace(x COLLATE "C", a COLLATE "C", b COLLATE "C") $$;
