"""The choices of node, a file each; each brings the choice of cluster that goes with it."""
