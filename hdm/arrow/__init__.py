"""Functions over Arrow record batches: resize, count, prefetch, and convert from and to Python values."""
