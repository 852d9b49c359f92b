"""The words: MLModel, MLModelVersion, conditions, names, and the generator of their CRDs."""
