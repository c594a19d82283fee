"""The tables and figures of the papers, one folder for each system: `python -m experiments.NAME --help`."""
