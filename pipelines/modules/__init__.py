"""Modules that TFX imports by name: ``run_fn`` of the Trainer and ``tuner_fn`` of the Tuner."""
