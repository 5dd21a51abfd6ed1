"""Users' own data → dataset folders: picture pairs, polygons on an orthomosaic, heights of an orthomosaic.

A dataset folder holds ``images/``, ``masks/``, the manifest of :mod:`training.data` and ``sources.json``,
which says where it comes from. Some of its groups are held out: split ``test``.
"""
