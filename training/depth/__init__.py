"""Depth Anything V2: relative inverse depth of a picture, from the published weights."""
