"""Evaluation: test sets, methods, measures, calibration, scale and ablations, and the tables of them."""
