"""Data files of the benchmark."""
