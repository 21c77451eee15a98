"""The node rules, a file each: admission, reservation and residency."""
