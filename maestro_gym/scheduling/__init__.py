"""The contract between physics and schedulers: what a rule may read, which actions exist, which are legal."""
