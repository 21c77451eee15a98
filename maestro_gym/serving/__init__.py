"""One node that serves models, without a fleet around it: what a person asks a serving simulator first."""
