"""Lists the functions that SQL texts of a source's catalogue may call on a target.

These are functions of the system itself that compute a value from their arguments and do nothing else.
Functions that read a file, open a connection, sleep, change a setting or run SQL are on no list, nor is any
function that a user can define.
"""

from __future__ import annotations

_COMMON = """
abs acos ascii asin atan atan2 avg cast ceil ceiling char char_length character_length coalesce concat
concat_ws convert corr cos cot count covar_pop covar_samp cume_dist current_date current_time
current_timestamp degrees dense_rank date exp extract first_value floor greatest grouping ifnull iif
isnull lag last_value lead least left length ln localtime localtimestamp log log10 log2 lower lpad ltrim
max md5 median min mod nth_value ntile nullif nvl octet_length percent_rank pi pow power
radians random rank regexp_replace repeat replace reverse right round row_number rpad rtrim sign sin sqrt
stddev stddev_pop stddev_samp substr substring sum tan translate trim trunc upper var_pop var_samp
variance time timestamp position overlay if instr year month day hour minute second
"""
_OWN = {
    "postgres": """
age array_agg array_append array_cat array_length array_lower array_ndims array_position array_prepend
array_remove array_replace array_to_string array_upper bit_and bit_length bit_or bool_and bool_or
btrim cardinality cbrt chr clock_timestamp date_bin date_part date_trunc decode div encode every format
gen_random_uuid initcap isfinite json_agg json_array_length json_build_array json_build_object
json_extract_path json_extract_path_text json_object_agg json_typeof jsonb_agg jsonb_array_length
jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text jsonb_object_agg
jsonb_path_exists jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lower_inc
lower_inf upper_inc upper_inf isempty make_date make_interval make_time make_timestamp make_timestamptz
mode now num_nonnulls num_nulls num_nonnulls percentile_cont percentile_disc quote_ident
quote_literal quote_nullable regexp_match regexp_matches regexp_split_to_array sha224 sha256 sha384 sha512
split_part starts_with statement_timestamp string_agg string_to_array strpos text timezone to_ascii
to_char to_date to_hex to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector plainto_tsquery
setweight ts_rank transaction_timestamp unnest generate_series jsonb_array_elements
jsonb_array_elements_text width_bucket uuid_in int4 int8 float8 numeric host masklen network family
point box circle area center int4range int8range numrange tsrange tstzrange daterange row array any all
bpchar varchar interval regexp_like date_add scale factorial gcd lcm asinh sinh cosh tanh
""",
    "mysql": """
adddate addtime aes_encrypt bin bit_and bit_count bit_or bit_xor char_length concat conv
convert_tz crc32 curdate current_user curtime date_add date_format date_sub datediff dayname dayofmonth
dayofweek dayofyear elt export_set field find_in_set format from_base64 from_days from_unixtime
group_concat hex inet6_aton inet6_ntoa inet_aton inet_ntoa insert interval json_array json_arrayagg
json_compact json_contains json_contains_path json_depth json_exists json_extract json_keys json_length
json_object json_objectagg json_query json_quote json_search json_type json_unquote json_valid json_value
last_day lcase locate maketime makedate microsecond mid monthname now oct ord period_add period_diff
quarter quote rand regexp_instr regexp_substr sec_to_time sha sha1 sha2 soundex space strcmp str_to_date
subdate subtime sysdate timediff timestampadd timestampdiff time_format time_to_sec to_base64 to_days
to_seconds truncate ucase unhex unix_timestamp utc_date utc_time utc_timestamp uuid values week weekday
weekofyear yearweek json_detailed json_loose nullif
""",
    "sqlite": """
datetime glob group_concat hex json json_array json_array_length json_extract json_group_array
json_group_object json_object json_quote json_type json_valid julianday like likelihood likely printf
quote randomblob soundex strftime string_agg timediff total typeof unhex unicode unistr unixepoch unlikely
zeroblob format octet_length
""",
    "duckdb": """
age any_value approx_count_distinct arg_max arg_min array_agg array_extract array_length array_to_string
array_slice bit_and bit_count bit_or bit_xor bool_and bool_or bar base64 cbrt century chr contains date_add
date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc dayname dayofmonth dayofweek
dayofyear decade decode encode ends_with epoch epoch_ms epoch_ns epoch_us even factorial first
flatten format from_base64 from_hex gamma gcd gen_random_uuid get_current_timestamp group_concat hash hex
isfinite isinf isnan isodow isoyear json_array_length json_extract json_extract_string json_type json_valid
julian last last_day lcase lcm len list list_aggregate list_contains list_extract list_value listagg
make_date make_time make_timestamp map microsecond millennium millisecond mode monthname multiply
nfc_normalize
now ord prefix printf quantile_cont quantile_disc quarter regexp_extract regexp_full_match regexp_matches
regexp_split_to_array row sha256 split split_part starts_with strftime string_agg string_split strip_accents
strlen strpos strptime struct_extract struct_pack subtract add divide suffix time_bucket timezone to_base64
to_days to_hours to_json to_minutes to_months to_seconds to_timestamp to_years today transaction_timestamp
try_cast typeof ucase unhex unnest uuid week weekday weekofyear yearweek xor generate_series range any all
substring_grapheme
""",
    "sqlserver": """
charindex choose count_big dateadd datediff datediff_big datefromparts datename datepart
datetimefromparts datetime2fromparts day difference eomonth format getdate getutcdate hashbytes isdate
isjson isnumeric json_query json_value len nchar newid newsequentialid patindex quotename replicate soundex
space square stdev stdevp str string_agg stuff switchoffset sysdatetime sysdatetimeoffset sysutcdatetime
timefromparts todatetimeoffset try_cast try_convert try_parse unicode var varp
""",
    "snowflake": """
array_agg array_construct array_size array_to_string boolor booland charindex contains
convert_timezone date_part date_trunc dateadd datediff dayname dayofmonth dayofweek dayofyear decode div0
editdistance endswith equal_null get_path hash hex_encode hour initcap last_day len listagg md5_hex
monthname nvl2 object_construct parse_json quarter ratio_to_report regexp_like regexp_substr
sha1 sha2 split split_part square startswith sysdate timeadd timediff to_binary to_boolean to_char to_date
to_decimal to_double to_number to_time to_timestamp to_timestamp_ltz to_timestamp_ntz to_timestamp_tz
to_varchar truncate try_cast try_to_date try_to_number typeof uuid_string week zeroifnull getdate
""",
    "oracle": """
add_months chr cast decode extract from_tz hextoraw initcap instr instrb last_day lengthb listagg
months_between new_time next_day numtodsinterval numtoyminterval nvl2 rawtohex regexp_count regexp_instr
regexp_like regexp_substr remainder soundex standard_hash sys_extract_utc to_binary_double to_binary_float
to_char to_date to_dsinterval to_number to_timestamp to_timestamp_tz to_yminterval tz_offset
""",
    "netezza": """
add_months age btrim chr date_part date_trunc decode hash hash4 hash8 initcap instr int1 int2 int4 int8
last_day months_between next_day now nvl2 strpos timezone to_char to_date to_number to_timestamp unichr
""",
    "redshift": """
add_months btrim chr convert_timezone date_cmp date_part date_trunc dateadd datediff decode getdate initcap
last_day len listagg months_between nvl2 sha1 sha2 split_part strpos sysdate to_char to_date
to_hex to_number to_timestamp
""",
    "bigquery": """
any_value approx_count_distinct array_agg array_length array_to_string byte_length countif current_datetime
date_add date_diff date_sub date_trunc datetime datetime_add datetime_diff datetime_sub datetime_trunc
ends_with format_date format_datetime format_timestamp from_base64 from_hex generate_uuid json_extract
json_query json_value parse_date parse_timestamp regexp_contains regexp_extract safe_cast safe_divide sha1
sha256 sha512 split starts_with string_agg strpos struct timestamp_add timestamp_diff timestamp_micros
timestamp_millis timestamp_seconds timestamp_sub timestamp_trunc to_base64 to_hex unix_seconds
""",
}
_LIKE = {"synapse": "sqlserver"}


def known_functions(system: str) -> frozenset[str]:
    """Return the functions, in lower case, that SQL texts of a catalogue may call on ``system``."""
    own = _OWN.get(_LIKE.get(system, system), "")
    return frozenset((_COMMON + own).split())
