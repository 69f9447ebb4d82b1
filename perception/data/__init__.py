"""Annotated images: readers, label sets, augmentation and training targets. No torch."""
