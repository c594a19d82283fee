"""Speed and quality beside the peers, one module for each system: `python -m benchmarks.NAME --help`."""
