"""Learned policies: networks, training, the policy file, and its compiled form."""
