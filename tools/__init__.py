"""Scripts of development."""
