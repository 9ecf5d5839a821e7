"""Nets as scikit-learn's estimators: what its pipelines, searches and scores take."""
