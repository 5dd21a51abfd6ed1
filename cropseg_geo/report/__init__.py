"""The field report: one offline HTML page, or a printed sheet, from a mask and what was measured on it."""
