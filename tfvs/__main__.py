"""``python -m tfvs``: the same as the command ``tfvs``."""

from tfvs.cli.main import main

main()
