"""Importers of public traces: each turns a foreign table into one of the workflow-trace format."""
