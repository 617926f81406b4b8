"""Which photographs of GTSDB are trained on and which are the validation; apart, since a table needs nothing else."""

FOLDS = 5
# GTSDB's own split: photographs 480 to 599 are the validation.
OWN_FOLD = FOLDS - 1
