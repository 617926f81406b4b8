"""Options of the saccader's map of places, which the categorical posterior chooses cells from."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.backbones.encoder import EncoderConfig, encoder_config
from tfvs.config import Config, option, require
from tfvs.layers.map_encoder import MAP_NORMALIZATIONS
from tfvs.layers.posteriors.priors import PLACE_PRIORS
from tfvs.losses.place_gradient import PLACE_GRADIENTS
from tfvs.models.network_options import check_lengths


@dataclass(frozen=True, kw_only=True)
class PlaceOptions(Config):
    """The map of places: fields of the saccader's configuration that only its categorical posterior reads."""

    cells: tuple[int, int] | None = option(None, "Rows and columns of the map of places.", at_least=1)
    place_prior: str = option(
        "contrast",
        'Prior over cells p(k): ``"contrast"``, ``"isolated"`` (what is as small as ``thing_scale`` and differs from '
        'all around it), ``"uniform"``, ``"surprise"`` (where the reconstruction of the proxy '
        'fails; needs ``reconstruction_weight`` above 0) or ``"learned"`` (from the recurrent state and the map).',
        choices=PLACE_PRIORS,
    )
    thing_scale: float | None = option(
        None,
        "Side of the thing that tells the classes apart, as a fraction of the image's shorter side; what the prior "
        '``"isolated"`` looks for.',
        above=0,
        at_most=1,
    )
    prior_power: float = option(1.0, "Power that contrast or surprise is raised to in the prior.", at_least=0)
    prior_floor: float = option(
        0.02, "Fraction of the mean contrast (or surprise) that every cell gets, above 0.", above=0
    )
    inhibition_cells: int = option(
        2, "No look falls on a cell within this many rows and columns of an earlier look's.", at_least=0
    )
    looks_from_prior: bool = option(
        False,
        "Whether cells are drawn from the prior alone, and the proxy is not read: to train first what reads the crops, "
        "and as a baseline.",
    )
    place_gradient: str = option(
        "counterfactual",
        'How the choice of cells learns: ``"counterfactual"`` (from what each look contributed), ``"reinforce"``, '
        '``"attention"`` (by the weights of attention sampling) or ``"things"`` (from how many things each look shows, '
        'with ``look_pooling="count"``).',
        choices=PLACE_GRADIENTS,
    )
    posterior_reads_state: bool = option(False, "Whether the evidence for places depends on h_{t-1} as well.")
    learns_offset: bool = option(
        True,
        "Whether offset and scale inside a cell are learned from the pixels of the crop; otherwise they are noise, and "
        "crops cost no backward pass. ``posterior_stddev`` is in cells.",
    )
    proxy_gain: float = option(
        1.0, "What the proxy's pixels are multiplied by before the convolutions of the map.", above=0
    )
    map_filters: tuple[int, ...] = option(
        (32, 32), "Channels of the convolutions of the map.", at_least=1, least_items=1
    )
    map_kernels: tuple[int, ...] = option(
        (5, 1), "Sides of the kernels of these convolutions, cells.", at_least=1, least_items=1
    )
    map_stem_filters: tuple[int, ...] = option(
        (),
        "Channels of convolutions of 3 × 3 pixels over the proxy, before its pixels come onto the grid of cells.",
        at_least=1,
    )
    map_normalization: str = option(
        "none", 'Normalisation of these convolutions: ``"none"`` or ``"batch"``.', choices=MAP_NORMALIZATIONS
    )
    map_reads_pixels: bool = option(
        True, "Whether these convolutions read the proxy's pixels, or only ``proxy_features``."
    )
    map_reads_place: bool = option(False, "Whether these convolutions read each cell's row and column.")
    proxy_features: EncoderConfig | None = option(
        None,
        "A network whose feature maps of the proxy the convolutions read, such as a frozen pretrained one: its name or "
        "the fields of an :class:`EncoderConfig`; None for none.",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "proxy_features", encoder_config(self.proxy_features))
        super().__post_init__()
        check_lengths(self, "map_filters", "map_kernels")
        require(
            self.map_reads_pixels or not self.map_stem_filters,
            "The map's convolutions over the proxy have nothing to read",
            expected="map_reads_pixels=True, or no map_stem_filters",
            received=self.map_stem_filters,
        )
        require(
            self.place_prior != "isolated" or self.thing_scale is not None,
            "The size of what is isolated is not known",
            expected='thing_scale with place_prior="isolated"',
            received=self.thing_scale,
        )

    def check_cells(self, num_steps: int) -> None:
        """Checks that every look finds a free cell.

        Args:
          num_steps: T, the number of looks.

        Raises:
          ConfigError: There is no map, or it has too few cells.
        """
        require(
            self.cells is not None,
            "The categorical posterior needs the size of its map",
            expected="cells=(rows, columns)",
            received=self.cells,
        )
        rows, columns = self.cells or (1, 1)
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

    def check_proxy(self, height: int, width: int) -> None:
        """Checks the size of the proxy against the map of places.

        Args:
          height: Height of the proxy, pixels.
          width: Width of the proxy, pixels.

        Raises:
          ConfigError: The cells are finer than the proxy.
        """
        if self.cells is not None:
            require(
                self.cells[0] <= height and self.cells[1] <= width,
                "The cells are finer than the proxy",
                expected=f"at most ({height}, {width}) rows and columns",
                received=f"cells={self.cells}",
                mend="Use fewer cells or a larger proxy",
            )
