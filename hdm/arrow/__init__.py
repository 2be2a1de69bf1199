"""Record batches: cut, counted, read ahead, and made of Python values, exactly or not at all."""
