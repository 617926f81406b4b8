"""Files that lie beside images and are none: what viewers and cameras leave there, and the parts of whole slides."""

from __future__ import annotations

from collections.abc import Iterable

_NAMES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini"}
# Overviews, masks, statistics and positions of rasters; settings and thumbnails of cameras and photo editors.
_SUFFIXES = (
    *(".ovr", ".msk", ".aux", ".aux.xml", ".rrd", ".prj", ".qpj", ".wld", ".tfw", ".tifw", ".tfwx", ".jgw", ".jpgw"),
    *(".jpegw", ".pgw", ".pngw", ".rpb", ".rpc", ".imd", ".til"),
    *(".xmp", ".thm", ".pp3", ".dop", ".cos", ".lrv"),
)
MIRAX, HAMAMATSU = ".mrxs", (".vms", ".vmu")


def is_side_file(name: str) -> bool:
    """Whether a file's name is one of those that lie beside images.

    >>> is_side_file("Thumbs.db"), is_side_file("map.tif.ovr"), is_side_file("map.tif")
    (True, True, False)
    """
    lower = name.lower()
    return lower in _NAMES or lower.endswith(_SUFFIXES)


def parts_of_slides(uris: Iterable[str]) -> set[str]:
    """Those files that belong to a slide of several files: an MRXS has a folder of its name, a VMS lies with its tiles.

    >>> sorted(parts_of_slides(["in/a/s.mrxs", "in/a/s/Slidedat.ini", "in/a/t.jpg"]))
    ['in/a/s/Slidedat.ini']
    """
    listed = set(uris)
    folders = {uri[: -len(MIRAX)] for uri in listed if uri.lower().endswith(MIRAX)}
    stems = {uri[: -len(suffix)] for uri in listed for suffix in HAMAMATSU if uri.lower().endswith(suffix)}
    if not folders and not stems:
        return set()
    return {
        uri
        for uri in listed
        if not uri.lower().endswith((MIRAX, *HAMAMATSU))
        and (_is_below(uri, folders) or any(_continues(uri, stem) for stem in stems))
    }


def _is_below(uri: str, folders: set[str]) -> bool:
    places = [index for index, character in enumerate(uri) if character == "/"]
    return any(uri[:place] in folders for place in places)


def _continues(uri: str, stem: str) -> bool:
    return uri.startswith(stem) and not uri[len(stem) :][:1].isalnum()
