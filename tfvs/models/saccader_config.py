"""Configuration of the variational saccader."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.backbones.encoder import EncoderConfig, encoder_config
from tfvs.config import Config, option, require
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
    """Everything that makes a :class:`tfvs.VariationalSaccader`. The defaults train in minutes on two CPU cores."""

    num_classes: int = option(
        help="K, at least 2.",
        at_least=2,
    )
    num_steps: int = option(
        3,
        "T, saccades an image.",
        at_least=1,
    )
    crop_size: int = option(
        32,
        "S, side of a crop, pixels.",
        at_least=1,
    )
    min_scale: float = option(
        0.25,
        "Smallest side of a crop as a fraction of the image's shorter side.",
        above=0,
    )
    max_scale: float = option(
        0.6,
        "Largest side; where a zoom schedule starts, if there is one.",
        above=0,
        at_most=1,
    )
    channels: int | None = option(
        None,
        "Bands of the crops; None: as the dense image has, and the proxy's for pyramids.",
        at_least=1,
        at_most=MAX_CROP_BANDS,
    )
    latent_size: int = option(
        3,
        "Z of the VRNN.",
        at_least=1,
    )
    state: str = option(
        "gru",
        '``"gru"`` or ``"lstm"``.',
        choices=STATES,
    )
    state_size: int = option(
        256,
        "Width of h_t.",
        at_least=1,
    )
    likelihood: str = option(
        "bernoulli",
        'Likelihood of the proxy: ``"bernoulli"``, ``"gaussian"`` or ``"logistic"`` (discretised to 256 levels).',
        choices=LIKELIHOODS,
    )
    posterior_stddev: float | None = option(
        None,
        "Fixed standard deviation of the posterior; None learns it.",
        above=0,
    )
    initial_state_noise: float = option(
        0.1,
        "Standard deviation of the noise on h_0 while training.",
        at_least=0,
    )
    classifier_reads_state: bool = option(
        False,
        "Whether the recurrent state stands beside each crop's features.",
    )
    normalization: str = option(
        "layer",
        'Normalisation of dense layers: ``"layer"``, ``"batch"`` or ``"none"``.',
        choices=NORMALIZATIONS,
    )
    attends: bool = option(
        True,
        "Whether the Gaussian posterior finds places by attention on the proxy's feature map; needs ``latent_size`` 3.",
    )
    posterior: str = option(
        "gaussian",
        '``"gaussian"`` (the paper\'s) or ``"categorical"``: a cell of the proxy\'s map without '
        "replacement, and a Gaussian offset and scale inside it. The fields from here to "
        "``proxy_features`` belong to the categorical one.",
        choices=POSTERIORS,
    )
    cells: tuple[int, int] | None = option(
        None,
        "Rows and columns of the map of places.",
    )
    place_prior: str = option(
        "contrast",
        'p(k) over cells: ``"contrast"``, ``"uniform"``, ``"surprise"`` (where the reconstruction'
        ' of the proxy fails; needs ``reconstruction_weight`` above 0) or ``"learned"`` (from the'
        " recurrent state and the map).",
        choices=PLACE_PRIORS,
    )
    prior_power: float = option(
        1.0,
        "Power of contrast or surprise in the prior.",
        at_least=0,
    )
    prior_floor: float = option(
        0.02,
        "Share of the mean contrast (or surprise) that every cell gets, above 0.",
        above=0,
    )
    inhibition_cells: int = option(
        2,
        "No look falls on a cell within this many rows and columns of an earlier look's.",
        at_least=0,
    )
    looks_from_prior: bool = option(
        False,
        "Whether cells are drawn from the prior alone, and the proxy is not read: to train first "
        "what reads the crops, and as a baseline.",
    )
    place_gradient: str = option(
        "counterfactual",
        'How the choice of cells learns: ``"counterfactual"`` (what each look contributed), '
        '``"reinforce"`` or ``"attention"`` (attention-sampling weights).',
        choices=PLACE_GRADIENTS,
    )
    posterior_reads_state: bool = option(
        False,
        "Whether the evidence for places depends on h_{t-1} as well.",
    )
    learns_offset: bool = option(
        True,
        "Whether offset and scale inside a cell are learned from the pixels of the crop; "
        "otherwise they are noise, and crops cost no backward pass. ``posterior_stddev`` is in "
        "cells.",
    )
    proxy_gain: float = option(
        1.0,
        "What the proxy's pixels are multiplied by before the convolutions of the map.",
        above=0,
    )
    map_filters: tuple[int, ...] = option(
        (32, 32),
        "Channels of the convolutions of the map.",
    )
    map_kernels: tuple[int, ...] = option(
        (5, 1),
        "Sides of their kernels, cells.",
    )
    map_normalization: str = option(
        "none",
        'Normalisation of these convolutions: ``"none"`` or ``"batch"``.',
        choices=MAP_NORMALIZATIONS,
    )
    map_reads_pixels: bool = option(
        True,
        "Whether they read the proxy's pixels; without, ``proxy_features`` alone.",
    )
    map_reads_place: bool = option(
        False,
        "Whether they read each cell's row and column.",
    )
    proxy_features: EncoderConfig | None = option(
        None,
        "A network whose feature maps of the proxy the convolutions read, such as a frozen "
        "pretrained one: its name or the fields of an :class:`EncoderConfig`; None for none.",
    )
    encoder_filters: tuple[int, ...] = option(
        (16, 32, 32),
        "Channels of φ_x's convolutions.",
    )
    encoder_strides: tuple[int, ...] = option(
        (2, 1, 2),
        "Their strides.",
    )
    encoder_units: int = option(
        256,
        "Width of φ_x.",
        at_least=1,
    )
    decoder_filters: tuple[int, ...] = option(
        (16, 16, 8),
        "Channels before each transposed convolution of the decoder, each doubles the image.",
    )
    prior_units: int = option(
        128,
        "Width of the prior's hidden layer.",
        at_least=1,
    )
    posterior_units: int = option(
        256,
        "Width of the posterior's hidden layer.",
        at_least=1,
    )
    latent_units: int = option(
        64,
        "Width of φ_z.",
        at_least=1,
    )
    crop_filters: tuple[int, ...] = option(
        (32, 64, 128, 128),
        "Channels of the crop network's convolutions.",
    )
    crop_strides: tuple[int, ...] = option(
        (2, 2, 2, 1),
        "Their strides.",
    )
    crop_stem_kernel: int = option(
        5,
        "Side of the first one's kernel, pixels.",
        at_least=1,
    )
    crop_pooling: str = option(
        "max",
        'Over a crop\'s feature map: ``"max"`` or ``"mean"``.',
    )
    crop_normalization: str = option(
        "group",
        'Normalisation of the crop network\'s convolutions: ``"group"`` or ``"none"``.',
        choices=CONV_NORMALIZATIONS,
    )
    standardize_crops: bool = option(
        False,
        "Whether each crop is brought to mean 0 and a common contrast before the network reads it.",
    )
    crop_encoder: EncoderConfig | None = option(
        None,
        "A network that reads the crops in place of these convolutions: its name or the fields of"
        " an :class:`EncoderConfig`; ``crop_pooling`` pools its feature maps. None for the "
        "convolutions.",
    )
    crop_dropout: float = option(
        0.0,
        "Share of a crop's features that are dropped while training.",
        at_least=0,
        below=1,
    )
    crop_units: int = option(
        256,
        "Features of a crop.",
        at_least=1,
    )
    head_units: int = option(
        256,
        'Width of the classifier\'s hidden layer; of ``"mean"`` pooling alone.',
        at_least=1,
    )
    look_pooling: str = option(
        "mean",
        'Over the looks: ``"mean"`` (features, then a head), ``"evidence"`` (every look gives '
        'nats per class, which add up) or ``"seen"`` (log odds against ``none_class``, by '
        "logsumexp: that class means that nothing was seen).",
        choices=LOOK_POOLINGS,
    )
    none_class: int = option(
        0,
        'Index of the class that means that nothing was seen; of ``"seen"`` pooling alone.',
        at_least=0,
    )
    scales: tuple[float, ...] = option(
        (1.0,),
        "Sides of the crops that are read around each place, as multiples of the look's own; each"
        " is a look of its own to the pooling, and has a box, a crop and evidence of its own: T "
        "times the number of scales of each.",
    )
    classification_weight: float = option(
        1.0,
        "Weight of −log p(y | crops).",
        at_least=0,
    )
    reconstruction_weight: float = option(
        0.001,
        "Weight of −log p(x̂ | z, h); 1 is the paper's bound.",
        at_least=0,
    )
    kl_weight: float = option(
        0.001,
        "Weight of the KL; 1 is the paper's bound.",
        at_least=0,
    )
    margin_px: int = option(
        1,
        "Pixels around a box that the localized transformer reads; 0 is the paper's, which loses "
        "a neighbour along the crop's border; from 1 on a crop is the spatial transformer's.",
        at_least=0,
    )
    max_level: int | None = option(
        None,
        "Coarsest pyramid level that crops are read from; None: the level of each crop's scale; "
        "0: the image itself, as in the paper, which aliases where crops are much larger than "
        "``crop_size``.",
        at_least=0,
    )
    localized: bool | None = option(
        None,
        "Whether the localized transformer cuts the crops of dense images too, out of regions. "
        "None: where ``margin_px`` is 0, since there the two transformers differ and every way in"
        " must cut the same crops.",
    )
    num_samples: int = option(
        1,
        "Trajectories averaged when predicting; 1 follows the posterior's mean.",
        at_least=1,
    )
    pyramid_roots: tuple[str, ...] = option(
        (),
        "Folders that pyramids may lie in; the first completes relative paths.",
    )

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
          ConfigError: A value that cannot work.
        """
        for name in ("crop_encoder", "proxy_features"):
            object.__setattr__(self, name, encoder_config(getattr(self, name)))
        super().__post_init__()
        require(
            0.0 < self.min_scale <= self.max_scale <= 1.0,
            "The range of scales is empty or leaves the image",
            expected="0 < min_scale <= max_scale <= 1",
            received=f"min_scale={self.min_scale}, max_scale={self.max_scale}",
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
        require(
            len(self.scales) >= 1 and all(scale > 0.0 for scale in self.scales),
            "scales cannot be used",
            expected="at least one number, each above 0",
            received=self.scales,
        )
        require(
            0 <= self.none_class < self.num_classes,
            "none_class is no class",
            expected=f"0 to {self.num_classes - 1}",
            received=self.none_class,
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
