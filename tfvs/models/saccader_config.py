"""Configuration of the variational saccader."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.config import option, require
from tfvs.layers.crop_classifier import LOOK_POOLINGS, check_counting
from tfvs.losses.likelihoods import LIKELIHOODS
from tfvs.models.network_options import NetworkOptions
from tfvs.models.place_options import PlaceOptions

MAX_CROP_BANDS = 64
POSTERIORS = ("gaussian", "categorical")


@dataclass(frozen=True)
class SaccaderConfig(PlaceOptions, NetworkOptions):
    """Everything that makes a :class:`tfvs.VariationalSaccader`. The defaults train in minutes on two CPU cores."""

    num_classes: int = option(help="K, number of classes, at least 2.", at_least=2)
    num_steps: int = option(3, "T, number of looks at each image.", at_least=1)
    crop_size: int = option(32, "S, side of a crop, pixels.", at_least=1)
    min_scale: float = option(0.25, "Smallest side of a crop as a fraction of the image's shorter side.", above=0)
    max_scale: float = option(
        0.6,
        "Largest side of a crop, likewise; where a zoom schedule starts, if there is one.",
        above=0,
        at_most=1,
    )
    channels: int | None = option(
        None,
        "Bands of the crops; None: as many as the dense image has, or for pyramids as many as the proxy has.",
        at_least=1,
        at_most=MAX_CROP_BANDS,
    )
    latent_size: int = option(3, "Z, width of each latent z_t.", at_least=1)
    likelihood: str = option(
        "bernoulli",
        'Likelihood of the proxy: ``"bernoulli"``, ``"gaussian"`` or ``"logistic"`` (discretised to 256 levels).',
        choices=LIKELIHOODS,
    )
    posterior_stddev: float | None = option(None, "Fixed standard deviation of the posterior; None learns it.", above=0)
    initial_state_noise: float = option(0.1, "Standard deviation of the noise on h_0 while training.", at_least=0)
    classifier_reads_state: bool = option(
        False, "Whether the classifier reads the recurrent state beside each crop's features."
    )
    attends: bool = option(
        True,
        "Whether the Gaussian posterior finds places by attention on the proxy's feature map; needs ``latent_size`` 3.",
    )
    posterior: str = option(
        "gaussian",
        '``"gaussian"`` (the paper\'s) or ``"categorical"``: a cell of the proxy\'s map without replacement, and a '
        "Gaussian offset and scale inside it, see :class:`tfvs.models.place_options.PlaceOptions`.",
        choices=POSTERIORS,
    )
    look_pooling: str = option(
        "mean",
        'How the looks are joined: ``"mean"`` (of their features, then a head), ``"evidence"`` (every look gives nats '
        'per class, which add up), ``"seen"`` (log odds against ``none_class``, by logsumexp: that class means that '
        'nothing was seen) or ``"count"`` (class c means c things, and every look says how many it shows).',
        choices=LOOK_POOLINGS,
    )
    none_class: int = option(
        0, 'Index of the class that means that nothing was seen; only ``"seen"`` pooling has one.', at_least=0
    )
    scales: tuple[float, ...] = option(
        (1.0,),
        "Sides of the crops that are read around each place, as multiples of the look's own. Each counts as a look to "
        "the pooling and has a box, a crop and evidence of its own, so that there are T times the number of scales.",
        above=0,
        least_items=1,
    )
    classification_weight: float = option(1.0, "Weight of −log p(y | crops) in the loss.", at_least=0)
    reconstruction_weight: float = option(
        0.001, "Weight of −log p(x̂ | z, h) in the loss; 1 is the paper's bound.", at_least=0
    )
    kl_weight: float = option(0.001, "Weight of the KL in the loss; 1 is the paper's bound.", at_least=0)
    margin_px: int = option(
        1,
        "Pixels around a box that the localized transformer reads; 0 is the paper's, which loses a neighbour along the "
        "crop's border; from 1 on a crop is the spatial transformer's.",
        at_least=0,
    )
    max_level: int | None = option(
        None,
        "Coarsest pyramid level that crops are read from; None: the level of each crop's scale; 0: the image itself, "
        "as in the paper, which aliases where crops are much larger than ``crop_size``.",
        at_least=0,
    )
    localized: bool | None = option(
        None,
        "Whether the localized transformer cuts the crops of dense images too, out of regions. None: where "
        "``margin_px`` is 0, since there the two transformers differ and every input mode must cut the same crops.",
    )
    num_samples: int = option(
        1, "Number of trajectories averaged when predicting; 1 follows the posterior's mean.", at_least=1
    )
    pyramid_roots: tuple[str, ...] = option((), "Folders that pyramids may lie in; the first completes relative paths.")

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
          ConfigError: A value that cannot work.
        """
        super().__post_init__()
        require(
            self.min_scale <= self.max_scale,
            "The range of scales is empty",
            expected="min_scale <= max_scale",
            received=f"min_scale={self.min_scale}, max_scale={self.max_scale}",
        )
        require(
            self.none_class < self.num_classes,
            "none_class is no class",
            expected=f"0 to {self.num_classes - 1}",
            received=self.none_class,
        )
        require(
            self.place_gradient != "things" or self.look_pooling == "count",
            "Looks that count nothing show no number of things",
            expected='look_pooling="count" with place_gradient="things"',
            received=f"look_pooling={self.look_pooling!r}",
        )
        check_counting(self.look_pooling, len(self.scales), weighted=self.place_gradient == "attention")
        require(
            self.margin_px != 0 or self.localized is not False,
            "With margin_px=0 crops of dense images and of tiles would differ",
            expected="localized=True or None",
            received=self.localized,
            mend="Set margin_px to 1, from which on the two transformers give the same crops",
        )
        if self.has_cells:
            self.check_steps(self.num_steps)
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
        else:
            require(
                self.proxy_features is None and not self.looks_from_prior,
                "Only the map of places reads features of the proxy, and only it can do without",
                expected='posterior="categorical" with proxy_features or looks_from_prior',
                received=f"posterior={self.posterior!r}",
            )

    @property
    def has_cells(self) -> bool:
        """Whether places are chosen from a map of cells: with the categorical posterior."""
        return self.posterior == "categorical"

    @property
    def crops_per_image(self) -> int:
        """L = T · M: one crop per look and scale."""
        return self.num_steps * len(self.scales)

    @property
    def localizes_dense_images(self) -> bool:
        """Whether crops of dense images come from the localized transformer."""
        return self.margin_px == 0 if self.localized is None else self.localized

    def check_steps(self, num_steps: int) -> None:
        """Checks a number of looks, which may differ between training and use.

        Args:
          num_steps: T.

        Raises:
          ConfigError: It is below 1, the map has too few cells for it, or the model learned one place per step.
        """
        require(num_steps >= 1, "num_steps is too small", expected="at least 1", received=num_steps)
        if self.has_cells:
            self.check_cells(num_steps)
        else:
            require(
                num_steps == self.num_steps or not self.attends,
                "Attention has one anchor per look, so the number of looks is that of training",
                expected=self.num_steps,
                received=num_steps,
                mend='Use attends=False or posterior="categorical"',
            )
