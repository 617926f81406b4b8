"""The command line ``tfvs``: argument parsing only, one file per command."""
