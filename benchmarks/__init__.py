"""Benchmarks: both sides in one run, ratios printed, results written as JSON."""
