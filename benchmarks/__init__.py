"""Measurements of the warehouse, each beside the plain alternative in the same run."""
