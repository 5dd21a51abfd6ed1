"""A generated trial field: orthomosaic, heights, exact truth and plots. No survey data."""
