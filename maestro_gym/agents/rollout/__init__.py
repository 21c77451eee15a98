"""What one other answer would have been worth: paired futures of a policy's decisions.

Start with ``paired.py`` (every way on from a decision), ``outcome.py`` (what it comes to) and ``futures.py`` (other
futures of the same past). ``sim/branch.py`` copies an environment.
"""
