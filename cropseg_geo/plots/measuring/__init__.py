"""Plots measured: canopy, objects, rows, evenness, colour and height."""
