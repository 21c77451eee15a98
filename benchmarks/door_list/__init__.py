"""The doors by which learners of other libraries come in, one function each; ``benchmarks/doors.py`` runs them."""
