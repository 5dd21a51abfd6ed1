"""Plot layouts and their canopy statistics."""
