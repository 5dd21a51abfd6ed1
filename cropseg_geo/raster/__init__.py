"""Reading orthomosaics and writing Cloud Optimized GeoTIFFs."""
