"""Training, evaluation and export of the embedded models: ``python -m training --help``."""
