"""Pictures of where a model looked: saccade sheets (PNG), annotations (GeoJSON) and a deep-zoom viewer (HTML)."""

from tfvs.viz.from_image import saccade_from_image
from tfvs.viz.geojson import boxes_to_geojson, write_geojson
from tfvs.viz.heat import heat_of_places
from tfvs.viz.saccade import Saccade
from tfvs.viz.saccade_sheet import write_saccade_sheet
from tfvs.viz.viewer import write_viewer

__all__ = [
    "Saccade",
    "boxes_to_geojson",
    "heat_of_places",
    "saccade_from_image",
    "write_geojson",
    "write_saccade_sheet",
    "write_viewer",
]
