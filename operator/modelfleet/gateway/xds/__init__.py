"""Second part of the pipeline: views become Envoy resources, pushed in an order that is safe."""
