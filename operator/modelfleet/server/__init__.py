"""The default model server: ONNX by the Open Inference Protocol v2 over HTTP."""
