# %% [markdown]
# # Digits on cluttered canvases
# A saccader finds one handwritten digit among clutter. The canvases are small enough to lie in memory, so the inputs
# are plain images and proxies; [own_folder](own_folder.ipynb) has large images on disk.

# %%
import keras
import tensorflow as tf

import tfvs
from tfvs.datasets.two_digit_mnist import TwoDigitConfig, generate

keras.utils.set_random_seed(1)

# %% [markdown]
# Each canvas has 100 × 100 pixels and one digit; its proxy has 32 × 32.


# %%
def batches(split, count):
    """Canvases with proxies and labels."""
    canvases = generate(TwoDigitConfig(task="one"), split, count)
    image = tf.cast(canvases.images, tf.float32)[..., tf.newaxis] / 255.0
    proxy = tf.image.resize(image, [32, 32], antialias=True)
    return tf.data.Dataset.from_tensor_slices(({"image": image, "proxy": proxy}, canvases.labels)).batch(32)


train, test = batches("train", 256), batches("test", 64)

# %% [markdown]
# Three looks of 32 × 32 pixels each. The loss is the model's own, the variational bound, so none is given.

# %%
model = tfvs.VariationalSaccader(num_classes=10, num_steps=3, crop_size=32)
model.compile(optimizer="adam", metrics=["accuracy"])
history = model.fit(train, validation_data=test, epochs=1, verbose=2)  # 20 epochs and 10 000 canvases read most digits

# %% [markdown]
# What it says, and where it looked: boxes are `[y0, x0, y1, x1]` in [0, 1].

# %%
output = model.predict(test, verbose=0)
print(output.logits.shape, output.boxes.shape)
print(output.boxes[0])
