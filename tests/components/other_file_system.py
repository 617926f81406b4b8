"""A Beam file system with a scheme of its own over local files: what a bucket looks like to the components."""

import os

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

import components  # noqa: F401  has files of other schemes read by Beam, and so by this class

SCHEME = "otherfs"
_PREFIX = f"{SCHEME}://"


def _bare(path):
    return path.removeprefix(_PREFIX)


class OtherFileSystem(LocalFileSystem):
    @classmethod
    def scheme(cls):
        return SCHEME

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *(path.strip("/") for path in paths)])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path):
        super().mkdirs(_bare(path))

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for found in super()._list(_bare(dir_or_prefix)):
            yield FileMetadata(_PREFIX + found.path, found.size_in_bytes, found.last_updated_in_seconds)

    def metadata(self, path):
        found = super().metadata(_bare(path))
        return FileMetadata(path, found.size_in_bytes, found.last_updated_in_seconds)

    def create(self, path, *args, **options):
        os.makedirs(os.path.dirname(_bare(path)), exist_ok=True)
        return super().create(_bare(path), *args, **options)

    def open(self, path, *args, **options):
        return super().open(_bare(path), *args, **options)

    def rename(self, sources, destinations):
        for path in destinations:  # buckets have no folders
            os.makedirs(os.path.dirname(_bare(path)), exist_ok=True)
        super().rename([_bare(path) for path in sources], [_bare(path) for path in destinations])

    def exists(self, path):
        return super().exists(_bare(path))

    def delete(self, paths):
        super().delete([_bare(path) for path in paths])
