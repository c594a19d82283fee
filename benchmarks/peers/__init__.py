"""What the published programs of several benchmarks share."""
