"""From what users have (matrices, frames, weights) to fixed-shape arrays. NumPy and SciPy only."""
