"""Real vLLM nodes under the same policies: fleet, client, control loop, calibration, validation."""
