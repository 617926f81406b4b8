"""``python -m tfvs.datasets.starcraft2 simulate`` makes battles, ``record`` records those of the game."""

import click

from tfvs.datasets.starcraft2.record import record_command
from tfvs.datasets.starcraft2.simulate import simulate


@click.group()
def main() -> None:
    """StarCraft II battles for the reader starcraft2."""


main.add_command(simulate)
main.add_command(record_command)

if __name__ == "__main__":
    main()
