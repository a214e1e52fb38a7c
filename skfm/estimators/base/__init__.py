"""What all estimators share: the engine under the model pairs."""
