"""What is on the wire: frames, values as bodies, fingerprints, errors. Nothing here does input or output."""
