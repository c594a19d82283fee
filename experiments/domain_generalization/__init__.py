"""Domain generalization."""
