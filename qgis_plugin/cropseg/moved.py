"""Enums that QGIS 3.36 moved to ``Qgis``: the new name where there is one, else the old one."""

from __future__ import annotations

from qgis.core import Qgis, QgsColorRampShader, QgsFields, QgsProcessing, QgsProcessingParameterDefinition

if hasattr(Qgis, "ProcessingSourceType"):
    POLYGONS = Qgis.ProcessingSourceType.VectorPolygon
    ANY_GEOMETRY = Qgis.ProcessingSourceType.VectorAnyGeometry
    TABLES = Qgis.ProcessingSourceType.Vector
    RASTERS = Qgis.ProcessingSourceType.Raster
    ADVANCED = Qgis.ProcessingParameterFlag.Advanced
else:
    POLYGONS = QgsProcessing.SourceType.TypeVectorPolygon  # type: ignore[attr-defined]
    ANY_GEOMETRY = QgsProcessing.SourceType.TypeVectorAnyGeometry  # type: ignore[attr-defined]
    TABLES = QgsProcessing.SourceType.TypeVector  # type: ignore[attr-defined]
    RASTERS = QgsProcessing.SourceType.TypeRaster  # type: ignore[attr-defined]
    ADVANCED = QgsProcessingParameterDefinition.Flag.FlagAdvanced  # type: ignore[attr-defined]

# Moved later than the others, in 3.38.
if hasattr(Qgis, "FieldOrigin"):
    FROM_PROVIDER = Qgis.FieldOrigin.Provider
else:
    FROM_PROVIDER = QgsFields.FieldOrigin.OriginProvider  # type: ignore[attr-defined]
if hasattr(Qgis, "ShaderInterpolationMethod"):
    INTERPOLATED = Qgis.ShaderInterpolationMethod.Linear
else:
    INTERPOLATED = QgsColorRampShader.Type.Interpolated  # type: ignore[attr-defined]
