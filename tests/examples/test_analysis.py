"""The examples that analyse an export, as whoever copies them runs them: `make examples`."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, inherited

pytestmark = pytest.mark.examples
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_trajectories_and_responders_are_drawn(tables: Path, tmp_path: Path, form: str) -> None:
    folder = tables if form == "parquet" else _as_csv(tables, tmp_path / "csv")

    said = _run("examples.trajectories", folder, tmp_path / "figures")

    counted = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines()]
    # Of the twelve cases every other one comes to 40 percent of the pain, and the others to 70, in whole points.
    assert ["nrs-average-7d", "gabapentinoid", "5", "4", "3", "0", "0"] in counted
    assert sum(int(row[2]) for row in counted if row[:1] == ["nrs-average-7d"]) == 21
    for name in ("trajectories", "responders"):
        drawn = (tmp_path / "figures" / f"{name}.png").read_bytes()
        assert drawn.startswith(PNG)
        assert len(drawn) > 10_000


def test_trajectories_tell_what_is_missing(tmp_path: Path) -> None:
    said = _run("examples.trajectories", tmp_path, tmp_path / "figures", fails=True)

    assert "There is no pain_scores.parquet or pain_scores.csv" in said


def test_duckdb_answers_over_the_parquet_files(tables: Path) -> None:
    said = _run("examples.duckdb_export", tables)

    assert "Responders" in said
    assert "nrs-average-7d" in said
    assert "dn4-interview" in said


def test_spark_reads_the_files_of_an_export(files: Path, tmp_path: Path) -> None:
    said = _run("examples.spark_export", files, tmp_path / "values")
    (files / "Observation.2.ndjson").write_text('{"resourceType":"Observation",\n')
    broken = _run("examples.spark_export", files, fails=True)
    (files / "Observation.2.ndjson").unlink()

    counted = [[cell.strip() for cell in row] for row in csv.reader(said.splitlines(), delimiter="|") if len(row) > 5]
    assert counted[0][1:-1] == ["code", "values", "patients", "median"]
    # Every case has its baseline and three more.
    assert ["48", "12"] in [row[2:4] for row in counted[1:]]
    assert list((tmp_path / "values").glob("*.parquet"))
    assert "FAILFAST" in broken


def _run(module: str, *arguments: Path, fails: bool = False) -> str:
    """What an example says on the console."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = inherited() | {"COLUMNS": "200", "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def _as_csv(tables: Path, folder: Path) -> Path:
    """The same tables as CSV, by DuckDB, in two files each."""
    import duckdb

    folder.mkdir()
    for path in tables.glob("*.parquet"):
        rows = duckdb.read_parquet(str(path))
        half = len(rows) // 2
        rows.limit(half).write_csv(str(folder / f"{path.stem}.1.csv"))
        rows.limit(10**9, half).write_csv(str(folder / f"{path.stem}.2.csv"))
    assert len(list(folder.iterdir())) == 6
    return folder
