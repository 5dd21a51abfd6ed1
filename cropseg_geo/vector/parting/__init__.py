"""Plants that touch, parted at their necks."""
