"""The client classifies images through an exported model and sends as little of each as the model needs.

Three input modes give the same answer. For a pyramid that the server can reach, the path and the tile index are sent.
An image that the server cannot reach stays here: the server says where to look, and only those crops are sent. A small
image is sent whole.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyvips
from tqdm import tqdm

from tfvs.client.options import ClientOptions
from tfvs.client.prediction import Prediction
from tfvs.client.transport import GrpcTransport, LocalTransport, Transport
from tfvs.data.example import TileIndex
from tfvs.errors import ImageError, InputError, TfvsError
from tfvs.export.description import DESCRIPTION_OUTPUT, IMAGES_WITH_PROXIES, ModelDescription
from tfvs.export.pyramid_inputs import pyramid_inputs, without_unused_levels
from tfvs.images import reading
from tfvs.images.crops.local import PlainLevels, cut_crops
from tfvs.images.crops.vips_reader import VipsReader
from tfvs.images.proxy import ProxyRecipe, make_proxy, proxy_from_other_image, proxy_from_pyramid
from tfvs.images.tiff.tile_index import read_index
from tfvs.preparation import files

SENDABLE_BYTES = 1_000_000
SENDABLE_PX = 2048 * 2048
CONCURRENT_REQUESTS = 4


def connect(options: ClientOptions) -> SaccadeClient:
    """A client for a server, or for a model in this process."""
    transport: Transport = LocalTransport(options.model_dir) if options.model_dir else GrpcTransport(options)
    return SaccadeClient(transport, input_mode=options.input_mode, pyramid_root=options.pyramid_root)


class SaccadeClient:
    """Predicts images through an exported saccader.

    >>> with connect(ClientOptions(server="127.0.0.1:8500")) as client:  # doctest: +SKIP
    ...     print(client.predict("slide.tif"))

    Args:
      transport: Reaches the model.
      input_mode: One of ``tfvs.client.options.INPUT_MODES``.
      pyramid_root: See :class:`ClientOptions`.
    """

    def __init__(self, transport: Transport, *, input_mode: str = "auto", pyramid_root: str = "") -> None:
        self._transport, self._input_mode = transport, input_mode
        self._pyramid_root = Path(pyramid_root).resolve() if pyramid_root else None
        self._description: ModelDescription | None = None  # the model is asked once

    def __enter__(self) -> SaccadeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    @property
    def description(self) -> ModelDescription:
        """What the model says of itself: its proxies' recipe, its crops, its classes.

        Raises:
          InputError: The model is no exported saccader.
        """
        if self._description is None:
            shapes = self._transport.input_shapes()
            if "proxy" not in shapes.get("locate", {}):
                raise InputError(
                    "The model is no exported saccader", expected="signature locate", received=sorted(shapes)
                )
            proxy = np.zeros([1, *shapes["locate"]["proxy"][1:]], np.float32)
            located = self._transport.call("locate", {"proxy": proxy, "image_size": np.ones([1, 2], np.int32)})
            if DESCRIPTION_OUTPUT not in located:
                raise InputError(
                    "The model does not describe itself", expected=DESCRIPTION_OUTPUT, mend="Export it with this tfvs"
                )
            self._description = ModelDescription.from_json(located[DESCRIPTION_OUTPUT][0].decode())
        return self._description

    def predict(
        self,
        image: str | os.PathLike[str] | np.ndarray,
        *,
        proxy: str | os.PathLike[str] | np.ndarray | None = None,
    ) -> Prediction:
        """Predicts one image.

        Args:
          image: Path, or ``[H, W]`` or ``[H, W, C]`` uint8 or uint16. One in object storage, by its URI, is copied here
            whole.
          proxy: Where the model's proxies are not made from the image itself: the path of the other image, or the
            finished proxy, ``[h, w, c]`` uint8. None: the proxy is made by the model's recipe.

        Raises:
          ImageError: It cannot be read here.
          InputError: The model is no exported saccader, or refuses; or its proxies cannot be made from the image.
          ResourceError: The server does not answer.
        """
        if isinstance(image, np.ndarray):
            return self._predict_opened(_from_array(image), None, proxy)
        with contextlib.ExitStack() as stack:
            path = Path(stack.enter_context(files.image_here(os.fspath(image))))
            if isinstance(proxy, str | os.PathLike):
                proxy = stack.enter_context(files.image_here(os.fspath(proxy)))
            return self._predict_file(path, proxy)

    def _predict_file(self, path: Path, proxy: str | os.PathLike[str] | np.ndarray | None) -> Prediction:
        index = _index(path)
        if self._input_mode == "pyramids" or (self._input_mode == "auto" and index is not None and self._reaches(path)):
            if index is None:
                raise ImageError(
                    "The image is no pyramid with a tile index", received=path, mend="Use another input mode"
                )
            return self.predict_pyramid(path, index, proxy=proxy)
        if index is not None and self._input_mode != "images":
            found = self.description
            reader = VipsReader(found.crop_size, margin_px=found.margin_px, max_level=found.max_level)
            pixels = self._proxy(lambda recipe: proxy_from_pyramid(path, index, recipe), proxy)
            return self.predict_crops(pixels, (index.height, index.width), lambda boxes: reader.read_crops(path, boxes))
        return self._predict_opened(reading.open_image(path, random_access=True), path, proxy)

    def predict_pyramid(
        self, path: Path, index: TileIndex, *, proxy: str | os.PathLike[str] | np.ndarray | None = None
    ) -> Prediction:
        """Sends proxy, path and tile index, without levels that the model never looks at; the server reads the tiles.

        Should the model have changed to one that looks closer, the answer is not valid, and the whole index is sent.
        """
        sent = path.resolve()
        if self._pyramid_root is not None:
            sent = Path(os.path.relpath(sent, self._pyramid_root))
        pixels = self._proxy(lambda recipe: proxy_from_pyramid(path, index, recipe), proxy)[np.newaxis]
        found = self.description
        short = without_unused_levels(index, found.min_scale, found.crop_size, found.max_level)
        for part in (short, index):
            inputs = {"proxy": pixels, **pyramid_inputs(str(sent), part)}
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

    def predict_encoded(self, encoded: bytes, *, proxy: np.ndarray | None = None) -> Prediction:
        """Sends a whole JPEG or PNG.

        Args:
          encoded: The file.
          proxy: ``[h, w, c]`` float32 in [0, 1], for models whose proxies cannot be made from the image alone.
        """
        inputs, signature = {"image_bytes": np.array([encoded], object)}, "predict_images"
        if proxy is not None:
            inputs, signature = {"proxy": proxy[np.newaxis], **inputs}, IMAGES_WITH_PROXIES
        return Prediction.from_outputs(self._transport.call(signature, inputs), 0, "images")

    def _predict_opened(
        self, image: pyvips.Image, path: Path | None, proxy: str | os.PathLike[str] | np.ndarray | None
    ) -> Prediction:
        small = image.width * image.height <= SENDABLE_PX
        if self._input_mode == "images" or (self._input_mode == "auto" and small and proxy is None):
            encoded = _encoded(image, path)
            if proxy is not None:
                return self.predict_encoded(encoded, proxy=self._given_with_image(proxy))
            if self._input_mode == "images" or len(encoded) <= SENDABLE_BYTES:
                return self.predict_encoded(encoded)
        found = self.description
        self._check_unprepared(image)
        upright = reading.normalize(image, bands=found.bands, dtype=found.dtype)
        levels = PlainLevels(upright)
        height, width = levels.sizes[0].tolist()
        pixels = self._proxy(lambda recipe: make_proxy(upright, recipe), proxy)

        def cut(boxes: np.ndarray) -> np.ndarray:
            return cut_crops(levels, boxes, found.crop_size, margin_px=found.margin_px, max_level=found.max_level)

        return self.predict_crops(pixels, (height, width), cut)

    def _given_with_image(self, proxy: str | os.PathLike[str] | np.ndarray) -> np.ndarray:
        """The proxy that goes with a whole image; models that make it from the image take none."""
        recipe = self.description.proxy
        if not recipe.obstacle():
            raise InputError(
                "The model makes the proxies of whole images itself",
                received="a proxy beside the image",
                mend="Leave the proxy out, or use the input mode crops or pyramids",
            )
        return self._proxy(lambda _: np.zeros(recipe.shape, np.uint8), proxy)

    def _check_unprepared(self, image: pyvips.Image) -> None:
        """Refuses an image that was not prepared as the model's training images were."""
        found, longest = self.description, max(image.width, image.height)
        if found.conversion:
            raise InputError("The image is not prepared", received=found.obstacle())
        if found.max_side_px is not None and longest > found.max_side_px:
            raise InputError(
                "The model's images were reduced first",
                expected=f"at most {found.max_side_px} pixels per side",
                received=longest,
                mend=f"Prepare the image with --max-side-px {found.max_side_px}, or reduce it",
            )

    def _proxy(
        self, make: Callable[[ProxyRecipe], np.ndarray], given: str | os.PathLike[str] | np.ndarray | None
    ) -> np.ndarray:
        """The proxy ``[h, w, c]`` float32 in [0, 1]: the one that is given, or the one the recipe makes."""
        recipe = self.description.proxy
        if given is None:
            if obstacle := recipe.obstacle():
                raise InputError("The proxy cannot be made from this image alone", received=obstacle)
            pixels = make(recipe)
        elif isinstance(given, np.ndarray):
            pixels = given
        else:
            pixels = proxy_from_other_image(given, recipe)
        if pixels.dtype != np.uint8 or pixels.shape != recipe.shape:
            raise InputError(
                "The proxy is not as the model takes it",
                expected=f"uint8 {recipe.shape}",
                received=f"{pixels.dtype} {pixels.shape}",
            )
        return pixels.astype(np.float32) / 255.0

    def _reaches(self, path: Path) -> bool:
        """Whether the server has this file under its first image root."""
        return self._pyramid_root is not None and path.resolve().is_relative_to(self._pyramid_root)


def predict_paths(
    client: SaccadeClient,
    paths: Sequence[str],
    *,
    proxies: Sequence[str] = (),
    progress: bool = False,
    concurrent: int = CONCURRENT_REQUESTS,
) -> Iterator[tuple[str, Prediction]]:
    """Predicts many files, a few at a time; one that cannot be read gives an invalid prediction with the reason.

    Args:
      client: Connected.
      paths: Paths of the images.
      proxies: Paths of the images that serve as their proxies, one per image; none where the model makes the proxies.
      progress: Whether to draw a bar on stderr.
      concurrent: Requests at a time.

    Yields:
      Path and prediction, in the order given.

    Raises:
      InputError: The number of proxies is another.
    """
    if proxies and len(proxies) != len(paths):
        raise InputError("Every image takes one proxy", expected=f"{len(paths)} proxies", received=len(proxies))

    def predict(path: str, proxy: str | None) -> Prediction:
        try:
            return client.predict(path, proxy=proxy)
        except ImageError as error:
            return Prediction(valid=False, reason=str(error))

    with ThreadPoolExecutor(concurrent) as pool:
        results = pool.map(predict, paths, proxies or [None] * len(paths))
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
    with reading.decoding():
        return reading.normalize(image).pngsave_buffer(keep="none")
