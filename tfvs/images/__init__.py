"""Images: bounded reading, pyramid TIFFs and crops."""
