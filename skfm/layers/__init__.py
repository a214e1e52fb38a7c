"""Pure functions shared by models."""
