"""Datasets of Minari: episodes of an environment under any policy, for learners that never touch an environment.

``record.py`` plays one episode and keeps what an agent would have seen, done and been paid; ``write.py`` makes a
dataset of many, with what must be known to make it again; ``card.py`` describes the policy that learns from one.
"""
