"""How long a step of an engine takes: operators of a layer, and step tables made from them."""
