"""Fast ways to run cells over time. Reached only through the registry."""
