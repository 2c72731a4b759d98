"""Draws pain over time and who responded, from the tables pain_scores, treatment_steps and responses of an export.

    python -m examples.trajectories tables/ figures/

tables/ holds the tables as Parquet or CSV, each in one file or in several (`responses.parquet`, `responses.1.csv`). It
makes trajectories.png, a panel for each scale: every patient a line from the first step of treatment on, and the median
of each fortnight. And responders.png, likewise: the share with 30 and 50 percent relief by class of treatment, over
those of whom it can be said, with how many these are and how many have no baseline. Scales are never put together: one
patient answers several. What cannot be drawn is counted on the console.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FORTNIGHT = 14
DPI = 120
# Okabe and Ito's palette can be told apart by the colour-blind.
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#999999"


def table(folder: Path, name: str) -> pl.DataFrame:
    """A table of the export. Every column as text: an empty column has no type, and CSV has none at all."""
    parts = sorted(each for each in folder.iterdir() if each.name.startswith(f"{name}."))
    if not parts:
        raise SystemExit(f"There is no {name}.parquet or {name}.csv in {folder}.")
    read = {".parquet": pl.read_parquet, ".csv": lambda path: pl.read_csv(path, infer_schema=False)}
    frames = [read[each.suffix](each).select(pl.all().cast(pl.String)) for each in parts]
    return pl.concat(frames)


def day(column: str) -> pl.Expr:
    """The day of a date that was written with its day; a month or a year alone is no place on an axis."""
    return pl.col(column).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)


def is_true(column: str) -> pl.Expr:
    return pl.col(column) == "true"


def over_time(scores: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """The intensity of pain by patient, scale and weeks since the first step of treatment."""
    started = steps.select("patient_id", started=day("started")).drop_nulls().group_by("patient_id").min()
    found = (
        scores.filter(is_true("is_intensity") & pl.col("value").is_not_null() & pl.col("comparator").is_null())
        .select("patient_id", "score", at=day("effective"), value=pl.col("value").cast(pl.Float64))
        .join(started, on="patient_id", how="left")
        .with_columns(weeks=(pl.col("at") - pl.col("started")).dt.total_days() / 7)
    )
    _tell(found.filter(pl.col("weeks").is_null()).height, "scores have no day, or no treatment that began on one")
    return found.drop_nulls("weeks").sort("patient_id", "weeks")


def responders(responses: pl.DataFrame) -> pl.DataFrame:
    """By scale and class of treatment: of the steps, how many it can be said of, and how many responded."""
    last = responses.filter(is_true("is_last")).with_columns(
        pl.col("class").fill_null("not known"), pl.col("score").fill_null("no score")
    )
    known, fits = pl.col("responder_30").is_not_null(), is_true("eligible")
    return (
        last.group_by("score", "class")
        .agg(
            n=(known & fits).sum(),
            relief_30=(is_true("responder_30") & fits).sum(),
            relief_50=(is_true("responder_50") & fits).sum(),
            no_baseline=is_true("baseline_missing").sum(),
            others=(~(known & fits.fill_null(value=False)) & ~is_true("baseline_missing")).sum(),
        )
        .sort("score", "n", "class", descending=[False, True, False])
    )


def draw_trajectories(found: pl.DataFrame) -> Figure:
    scales = found["score"].unique().sort().to_list()
    figure, axes = plt.subplots(1, len(scales), figsize=(5 * len(scales), 4), squeeze=False)
    for scale, axis in zip(scales, axes[0], strict=True):
        _draw_scale(axis, scale, found.filter(pl.col("score") == scale))
    figure.tight_layout()
    return figure


def _draw_scale(axis: Axes, scale: str, found: pl.DataFrame) -> None:
    for (_,), one in found.group_by("patient_id"):
        axis.plot(one["weeks"], one["value"], color=GREY, alpha=0.5, linewidth=0.8, marker=".")
    fortnight = ((pl.col("weeks") * 7 / FORTNIGHT).floor() * FORTNIGHT / 7 + 1).alias("middle")
    median = found.group_by(fortnight).agg(pl.col("value").median()).sort("middle")
    axis.plot(median["middle"], median["value"], color=BLUE, linewidth=2.5, label="median of a fortnight")
    axis.axvline(0, color=ORANGE, linestyle="--", label="treatment begins")
    count = found["patient_id"].n_unique()
    axis.set(title=f"{scale} (patients: {count})", xlabel="weeks", ylabel="score", ylim=(0, None))
    axis.legend(fontsize="small")


def draw_responders(found: pl.DataFrame) -> Figure:
    shown = found.filter(pl.col("n") > 0).partition_by("score")
    most = max(each.height for each in shown)
    figure, axes = plt.subplots(1, len(shown), figsize=(6 * len(shown), 1.5 + 0.7 * most), squeeze=False)
    for axis, each in zip(axes[0], shown, strict=True):
        _draw_classes(axis, each)
    figure.tight_layout()
    return figure


def _draw_classes(axis: Axes, shown: pl.DataFrame) -> None:
    places = range(shown.height)
    for name, label, color, shift in (("relief_30", "≥ 30 %", BLUE, -0.2), ("relief_50", "≥ 50 %", ORANGE, 0.2)):
        axis.barh([place + shift for place in places], 100 * shown[name] / shown["n"], 0.4, color=color, label=label)
    labels = [f"{row['class']}\nn = {row['n']}, no baseline: {row['no_baseline']}" for row in shown.to_dicts()]
    axis.set_yticks(list(places), labels)
    axis.invert_yaxis()
    axis.set(xlim=(0, 100), xlabel="percent of those of whom it can be said", title=f"Relief by {shown['score'][0]}")
    axis.legend(fontsize="small")


def _tell(count: int, what: str) -> None:
    if count:
        print(f"Not drawn: {count} {what}.")


def main(folder: Path, figures: Path) -> None:
    """Draw both."""
    mpl.use("Agg")
    figures.mkdir(parents=True, exist_ok=True)
    scores, steps, responses = (table(folder, name) for name in ("pain_scores", "treatment_steps", "responses"))
    by_class = responders(responses)
    with pl.Config(tbl_rows=-1, tbl_formatting="ASCII_MARKDOWN", tbl_hide_dataframe_shape=True):
        print(by_class)
    _tell(by_class.filter(pl.col("n") == 0).height, "pairs of scale and class have no step of which it can be said")
    found = over_time(scores, steps)
    if not (found.height and by_class["n"].sum()):
        raise SystemExit("There is nothing to draw.")
    draw_trajectories(found).savefig(figures / "trajectories.png", dpi=DPI)
    draw_responders(by_class).savefig(figures / "responders.png", dpi=DPI)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
