"""Tests, by what they protect; oracle.py recomputes the reports, random_landing.py makes input."""
