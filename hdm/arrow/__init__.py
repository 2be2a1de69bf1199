"""Resize, count and prefetch Arrow record batches; convert them from and to Python values without loss."""
