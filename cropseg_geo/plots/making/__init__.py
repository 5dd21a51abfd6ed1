"""Plots laid out: from control points, sizes, numbering and field book, fitted to the canopy."""
