"""An examination as DiagnosticReport and its results as Observations."""
