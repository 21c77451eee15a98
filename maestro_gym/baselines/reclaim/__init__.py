"""The reclaim rules, a file each: who gives way when memory is short."""
