"""The Dagster side of the warehouse: landing, dbt build, publishing, exports, command line."""
