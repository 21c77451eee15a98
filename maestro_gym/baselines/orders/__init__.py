"""The orders of ready stages, a file each: key, source, and what had to be chosen."""
