"""From raw images to records and pyramids: readers, conversion, and a job that needs nothing but this machine."""
