"""Solvers of objectives of linear factors, each a loop that runs on the device from the first to the last iteration."""
