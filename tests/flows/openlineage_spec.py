"""What the OpenLineage specification asks of the events that hdm sends, as a JSON Schema of our own words.

Written after https://openlineage.io/spec/2-0-2/OpenLineage.json and the facets that ``_schemaURL`` names.
Unlike those it allows nothing that they do not name.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
URI: Schema = {"type": "string", "format": "uri", "pattern": "^[a-z]+:"}
UUID: Schema = {"type": "string", "pattern": "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"}


def made(required: str, optional: str = "", **properties: Schema) -> Schema:
    names = {name: properties.get(name, TEXT) for name in (*required.split(), *optional.split())}
    return {
        "type": "object", "properties": names, "required": required.split(), "additionalProperties": False,
    }  # fmt: skip


def facet(name: str, version: str, required: str, optional: str = "", **properties: Schema) -> Schema:
    url = f"https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}"
    fixed: dict[str, Schema] = {"_schemaURL": {"const": url}, "_producer": URI}
    return made(f"_producer _schemaURL {required}", optional, **properties, **fixed)


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


INPUT_FIELD = made(
    "namespace name field", "transformations",
    transformations=many(
        made(
            "type", "subtype description masking",
            type={"enum": ["DIRECT", "INDIRECT"]}, masking={"type": "boolean"},
        )
    ),
)  # fmt: skip
JOB = made("namespace name")
DATASET_FACETS = made(
    "", "schema columnLineage",
    schema=facet(
        "SchemaDatasetFacet", "1-2-0", "fields", fields=many(made("name", "type description"))
    ),
    columnLineage=facet(
        "ColumnLineageDatasetFacet", "1-2-0", "fields", "dataset",
        fields=by_name(made("inputFields", inputFields=many(INPUT_FIELD))), dataset=many(INPUT_FIELD),
    ),
)  # fmt: skip
EVENT = made(
    "eventType eventTime producer schemaURL run job inputs outputs",
    eventType={"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
    eventTime={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
    producer=URI,
    schemaURL={"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
    run=made(
        "runId", "facets", runId=UUID,
        facets=made(
            "", "parent errorMessage",
            parent=facet("ParentRunFacet", "1-2-0", "run job", run=made("runId", runId=UUID), job=JOB),
            errorMessage=facet("ErrorMessageRunFacet", "1-0-1", "message programmingLanguage", "stackTrace"),
        ),
    ),
    job=made("namespace name", "facets", facets=made("")),
    inputs=many(
        made(
            "namespace name", "facets inputFacets", facets=DATASET_FACETS,
            inputFacets=made(
                "", "dataQualityMetrics dataQualityAssertions",
                dataQualityMetrics=facet(
                    "DataQualityMetricsInputDatasetFacet", "1-0-3", "columnMetrics",
                    "rowCount bytes fileCount",
                    columnMetrics=by_name({"type": "object"}), rowCount=COUNT, bytes=COUNT, fileCount=COUNT,
                ),
                dataQualityAssertions=facet(
                    "DataQualityAssertionsDatasetFacet", "1-1-0", "assertions",
                    assertions=many(
                        made("assertion success", "column severity", success={"type": "boolean"})
                    ),
                ),
            ),
        )
    ),
    outputs=many(
        made(
            "namespace name", "facets outputFacets", facets=DATASET_FACETS,
            outputFacets=made(
                "", "outputStatistics",
                outputStatistics=facet(
                    "OutputStatisticsOutputDatasetFacet", "1-0-2", "", "rowCount size fileCount",
                    rowCount=COUNT, size=COUNT, fileCount=COUNT,
                ),
            ),
        )
    ),
)  # fmt: skip
