"""How far the performance model is from measured machines, and how its constants are fitted to them."""
