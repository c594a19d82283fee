"""Speed and quality beside the peers, one folder for each system: `python -m benchmarks.NAME --help`."""
