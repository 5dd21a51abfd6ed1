"""Commands of ``python -m training``, one module each."""
