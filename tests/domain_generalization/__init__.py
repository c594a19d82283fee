"""Tests of domain generalization."""
