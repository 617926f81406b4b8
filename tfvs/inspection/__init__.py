"""What an image, a prepared data set or an exported model is: facts as plain values, for ``tfvs inspect``."""
