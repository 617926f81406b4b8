# %% [markdown]
# # Your own images, in a folder per class
# Pyramids are made on first use and cached; the model reads only the tiles that it looks at. Here the images are made,
# landscapes with a speed-limit sign somewhere; put your folder in the place of `folder`.

# %%
import tempfile
from pathlib import Path

import keras

import tfvs
from tfvs.datasets.sign_photographs import SignConfig, write

keras.utils.set_random_seed(1)
work = Path(tempfile.mkdtemp())
folder = write(work / "photos", SignConfig(width=480, height=320, sign_px=60), {"train": 24})

# %% [markdown]
# As in Keras, but for `proxy_size`: the proxy is the tiny image that says where to look.

# %%
train, val = tfvs.datasets.image_dataset_from_directory(
    folder, proxy_size=(32, 48), batch_size=8, validation_split=0.25, seed=1, cache_dir=str(work / "cache")
)
print(train.class_names)

# %% [markdown]
# Any Keras network can read the crops: `crop_encoder="efficientnet_lite0"` takes one with ImageNet weights from the
# package `tfvs[imagenet]`.

# %%
model = tfvs.VariationalSaccader(num_classes=len(train.class_names), num_steps=3, crop_size=32)
model.compile(optimizer="adam", metrics=["accuracy"])
model.fit(train, validation_data=val, epochs=1, verbose=2)  # real data want 20 epochs and more

# %% [markdown]
# The exported model runs in TensorFlow Serving and in `tfvs serve`, and answers `tfvs view`.

# %%
print(model.export(work / "served" / "1"))
