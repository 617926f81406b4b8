"""The client: sends of each image as little as the model needs.

Three ways lead to the same answer. A pyramid that the server can reach goes as its path and tile index. An image that
the server cannot reach stays here: the server says where to look, and only those crops are sent. A small image goes
whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from tqdm import tqdm

from tfvs.client.prediction import Prediction
from tfvs.client.proxy import make_proxy, proxy_from_pyramid
from tfvs.client.transport import ConnectionOptions, GrpcTransport, LocalTransport, Transport
from tfvs.config import Config, require
from tfvs.data.example import TileIndex
from tfvs.errors import ImageError, InputError, TfvsError
from tfvs.export.pyramid_inputs import pyramid_inputs, without_unused_levels
from tfvs.images import reading
from tfvs.images.crops.local import PlainLevels, cut_crops
from tfvs.images.crops.vips_reader import VipsReader
from tfvs.images.tiff.tile_index import read_index

WAYS = ("auto", "pyramids", "crops", "images")
SENDABLE_BYTES = 1_000_000
SENDABLE_PX = 2048 * 2048
CONCURRENT_REQUESTS = 4


@dataclass(frozen=True)
class ClientOptions(Config):
    """Which model, and how to reach it.

    Attributes:
      server: ``host:port``; or empty, with ``model_dir``.
      model_dir: Folder of a SavedModel, or of its versions, to run in this process.
      model_name: What the server calls the model.
      way: One of ``WAYS``; ``"auto"`` takes the cheapest that the image allows.
      pyramid_root: Local folder that holds what the model's first image root holds; empty: pyramids are not sent as
        paths.
      timeout_s: Deadline of one request.
      tls_ca: PEM file of the authority to trust; turns TLS on.
      tls_key: PEM file of the client's key, where the server verifies clients.
      tls_certificate: PEM file of the client's certificate.
      metadata: ``key=value`` pairs sent with each request.
    """

    server: str = ""
    model_dir: str = ""
    model_name: str = "default"
    way: str = "auto"
    pyramid_root: str = ""
    timeout_s: float = 30.0
    tls_ca: str = ""
    tls_key: str = ""
    tls_certificate: str = ""
    metadata: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = f"server={self.server!r}, model={self.model_dir!r}"
        one = bool(self.server) != bool(self.model_dir)
        require(one, "It is not clear what shall predict", expected="either --server or --model", received=given)
        require(self.way in WAYS, "There is no such way to send an image", expected=WAYS, received=self.way)


def connect(options: ClientOptions) -> SaccadeClient:
    """A client for a server, or for a model in this process."""
    if options.model_dir:
        return SaccadeClient(LocalTransport(options.model_dir), way=options.way, pyramid_root=options.pyramid_root)
    connection = ConnectionOptions(
        server=options.server,
        model_name=options.model_name,
        timeout_s=options.timeout_s,
        tls_ca=options.tls_ca,
        tls_key=options.tls_key,
        tls_certificate=options.tls_certificate,
        metadata=options.metadata,
    )
    return SaccadeClient(GrpcTransport(connection), way=options.way, pyramid_root=options.pyramid_root)


class SaccadeClient:
    """Predicts images through an exported saccader.

    >>> with connect(ClientOptions(server="127.0.0.1:8500")) as client:  # doctest: +SKIP
    ...     print(client.predict("slide.tif"))

    Args:
      transport: Reaches the model.
      way: One of ``WAYS``.
      pyramid_root: See :class:`ClientOptions`.
    """

    def __init__(self, transport: Transport, *, way: str = "auto", pyramid_root: str = "") -> None:
        self._transport, self._way = transport, way
        self._pyramid_root = Path(pyramid_root).resolve() if pyramid_root else None
        self._min_scale: float | None = None  # asked of the model once, for the first pyramid

    def __enter__(self) -> SaccadeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def predict(self, image: str | os.PathLike[str] | np.ndarray) -> Prediction:
        """Predicts one image.

        Args:
          image: Path, or ``[H, W]`` or ``[H, W, C]`` uint8 or uint16.

        Raises:
          ImageError: It cannot be read here.
          InputError: The model is no exported saccader, or refuses.
          ResourceError: The server does not answer.
        """
        if isinstance(image, np.ndarray):
            return self._predict_opened(_from_array(image), None)
        path = Path(image)
        index = _index(path)
        if self._way == "pyramids" or (self._way == "auto" and index is not None and self._reaches(path)):
            if index is None:
                raise ImageError("The image is no pyramid with a tile index", received=path, mend="Use another way")
            return self.predict_pyramid(path, index)
        if index is not None and self._way != "images":
            reader = VipsReader(self._shape("classify_crops", "crops")[2])
            proxy = proxy_from_pyramid(path, index, self._proxy_shape())
            size = (index.height, index.width)
            return self.predict_crops(proxy, size, lambda boxes: reader.read_crops(path, boxes))
        return self._predict_opened(reading.open_image(path, random_access=True), path)

    def predict_pyramid(self, path: Path, index: TileIndex) -> Prediction:
        """Sends proxy, path and tile index, less the levels that the model never looks at; the server reads the tiles.

        Should the model have changed to one that looks closer, the answer is not valid, and the whole index is sent.
        """
        sent = path.resolve()
        if self._pyramid_root is not None:
            sent = Path(os.path.relpath(sent, self._pyramid_root))
        proxy = proxy_from_pyramid(path, index, self._proxy_shape())[np.newaxis]
        short = without_unused_levels(index, self._smallest_scale(), self._shape("classify_crops", "crops")[2])
        for part in (short, index):
            inputs = {"proxy": proxy, **pyramid_inputs(str(sent), part)}
            answer = Prediction.from_outputs(self._transport.call("predict_pyramids", inputs), 0, "pyramids")
            if answer.valid or part is index:
                break
        return answer

    def predict_crops(
        self, proxy: np.ndarray, size: tuple[int, int], cut: Callable[[np.ndarray], np.ndarray]
    ) -> Prediction:
        """Asks where to look, cuts those crops here, and sends only them.

        Args:
          proxy: ``[h, w, c]`` float32 in [0, 1].
          size: Height and width of the image, pixels.
          cut: Boxes ``[T, 4]`` → crops ``[T, S, S, C]`` float32 in [0, 1].
        """
        located = {"proxy": proxy[np.newaxis], "image_size": np.array([size], np.int32)}
        boxes = self._transport.call("locate", located)["boxes"]
        crops = cut(boxes[0])[np.newaxis].astype(np.float32)
        outputs = self._transport.call("classify_crops", {**located, "crops": crops})
        return Prediction.from_outputs(outputs, 0, "crops")

    def predict_encoded(self, encoded: bytes) -> Prediction:
        """Sends a whole JPEG or PNG."""
        outputs = self._transport.call("predict_images", {"image_bytes": np.array([encoded], object)})
        return Prediction.from_outputs(outputs, 0, "images")

    def _predict_opened(self, image: pyvips.Image, path: Path | None) -> Prediction:
        small = image.width * image.height <= SENDABLE_PX
        if self._way == "images" or (self._way == "auto" and small):
            encoded = _encoded(image, path)
            if self._way == "images" or len(encoded) <= SENDABLE_BYTES:
                return self.predict_encoded(encoded)
        crop_size, _, bands = self._shape("classify_crops", "crops")[2:]
        levels = PlainLevels(reading.normalize(image, bands=bands))
        height, width = levels.sizes[0].tolist()
        proxy = make_proxy(image, self._proxy_shape())
        return self.predict_crops(proxy, (height, width), lambda boxes: cut_crops(levels, boxes, crop_size))

    def _reaches(self, path: Path) -> bool:
        """Whether the server has this file under its first image root."""
        return self._pyramid_root is not None and path.resolve().is_relative_to(self._pyramid_root)

    def _shape(self, signature: str, name: str) -> list[int]:
        signatures = self._transport.input_shapes()
        if signature not in signatures or name not in signatures[signature]:
            raise InputError(
                "The model is no exported saccader", expected=f"signature {signature}", received=sorted(signatures)
            )
        return signatures[signature][name]

    def _smallest_scale(self) -> float:
        """Smallest side of a crop as a fraction of the image's shorter side, as ``locate`` tells it."""
        if self._min_scale is None:
            proxy = np.zeros([1, *self._proxy_shape()], np.float32)
            located = self._transport.call("locate", {"proxy": proxy, "image_size": np.ones([1, 2], np.int32)})
            self._min_scale = float(located["min_scale"][0])
        return self._min_scale

    def _proxy_shape(self) -> tuple[int, int, int]:
        _, height, width, channels = self._shape("locate", "proxy")
        return height, width, channels


