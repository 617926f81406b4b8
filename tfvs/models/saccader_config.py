"""Configuration of the variational saccader."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.config import Config, require
from tfvs.layers.dense_block import NORMALIZATIONS
from tfvs.layers.vrnn_cell import STATES
from tfvs.losses.likelihoods import LIKELIHOODS

MAX_CROP_BANDS = 64


@dataclass(frozen=True)
class SaccaderConfig(Config):
    """Everything that makes a :class:`tfvs.VariationalSaccader`. The defaults train in minutes on two CPU cores.

    Attributes:
      num_classes: K, at least 2.
      num_steps: T, saccades an image.
      crop_size: S, side of a crop, pixels.
      min_scale: Smallest side of a crop as a fraction of the image's shorter side.
      max_scale: Largest side; where a zoom schedule starts, if there is one.
      channels: Bands of the crops; None: as the dense image has, and the proxy's for pyramids.
      latent_size: Z of the VRNN.
      state: ``"gru"`` or ``"lstm"``.
      state_size: Width of h_t.
      likelihood: Of the proxy: ``"bernoulli"``, ``"gaussian"`` or ``"logistic"`` (discretised to 256 levels).
      posterior_stddev: Fixed standard deviation of the posterior; None learns it.
      initial_state_noise: Standard deviation of the noise on h_0 while training.
      classifier_reads_state: Whether the recurrent state stands beside each crop's features.
      normalization: Of dense layers: ``"layer"``, ``"batch"`` or ``"none"``.
      attends: Whether the posterior finds places by attention on the proxy's feature map; needs ``latent_size`` 3.
      encoder_filters: Channels of φ_x's convolutions.
      encoder_strides: Their strides.
      encoder_units: Width of φ_x.
      decoder_filters: Channels before each transposed convolution of the decoder, each doubles the image.
      prior_units: Width of the prior's hidden layer.
      posterior_units: Width of the posterior's hidden layer.
      latent_units: Width of φ_z.
      crop_filters: Channels of the crop network's convolutions.
      crop_strides: Their strides.
      crop_stem_kernel: Side of the first one's kernel, pixels.
      crop_pooling: Over a crop's feature map: ``"max"`` or ``"mean"``.
      crop_units: Features of a crop.
      head_units: Width of the classifier's hidden layer.
      classification_weight: Weight of −log p(y | crops).
      reconstruction_weight: Weight of −log p(x̂ | z, h); 1 is the paper's bound.
      kl_weight: Weight of the KL; 1 is the paper's bound.
      margin_px: Pixels read around a crop; 0 reproduces the paper's localized transformer, 1 is exact.
      num_samples: Trajectories averaged when predicting; 1 follows the posterior's mean.
      pyramid_roots: Folders that pyramids may lie in; the first completes relative paths.
    """

    num_classes: int
    num_steps: int = 3
    crop_size: int = 32
    min_scale: float = 0.25
    max_scale: float = 0.6
    channels: int | None = None
    latent_size: int = 3
    state: str = "gru"
    state_size: int = 256
    likelihood: str = "bernoulli"
    posterior_stddev: float | None = None
    initial_state_noise: float = 0.1
    classifier_reads_state: bool = False
    normalization: str = "layer"
    attends: bool = True
    encoder_filters: tuple[int, ...] = (16, 32, 32)
    encoder_strides: tuple[int, ...] = (2, 1, 2)
    encoder_units: int = 256
    decoder_filters: tuple[int, ...] = (16, 16, 8)
    prior_units: int = 128
    posterior_units: int = 256
    latent_units: int = 64
    crop_filters: tuple[int, ...] = (32, 64, 128, 128)
    crop_strides: tuple[int, ...] = (2, 2, 2, 1)
    crop_stem_kernel: int = 5
    crop_pooling: str = "max"
    crop_units: int = 256
    head_units: int = 256
    classification_weight: float = 1.0
    reconstruction_weight: float = 0.001
    kl_weight: float = 0.001
    margin_px: int = 1
    num_samples: int = 1
    pyramid_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
          ConfigError: A value that cannot work.
        """
        require(self.num_classes >= 2, "num_classes is too small", expected="at least 2", received=self.num_classes)
        sizes = (
            "num_steps",
            "crop_size",
            "crop_stem_kernel",
            "latent_size",
            "state_size",
            "encoder_units",
            "prior_units",
        )
        for name in (*sizes, "posterior_units", "latent_units", "crop_units", "head_units", "num_samples"):
            value = getattr(self, name)
            require(value >= 1, f"{name} is too small", expected="at least 1", received=value)
        require(
            0.0 < self.min_scale <= self.max_scale <= 1.0,
            "The range of scales is empty or leaves the image",
            expected="0 < min_scale <= max_scale <= 1",
            received=f"min_scale={self.min_scale}, max_scale={self.max_scale}",
        )
        for name, values in (("state", STATES), ("likelihood", LIKELIHOODS), ("normalization", NORMALIZATIONS)):
            value = getattr(self, name)
            require(value in values, f"Unknown {name}", expected=values, received=repr(value))
        require(
            self.channels is None or 1 <= self.channels <= MAX_CROP_BANDS,
            "channels cannot be used",
            expected=f"None or 1 to {MAX_CROP_BANDS}",
            received=self.channels,
        )
        require(
            self.posterior_stddev is None or self.posterior_stddev > 0.0,
            "posterior_stddev cannot be used",
            expected="None (learned) or a number above 0",
            received=self.posterior_stddev,
        )
        for name in ("encoder_filters", "encoder_strides", "decoder_filters", "crop_filters", "crop_strides"):
            value = getattr(self, name)
            require(
                len(value) >= 1 and all(isinstance(v, int) and v >= 1 for v in value),
                f"{name} cannot be used",
                expected="at least one whole number, each at least 1",
                received=value,
            )
        require(
            len(self.crop_filters) == len(self.crop_strides),
            "crop_filters and crop_strides differ in length",
            expected=f"{len(self.crop_filters)} strides",
            received=self.crop_strides,
        )
        for name in ("classification_weight", "reconstruction_weight", "kl_weight", "initial_state_noise", "margin_px"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is negative", expected="0 or more", received=value)
