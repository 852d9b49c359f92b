"""Second part of the pipeline: values become Envoy resources, pushed in an order that is safe."""
