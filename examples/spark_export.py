"""Reads the NDJSON of a Bulk Data export with Apache Spark: for who has outgrown one machine.

    dermatome export files/ --type Patient --type Observation
    python -m examples.spark_export files/ scores.parquet

It makes one row per measured value, with what it needs of the patient, prints how many there are of each kind, and
writes the rows as Parquet where it is told to. On a cluster the folder is an address that all machines can read
(s3a://, hdfs://) and SPARK_MASTER names the cluster; the rest stays as it is. Needs Java 17 or newer.
"""

import os
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

# What is read of each type; Spark passes over the rest. A value keeps its digits.
OBSERVATION = """
id STRING, status STRING, effectiveDateTime STRING,
code STRUCT<coding: ARRAY<STRUCT<system: STRING, code: STRING>>, text: STRING>,
subject STRUCT<reference: STRING>, valueInteger INT, valueQuantity STRUCT<value: DECIMAL(24, 8), code: STRING>
"""
PATIENT = "id STRING, gender STRING, birthDate STRING"
NOT_TRUE = ("entered-in-error", "cancelled")


def session() -> SparkSession:
    """Spark on this machine, unless SPARK_MASTER says where else."""
    building = SparkSession.builder.appName("dermatome").master(os.environ.get("SPARK_MASTER", "local[*]"))
    if "SPARK_MASTER" not in os.environ:
        building = building.config("spark.ui.enabled", False).config("spark.sql.shuffle.partitions", 4)
        building = building.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    return building.getOrCreate()


def resources(spark: SparkSession, folder: str, type_: str, schema: str) -> DataFrame:
    """All of one type. A line that cannot be read ends the work: left out, it would be missed by nobody."""
    return spark.read.schema(schema).option("mode", "FAILFAST").json(f"{folder}/{type_}.*ndjson*")


def values(observations: DataFrame, patients: DataFrame) -> DataFrame:
    """One row per measured value."""
    measured = observations.where(~f.col("status").isin(*NOT_TRUE)).select(
        "id",
        f.element_at(f.split("subject.reference", "/"), -1).alias("patient_id"),
        f.coalesce(f.get("code.coding", f.lit(0))["code"], "code.text").alias("code"),
        f.coalesce("valueQuantity.value", "valueInteger").alias("value"),
        f.col("valueQuantity.code").alias("unit"),
        f.col("effectiveDateTime").alias("effective"),
    )
    known = patients.select(f.col("id").alias("patient_id"), "gender", "birthDate")
    return measured.where(f.col("value").isNotNull()).join(known, "patient_id", "left")


def summary(found: DataFrame) -> DataFrame:
    """How many there are of each code, of how many patients, and their middle."""
    counted = found.groupBy("code").agg(
        f.count("*").alias("values"),
        f.countDistinct("patient_id").alias("patients"),
        f.median("value").alias("median"),
    )
    return counted.orderBy(f.desc("values"), "code")


def main(folder: str, out: str) -> None:
    """Read, count, and write where there is a place for it."""
    spark = session()
    try:
        patients = resources(spark, folder, "Patient", PATIENT)
        found = values(resources(spark, folder, "Observation", OBSERVATION), patients).cache()
        summary(found).show(100, truncate=False)
        if out:
            found.write.mode("overwrite").parquet(out)
    finally:
        spark.stop()


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit(__doc__)
    place = sys.argv[1]
    main(place if "://" in place else str(Path(place).resolve()), (sys.argv[2:] or [""])[0])
