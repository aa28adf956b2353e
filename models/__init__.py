"""Hash models: codes, buckets, probe planning, calibration and artifacts. Knows no engine."""
