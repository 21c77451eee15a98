"""maestro-gym: train, compare and validate schedulers for LLM multi-agent serving."""

__version__ = "0.1.0"
