# %% [markdown]
# # Small things in large images
# A slide or an aerial image whose class is decided by something that covers a thousandth of it. The posterior chooses
# among cells of the proxy, and the evidence of the looks adds up. The images are made; yours take the same steps.

# %%
import tempfile
from pathlib import Path

from click.testing import CliRunner

from tfvs.cli.main import cli
from tfvs.datasets.sign_photographs import SignConfig, write

work = Path(tempfile.mkdtemp())
write(work / "photos", SignConfig(width=600, height=400, sign_px=24), {"train": 24, "eval": 6, "test": 6})


def tfvs(*words):
    """The command line; in a shell: tfvs prepare ..."""
    result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    print(result.output)
    assert result.exit_code == 0


# %%
tfvs("prepare", work / "photos", work / "prepared")

# %% [markdown]
# `--object-px` is what only you know: how large the thing is. Everything else is derived, and said. Two short epochs
# show the way; leave the last options out to train in earnest.

# %%
short = ["--set", "train.epochs=2", "--set", "train.steps_per_epoch=2", "--encoder", "small"]
tfvs("train", work / "prepared", "--output", work / "model", "--object-px", 24, *short)

# %%
tfvs("evaluate", work / "model", work / "prepared", "-o", work / "evaluation.html")
