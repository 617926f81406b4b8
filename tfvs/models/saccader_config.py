"""Configuration of the variational saccader."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.backbones.encoder import EncoderConfig, encoder_config
from tfvs.config import Config, require
from tfvs.layers.conv_block import CONV_NORMALIZATIONS
from tfvs.layers.crop_classifier import LOOK_POOLINGS
from tfvs.layers.dense_block import NORMALIZATIONS
from tfvs.layers.map_encoder import MAP_NORMALIZATIONS
from tfvs.layers.posteriors.priors import PLACE_PRIORS
from tfvs.layers.vrnn_cell import STATES
from tfvs.losses.likelihoods import LIKELIHOODS
from tfvs.losses.place_gradient import PLACE_GRADIENTS

MAX_CROP_BANDS = 64
POSTERIORS = ("gaussian", "categorical")


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
      likelihood: Likelihood of the proxy: ``"bernoulli"``, ``"gaussian"`` or ``"logistic"`` (discretised to 256
        levels).
      posterior_stddev: Fixed standard deviation of the posterior; None learns it.
      initial_state_noise: Standard deviation of the noise on h_0 while training.
      classifier_reads_state: Whether the recurrent state stands beside each crop's features.
      normalization: Normalisation of dense layers: ``"layer"``, ``"batch"`` or ``"none"``.
      attends: Whether the Gaussian posterior finds places by attention on the proxy's feature map; needs
        ``latent_size`` 3.
      posterior: ``"gaussian"`` (the paper's) or ``"categorical"``: a cell of the proxy's map without replacement, and a
        Gaussian offset and scale inside it. The fields from here to ``proxy_features`` belong to the categorical one.
      cells: Rows and columns of the map of places.
      place_prior: p(k) over cells: ``"contrast"``, ``"uniform"``, ``"surprise"`` (where the reconstruction of the proxy
        fails; needs ``reconstruction_weight`` above 0) or ``"learned"`` (from the recurrent state and the map).
      prior_power: Power of contrast or surprise in the prior.
      prior_floor: Share of the mean contrast (or surprise) that every cell gets, above 0.
      inhibition_cells: No look falls on a cell within this many rows and columns of an earlier look's.
      looks_from_prior: Whether cells are drawn from the prior alone, and the proxy is not read: to train first what
        reads the crops, and as a baseline.
      place_gradient: How the choice of cells learns: ``"counterfactual"`` (what each look contributed), ``"reinforce"``
        or ``"attention"`` (attention-sampling weights).
      posterior_reads_state: Whether the evidence for places depends on h_{t-1} as well.
      learns_offset: Whether offset and scale inside a cell are learned from the pixels of the crop; otherwise they are
        noise, and crops cost no backward pass. ``posterior_stddev`` is in cells.
      proxy_gain: What the proxy's pixels are multiplied by before the convolutions of the map.
      map_filters: Channels of the convolutions of the map.
      map_kernels: Sides of their kernels, cells.
      map_normalization: Normalisation of these convolutions: ``"none"`` or ``"batch"``.
      map_reads_pixels: Whether they read the proxy's pixels; without, ``proxy_features`` alone.
      map_reads_place: Whether they read each cell's row and column.
      proxy_features: A network whose feature maps of the proxy the convolutions read, such as a frozen pretrained one:
        its name or the fields of an :class:`EncoderConfig`; None for none.
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
      crop_normalization: Normalisation of the crop network's convolutions: ``"group"`` or ``"none"``.
      standardize_crops: Whether each crop is brought to mean 0 and a common contrast before the network reads it.
      crop_encoder: A network that reads the crops in place of these convolutions: its name or the fields of an
        :class:`EncoderConfig`; ``crop_pooling`` pools its feature maps. None for the convolutions.
      crop_dropout: Share of a crop's features that are dropped while training.
      crop_units: Features of a crop.
      head_units: Width of the classifier's hidden layer; of ``"mean"`` pooling alone.
      look_pooling: Over the looks: ``"mean"`` (features, then a head), ``"evidence"`` (every look gives nats per class,
        which add up) or ``"seen"`` (log odds against ``none_class``, by logsumexp: that class means that nothing was
        seen).
      none_class: Index of the class that means that nothing was seen; of ``"seen"`` pooling alone.
      scales: Sides of the crops that are read around each place, as multiples of the look's own; each is a look of its
        own to the pooling, and has a box, a crop and evidence of its own: T times the number of scales of each.
      classification_weight: Weight of −log p(y | crops).
      reconstruction_weight: Weight of −log p(x̂ | z, h); 1 is the paper's bound.
      kl_weight: Weight of the KL; 1 is the paper's bound.
      margin_px: Pixels around a box that the localized transformer reads; 0 is the paper's, which loses a neighbour
        along the crop's border; from 1 on a crop is the spatial transformer's.
      max_level: Coarsest pyramid level that crops are read from; None: the level of each crop's scale; 0: the image
        itself, as in the paper, which aliases where crops are much larger than ``crop_size``.
      localized: Whether the localized transformer cuts the crops of dense images too, out of regions. None: where
        ``margin_px`` is 0, since there the two transformers differ and every way in must cut the same crops.
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
    posterior: str = "gaussian"
    cells: tuple[int, int] | None = None
    place_prior: str = "contrast"
    prior_power: float = 1.0
    prior_floor: float = 0.02
    inhibition_cells: int = 2
    looks_from_prior: bool = False
    place_gradient: str = "counterfactual"
    posterior_reads_state: bool = False
    learns_offset: bool = True
    proxy_gain: float = 1.0
    map_filters: tuple[int, ...] = (32, 32)
    map_kernels: tuple[int, ...] = (5, 1)
    map_normalization: str = "none"
    map_reads_pixels: bool = True
    map_reads_place: bool = False
    proxy_features: EncoderConfig | None = None
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
    crop_normalization: str = "group"
    standardize_crops: bool = False
    crop_encoder: EncoderConfig | None = None
    crop_dropout: float = 0.0
    crop_units: int = 256
    head_units: int = 256
    look_pooling: str = "mean"
    none_class: int = 0
    scales: tuple[float, ...] = (1.0,)
    classification_weight: float = 1.0
    reconstruction_weight: float = 0.001
    kl_weight: float = 0.001
    margin_px: int = 1
    max_level: int | None = None
    localized: bool | None = None
    num_samples: int = 1
    pyramid_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
          ConfigError: A value that cannot work.
        """
        for name in ("crop_encoder", "proxy_features"):
            object.__setattr__(self, name, encoder_config(getattr(self, name)))
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
        choices = {
            "state": STATES,
            "likelihood": LIKELIHOODS,
            "normalization": NORMALIZATIONS,
            "posterior": POSTERIORS,
            "place_prior": PLACE_PRIORS,
            "place_gradient": PLACE_GRADIENTS,
            "look_pooling": LOOK_POOLINGS,
            "crop_normalization": CONV_NORMALIZATIONS,
            "map_normalization": MAP_NORMALIZATIONS,
        }
        for name, values in choices.items():
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
        numbers = ("encoder_filters", "encoder_strides", "decoder_filters", "crop_filters", "crop_strides")
        for name in (*numbers, "map_filters", "map_kernels"):
            value = getattr(self, name)
            require(
                len(value) >= 1 and all(isinstance(v, int) and v >= 1 for v in value),
                f"{name} cannot be used",
                expected="at least one whole number, each at least 1",
                received=value,
            )
        for name, other in (("crop_filters", "crop_strides"), ("map_filters", "map_kernels")):
            require(
                len(getattr(self, name)) == len(getattr(self, other)),
                f"{name} and {other} differ in length",
                expected=f"{len(getattr(self, name))} numbers in {other}",
                received=getattr(self, other),
            )
        for name in ("classification_weight", "reconstruction_weight", "kl_weight", "initial_state_noise", "margin_px"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is negative", expected="0 or more", received=value)
        require(
            len(self.scales) >= 1 and all(scale > 0.0 for scale in self.scales),
            "scales cannot be used",
            expected="at least one number, each above 0",
            received=self.scales,
        )
        require(
            0.0 <= self.crop_dropout < 1.0,
            "crop_dropout is no share",
            expected="0 to below 1",
            received=self.crop_dropout,
        )
        require(
            0 <= self.none_class < self.num_classes,
            "none_class is no class",
            expected=f"0 to {self.num_classes - 1}",
            received=self.none_class,
        )
        require(
            self.max_level is None or self.max_level >= 0,
            "max_level is negative",
            expected="None (the level of each crop's scale), or 0 or more",
            received=self.max_level,
        )
        require(
            self.margin_px != 0 or self.localized is not False,
            "With margin_px=0 crops of dense images and of tiles would differ",
            expected="localized=True or None",
            received=self.localized,
            mend="Set margin_px to 1, from which on the two transformers give the same crops",
        )
        require(
            self.posterior == "categorical" or (self.proxy_features is None and not self.looks_from_prior),
            "Only the map of places reads features of the proxy, and only it can do without",
            expected='posterior="categorical" with proxy_features or looks_from_prior',
            received=f"posterior={self.posterior!r}",
        )
        if self.posterior == "categorical":
            self._check_places()

    def _check_places(self) -> None:
        cells = self.cells
        require(
            cells is not None and len(cells) == 2 and all(isinstance(n, int) and n >= 1 for n in cells),
            "The categorical posterior needs the size of its map",
            expected="cells=(rows, columns), whole numbers of at least 1",
            received=cells,
        )
        require(
            self.latent_size == 3,
            "A place in a cell has a scale and two offsets",
            expected="latent_size=3 with the categorical posterior",
            received=self.latent_size,
        )
        require(self.prior_power >= 0.0, "prior_power is negative", expected="0 or more", received=self.prior_power)
        require(
            self.prior_floor > 0.0,
            "prior_floor leaves cells without any probability",
            expected="a number above 0",
            received=self.prior_floor,
        )
        require(self.proxy_gain > 0.0, "proxy_gain cannot be used", expected="above 0", received=self.proxy_gain)
        require(
            self.inhibition_cells >= 0,
            "inhibition_cells is negative",
            expected="0 or more",
            received=self.inhibition_cells,
        )
        require(
            self.place_prior != "surprise" or self.reconstruction_weight > 0.0,
            "Without a reconstruction of the proxy there is no surprise",
            expected='a reconstruction_weight above 0 with place_prior="surprise"',
            received=self.reconstruction_weight,
        )
        self.check_steps(self.num_steps)

    @property
    def crops_per_image(self) -> int:
        """L = T · M: one crop per look and scale."""
        return self.num_steps * len(self.scales)

    def check_steps(self, num_steps: int) -> None:
        """Checks a number of looks, which may differ between training and use.

        Args:
          num_steps: T.

        Raises:
          ConfigError: It is below 1, the map has too few cells for it, or the model learned one place a step.
        """
        require(num_steps >= 1, "num_steps is too small", expected="at least 1", received=num_steps)
        if self.posterior == "categorical" and self.cells is not None:
            rows, columns = self.cells
            reach = 2 * self.inhibition_cells + 1
            taken = min(reach, rows) * min(reach, columns)
            require(
                (num_steps - 1) * taken < rows * columns,
                "The looks may leave no cell free",
                expected=f"at most {(rows * columns - 1) // taken + 1} looks, since each takes up to {taken} of the "
                f"{rows * columns} cells",
                received=f"num_steps={num_steps}, inhibition_cells={self.inhibition_cells}, cells={self.cells}",
                mend="Use more cells, fewer looks or a smaller inhibition_cells",
            )
        else:
            require(
                num_steps == self.num_steps or not self.attends,
                "Attention has one anchor per look, so the number of looks is that of training",
                expected=self.num_steps,
                received=num_steps,
                mend='Use attends=False or posterior="categorical"',
            )

    @property
    def localizes_dense_images(self) -> bool:
        """Whether crops of dense images come from the localized transformer."""
        return self.margin_px == 0 if self.localized is None else self.localized

    def check_proxy(self, height: int, width: int) -> None:
        """Checks the size of the proxy against the map of places.

        Args:
          height: Pixels.
          width: Pixels.

        Raises:
          ConfigError: The cells are finer than the proxy.
        """
        if self.posterior == "categorical" and self.cells is not None:
            require(
                self.cells[0] <= height and self.cells[1] <= width,
                "The cells are finer than the proxy",
                expected=f"at most ({height}, {width}) rows and columns",
                received=f"cells={self.cells}",
                mend="Use fewer cells or a larger proxy",
            )
