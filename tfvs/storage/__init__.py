"""Object storage: ``s3://`` and ``gs://``, read and written through one library, and the tiles held of it here."""
