"""scikit-learn classes: literal signatures and docstrings, no mathematics."""
