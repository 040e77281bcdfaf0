"""Scores of the shipped recipes over several seeds, measured by one command that goes on where it was stopped."""
