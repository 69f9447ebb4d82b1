"""The eight-camera loop: frame sets, preprocess, engine, decode, fuse."""
