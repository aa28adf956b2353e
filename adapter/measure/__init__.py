"""Exact answers, comparison with them, calibration."""
