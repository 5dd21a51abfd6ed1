"""Models: card, zoo, weights file, predictor, networks. Importing this package imports no torch."""