def predict_paths(
    client: SaccadeClient, paths: Sequence[str], *, progress: bool = False, concurrent: int = CONCURRENT_REQUESTS
) -> Iterator[tuple[str, Prediction]]:
    """Predicts many files, a few at a time; one that cannot be read gives an invalid prediction with the reason.

    Args:
      client: Connected.
      paths: Of the images.
      progress: Whether to draw a bar on stderr.
      concurrent: Requests at a time.

    Yields:
      Path and prediction, in the order given.
    """

    def predict(path: str) -> Prediction:
        try:
            return client.predict(path)
        except ImageError as error:
            return Prediction(valid=False, reason=str(error))

    with ThreadPoolExecutor(concurrent) as pool:
        results = pool.map(predict, paths)
        yield from zip(paths, tqdm(results, total=len(paths), unit="image", disable=not progress), strict=True)


def _index(path: Path) -> TileIndex | None:
    """The tile index of a pyramid, None for any other image."""
    try:
        with open(path, "rb") as file:
            if file.read(2) not in (b"II", b"MM"):
                return None
        return read_index(path)
    except OSError as error:
        raise ImageError("The image cannot be opened", received=f"{path}: {error.strerror}") from error
    except TfvsError:  # an ordinary TIFF: its pixels may still be read
        return None


def _from_array(pixels: np.ndarray) -> pyvips.Image:
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise InputError(
            "The array is no image",
            expected="[H, W] or [H, W, C], uint8 or uint16",
            received=f"{pixels.dtype} {pixels.shape}",
        )
    return pyvips.Image.new_from_array(np.ascontiguousarray(pixels))


def _encoded(image: pyvips.Image, path: Path | None) -> bytes:
    """The file itself where the graph reads it as libvips does, else a PNG of the upright image."""
    upright = image.get_typeof("orientation") == 0 or image.get("orientation") == 1
    plain = upright and not image.hasalpha() and not image.get_typeof("icc-profile-data")
    if path is not None and plain and image.interpretation in ("srgb", "b-w", "rgb16", "grey16"):
        encoded = path.read_bytes()
        if encoded.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            return encoded
    try:
        return reading.normalize(image).pngsave_buffer(keep="none")
    except pyvips.Error as error:
        raise ImageError("The image cannot be decoded", received=reading.reason(error)) from error
