"""Asks the Parquet tables of an export questions in SQL, by DuckDB: no server, no copy, all cores of one machine.

    python -m examples.duckdb_export tables/

The same statements work in the shell of DuckDB, once the tables are named as in `named`.
"""

import sys
from pathlib import Path

import duckdb

TABLES = ("pain_scores", "treatment_steps", "responses")
# One row for each step and scale (is_last); a response that cannot be said is no failure, and is counted by itself.
RESPONDERS = """
SELECT coalesce(class, 'not known') AS class, line, score,
    count(*) FILTER (WHERE responder_30 IS NOT NULL AND eligible) AS n,
    count(*) FILTER (WHERE responder_30 AND eligible) AS relief_30,
    count(*) FILTER (WHERE responder_50 AND eligible) AS relief_50,
    median(CAST(change AS DOUBLE)) FILTER (WHERE eligible) AS median_change,
    count(*) FILTER (WHERE baseline_missing) AS no_baseline,
    count(*) AS steps
FROM responses WHERE is_last GROUP BY ALL ORDER BY n DESC, class, line, score
"""
SCORES = """
SELECT instrument, score, version, count(*) AS rows, count(value) AS scored, count(DISTINCT patient_id) AS patients,
    median(CAST(value AS DOUBLE)) AS median, count(*) FILTER (WHERE positive) AS positive
FROM pain_scores GROUP BY ALL ORDER BY instrument, score, version
"""
# What each patient had when pain was last asked for: the newest score of a scale beside the steps that go on.
LATEST = """
SELECT score, count(*) AS patients, median(CAST(value AS DOUBLE)) AS median, avg(steps) AS mean_steps FROM (
    SELECT s.patient_id, s.score, s.value, count(t.id) AS steps
    FROM pain_scores AS s
    LEFT JOIN treatment_steps AS t ON t.patient_id = s.patient_id AND t.stopped IS NULL AND t.started <= s.effective
    WHERE s.is_intensity AND s.value IS NOT NULL
    GROUP BY s.patient_id, s.score, s.value, s.effective, s.id
    QUALIFY row_number() OVER (PARTITION BY s.patient_id, s.score ORDER BY s.effective DESC, s.id) = 1)
GROUP BY score ORDER BY score
"""


def named(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection in which each table of the export is a view over its files."""
    connection = duckdb.connect()
    for name in TABLES:
        files = sorted(str(each) for each in folder.glob(f"{name}.*parquet"))
        if not files:
            raise SystemExit(f"There is no {name}.parquet in {folder}.")
        connection.read_parquet(files).create_view(name)
    return connection


def main(folder: Path) -> None:
    """Print the answers."""
    with named(folder) as connection:
        for title, statement in (("Scores", SCORES), ("Responders", RESPONDERS), ("Latest pain", LATEST)):
            print(f"\n{title}")
            connection.sql(statement).show(max_width=200)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
