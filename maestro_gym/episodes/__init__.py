"""From the name of a scenario to a finished episode: world, capacity, scenario, the run and its result."""
